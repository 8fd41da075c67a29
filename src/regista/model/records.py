"""What can be registered. A record is immutable; a change is a new record under the same kind and key.

No record can be part of a cycle, so the garbage collector need not look at any (`gc=False`): with a hundred
thousand instances a full collection would stop the agent for a tenth of a second.

Records are shared between threads, answers and subscribers, so nobody may change one, nor a mapping inside it.
Names are kept as they were spelled; keys are lower-cased, because Consul's catalog matches node names, service
ids and check ids without regard to case.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from regista.model.alerts import Alert, AlertChannel, AlertNotice, AlertRule, AlertSilence
from regista.model.autopilot import Autopilot
from regista.model.causes import Cause
from regista.model.kv import KvEntry, Session
from regista.model.prepared_queries import PreparedQuery, QueryName
from regista.model.proxies import CONNECT_PROXY, Proxy
from regista.model.subscriptions import DeadLetter, Delivery, Subscription

Status: TypeAlias = str
"""`passing`, `warning` or `critical`; a catalog registration may store any other word (Consul 1.9)."""

PASSING: Status = "passing"
WARNING: Status = "warning"
CRITICAL: Status = "critical"
STATUSES = (PASSING, WARNING, CRITICAL)

Manager: TypeAlias = Literal["agent", "catalog", "config", "server"]
"""Who wrote a record and keeps it right: a caller of the agent's paths, a caller of the catalog's paths, the
agent's configuration files, or the server itself. A reconciler touches only its own."""


class Weights(msgspec.Struct, frozen=True, gc=False):
    """The share of traffic for an instance in each usable status."""

    passing: int = 1
    warning: int = 1


class ServiceAddress(msgspec.Struct, frozen=True, gc=False):
    """Where an instance answers on one kind of network (`lan`, `wan_ipv4`, …)."""

    address: str = ""
    port: int = 0


