"""/v1/operator/…: the cluster's own affairs, as one healthy server answers for them.

Source: Consul 1.9 (recorded answers); what it answers with 500 for a mistake of the caller is a 4xx here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NoReturn

from regista import CONSUL_VERSION
from regista.catalog import Catalog, autopilot, set_autopilot
from regista.model import Autopilot, BadInput, NotFound, Transaction, format_duration
from regista.protocols.consul.context import Context
from regista.protocols.consul.fields import Fields, count, duration_s, flag, ignored, read_object, text
from regista.protocols.consul.parameters import CAS, DC, LOCAL_READ, PRETTY
from regista.protocols.consul.reads import json_response, read_options
from regista.protocols.http import REASON, Parameter, Request, Response, Route, decode_json, request_cause

_AUTOPILOT_FIELDS: Fields = {
    "CleanupDeadServers": flag,
    "LastContactThreshold": duration_s,
    "MaxTrailingLogs": count,
    "MinQuorum": count,
    "ServerStabilizationTime": duration_s,
    "RedundancyZoneTag": text,
    "DisableUpgradeMigration": flag,
    "UpgradeVersionTag": text,
    "CreateIndex": ignored,
    "ModifyIndex": ignored,
}

_RELAY_FACTOR_MAX = 5

_HEALTH_KEYS = (
    *("ID", "Name", "Address", "SerfStatus", "Version", "Leader", "LastContact"),
    *("LastTerm", "LastIndex", "Healthy", "Voter", "StableSince"),
)
_STATE_KEYS = (
    *("ID", "Name", "Address", "NodeStatus", "Version", "LastContact", "LastTerm", "LastIndex"),
    *("Healthy", "StableSince", "ReadReplica", "Status", "Meta", "NodeType"),
)
"""What the two forms tell of a server, in Consul's order."""


