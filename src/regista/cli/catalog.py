"""`regista catalog`: what is registered, whatever its health."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient, agent_options
from regista.cli.tables import host_port, print_body, table

json_option = click.option("--json", "as_json", is_flag=True, help="Print what the server said.")


@click.group(epilog="\b\nExample:\n  regista catalog services --tags")
def catalog() -> None:
    """Look at what is registered."""


@catalog.command(epilog="\b\nExamples:\n  regista catalog services\n  regista catalog services --tags")
@click.option("--tags", is_flag=True, help="Show each service's tags.")
@json_option
@agent_options
def services(client: AgentClient, *, tags: bool, as_json: bool) -> None:
    """List the services."""
    answer = client.get(["catalog", "services"])
    if as_json:
        print_body(answer)
        return
    found: dict[str, list[str]] = answer.decode()
    if not found:
        click.echo("No services are registered.", err=True)
    elif tags:
        click.echo(table(("Service", "Tags"), [(name, ",".join(sorted(found[name]))) for name in sorted(found)]))
    else:
        click.echo("\n".join(sorted(found)))


@catalog.command(epilog="\b\nExample:\n  regista catalog nodes")
@json_option
@agent_options
def nodes(client: AgentClient, *, as_json: bool) -> None:
    """List the nodes."""
    answer = client.get(["catalog", "nodes"])
    if as_json:
        print_body(answer)
        return
    rows = [(node["Node"], node["ID"][:8], node["Address"], node["Datacenter"]) for node in answer.decode()]
    if not rows:
        click.echo("No nodes are registered.", err=True)
        return
    click.echo(table(("Node", "ID", "Address", "DC"), rows))


@catalog.command(epilog="\b\nExamples:\n  regista catalog service web\n  regista catalog service web --tag v2")
@click.argument("name")
@click.option(
    "--tag", multiple=True, metavar="TAG", help="Only instances with this tag. May be repeated: all of them."
)
@json_option
@agent_options
def service(client: AgentClient, name: str, *, tag: tuple[str, ...], as_json: bool) -> None:
    """List the instances of service NAME."""
    answer = client.get(["catalog", "service", name], {"tag": tag} if tag else None)
    if as_json:
        print_body(answer)
        return
    rows = [
        (
            item["ServiceID"],
            host_port(item["ServiceAddress"] or item["Address"], item["ServicePort"]),
            item["Node"],
            ",".join(item["ServiceTags"] or []),
        )
        for item in answer.decode()
    ]
    if not rows:
        click.echo(f"No instances of {name} are registered.", err=True)
        return
    click.echo(table(("Instance", "Address", "Node", "Tags"), rows))


@catalog.command(epilog="\b\nExample:\n  regista catalog datacenters")
@json_option
@agent_options
def datacenters(client: AgentClient, *, as_json: bool) -> None:
    """List the datacenters."""
    answer = client.get(["catalog", "datacenters"])
    if as_json:
        print_body(answer)
        return
    click.echo("\n".join(answer.decode()))
