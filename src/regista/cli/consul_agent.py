"""`consul agent`: Consul's flags of an agent, as what our loader of configurations takes.

The order of the sources is Consul's: lists given by flags, then files in the order of the command line, then
single values given by flags, then each `-hcl`. Later wins, and lists are joined.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import click

from regista import CONSUL_VERSION
from regista.agent import AgentConfig, Content, Reading, Ready, has_effect, load_config, read_text
from regista.agent import run as run_agent
from regista.cli.consul_flags import FlagError, FlagValue, parse_flags
from regista.model import ConfigError

SOURCE = "the command line"

Kind = Literal["text", "boolean", "integer", "list", "map"]

_KINDS: tuple[tuple[Kind, str], ...] = (
    (
        "text",
        """
        advertise=advertise_addr advertise-wan=advertise_addr_wan alt-domain=alt_domain bind=bind_addr
        client=client_addr data-dir=data_dir datacenter=datacenter default-query-time=default_query_time
        domain=domain encrypt=encrypt log-file=log_file log-level=log_level
        log-rotate-duration=log_rotate_duration max-query-time=max_query_time node=node_name node-id=node_id
        pid-file=pid_file retry-interval=retry_interval retry-interval-wan=retry_interval_wan segment=segment
        serf-lan-bind=serf_lan serf-wan-bind=serf_wan ui-content-path=ui_content_path ui-dir=ui_dir
        log-sublevels=log_sublevels
        """,
    ),
    (
        "boolean",
        """
        auto-reload-config=auto_reload_config bootstrap=bootstrap disable-host-node-id=disable_host_node_id
        disable-keyring-file=disable_keyring_file enable-local-script-checks=enable_local_script_checks
        enable-script-checks=enable_script_checks log-json=log_json non-voting-server=non_voting_server
        rejoin=rejoin_after_leave server=server syslog=enable_syslog ui=ui
        """,
    ),
    (
        "integer",
        """
        bootstrap-expect=bootstrap_expect check_output_max_size=check_output_max_size dns-port=ports.dns
        grpc-port=ports.grpc grpc-tls-port=ports.grpc_tls http-port=ports.http https-port=ports.https
        log-rotate-bytes=log_rotate_bytes log-rotate-max-files=log_rotate_max_files protocol=protocol
        raft-protocol=raft_protocol retry-max=retry_max retry-max-wan=retry_max_wan
        serf-lan-port=ports.serf_lan serf-wan-port=ports.serf_wan server-port=ports.server
        """,
    ),
    (
        "list",
        """
        allow-write-http-from=http_config.allow_write_http_from join=start_join join-wan=start_join_wan
        primary-gateway=primary_gateways recursor=recursors retry-join=retry_join retry-join-wan=retry_join_wan
        serf-lan-allowed-cidrs=serf_lan_allowed_cidrs serf-wan-allowed-cidrs=serf_wan_allowed_cidrs
        """,
    ),
    ("map", "node-meta=node_meta"),
)

KEYS: dict[str, tuple[Kind, str]] = {
    name: (kind, path)
    for kind, pairs in _KINDS
    for name, _, path in (pair.partition("=") for pair in pairs.split())
}
"""Each flag that stands for a key of files: what it takes, and the key. Source: Consul 1.9 to 1.20, `agent -h`."""

_SPECIAL: dict[str, bool] = {
    "dev": True,
    "config-dir": False,
    "config-file": False,
    "config-format": False,
    "hcl": False,
}
_FLAGS: dict[str, bool] = {name: kind == "boolean" for name, (kind, _) in KEYS.items()} | _SPECIAL

MET = frozenset(("server", "bootstrap", "bootstrap-expect", "disable-host-node-id", "disable-keyring-file"))
"""What these ask for is so in any case: the agent is a server and its own leader, and keeps no ring of keys."""


class Run(Protocol):
    """Runs an agent until it is told to stop."""

    def __call__(
        self, config: AgentConfig, *, reload: Callable[[], AgentConfig], greet: Callable[[Ready], str]
    ) -> int:
        """The process's exit code."""


def start(words: Sequence[str], *, run: Run = run_agent) -> int:
    """Runs the agent that the command line behind `consul agent` describes; the process's exit code.

    Raises:
        FlagError, HelpWanted: see `parse_flags`.
    """
    flags, rest = parse_flags(words, _FLAGS)
    if rest:
        return _refuse(f"Unexpected extra arguments: [{' '.join(rest)}]")

    def load() -> AgentConfig:
        return load_config(
            flags={"dev": _is_dev(flags), "config_file": _files(flags)},
            environ=os.environ,
            hostname=socket.gethostname(),
            reading=reading_of(flags),
        )

    try:
        config = load()
    except ConfigError as error:
        return _refuse(str(error))
    idle = [f"-{name}" for name in dict.fromkeys(name for name, _ in flags) if _is_idle(name)]
    if idle:
        click.echo(f"==> Accepted, but without effect here: {', '.join(idle)}", err=True)
    return run(config, reload=load, greet=lambda ready: banner(ready, now=dt.datetime.now(dt.UTC)))


