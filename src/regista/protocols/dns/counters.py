"""What the DNS server counts; the metrics read it."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable

import dns.rcode
import dns.rdatatype

from regista.health import Histogram

_TYPES = ("A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
_OTHER = "other"

COUNTED_TYPES = (*_TYPES, _OTHER)
COUNTED_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS")
"""The codes of the agent's own answers; a recursor may give others."""

_LATENCY_BOUNDS_S = (0.000_01, 0.000_025, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10)
_SERVICES_MAX = 1000
"""Of so many services it is counted how often they are asked for; the others are counted together."""


@dataclasses.dataclass(slots=True)
class DnsCounters:
    """Counts since the start; they only grow.

    Attributes:
        answers: by type of question, code of the answer, and `udp` or `tcp`.
        services: answers that list instances, by service, in small letters.
        hits, misses: answers that were ready, and that were not.
        made: of the misses, those for which the catalog was read; to the others the same had been said before.
        truncated: answers that were cut for their size.
        limited: questions over the rate of their source: `slipped` to TCP, or `dropped`.
        recursions: foreign questions, by how they ended: `answered`, `failed`, `refused` for their number.
        recursor_errors: failures of single recursors.
        malformed: packets that are no question.
        tcp_refused: connections over the limit.
        latencies: seconds from reading a question to sending its answer, over UDP; of questions that came together
            of the first only, since counting must not cost as much as answering.
    """

    answers: collections.Counter[tuple[str, str, str]] = dataclasses.field(default_factory=collections.Counter)
    services: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    hits: int = 0
    misses: int = 0
    made: int = 0
    truncated: int = 0
    limited: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    recursions: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    recursor_errors: int = 0
    malformed: int = 0
    tcp_refused: int = 0
    latencies: Histogram = dataclasses.field(default_factory=lambda: Histogram(_LATENCY_BOUNDS_S))

    def count_service(self, service: str, count: int) -> None:
        """Counts answers about a service, however its name was spelled."""
        service = service.lower()
        if service in self.services or len(self.services) < _SERVICES_MAX:
            self.services[service] += count
        else:
            self.services[_OTHER] += count


def summed(each: Iterable[DnsCounters]) -> DnsCounters:
    """What several servers have counted together."""
    total = DnsCounters()
    for counters in each:
        for service, count in counters.services.items():
            total.count_service(service, count)
        for name in ("answers", "limited", "recursions"):
            getattr(total, name).update(getattr(counters, name))
        for name in ("hits", "misses", "made", "truncated", "recursor_errors", "malformed", "tcp_refused"):
            setattr(total, name, getattr(total, name) + getattr(counters, name))
        total.latencies.add(counters.latencies)
    return total


@functools.lru_cache(maxsize=256)
def type_text(qtype: int) -> str:
    """The name of a type that is counted by itself, or `other`."""
    text = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(qtype))
    return text if text in _TYPES else _OTHER


@functools.lru_cache(maxsize=64)
def rcode_text(rcode: int) -> str:
    """The name of a response code."""
    return dns.rcode.to_text(dns.rcode.Rcode.make(rcode))
