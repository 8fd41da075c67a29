"""`regista catalog`: what is registered, whatever its health."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import host_port, print_body, table


@click.group(epilog="\b\nExample:\n  regista catalog services --tags")
def catalog() -> None:
    """Look at what is registered."""


@catalog.command(epilog="\b\nExamples:\n  regista catalog services\n  regista catalog services --tags")
@click.option("--tags", is_flag=True, help="Show each service's tags.")
@click.option("--no-head", is_flag=True, help="Leave out the table's first line.")
@click.option("--node", default="", metavar="NAME", help="Only those of this node.")
@click.option("--node-meta", multiple=True, metavar="KEY=VALUE", help="Only those of nodes with this pair.")
@json_option
@agent_options
def services(
    client: AgentClient, *, tags: bool, no_head: bool, node: str, node_meta: tuple[str, ...], as_json: bool
) -> None:
    """List the services."""
    if node:
        _list_of_node(client, node, tags=tags, no_head=no_head, as_json=as_json)
        return
    answer = client.get(["catalog", "services"], _node_meta(node_meta))
    if as_json:
        print_body(answer)
        return
    _print_services(answer.decode(), tags=tags, no_head=no_head)


def _list_of_node(client: AgentClient, node: str, *, tags: bool, no_head: bool, as_json: bool) -> None:
    answer = client.get(["catalog", "node", node])
    if as_json:
        print_body(answer)
        return
    found: dict[str, set[str]] = {}
    for item in ((answer.decode() or {}).get("Services") or {}).values():
        found.setdefault(item["Service"], set()).update(item["Tags"] or ())
    _print_services(found, tags=tags, no_head=no_head)


def _print_services(found: Mapping[str, Collection[str]], *, tags: bool, no_head: bool) -> None:
    if not found:
        click.echo("No services match the given query - try expanding your search.", err=True)
    elif tags:
        rows = [(name, ",".join(sorted(found[name]))) for name in sorted(found)]
        click.echo(table(() if no_head else ("Service", "Tags"), rows))
    else:
        click.echo("\n".join(sorted(found)))


@catalog.command(epilog="\b\nExamples:\n  regista catalog nodes\n  regista catalog nodes --service web --detailed")
@click.option("--detailed", is_flag=True, help="Show the nodes' other addresses and metadata too.")
@click.option("--service", default="", metavar="NAME", help="Only nodes with an instance of this service.")
@click.option("--near", default="", metavar="NODE", help="Nearest to this node first; _agent is the agent's own.")
@click.option("--node-meta", multiple=True, metavar="KEY=VALUE", help="Only nodes with this pair.")
@click.option("--filter", "expression", default="", metavar="TEXT", help="Only those for which this holds.")
@json_option
@agent_options
def nodes(
    client: AgentClient,
    *,
    detailed: bool,
    service: str,
    near: str,
    node_meta: tuple[str, ...],
    expression: str,
    as_json: bool,
) -> None:
    """List the nodes."""
    chosen = {name: value for name, value in (("near", near), ("filter", expression)) if value}
    path = ["catalog", "service", service] if service else ["catalog", "nodes"]
    answer = client.get(path, {**_node_meta(node_meta), **chosen})
    if as_json:
        print_body(answer)
        return
    # One that has several instances is one node.
    found = {node["Node"]: node for node in answer.decode()}
    if not found:
        click.echo("No nodes match the given query - try expanding your search.", err=True)
    elif detailed:
        click.echo(
            table(
                ("Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"),
                [
                    (
                        node["Node"],
                        node["ID"],
                        node["Address"],
                        node["Datacenter"],
                        _pairs(node["TaggedAddresses"]),
                        _pairs(node.get("Meta", node.get("NodeMeta"))),
                    )
                    for node in found.values()
                ],
            )
        )
    else:
        rows = [(node["Node"], node["ID"][:8], node["Address"], node["Datacenter"]) for node in found.values()]
        click.echo(table(("Node", "ID", "Address", "DC"), rows))


def _pairs(values: Mapping[str, str] | None) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted((values or {}).items()))


def _node_meta(pairs: Sequence[str]) -> dict[str, Sequence[str]]:
    """The parameters that select by metadata; the command line says `k=v`, the API `k:v`."""
    if any("=" not in pair for pair in pairs):
        raise click.UsageError("--node-meta must be KEY=VALUE.")
    return {"node-meta": [pair.replace("=", ":", 1) for pair in pairs]} if pairs else {}


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
