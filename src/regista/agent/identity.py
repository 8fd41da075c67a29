"""Who this agent is in the catalog: its node, the service `consul` and the check `serfHealth`.

Clients of Consul look for all three before they believe that a server is up.
"""

from __future__ import annotations

import ipaddress
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

from regista.agent.writer import CatalogWriter
from regista.catalog import (
    Catalog,
    Registration,
    register_check,
    register_node,
    register_service,
    take_over_node,
)
from regista.model import PASSING, Check, Node, Service, StoreDamaged, StoreUnavailable, caused_by

logger = logging.getLogger(__name__)

NODE_ID_FILE = "node-id"

SERVER_SERVICE = "consul"
SERVER_CHECK = "serfHealth"

_OWN = caused_by("server", reason="the agent's own records, at its start")


def load_node_id(data_dir: Path | None, wanted: str, new_id: Callable[[], str]) -> str:
    """The node's id: the one wanted, the one of last time, or a new one, which is kept for next time.

    The file stands beside the data as Consul's does, so that an agent that is given another name is known again.

    Raises:
        StoreUnavailable: the file can't be read or written.
        StoreDamaged: it holds something else than a UUID.
    """
    if data_dir is None:
        return wanted or new_id()
    path = data_dir / NODE_ID_FILE
    try:
        kept = path.read_bytes().decode("utf-8", "replace").strip() if path.exists() else ""
        node_id = wanted or _checked_id(kept, path) or new_id()
        if node_id != kept:
            path.write_text(node_id + "\n")
    except OSError as error:
        raise StoreUnavailable(
            f"{path} can't be read or written: {error.strerror}. Mend its permissions."
        ) from error
    return node_id


def _checked_id(kept: str, path: Path) -> str:
    """The id that a file holds; "" for an empty one, which is what a crash at the first start leaves."""
    try:
        return str(uuid.UUID(kept)) if kept else ""
    except ValueError as error:
        raise StoreDamaged(
            f"{path} is damaged: it does not hold a UUID. Nothing was changed. Write this node's id into it "
            "again, give it as node_id, or delete the file to have another one made."
        ) from error


async def announce(catalog: Catalog, writer: CatalogWriter, node: Node, *, port: int, now_s: float) -> None:
    """Makes the agent's own records true; writes nothing if they are.

    Args:
        node: managed by the server.
        port: where the server answers.
        now_s: seconds since the epoch.
    """
    before = catalog.node_indexes.by_id.get(node.id)
    if before is not None and before.record.key != node.key and before.record.manager == "server":
        logger.info("node %s is called %s now; its services go with it", before.record.name, node.name)
        old_name = before.record.name
        await writer.write(lambda catalog: take_over_node(catalog, old_name, node), cause=_OWN)
    if not catalog.index:
        # Go's test suites believe in a server only once the index of its nodes is 2 or more; Consul's own log
        # begins with entries that are nobody's records. So a new log's first write is not the last of the node.
        bare = Node(name=node.name, id=node.id, address=node.address, manager=node.manager)
        await writer.write(lambda catalog: register_node(catalog, bare), cause=_OWN)
    await writer.write(lambda catalog: register_node(catalog, node), cause=_OWN)
    service = Service(node=node.name, id=SERVER_SERVICE, name=SERVER_SERVICE, port=port, manager="server")
    registration = Registration(service, new_incarnation=node.id)
    await writer.write(lambda catalog: register_service(catalog, registration, now_s=now_s), cause=_OWN)
    check = Check(
        node=node.name,
        id=SERVER_CHECK,
        name="Serf Health Status",
        status=PASSING,
        output="Agent alive and reachable",
        manager="server",
    )
    await writer.write(lambda catalog: register_check(catalog, check), cause=_OWN)


def own_node(name: str, node_id: str, address: str, meta: dict[str, str]) -> Node:
    """This agent's node record, with the addresses and metadata that Consul's nodes have."""
    addresses = {"lan": address, "wan": address}
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        pass  # a host name has no family
    else:
        addresses |= {f"lan_ipv{version}": address, f"wan_ipv{version}": address}
    return Node(
        name=name,
        id=node_id,
        address=address,
        tagged_addresses=addresses,
        meta={"consul-network-segment": "", **meta},
        manager="server",
    )
