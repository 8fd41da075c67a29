"""The agent's configuration, made from defaults, files, environment and flags, in this order; the later wins.

Pure, but for reading the files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regista.agent.config_file import find_files, is_readable, read_file
from regista.agent.config_values import Definition, Layer, convert, convert_text, merge, parse_boolean, read_layer
from regista.agent.keys import FLAGS, KEYS, file_name_of
from regista.agent.settings import SETTINGS_BLOCKS, RegistrySettings
from regista.catalog import DegradingSettings
from regista.health import HealthSettings, KindRule, PassiveSettings, os_services_problem
from regista.model import ConfigError
from regista.notify import AlertSettings, NotifySettings
from regista.protocols.consul import DrainSettings, EventSettings, KvSettings
from regista.protocols.dns import DnsSettings
from regista.protocols.http import HttpSettings, OverloadSettings
from regista.protocols.native import HistorySettings, StreamSettings
from regista.store import StoreSettings

NODE_META_PAIRS_MAX = 64
_META_KEY = re.compile(r"[A-Za-z0-9_-]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token. Source: RFC 9110, 5.1."""
_OWN_HEADERS = frozenset(("content-length", "transfer-encoding", "connection", "content-encoding", "content-type"))
_DATACENTER = re.compile(r"[a-z0-9_-]+")


Content = tuple[Mapping[str, Any], str]
"""What a source says in the shape of a file, and the source's name for messages."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How a configuration is put together that does not come from Regista's own flags alone.

    Attributes:
        first: read before all files. Lists are joined in order, so its lists come first.
        last: read after files, environment and flags.
        file_format: of every file, `json` or `hcl`; "" for what the suffixes say.
        is_lenient: unknown keys, and files that are neither JSON nor HCL, are warnings.
    """

    first: Sequence[Content] = ()
    last: Sequence[Content] = ()
    file_format: str = ""
    is_lenient: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """All that an agent is told at its start.

    Attributes:
        node_id: "" where the agent makes one.
        data_dir: None only with `dev`: then all is kept in memory.
        client_addr: one or several IP addresses, separated by spaces; `client_addresses` has them apart.
        response_headers: of every answer of the HTTP API, besides its own.
        http_port, dns_port: 0 for a free one, -1 for off.
        workers: how many processes there are besides.
        dns_soa: refresh, retry, expire and minimum, in seconds.
        services, checks, watches: as they stand in the files, objects in the spelling of Consul's, unchecked.
        warnings: sentences for the log on what the files say without effect.
        files: those that were read, in order.
    """

    dev: bool
    node_name: str
    node_id: str
    node_meta: dict[str, str]
    datacenter: str
    data_dir: Path | None
    bind_addr: str
    advertise_addr: str
    client_addr: str
    http_port: int
    dns_port: int
    workers: int
    domain: str
    alt_domain: str
    recursors: tuple[str, ...]
    dns_service_ttls: dict[str, str]
    dns_service_suffixes: dict[str, str]
    dns_soa: tuple[int, int, int, int]
    response_headers: dict[str, str]
    log_level: str
    log_json: bool
    enable_script_checks: bool
    enable_local_script_checks: bool
    ready_file: Path | None
    pid_file: Path | None
    services: tuple[Definition, ...]
    checks: tuple[Definition, ...]
    watches: tuple[Definition, ...]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]
    # One field for each of SETTINGS_BLOCKS.
    store: StoreSettings
    health: HealthSettings
    passive: PassiveSettings
    degrading: DegradingSettings
    http: HttpSettings
    overload: OverloadSettings
    dns_config: DnsSettings
    registry: RegistrySettings
    history: HistorySettings
    streams: StreamSettings
    notify: NotifySettings
    alerts: AlertSettings
    events: EventSettings
    kv: KvSettings
    drain: DrainSettings

    @property
    def client_addresses(self) -> tuple[str, ...]:
        """The addresses to listen at."""
        return tuple(self.client_addr.split())

    @property
    def kind_rule(self) -> KindRule:
        """Which kinds of checks may be made, by whom."""
        return KindRule(
            scripts=self.enable_script_checks,
            local_scripts=self.enable_local_script_checks,
            os_services_problem=os_services_problem(),
        )


_PLAIN = Reading()


