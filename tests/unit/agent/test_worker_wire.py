"""What goes between a worker and the main process."""

import dataclasses

from regista.agent.worker_wire import Counted, framed, from_worker
from regista.protocols.dns import DnsCounters, summed
from regista.store.frames import Unframer


def dns_counters(times):
    """Every counter at some value, told apart by `times`."""
    counters = DnsCounters(
        hits=times, misses=2 * times, truncated=3, recursor_errors=times, malformed=1, tcp_refused=5 * times
    )
    counters.answers["A", "NOERROR", "udp"] = 7 * times
    counters.answers["SRV", "NXDOMAIN", "tcp"] = times
    counters.services["web"] = times
    counters.limited["slipped"] = times
    counters.recursions["failed"] = times
    for number in range(times):
        counters.latencies.observe(0.001 * number)
    return counters


def plain(counters):
    """All values of the counters, to be compared."""
    values = {field.name: getattr(counters, field.name) for field in dataclasses.fields(counters)}
    values["latencies"] = counters.latencies.parts()
    return values


def test_what_a_worker_has_counted_arrives():
    """Counters of DNS, with their keys of several parts and their histogram, are the same on the other side."""
    sent = Counted(3, requests=5, dns=dns_counters(4), dns_ready=6, refused={"http.body_stall": 7})
    (payload,) = Unframer().feed(framed(sent))
    arrived = from_worker.decode(payload)
    assert isinstance(arrived, Counted)
    assert (arrived.number, arrived.requests, arrived.dns_ready, arrived.dns_answers) == (3, 5, 6, 32)
    assert arrived.refused == {"http.body_stall": 7}
    assert plain(arrived.dns) == plain(sent.dns)


def test_servers_count_together():
    """The sum of several servers' counters has all that each has, a histogram's values included."""
    assert plain(summed([])) == plain(DnsCounters())
    once = plain(summed([dns_counters(3)]))
    assert once == plain(dns_counters(3))
    both = summed([dns_counters(2), dns_counters(3)])
    assert both.answers.total() == 40
    assert (both.hits, both.truncated, both.services["web"], both.latencies.count) == (5, 6, 5, 5)


def test_a_sum_names_no_more_services_than_one_server():
    """Services beyond the bound are counted together, also when each server was within it."""
    servers = [DnsCounters(), DnsCounters()]
    for server, counters in enumerate(servers):
        for number in range(800):
            counters.count_service(f"s{server}-{number}", 1)
    found = summed(servers).services
    assert len(found) == 1001
    assert (found.total(), found["other"]) == (1600, 600)
