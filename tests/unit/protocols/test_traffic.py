"""The busiest clients in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from regista.protocols.http.traffic import Clients, ClientTraffic


class Connection:
    def __init__(self, *counted):
        self.counted = list(counted)

    def take_traffic(self):
        return self.counted.pop(0)


def by_requests(client):
    return client.requests


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=300))
def test_nobody_busy_is_forgotten_unseen(requests):
    """At most twice as many clients are kept, nothing counts twice, and what is missing is at most what is told."""
    clients = Clients(5)
    made = {}
    for address, count in requests:
        made[str(address)] = made.get(str(address), 0) + count
        clients.add(ClientTraffic(str(address), "", requests=count))
    listed = {each.address: each.requests for each in clients.report((), by=by_requests, count=1000)}
    assert len(listed) <= 10
    assert all(count <= made[address] for address, count in listed.items())
    missing = {address: count - listed.get(address, 0) for address, count in made.items()}
    assert all(count <= clients.unlisted_requests_max for count in missing.values())
    if len(made) <= 10:
        assert listed == made
        assert clients.unlisted_requests_max == 0


def test_open_connections_count_once():
    """What a connection has counted is added once, and its waiting query is one as long as it waits."""
    clients = Clients(5)
    connection = Connection(
        ClientTraffic("a", "x", requests=2, sent_bytes=20, wake_ups=1, waiting=1),
        ClientTraffic("a", "x", requests=1),
    )
    (first,) = clients.report([connection], by=by_requests, count=5)
    assert (first.requests, first.sent_bytes, first.wake_ups, first.waiting, first.connections) == (2, 20, 1, 1, 1)
    (second,) = clients.report([connection], by=by_requests, count=5)
    assert (second.requests, second.waiting) == (3, 0)
    (third,) = clients.report([], by=by_requests, count=5)
    assert (third.requests, third.connections) == (3, 0)
