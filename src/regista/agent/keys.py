"""Every key of the configuration and every flag of `regista agent`, as data.

The reader of files, the command line, the names in the environment and the reference are made from these two
tables, so a key is described once.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from typing import Any, Literal

from regista.agent.settings import SETTINGS_BLOCKS
from regista.model import setting_doc

Kind = Literal["text", "path", "integer", "number", "boolean", "duration", "port", "map", "texts", "definitions"]

LOG_LEVELS = ("trace", "debug", "info", "warn", "err", "error")
PORT_MOST = 65535
_SOA_MOST = 2**31 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key that may stand in a configuration file.

    Attributes:
        path: its name with those of its blocks: `ports.http`.
        default: as the program keeps it: seconds for a duration.
        unit: `bytes`, or "" where the kind says all.
        at_least, at_most: bounds, both allowed.
    """

    path: str
    kind: Kind
    default: Any
    text: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    """A flag of `regista agent`.

    Attributes:
        key: the path of the key that it sets; "" for the two that stand above all files.
        kind: as a key's; `texts` for a flag that may be repeated.
        stands_for: the value that its key gets from a boolean flag whose key is no boolean.
        metavar: what stands for its value in the help, where the kind says too little.
    """

    name: str
    key: str
    kind: Kind
    text: str
    stands_for: Any = None
    metavar: str = ""

    @property
    def parameter(self) -> str:
        """The flag's name as a Python word: `http_port`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that stands for the flag: `REGISTA_HTTP_PORT`."""
        return f"REGISTA_{self.parameter.upper()}"


AGENT_KEYS: tuple[Key, ...] = (
    Key(
        "datacenter",
        "text",
        "dc1",
        "The datacenter that this agent is in: small letters, digits, `-` and `_`; capitals are made small.",
    ),
    Key("node_name", "text", "", "This agent's name among the nodes. Default: the host name."),
    Key("node_id", "text", "", "This node's id, a UUID. Default: made at the first start, kept in `data_dir`."),
    Key("node_meta", "map", {}, "Key and value pairs kept with the node; at most 64. Files are merged by key."),
    Key(
        "data_dir",
        "path",
        "",
        "The directory for all that must survive a restart. Required, except with `--dev`, where nothing is kept "
        "without it.",
    ),
    Key("bind_addr", "text", "127.0.0.1", "The IP address that other agents reach this one at."),
    Key(
        "advertise_addr",
        "text",
        "",
        "The IP address told to others as this node's. Default: `bind_addr`; needed where that is `0.0.0.0`.",
    ),
    Key(
        "client_addr",
        "text",
        "127.0.0.1",
        "The IP addresses that HTTP and DNS listen at, separated by spaces. `0.0.0.0` opens the agent to the "
        "whole network.",
    ),
    Key("ports.http", "port", 8500, "The port of the HTTP API. 0: a free one; -1: off."),
    Key("ports.dns", "port", 8600, "The port of the DNS server, UDP and TCP. 0: a free one; -1: off."),
    Key(
        "workers",
        "integer",
        0,
        "How many further processes share the ports of HTTP and DNS, each with a copy of the catalog of its own, "
        "and answer reads and names there. More answer more where there are cores for them, one each; each takes "
        "as much memory as the agent itself. Writes stay with the agent, and limits count for each process.",
        at_least=0,
        at_most=64,
    ),
    Key("domain", "text", "consul", "The DNS domain that services and nodes are below."),
    Key("alt_domain", "text", "", "Another domain for the same names; targets in answers are below `domain`."),
    Key(
        "recursors",
        "texts",
        (),
        "DNS servers to ask about other names, in turn: `host`, `host:port` or `[v6]:port`. Without any, other "
        "names get SERVFAIL.",
    ),
    Key(
        "dns_config.service_ttl",
        "map",
        {},
        'How long DNS answers about services may be kept, by service: `{web = "10s", "api*" = "5s", "*" = '
        '"1s"}`. The name itself goes before the longest prefix. Default: 0s for all.',
    ),
    Key(
        "dns_config.service_suffixes",
        "map",
        {},
        'Further domains whose names mean services, as in Kubernetes: with `{"svc.cluster.local" = "ignored"}`, '
        "`web.prod.svc.cluster.local` is the service `web`. The value says what `prod` is: `tag`, `datacenter` or "
        "`ignored`.",
    ),
    Key("dns_config.soa.refresh", "integer", 3600, "The SOA record's refresh time.", "seconds", 0, _SOA_MOST),
    Key("dns_config.soa.retry", "integer", 600, "The SOA record's retry time.", "seconds", 0, _SOA_MOST),
    Key("dns_config.soa.expire", "integer", 86400, "The SOA record's expiry time.", "seconds", 0, _SOA_MOST),
    Key(
        "dns_config.soa.min_ttl",
        "integer",
        0,
        "How long others may remember that there is no such name (RFC 2308).",
        "seconds",
        0,
        _SOA_MOST,
    ),
    Key(
        "http_config.response_headers",
        "map",
        {},
        "Headers that every answer of the HTTP API has besides its own, such as `Access-Control-Allow-Origin` for "
        "pages from elsewhere. Files are merged by name. Counts from the agent's start on.",
    ),
    Key(
        "log_level",
        "text",
        "info",
        "How much is logged. Lower words log less; `debug` and `trace` are for finding faults.",
        choices=LOG_LEVELS,
    ),
    Key("log_json", "boolean", False, "Logs one JSON object a line, for programs, instead of text for people."),
    Key(
        "enable_script_checks",
        "boolean",
        False,
        "Allows checks that run programs, as the agent's user: scripts, and commands in Docker containers. "
        "Whoever reaches the HTTP API may then run programs on this machine. Counts from the agent's start on.",
    ),
    Key(
        "enable_local_script_checks",
        "boolean",
        False,
        "Allows checks that run programs where the agent's own configuration files define them, and refuses them "
        "from the HTTP API.",
    ),
    Key("pid_file", "path", "", "A file with the process's number, written at the start and removed at the end."),
    Key("ready_file", "path", "", "A file written when the agent answers requests, and removed when it stops."),
    Key("service", "definitions", (), "One service of this node, as an object."),
    Key("services", "definitions", (), "Services of this node, as a list of objects. Files are joined."),
    Key("check", "definitions", (), "One check of this node, as an object."),
    Key("checks", "definitions", (), "Checks of this node, as a list of objects. Files are joined."),
    Key(
        "watches",
        "definitions",
        (),
        "What is run when something changes, as a list of objects; see docs/guides/events.md. Files are joined. A "
        "reload takes changes in.",
    ),
)