class Node(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A machine, or an agent on one."""

    kind: ClassVar[str] = "node"

    name: str
    id: str = ""
    address: str = ""
    tagged_addresses: dict[str, str] | None = None
    meta: dict[str, str] | None = None
    manager: Manager = "catalog"

    @property
    def key(self) -> str:
        """The record's key: the name, lower-cased."""
        return self.name.lower()


class Service(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One instance of a service on one node.

    Attributes:
        ttl_s: seconds after which an instance that nobody renewed is removed; 0 for never.
        incarnation: which life of this id it is; another process that takes the id over is another incarnation.
        proxy: how it is set up, where it is a proxy or a gateway of the mesh.
        is_native: whether it speaks the mesh's protocol itself, without a proxy.
        sidecar_of: the id of the instance that it was registered with, and goes with; "" for all but sidecars.
    """

    kind: ClassVar[str] = "service"

    node: str
    id: str
    name: str
    tags: tuple[str, ...] = ()
    address: str = ""
    port: int = 0
    meta: dict[str, str] | None = None
    weights: Weights = Weights()
    tagged_addresses: dict[str, ServiceAddress] | None = None
    enable_tag_override: bool = False
    service_kind: str = ""
    ttl_s: float = 0.0
    incarnation: str = ""
    manager: Manager = "catalog"
    proxy: Proxy | None = None
    is_native: bool = False
    sidecar_of: str = ""

    @property
    def key(self) -> str:
        """The record's key, see `node_item_key`."""
        return node_item_key(self.node, self.id)

    @property
    def mesh_name(self) -> str:
        """The service that a caller within the mesh reaches through it; "" where it is not part of the mesh."""
        if self.is_native:
            return self.name
        return self.proxy.destination_name if self.proxy and self.service_kind == CONNECT_PROXY else ""


class CheckDefinition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """How a check is made. What it looks at says what kind it is, see `health.decide_kind`; one of them is set.

    Attributes:
        tcp, udp: `host:port`.
        grpc: `host:port`, or `host:port/service` for one of the services that answer there.
        h2ping: `host:port`.
        script_args: the program and its arguments; run in the container if `docker_container_id` is set.
        shell: the program that the container has for running `script_args`; "" for none.
        os_service: the name of a service of the operating system.
        alias_node: the node whose health is taken over; "" for the check's own node.
        alias_service: the id of the instance there whose health is taken over; "" for the node's own.
        interval_s: seconds between two probes.
        timeout_s: seconds that one probe may take; 0 for the kind's default.
        ttl_s: seconds within which the service must report.
        deregister_critical_service_after_s: seconds in critical after which the service is removed; 0 for never.
        output_bytes_max: how much of a probe's output is kept; 0 for the agent's limit.
    """

    http: str = ""
    method: str = ""
    header: dict[str, tuple[str, ...]] | None = None
    body: str = ""
    disable_redirects: bool = False
    tls_skip_verify: bool = False
    tls_server_name: str = ""
    tcp: str = ""
    tcp_use_tls: bool = False
    udp: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    h2ping: str = ""
    h2ping_use_tls: bool = True
    script_args: tuple[str, ...] = ()
    docker_container_id: str = ""
    shell: str = ""
    os_service: str = ""
    alias_node: str = ""
    alias_service: str = ""
    ttl_s: float = 0.0
    interval_s: float = 0.0
    timeout_s: float = 0.0
    success_before_passing: int = 0
    failures_before_warning: int = 0
    failures_before_critical: int = 0
    deregister_critical_service_after_s: float = 0.0
    output_bytes_max: int = 0


class Check(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What is known of the health of a node or of one instance.

    Attributes:
        output: what was said when the status last changed; later output is kept beside the log, see
            `Catalog.output`.
        service_id: "" for a check of the node itself.
        service_name, service_tags: as they were when the check was registered (Consul keeps them so).
        type: the kind of its definition (`http`, `ttl`, …); "" where nobody runs it.
        definition: how it is made; None where nobody runs it.
        shown_definition: what a caller of the catalog's paths said of how it is made, in Consul's form.
            Nobody runs it; all that counts of it is `DeregisterCriticalServiceAfter`.
    """

    kind: ClassVar[str] = "check"

    node: str
    id: str
    name: str
    status: Status = CRITICAL
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: tuple[str, ...] = ()
    type: str = ""
    definition: CheckDefinition | None = None
    shown_definition: dict[str, Any] | None = None
    manager: Manager = "catalog"

    @property
    def key(self) -> str:
        """The record's key, see `node_item_key`."""
        return node_item_key(self.node, self.id)

    @property
    def service_key(self) -> str:
        """The key of the instance it belongs to; "" for a check of the node itself."""
        return node_item_key(self.node, self.service_id) if self.service_id else ""


class Tombstone(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """That an incarnation of an instance has ended, so that a late message can't bring it back.

    Attributes:
        reason: a sentence for the caller who comes too late.
        at_s: when it ended, in seconds since the epoch.
        cause: who ended it; None until the transaction that does is stamped, see `catalog.stamped`.
        name: of the service.
    """

    kind: ClassVar[str] = "tombstone"

    node: str
    id: str
    incarnation: str
    reason: str = ""
    at_s: float = 0.0
    cause: Cause | None = None
    name: str = ""

    @property
    def key(self) -> str:
        """The record's key: the instance's, then `@` and the incarnation."""
        return tombstone_key(self.node, self.id, self.incarnation)


class PortClaim(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """That a port of a node was given to a sidecar, so that two that ask at once get different ones.

    It is never taken back: a port is free again once no instance of the node has it.
    """

    kind: ClassVar[str] = "port-claim"

    node: str
    port: int
    service_id: str

    @property
    def key(self) -> str:
        """The record's key: `node/port`."""
        return node_item_key(self.node, str(self.port))


class Coordinate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Where a node is in the network, such that distances are round trips.

    Attributes:
        segment: the part of the network that it was measured in; "" for the whole.
        vec: in seconds, one number for each dimension.
        error: how sure it is; lower is surer.
        adjustment: seconds that are added to every distance from here.
        height: seconds from the node to the network's core.
    """

    kind: ClassVar[str] = "coordinate"

    node: str
    segment: str = ""
    vec: tuple[float, ...] = ()
    error: float = 0.0
    adjustment: float = 0.0
    height: float = 0.0

    @property
    def key(self) -> str:
        """The record's key, see `node_item_key`."""
        return node_item_key(self.node, self.segment)


class ConfigEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How services are to be reached: one entry of Consul's central configuration.

    Attributes:
        entry_kind: `service-defaults`, `service-resolver`, …
        fields: as it is shown, without kind and name; made of JSON values only.
    """

    kind: ClassVar[str] = "config-entry"

    entry_kind: str
    name: str
    fields: dict[str, Any]

    @property
    def key(self) -> str:
        """The record's key: `kind/name`, lower-cased."""
        return config_entry_key(self.entry_kind, self.name)


class ConfigRevision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often configuration entries were changed. Every change of one rests on it, so that they come in turn."""

    kind: ClassVar[str] = "config-revision"

    number: int

    @property
    def key(self) -> str:
        """The record's key: there is only one."""
        return "all"


Record: TypeAlias = (
    Node
    | Service
    | Check
    | Tombstone
    | PortClaim
    | Autopilot
    | Coordinate
    | ConfigEntry
    | ConfigRevision
    | PreparedQuery
    | QueryName
    | KvEntry
    | Session
    | Subscription
    | Delivery
    | DeadLetter
    | AlertRule
    | Alert
    | AlertNotice
    | AlertSilence
    | AlertChannel
)

KINDS: dict[str, type[Record]] = {
    Node.kind: Node,
    Service.kind: Service,
    Check.kind: Check,
    Tombstone.kind: Tombstone,
    PortClaim.kind: PortClaim,
    Autopilot.kind: Autopilot,
    Coordinate.kind: Coordinate,
    ConfigEntry.kind: ConfigEntry,
    ConfigRevision.kind: ConfigRevision,
    KvEntry.kind: KvEntry,
    Session.kind: Session,
    PreparedQuery.kind: PreparedQuery,
    QueryName.kind: QueryName,
    Subscription.kind: Subscription,
    Delivery.kind: Delivery,
    DeadLetter.kind: DeadLetter,
    AlertRule.kind: AlertRule,
    Alert.kind: Alert,
    AlertNotice.kind: AlertNotice,
    AlertSilence.kind: AlertSilence,
    AlertChannel.kind: AlertChannel,
}
"""Every kind of record by its name in the store. A new kind is one class and one line here."""


def node_item_key(node: str, item_id: str) -> str:
    """The key of a service or check: `node/id`, lower-cased, with `/` and `%` of the node's name escaped.

    Only the node is escaped, so the first `/` ends it whatever the id holds.
    """
    return _node_prefix(node) + item_id.lower()


@functools.lru_cache(maxsize=4096)  # every record's key begins with one of few nodes
def _node_prefix(node: str) -> str:
    return node.lower().replace("%", "%25").replace("/", "%2f") + "/"


def config_entry_key(entry_kind: str, name: str) -> str:
    """The key of a configuration entry."""
    return f"{entry_kind}/{name}".lower()


def tombstone_key(node: str, item_id: str, incarnation: str) -> str:
    """The key under which the end of an incarnation is noted.

    `@` and `%` of the incarnation are escaped, so the last `@` begins it whatever the id holds.
    """
    if "%" in incarnation or "@" in incarnation:
        incarnation = incarnation.replace("%", "%25").replace("@", "%40")
    return f"{node_item_key(node, item_id)}@{incarnation}"


_encoder = msgspec.json.Encoder()
_decoders = {kind: msgspec.json.Decoder(record_type) for kind, record_type in KINDS.items()}


def encode_record(record: Record) -> bytes:
    """The record as JSON, without its kind and key."""
    return _encoder.encode(record)


def decode_record(kind: str, value: bytes | str) -> Record:
    """The record of that kind in `value`.

    Raises:
        KeyError: no such kind.
        msgspec.ValidationError: `value` is not such a record.
    """
    return _decoders[kind].decode(value)
