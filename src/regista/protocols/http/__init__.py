"""What the HTTP doors share: the server, the route table, encoded answers and waiting for them, errors as codes.

Knows HTTP and the model; what a path means is a door's.
"""

from regista.protocols.http.answers import Answer, Answers, Encoded, View
from regista.protocols.http.causes import REASON, request_cause
from regista.protocols.http.errors import error_response
from regista.protocols.http.jsonbody import decode_json, encode_json
from regista.protocols.http.messages import ByteStream, Headers, Parameters, Request, Response, text_response
from regista.protocols.http.routes import Handler, Parameter, Route, RouteTable
from regista.protocols.http.server import HttpServer
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.traffic import ClientTraffic

__all__ = [
    "REASON",
    "Answer",
    "Answers",
    "ByteStream",
    "ClientTraffic",
    "Encoded",
    "Handler",
    "Headers",
    "HttpServer",
    "HttpSettings",
    "Parameter",
    "Parameters",
    "Request",
    "Response",
    "Route",
    "RouteTable",
    "View",
    "decode_json",
    "encode_json",
    "error_response",
    "request_cause",
    "text_response",
]
