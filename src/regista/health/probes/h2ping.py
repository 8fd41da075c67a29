"""The HTTP/2 ping: does anybody there speak HTTP/2, and answer?"""

from __future__ import annotations

from h2.connection import H2Connection
from h2.events import Event, PingAckReceived

from regista.health.decide import cut_head, decide_output_bytes_max
from regista.health.observation import Observation
from regista.health.probes.dial import tls_of
from regista.health.probes.faults import ProbeFailed
from regista.health.probes.http2 import ALPN, converse
from regista.health.settings import HealthSettings
from regista.model import PASSING, CheckDefinition

_PAYLOAD = b"regista\0"
assert len(_PAYLOAD) == 8, "RFC 9113, section 6.7"


class H2PingProbe:
    """Sends a PING, over TLS unless the definition says otherwise."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Passing if the PING is acknowledged in time, else critical.

        Source: Consul 1.10, H2PING checks (behaviour).
        """
        tls = tls_of(definition, ALPN) if definition.h2ping_use_tls else None
        timeout_s = definition.timeout_s or self._settings.h2ping_timeout_s
        try:
            await converse(Ping(), definition.h2ping, tls=tls, timeout_s=timeout_s, is_alpn_required=True)
        except ProbeFailed as problem:
            bytes_max = decide_output_bytes_max(definition, self._settings.output_bytes_max)
            return problem.seen_as(cut_head(f"HTTP2 ping failed: {problem.words}", bytes_max))
        return Observation(PASSING, "HTTP2 ping was successful")

    async def close(self) -> None:
        """Has nothing to let go of."""


class Ping:
    """One PING: a conversation over HTTP/2, without I/O."""

    def begin(self, connection: H2Connection) -> None:
        """Sends it."""
        connection.ping(_PAYLOAD)

    def note(self, event: Event) -> bool:
        """Waits for its acknowledgement; other frames say nothing here."""
        return isinstance(event, PingAckReceived) and event.ping_data == _PAYLOAD