class Operator:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (*self._raft_routes(), *self._autopilot_routes(), *self._keyring_routes())

    def _raft_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "GET",
                "/v1/operator/raft/configuration",
                self.raft_configuration,
                "The servers",
                parameters=(DC, *LOCAL_READ),
                access="operator:read",
            ),
            Route(
                "DELETE",
                "/v1/operator/raft/peer",
                self.remove_peer,
                "Removes a server; the only one can't be",
                parameters=(
                    Parameter("id", "The server's id."),
                    Parameter("address", "The server's `host:port`."),
                ),
                access="operator:write",
            ),
        )

    def _autopilot_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "GET",
                "/v1/operator/autopilot/configuration",
                self.autopilot_configuration,
                "How servers are to be looked after",
                parameters=(DC, *LOCAL_READ),
                access="operator:read",
            ),
            Route(
                "PUT",
                "/v1/operator/autopilot/configuration",
                self.set_autopilot_configuration,
                "Sets how servers are to be looked after; one server has nothing to do by it",
                parameters=(CAS, PRETTY, REASON),
                access="operator:write",
                body="json",
            ),
            Route(
                "GET",
                "/v1/operator/autopilot/health",
                self.autopilot_health,
                "How the servers are",
                parameters=(DC, *LOCAL_READ),
                access="operator:read",
                load="dashboard",
            ),
            Route(
                "GET",
                "/v1/operator/autopilot/state",
                self.autopilot_state,
                "How the servers are, in later Consul's form",
                parameters=(DC, *LOCAL_READ),
                access="operator:read",
                load="dashboard",
            ),
        )

    def _keyring_routes(self) -> tuple[Route, ...]:
        parameters = (
            Parameter("relay-factor", "From 0 to 5; without gossip it has no effect.", "integer"),
            Parameter("local-only", "For GET only; without gossip it has no effect.", "boolean"),
        )
        return tuple(
            Route(
                method,
                "/v1/operator/keyring",
                self.keyring,
                "The keys of the gossip; there is none, so this is refused",
                parameters=parameters,
                access="keyring:read" if method == "GET" else "keyring:write",
                body="" if method == "GET" else "json",
            )
            for method in ("GET", "POST", "PUT", "DELETE")
        )

    # ---- raft ----

    def raft_configuration(self, request: Request) -> Response:
        """GET operator/raft/configuration: this server, as leader and only voter."""
        read_options(request, self._context)
        identity = self._context.identity
        server = {
            "ID": identity.node_id,
            "Node": identity.node_name,
            "Address": identity.server_address(),
            "Leader": True,
            "ProtocolVersion": "3",
            "Voter": True,
        }
        return json_response(request, {"Servers": [server], "Index": 0})

    def remove_peer(self, request: Request) -> Response:
        """DELETE operator/raft/peer: refused, for there is this server only."""
        server_id, address = request.parameters.first("id"), request.parameters.first("address")
        if not server_id and not address:
            raise BadInput(
                "Bad request: Must specify either ?id with the server's ID or ?address with IP:port of peer to "
                "remove"
            )
        if server_id and address:
            raise BadInput("Bad request: Must specify only one of ?id or ?address")
        identity = self._context.identity
        if server_id not in ("", identity.node_id):
            raise NotFound(f'id "{server_id}" was not found in the Raft configuration')
        if address not in ("", identity.server_address()):
            raise NotFound(f'address "{address}" was not found in the Raft configuration')
        raise BadInput("Need at least one voter in configuration: this is the only server; stop the agent instead")

    # ---- autopilot ----

    def autopilot_configuration(self, request: Request) -> Response:
        """GET operator/autopilot/configuration: as it was set, or Consul's defaults."""
        read_options(request, self._context)
        entry = autopilot(self._context.catalog)
        wanted = entry.record
        shape = {
            "CleanupDeadServers": wanted.cleanup_dead_servers,
            "LastContactThreshold": format_duration(wanted.last_contact_threshold_s),
            "MaxTrailingLogs": wanted.max_trailing_logs,
            "MinQuorum": wanted.min_quorum,
            "ServerStabilizationTime": format_duration(wanted.server_stabilization_time_s),
            "RedundancyZoneTag": wanted.redundancy_zone_tag,
            "DisableUpgradeMigration": wanted.disable_upgrade_migration,
            "UpgradeVersionTag": wanted.upgrade_version_tag,
            "CreateIndex": entry.create_index,
            "ModifyIndex": entry.modify_index,
        }
        return json_response(request, shape)

    async def set_autopilot_configuration(self, request: Request) -> Response:
        """PUT operator/autopilot/configuration: `true`; `false` where it was changed since `cas`."""
        cas_index = _cas_index(request)
        body = await request.body(self._context.settings.body_bytes_max)
        try:
            wanted = _autopilot(read_object(decode_json(body), _AUTOPILOT_FIELDS))
        except BadInput as error:
            problem = str(error).removeprefix("Request decode failed: ")
            raise BadInput(f"Bad request: Error parsing autopilot config: {problem}", field=error.field) from error
        is_current = True

        def plan(catalog: Catalog) -> Transaction:
            nonlocal is_current
            transaction = set_autopilot(catalog, wanted, cas_index=cas_index)
            is_current = transaction is not None
            return transaction or Transaction()

        await self._context.writer.write(plan, cause=request_cause(request))
        return json_response(request, value=is_current)

    def autopilot_health(self, request: Request) -> Response:
        """GET operator/autopilot/health: this server, healthy, with nothing to lose."""
        read_options(request, self._context)
        known = self._server() | {"SerfStatus": "alive", "Leader": True, "Voter": True}
        server = {name: known[name] for name in _HEALTH_KEYS}
        return json_response(request, {"Healthy": True, "FailureTolerance": 0, "Servers": [server]})

    def autopilot_state(self, request: Request) -> Response:
        """GET operator/autopilot/state: the same in later Consul's form."""
        read_options(request, self._context)
        node_id = self._context.identity.node_id
        known = self._server() | {
            "NodeStatus": "alive",
            "ReadReplica": False,
            "Status": "leader",
            "Meta": self._node_meta(),
            "NodeType": "voter",
        }
        server = {name: known[name] for name in _STATE_KEYS}
        shape = {
            "Healthy": True,
            "FailureTolerance": 0,
            "OptimisticFailureTolerance": 0,
            "Servers": {node_id: server},
            "Leader": node_id,
            "Voters": [node_id],
        }
        return json_response(request, shape)

    def _server(self) -> dict[str, Any]:
        """What both forms say of this server."""
        identity = self._context.identity
        started = dt.datetime.fromtimestamp(identity.started_s, dt.UTC)
        return {
            "ID": identity.node_id,
            "Name": identity.node_name,
            "Address": identity.server_address(),
            "Version": CONSUL_VERSION,
            "LastContact": "0s",
            "LastTerm": 1,
            "LastIndex": self._context.catalog.index,
            "Healthy": True,
            "StableSince": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _node_meta(self) -> dict[str, str]:
        entry = self._context.catalog.nodes.get(self._context.identity.node_name.lower())
        return (entry.record.meta if entry else None) or {}

    # ---- keyring ----

    def keyring(self, request: Request) -> NoReturn:
        """Any operator/keyring: refused, as Consul does where gossip is not encrypted."""
        relay_factor = request.parameters.first("relay-factor", "0")
        if not (relay_factor.isascii() and relay_factor.isdigit() and int(relay_factor[:9]) <= _RELAY_FACTOR_MAX):
            raise BadInput(
                "Bad request: Invalid relay-factor: Relay factor must be in range: [0, 5]", field="relay-factor"
            )
        if "local-only" in request.parameters and request.method != "GET":
            raise BadInput(
                "Bad request: Invalid use of local-only: local-only can only be set for list requests",
                field="local-only",
            )
        raise BadInput(
            "Keyring is empty (encryption not enabled): agents of Regista do not gossip, so there are no keys to "
            "keep"
        )


def _autopilot(found: Mapping[str, Any]) -> Autopilot:
    """The whole of it: what is left out is off, as in Consul."""
    return Autopilot(
        cleanup_dead_servers=found.get("CleanupDeadServers", False),
        last_contact_threshold_s=found.get("LastContactThreshold", 0.0),
        max_trailing_logs=found.get("MaxTrailingLogs", 0),
        min_quorum=found.get("MinQuorum", 0),
        server_stabilization_time_s=found.get("ServerStabilizationTime", 0.0),
        redundancy_zone_tag=found.get("RedundancyZoneTag", ""),
        disable_upgrade_migration=found.get("DisableUpgradeMigration", False),
        upgrade_version_tag=found.get("UpgradeVersionTag", ""),
    )


def _cas_index(request: Request) -> int | None:
    if "cas" not in request.parameters:
        return None
    given = request.parameters.first("cas")
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(2**64 - 1))):
        raise BadInput(
            f'Bad request: Error parsing cas value: strconv.ParseUint: parsing "{given[:100]}": invalid syntax; '
            "take ModifyIndex from GET",
            field="cas",
        )
    return int(given)
