"""The DNS door: services and nodes as names.

`names` says what a name means, `answers` what there is to say to it, `wire` puts that into bytes, `resolver` keeps
ready answers, `server` has the sockets, and `explain` tells people why an answer is what it is. Knows HTTP as
little as the HTTP doors know DNS.
"""

from regista.protocols.dns.answers import Answerer, Found
from regista.protocols.dns.counters import COUNTED_RCODES, COUNTED_TYPES, DnsCounters, summed
from regista.protocols.dns.explain import Explainer
from regista.protocols.dns.names import Names, NamespaceMeaning, read_domain
from regista.protocols.dns.recursors import UpstreamRecursors, read_recursors
from regista.protocols.dns.resolver import Resolver
from regista.protocols.dns.server import DnsServer
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.sockets import Pair, adopt_pair, bind_pair
from regista.protocols.dns.unnameable import NameWarnings
from regista.protocols.dns.zone import SoaSettings, Zone

__all__ = [
    "COUNTED_RCODES",
    "COUNTED_TYPES",
    "Answerer",
    "DnsCounters",
    "DnsServer",
    "DnsSettings",
    "Explainer",
    "Found",
    "NameWarnings",
    "Names",
    "NamespaceMeaning",
    "Pair",
    "Resolver",
    "SoaSettings",
    "UpstreamRecursors",
    "Zone",
    "adopt_pair",
    "bind_pair",
    "read_domain",
    "read_recursors",
    "summed",
]
