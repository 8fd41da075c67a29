"""The DNS server of an agent, from its configuration."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args

from regista.agent.addresses import cant_listen
from regista.agent.config import AgentConfig
from regista.agent.metric_shapes import counter, counters, gauge, histogram
from regista.catalog import Catalog
from regista.model import ConfigError, parse_duration_s
from regista.protocols.consul import Metric
from regista.protocols.dns import (
    Answerer,
    DnsCounters,
    DnsServer,
    Explainer,
    Names,
    NamespaceMeaning,
    NameWarnings,
    Resolver,
    SoaSettings,
    UpstreamRecursors,
    Zone,
    read_domain,
    read_recursors,
)

if TYPE_CHECKING:
    from regista.agent.workers import Workers

_STRATEGIES = ("sequential", "random")


@dataclasses.dataclass(frozen=True, slots=True)
class Dns:
    """The server, and who explains its answers."""

    server: DnsServer
    explainer: Explainer


def make_dns(
    catalog: Catalog,
    config: AgentConfig,
    *,
    is_unknown: Callable[[str], bool],
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    rng: random.Random,
    catch_up: Callable[[], Awaitable[object] | None] | None = None,
) -> Dns:
    """The server, which has no address yet.

    Args:
        is_unknown: whether what a topic tells of may be there without this replica's knowing.
        catch_up: see `DnsServer`.

    Raises:
        ConfigError: something in the configuration can't be used.
    """
    settings = config.dns_config
    domain = read_domain(config.domain, key="domain")
    others = (read_domain(config.alt_domain, key="alt_domain"),) if config.alt_domain else ()
    zone = Zone(
        domain=tuple(label.encode() for label in domain),
        datacenter=config.datacenter,
        node_name=config.node_name,
        soa=SoaSettings(*config.dns_soa),
        node_ttl_s=int(settings.node_ttl_s),
        service_ttls_s=_read_ttls(config.dns_service_ttls),
    )
    names = Names(
        domains=(domain, *others),
        datacenter=config.datacenter,
        suffixes=_read_suffixes(config.dns_service_suffixes),
    )
    if settings.recursor_strategy not in _STRATEGIES:
        raise ConfigError(
            f'dns_config.recursor_strategy: "{settings.recursor_strategy}" is none of {", ".join(_STRATEGIES)}'
        )
    recursors = UpstreamRecursors(
        read_recursors(config.recursors),
        timeout_s=settings.recursor_timeout_s,
        is_random=settings.recursor_strategy == "random",
        under_way_max=settings.recursions_max,
        rng=rng,
    )
    answerer = Answerer(
        catalog,
        zone,
        names,
        settings,
        threshold_default=config.degrading.panic_threshold_percent,
        is_unknown=is_unknown,
        shuffle=rng.shuffle,
        wall_clock=wall_clock,
    )
    resolver = Resolver(answerer, catalog.topics, recursors, settings, rng=rng, clock=clock)
    explainer = Explainer(
        catalog,
        answerer,
        settings,
        domain=".".join(domain),
        datacenter=config.datacenter,
        recursors=config.recursors,
        is_served=config.dns_port >= 0,
        rng=rng,
    )
    return Dns(DnsServer(resolver, recursors, settings, clock=clock, catch_up=catch_up), explainer)


def watch_names(catalog: Catalog, config: AgentConfig) -> None:
    """Has names that can't be asked for over DNS warned of, unless nobody can ask for any."""
    if config.dns_port >= 0:
        NameWarnings(catalog)


def bind_dns(dns: DnsServer, config: AgentConfig, workers: Workers) -> str:
    """Takes the addresses, for the workers too; the first one, "" where DNS is off.

    Raises:
        ConfigError: one can't be had.
    """
    found = ""
    for address in config.client_addresses if config.dns_port >= 0 else ():
        try:
            bound = dns.bind(address, config.dns_port, is_shared=workers.count > 0)
            workers.answer_dns_at(bound)
        except OSError as error:
            other_port = "--dns-port (0 for a free one, -1 for none)"
            raise cant_listen("DNS", address, config.dns_port, error, other_port=other_port) from error
        found = found or bound
    return found