def load_config(
    *, flags: Mapping[str, Any], environ: Mapping[str, str], hostname: str, reading: Reading = _PLAIN
) -> AgentConfig:
    """The configuration that the sources come to.

    Args:
        flags: by `Flag.parameter`; None or missing for a flag that was not given.
        environ: the process's environment; only `REGISTA_…` names of flags are looked at.
        hostname: the node's name where nothing else names it.

    Raises:
        ConfigError: something can't be used; the text has a line for each problem found.
    """
    is_dev = bool(flags.get("dev")) or parse_boolean(environ.get("REGISTA_DEV") or "false", name="REGISTA_DEV")
    paths = flags.get("config_file") or [
        path for path in environ.get("REGISTA_CONFIG_FILE", "").split(os.pathsep) if path
    ]
    layers = [read_layer(*content, is_lenient=reading.is_lenient) for content in reading.first]
    files = _read_files([Path(path) for path in paths], reading, layers)
    layers += [_read_environ(environ), _read_flags(flags)]
    layers += [read_layer(*content, is_lenient=reading.is_lenient) for content in reading.last]
    problems = [problem for layer in layers for problem in layer.problems]
    values = merge(layers)
    problems += _finish(values, is_dev=is_dev, hostname=hostname)
    if problems:
        # One file may be given twice; its problems are told once.
        raise ConfigError(_problems_text(list(dict.fromkeys(problems))))
    return AgentConfig(
        dev=is_dev,
        **{name: values[name] for name in _PLAIN_FIELDS},
        data_dir=Path(values["data_dir"]) if values["data_dir"] else None,
        response_headers=values["http_config.response_headers"],
        http_port=values["ports.http"],
        dns_port=values["ports.dns"],
        recursors=tuple(values["recursors"]),
        dns_service_ttls=values["dns_config.service_ttl"],
        dns_service_suffixes=values["dns_config.service_suffixes"],
        dns_soa=tuple(values[f"dns_config.soa.{name}"] for name in ("refresh", "retry", "expire", "min_ttl")),
        ready_file=Path(values["ready_file"]) if values["ready_file"] else None,
        pid_file=Path(values["pid_file"]) if values["pid_file"] else None,
        services=tuple(definition for layer in layers for definition in layer.services),
        checks=tuple(definition for layer in layers for definition in layer.checks),
        watches=tuple(definition for layer in layers for definition in layer.watches),
        warnings=tuple(
            dict.fromkeys((*(warning for layer in layers for warning in layer.warnings), *_dangers(values)))
        ),
        files=tuple(files),
        **{block: _settings(block, settings_type, values) for block, settings_type in SETTINGS_BLOCKS},
    )


_RELOADED = frozenset(("services", "checks", "watches", "warnings", "files", "log_level", "log_json"))
"""The fields that a reload takes in."""

_KEYS_OF = {
    "http_port": "ports.http",
    "dns_port": "ports.dns",
    "response_headers": "http_config.response_headers",
    "dns_service_ttls": "dns_config.service_ttl",
    "dns_service_suffixes": "dns_config.service_suffixes",
    "dns_soa": "dns_config.soa",
}
"""The keys of fields that are called otherwise."""


def waiting_for_restart(before: AgentConfig, after: AgentConfig) -> tuple[str, ...]:
    """The keys that a reload from one to the other leaves as they were, though they differ."""
    keys: list[str] = []
    for field in dataclasses.fields(AgentConfig):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if field.name in _RELOADED or old == new:
            continue
        if dataclasses.is_dataclass(new):
            keys += (
                f"{field.name}.{file_name_of(each)}"
                for each in dataclasses.fields(new)
                if getattr(old, each.name) != getattr(new, each.name)
            )
        else:
            keys.append(_KEYS_OF.get(field.name, field.name))
    return tuple(keys)


_PLAIN_FIELDS = (
    "node_name",
    "node_id",
    "node_meta",
    "datacenter",
    "bind_addr",
    "advertise_addr",
    "client_addr",
    "domain",
    "alt_domain",
    "workers",
    "log_level",
    "log_json",
    "enable_script_checks",
    "enable_local_script_checks",
)
"""The fields that hold just what is under the key of their name."""


def _settings(block: str, settings_type: type[Any], values: Mapping[str, Any]) -> Any:
    fields = dataclasses.fields(settings_type)
    return settings_type(**{field.name: values[f"{block}.{file_name_of(field)}"] for field in fields})


