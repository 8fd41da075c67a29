"""`regista services`: registering services with an agent by hand, from flags or from files, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from regista.cli.agent_room import agent_room
from regista.cli.client import AgentClient, AgentRefused
from regista.cli.definitions import service_body
from regista.cli.drain import drain
from regista.cli.options import agent_options
from regista.model import ConfigError

SUFFIXES = (".json", ".hcl")
DEFAULT_INTERVAL = "10s"


@click.group(epilog="\b\nExample:\n  regista services register --name web --port 8080 --ttl 30s")
def services() -> None:
    """Register, drain and deregister services."""


services.add_command(drain)


@services.command(
    epilog="\b\nExamples:\n"
    "  regista services register web.hcl\n"
    "  regista services register --name web --port 8080 --tag v1 --meta version=1.4\n"
    "  regista services register --name web --port 8080 --check-http http://127.0.0.1:8080/health\n"
    "  regista services register --name worker --ttl 30s"
)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--name", metavar="TEXT", help="The service's name.")
@click.option("--id", "service_id", metavar="TEXT", help="The instance's id. Default: the name.")
@click.option("--address", metavar="TEXT", help="Where it answers. Default: the node's address.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", help="The port that it answers at.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag. May be repeated.")
@click.option(
    "--tagged-address",
    "tagged_addresses",
    multiple=True,
    metavar="NAME=ADDRESS:PORT",
    help="An address for a network. May be repeated.",
)
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="A pair of metadata. May be repeated.")
@click.option(
    "--ttl",
    "--check-ttl",
    "ttl",
    metavar="DURATION",
    help="The service reports its own health at least this often.",
)
@click.option("--check-http", metavar="URL", help="The agent asks this URL; an answer with 2xx is healthy.")
@click.option("--check-tcp", metavar="HOST:PORT", help="The agent connects to this; a connection is healthy.")
@click.option(
    "--check-interval", metavar="DURATION", help=f"How often the agent looks. Default: {DEFAULT_INTERVAL}."
)
@click.option("--check-timeout", metavar="DURATION", help="How long the agent waits. Default: 10s.")
@click.option("--deregister-after", metavar="DURATION", help="Deregister it after this time in critical.")
@agent_options
def register(client: AgentClient, files: tuple[Path, ...], **options: Any) -> None:
    """Register the services in FILEs, or the one that flags tell.

    A FILE is .json or .hcl and holds `service` or `services` as in the agent's configuration.
    """
    is_by_flags = any(options.values())
    if is_by_flags == bool(files):
        raise click.UsageError("give either files or the flags of one service, such as --name web.")
    bodies = (
        [("", _body_of(options))]
        if is_by_flags
        else [(f"{file}: ", body) for file in files for body in _read_bodies(file)]
    )
    for source, body in bodies:
        try:
            client.put(["agent", "service", "register"], body)
        except AgentRefused as error:
            raise error.prefixed(source) from error
        click.echo(f"Registered service: {body.get('Name', '')}")


@services.command(
    epilog="\b\nExamples:\n"
    "  regista services deregister web-1\n"
    "  regista services deregister --id web-1\n"
    "  regista services deregister web.hcl"
)
@click.argument("targets", metavar="[ID|FILE]...", nargs=-1)
@click.option("--id", "ids", multiple=True, metavar="TEXT", help="An instance's id. May be repeated.")
@agent_options
def deregister(client: AgentClient, targets: tuple[str, ...], *, ids: tuple[str, ...]) -> None:
    """Deregister the instances with these IDs, or those in FILEs. A FILE is .json or .hcl, and exists."""
    wanted = list(ids)
    for target in targets:
        file = Path(target)
        if file.suffix in SUFFIXES and file.is_file():
            wanted += [str(body.get("ID") or body.get("Name", "")) for body in _read_bodies(file)]
        else:
            wanted.append(target)
    if not wanted:
        raise click.UsageError("give an id or a file.")
    for service_id in wanted:
        client.put(["agent", "service", "deregister", service_id])
        click.echo(f"Deregistered service: {service_id}")


def _read_bodies(file: Path) -> Sequence[dict[str, Any]]:
    try:
        content = agent_room().read_file(file).content
        definitions = agent_room().find_definitions(content, "service", "services")
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if not definitions:
        raise click.ClickException(f'{file} holds no "service" and no "services".')
    return [service_body(definition) for definition in definitions]


def _body_of(options: dict[str, Any]) -> dict[str, Any]:
    if not options["name"]:
        raise click.UsageError("a service needs a --name.")
    body: dict[str, Any] = {"Name": options["name"]}
    for name, option in (("ID", "service_id"), ("Address", "address"), ("Port", "port")):
        if options[option]:
            body[name] = options[option]
    if options["tags"]:
        body["Tags"] = list(options["tags"])
    if options["meta"]:
        body["Meta"] = _meta(options["meta"])
    if options["tagged_addresses"]:
        body["TaggedAddresses"] = dict(map(_tagged_address, options["tagged_addresses"]))
    checks = _checks(options)
    if checks:
        body["Checks"] = checks
    return body


def _meta(pairs: Sequence[str]) -> dict[str, str]:
    meta = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise click.UsageError(f'--meta "{pair}" is not KEY=VALUE.')
        meta[key] = value
    return meta


def _tagged_address(pair: str) -> tuple[str, dict[str, Any]]:
    name, _, place = pair.partition("=")
    address, _, port = place.rpartition(":")
    if not name or not address or not port.isdecimal():
        raise click.UsageError(f'--tagged-address "{pair}" is not NAME=ADDRESS:PORT.')
    return name, {"Address": address.removeprefix("[").removesuffix("]"), "Port": int(port)}


def _checks(options: dict[str, Any]) -> list[dict[str, str]]:
    interval = options["check_interval"] or DEFAULT_INTERVAL
    timed = {"Interval": interval} | ({"Timeout": options["check_timeout"]} if options["check_timeout"] else {})
    checks = [
        {kind: options[option], **rest}
        for kind, option, rest in (("TTL", "ttl", {}), ("HTTP", "check_http", timed), ("TCP", "check_tcp", timed))
        if options[option]
    ]
    needs_check = next(
        (name for name in ("deregister_after", "check_interval", "check_timeout") if options[name]), ""
    )
    if needs_check and not checks:
        flag = f"--{needs_check.replace('_', '-')}"
        raise click.UsageError(f"{flag} needs a check: --ttl, --check-http or --check-tcp.")
    if options["deregister_after"]:
        for check in checks:
            check["DeregisterCriticalServiceAfter"] = options["deregister_after"]
    return checks