def reading_of(flags: Sequence[tuple[str, FlagValue]]) -> Reading:
    """How the sources stand to each other.

    Raises:
        ConfigError: a flag's value, or the text of an `-hcl`, can't be used.
        FlagError: a number is none.
    """
    lists: dict[str, Any] = {}
    scalars: dict[str, Any] = {}
    fragments: list[Content] = []
    file_format = ""
    for name, value in flags:
        if name == "hcl":
            fragments.append(_fragment(str(value), number=len(fragments)))
        elif name == "config-format":
            file_format = str(value)
        elif name in KEYS and not _is_idle(name) and name not in MET:
            _put(name, value, lists if KEYS[name][0] == "list" else scalars)
    if file_format not in ("", "json", "hcl"):
        raise ConfigError("config: -config-format must be either 'hcl' or 'json'")
    return Reading(
        first=[(lists, SOURCE)], last=[(scalars, SOURCE), *fragments], file_format=file_format, is_lenient=True
    )


def _put(name: str, value: FlagValue, content: dict[str, Any]) -> None:
    """Sets the flag's key in the shape of a file."""
    kind, path = KEYS[name]
    *blocks, key = path.split(".")
    for block in blocks:
        content = content.setdefault(block, {})
    match kind:
        case "integer":
            content[key] = _integer(str(value), name)
        case "list":
            content.setdefault(key, []).append(value)
        case "map":
            pair_key, _, pair_value = str(value).partition(":")
            content.setdefault(key, {})[pair_key] = pair_value
        case _:
            content[key] = value


def _integer(text: str, name: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise FlagError(f'invalid value "{text}" for flag -{name}: parse error') from None


def _fragment(text: str, *, number: int) -> Content:
    name = f"flags-{number}.hcl"
    try:
        return read_text(text), name
    except ConfigError as error:
        raise ConfigError(f"failed to parse {name}: {error}") from error


def _is_idle(name: str) -> bool:
    """Whether a flag is taken for Consul's sake alone."""
    return name in KEYS and name not in MET and not has_effect(KEYS[name][1])


def _is_dev(flags: Sequence[tuple[str, FlagValue]]) -> bool:
    return bool(dict(flags).get("dev", False))


def _files(flags: Sequence[tuple[str, FlagValue]]) -> list[str]:
    return [str(value) for name, value in flags if name in ("config-dir", "config-file")]


def _refuse(text: str) -> int:
    click.echo(f"==> {text}", err=True)
    return 1


def banner(ready: Ready, *, now: dt.datetime) -> str:
    """What Consul prints at its start, with the words of its log that scripts wait for. All of it is true here.

    Source: Consul 1.9.0, standard output.
    """
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
    http = ready.listeners.get("http", "")
    rows: Mapping[str, str] = {
        "Version": f"'{CONSUL_VERSION}' (Regista {ready.version})",
        "Node ID": f"'{ready.node_id}'",
        "Node name": f"'{ready.node_name}'",
        "Datacenter": f"'{ready.datacenter}' (Segment: '<all>')",
        "Server": "true (Bootstrap: true)",
        "Client Addr": f"[{http.rpartition(':')[0]}] (HTTP: {http.rpartition(':')[2] or -1})",
        "Cluster Addr": ready.advertise_addr,
        "Data": str(ready.data_dir or "memory only"),
    }
    return "\n".join(
        (
            "==> Starting Consul agent...",
            *(f"{name:>15}: {value}" for name, value in rows.items()),
            "",
            "==> Log data will now stream in as it occurs:",
            "",
            f"    {stamp} [INFO]  agent.server: cluster leadership acquired",
            f"    {stamp} [INFO]  agent.server: New leader elected: payload={ready.node_name}",
            f"    {stamp} [INFO]  agent: Synced node info",
            "==> Consul agent running!",
        )
    )


def help_text() -> str:
    """The flags, for people."""
    lines = [
        "Usage: consul agent [options]",
        "",
        "  Starts the agent until it is told to stop.",
        "",
        "Options:",
        "",
    ]
    for name in sorted(_FLAGS):
        kind = KEYS[name][0] if name in KEYS else "boolean" if _SPECIAL[name] else "text"
        behind = "" if kind == "boolean" else "=<value>"
        note = "  (accepted, without effect here)" if _is_idle(name) else ""
        lines.append(f"  -{name}{behind}{note}")
    return "\n".join(lines)