def _problems_text(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  * ".join((f"the configuration has {len(problems)} problems:", *problems))


# ---- sources ----


def _read_files(paths: Sequence[Path], reading: Reading, layers: list[Layer]) -> list[Path]:
    """The files that were read; adds what they say to `layers`."""
    files: list[Path] = []
    for path in paths:
        layer = Layer()
        layers.append(layer)
        with _noting_problems(layer):
            found = find_files(path, format_=reading.file_format)
            if not found:
                layer.warnings.append(f"{path} holds no .json or .hcl file.")
            for file in found:
                if reading.is_lenient and not is_readable(file, reading.file_format):
                    # Source: Consul 1.9, its words.
                    layer.warnings.append(
                        f"skipping file {file}, extension must be .hcl or .json, or config format must be set"
                    )
                    continue
                content = read_file(file, format_=reading.file_format).content
                layers.append(read_layer(content, str(file), is_lenient=reading.is_lenient))
                files.append(file)
    return files


def _read_environ(environ: Mapping[str, str]) -> Layer:
    layer = Layer()
    for flag in FLAGS:
        text = environ.get(flag.variable)
        if text and flag.key:
            with _noting_problems(layer):
                if flag.stands_for is None:
                    layer.values[flag.key] = convert_text(KEYS[flag.key], text, name=flag.variable)
                elif parse_boolean(text, name=flag.variable):
                    layer.values[flag.key] = flag.stands_for
    return layer


def _read_flags(flags: Mapping[str, Any]) -> Layer:
    layer = Layer()
    for flag in FLAGS:
        value = flags.get(flag.parameter)
        if value is not None and flag.key:
            with _noting_problems(layer):
                wanted = value if flag.stands_for is None else flag.stands_for
                layer.values[flag.key] = convert(KEYS[flag.key], wanted, name=f"--{flag.name}")
    return layer


@contextlib.contextmanager
def _noting_problems(layer: Layer) -> Iterator[None]:
    """Goes on after an error, so that all that is wrong is told at once."""
    try:
        yield
    except ConfigError as error:
        layer.problems.append(str(error))


# ---- what no single key tells ----


def _finish(values: dict[str, Any], *, is_dev: bool, hostname: str) -> list[str]:
    """Fills in what depends on other keys; the sentences on what does not fit."""
    problems = _finish_addresses(values, is_dev=is_dev)
    values["node_name"] = values["node_name"] or hostname
    if not values["node_name"] or not values["node_name"].isprintable():
        problems.append("node_name cannot be empty or hold control characters; name this node with --node.")
    datacenter = values["datacenter"] = values["datacenter"].lower()
    if not _DATACENTER.fullmatch(datacenter):
        problems.append(
            f'datacenter can only contain lowercase alphanumeric, - or _ characters. received: "{datacenter}"'
        )
    if values["node_id"]:
        try:
            values["node_id"] = str(uuid.UUID(values["node_id"]))
        except ValueError:
            problems.append(f'node_id: "{values["node_id"]}" is not a UUID; leave it out to have one made.')
    if not values["data_dir"] and not is_dev:
        problems.append(
            "data_dir cannot be empty; give --data-dir, or --dev to try Regista out with everything in memory."
        )
    problems += _meta_problems(values["node_meta"])
    problems += _header_problems(values["http_config.response_headers"])
    return problems


def _finish_addresses(values: dict[str, Any], *, is_dev: bool) -> list[str]:
    problems = []
    for name in ("bind_addr", "advertise_addr", "client_addr"):
        words = values[name].split()
        values[name] = " ".join(words)
        if not words and name != "advertise_addr":
            problems.append(f"{name} cannot be empty.")
        if len(words) > 1 and name != "client_addr":
            problems.append(f"{name} cannot contain multiple addresses.")
        else:
            problems += [f'{name}: "{word}" is not an IP address.' for word in words if not _is_address(word)]
    if not problems and not values["advertise_addr"]:
        values["advertise_addr"] = values["bind_addr"]
        if ipaddress.ip_address(values["bind_addr"]).is_unspecified:
            values["advertise_addr"] = "127.0.0.1"
            if not is_dev:
                problems.append(
                    f"advertise_addr cannot be empty when bind_addr is {values['bind_addr']}; set it to the "
                    "address that others reach this node at."
                )
    return problems


def _dangers(values: Mapping[str, Any]) -> list[str]:
    """What is allowed, but should be known. Source: Consul 1.9, which warns of the same."""
    if not values["enable_script_checks"] or values["ports.http"] < 0:
        return []
    if all(ipaddress.ip_address(word).is_loopback for word in values["client_addr"].split()):
        return []
    return [
        (
            "enable_script_checks lets everybody who reaches the HTTP API run programs on this machine, and "
            "client_addr opens it to others; enable_local_script_checks runs those of the agent's own files alone."
        )
    ]


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _meta_problems(meta: Mapping[str, str]) -> list[str]:
    """Source: Consul 1.9, the limits on node metadata and their texts."""
    if len(meta) > NODE_META_PAIRS_MAX:
        return [f"node_meta invalid: Node metadata cannot contain more than {NODE_META_PAIRS_MAX} key/value pairs"]
    problems = []
    for key, value in meta.items():
        problem = _pair_problem(key, value)
        if problem:
            problems.append(f"node_meta invalid: Couldn't load metadata pair ('{key}', '{value}'): {problem}")
    return problems


def _header_problems(headers: Mapping[str, str]) -> list[str]:
    """A header with another line in it would be two; those that say how long an answer is are the server's."""
    problems = []
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            problems.append(f'http_config.response_headers: "{name}" is no header that can be added.')
        elif not value.isprintable() or not value.isascii():
            problems.append(
                f'http_config.response_headers: the value of "{name}" has characters that cannot be sent.'
            )
    return problems


def _pair_problem(key: str, value: str) -> str:
    if not key:
        return "Key cannot be blank"
    if not _META_KEY.fullmatch(key):
        return "Key contains invalid characters"
    if len(key) > 128:
        return "Key is too long (limit: 128 characters)"
    if key.startswith("consul-"):
        return "Key prefix 'consul-' is reserved for internal use"
    if len(value) > 512:
        return "Value is too long (limit: 512 characters)"
    return ""