FLAGS: tuple[Flag, ...] = (
    Flag("dev", "", "boolean", "Start for trying out: everything in memory, no data directory needed."),
    Flag(
        "config-file",
        "",
        "texts",
        "A .json or .hcl file, or a directory of them. May be repeated; later wins.",
        metavar="PATH",
    ),
    Flag("node", "node_name", "text", "This node's name. Default: the host name."),
    Flag("datacenter", "datacenter", "text", "The datacenter that this agent is in. Default: dc1."),
    Flag("data-dir", "data_dir", "path", "The directory for all that must survive a restart."),
    Flag("bind", "bind_addr", "text", "The IP address that other agents reach this one at. Default: 127.0.0.1."),
    Flag("advertise", "advertise_addr", "text", "The IP address told to others. Default: that of --bind."),
    Flag("client", "client_addr", "text", "The IP addresses that HTTP and DNS listen at. Default: 127.0.0.1."),
    Flag("http-port", "ports.http", "port", "The port of the HTTP API; 0 a free one, -1 off. Default: 8500."),
    Flag("dns-port", "ports.dns", "port", "The port of the DNS server; 0 a free one, -1 off. Default: 8600."),
    Flag("workers", "workers", "integer", "How many further processes answer reads and names. Default: 0."),
    Flag("domain", "domain", "text", "The DNS domain of services and nodes. Default: consul."),
    Flag("alt-domain", "alt_domain", "text", "Another DNS domain for the same names."),
    Flag(
        "recursor",
        "recursors",
        "texts",
        "A DNS server to ask about other names. May be repeated.",
        metavar="ADDRESS",
    ),
    Flag("log-level", "log_level", "text", "trace, debug, info, warn or error. Default: info."),
    Flag("log-json", "log_json", "boolean", "Log one JSON object a line."),
    Flag("ready-file", "ready_file", "path", "A file written when the agent answers requests."),
    Flag("pid-file", "pid_file", "path", "A file with the process's number, for as long as it runs."),
    Flag(
        "no-response-cache",
        "http.response_cache_bytes_max",
        "boolean",
        "Make every answer anew; for finding faults.",
        stands_for=0,
    ),
)


def file_name_of(field: dataclasses.Field[Any]) -> str:
    """The name of a setting in files: durations drop the `_s`, for their text has a unit."""
    return _SECONDS.sub("", field.name) if setting_doc(field).unit == "s" else field.name


_SECONDS = re.compile(r"_s(?=_|$)")


def setting_keys(block: str, settings_type: type[Any]) -> tuple[Key, ...]:
    """The keys of a room's settings, in the order of its fields."""
    hints = typing.get_type_hints(settings_type)
    keys = []
    for field in dataclasses.fields(settings_type):
        doc = setting_doc(field)
        kind: Kind = "duration" if doc.unit == "s" else _kind_of(hints[field.name])
        keys.append(
            Key(
                f"{block}.{file_name_of(field)}",
                kind,
                field.default,
                doc.text,
                unit=doc.unit if kind != "duration" else "",
                at_least=doc.at_least,
                at_most=doc.at_most,
            )
        )
    return tuple(keys)


_KINDS: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "boolean", tuple[str, ...]: "texts"}


def _kind_of(hint: Any) -> Kind:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    return _KINDS[hint]


SETTING_KEYS: tuple[Key, ...] = tuple(key for block in SETTINGS_BLOCKS for key in setting_keys(*block))

KEYS: dict[str, Key] = {key.path: key for key in (*AGENT_KEYS, *SETTING_KEYS)}
"""Every key that has a meaning here, by path."""