def listening(dns: DnsServer, config: AgentConfig) -> Mapping[str, Any]:
    """Where DNS is answered, in the words of Consul's `DebugConfig`."""
    return {
        "DNSAddrs": [f"{transport}://{each}" for each in dns.addresses for transport in ("tcp", "udp")],
        "DNSPort": config.dns_port,
        "DNSDomain": f"{config.domain.strip('.')}.",
        "DNSAltDomain": f"{config.alt_domain.strip('.')}." if config.alt_domain else "",
        "DNSRecursors": list(config.recursors),
    }


class DnsCounting(Protocol):
    """What is counted of DNS."""

    @property
    def connection_count(self) -> int:
        """How many connections over TCP are open."""

    @property
    def ready_count(self) -> int:
        """How many answers are kept ready."""

    def counters(self) -> DnsCounters:
        """What has happened, as of now."""


def read_dns_metrics(dns: DnsCounting) -> Iterable[Metric]:
    """What the server has counted."""
    found = dns.counters()
    answers = tuple(
        ({"type": qtype, "rcode": rcode, "transport": transport}, float(count))
        for (qtype, rcode, transport), count in sorted(found.answers.items())
    )
    text = "Answers over DNS, by type of question, response code and transport."
    yield Metric("dns_answers", text, answers, is_counter=True)
    text = "Answers over DNS that list instances, by service; those beyond a thousand together."
    yield counters("dns_service_answers", text, "service", found.services)
    text = "From reading a question to sending its answer, over UDP; of those that came together, the first."
    yield histogram("dns_answer_seconds", text, found.latencies)
    yield counter("dns_ready_hits", "Questions whose answer was ready.", found.hits)
    yield counter("dns_ready_misses", "Questions whose answer was not ready.", found.misses)
    text = "Questions for which the catalog was read; to others whose answer was not ready the same had been said."
    yield counter("dns_answers_made", text, found.made)
    yield gauge("dns_ready_entries", "Answers that are kept ready.", dns.ready_count)
    yield counter("dns_truncated", "Answers that were cut because they would not fit.", found.truncated)
    text = "Questions over the rate of their source, by what became of them."
    yield counters("dns_limited", text, "outcome", found.limited, ("slipped", "dropped"))
    text = "Questions that were given to recursors, by outcome."
    yield counters("dns_recursions", text, "outcome", found.recursions, ("answered", "failed", "refused"))
    yield counter("dns_recursor_errors", "Failures of single recursors.", found.recursor_errors)
    yield counter("dns_malformed", "Packets that are no question.", found.malformed)
    yield gauge("dns_connections", "Open connections of DNS over TCP.", dns.connection_count)
    yield counter("dns_connections_refused", "Connections over TCP beyond a limit.", found.tcp_refused)


def _read_ttls(texts: Mapping[str, str]) -> dict[str, int]:
    ttls_s = {}
    for service, text in texts.items():
        try:
            ttls_s[service.lower()] = int(parse_duration_s(text))
        except ValueError as error:
            raise ConfigError(
                f'dns_config.service_ttl.{service}: "{text}" is no duration; write it as 10s, 1m30s or 500ms'
            ) from error
    return ttls_s


def _read_suffixes(texts: Mapping[str, str]) -> dict[tuple[str, ...], NamespaceMeaning]:
    known = get_args(NamespaceMeaning)
    suffixes = {}
    for suffix, meaning in texts.items():
        if meaning not in known:
            raise ConfigError(
                f'dns_config.service_suffixes.{suffix}: "{meaning}" is none of {", ".join(known)}; that '
                "is what the label before the suffix can mean"
            )
        domain = read_domain(suffix, key="dns_config.service_suffixes")
        suffixes[domain] = cast("NamespaceMeaning", meaning)
    return suffixes
