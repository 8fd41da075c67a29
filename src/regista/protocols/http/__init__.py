"""What the HTTP doors share: the server, the route table, encoded answers and waiting for them, errors as codes.

Knows HTTP and the model; what a path means is a door's.
"""

from regista.protocols.http.admission import CALM, SHED_ORDER, Level, LoadClass, OverloadSettings, Use
from regista.protocols.http.answers import Answer, Answers, Encoded, View
from regista.protocols.http.causes import REASON, request_cause
from regista.protocols.http.connection import body_too_large
from regista.protocols.http.dispatch import Dispatcher, failure_response, no_body
from regista.protocols.http.errors import error_response
from regista.protocols.http.jsonbody import decode_json, encode_json
from regista.protocols.http.lasting import Lasting, Tally
from regista.protocols.http.messages import (
    ByteStream,
    Headers,
    Parameters,
    Request,
    Response,
    Watching,
    text_response,
)
from regista.protocols.http.overload import Overload
from regista.protocols.http.responses import ResponseCache
from regista.protocols.http.routes import Handler, Parameter, Route, RouteTable
from regista.protocols.http.server import HttpServer, listening_socket
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.traffic import ClientTraffic
from regista.protocols.http.watchers import Follower, Laggard, Passage, Watcher, Watchers

__all__ = [
    "CALM",
    "REASON",
    "SHED_ORDER",
    "Answer",
    "Answers",
    "ByteStream",
    "ClientTraffic",
    "Dispatcher",
    "Encoded",
    "Follower",
    "Handler",
    "Headers",
    "HttpServer",
    "HttpSettings",
    "Laggard",
    "Lasting",
    "Level",
    "LoadClass",
    "Overload",
    "OverloadSettings",
    "Parameter",
    "Parameters",
    "Passage",
    "Request",
    "Response",
    "ResponseCache",
    "Route",
    "RouteTable",
    "Tally",
    "Use",
    "View",
    "Watcher",
    "Watchers",
    "Watching",
    "body_too_large",
    "decode_json",
    "encode_json",
    "error_response",
    "failure_response",
    "listening_socket",
    "no_body",
    "request_cause",
    "text_response",
]
