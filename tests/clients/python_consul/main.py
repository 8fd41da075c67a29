"""python-consul and its heirs py-consul and python-consul2, which share one interface, against an agent.

Prints one line per feature; what a client has no words for is not tried. The agent's address is in CONSUL_HTTP_ADDR.
"""

import base64
import concurrent.futures
import inspect
import os

import consul
from report import eventually, run_features

HOST, _, PORT = os.environ["CONSUL_HTTP_ADDR"].rpartition(":")


def connect():
    return consul.Consul(host=HOST, port=int(PORT))


api = connect()
others = concurrent.futures.ThreadPoolExecutor()


def in_another_thread(ask):
    """What `ask` gives for a client of its own."""
    return others.submit(lambda: ask(connect()))


def register_web(number=1):
    check = consul.Check.ttl("1h")
    registered = api.agent.service.register(
        "web", service_id=f"web-{number}", address="10.0.0.1", port=8081, tags=["primary", "v1"], check=check
    )
    assert registered


def passing():
    return len(api.health.service("web", passing=True)[1])


def node_name():
    return api.agent.self()["Config"]["NodeName"]


def register():
    register_web()
    found = api.agent.services()["web-1"]
    assert (found["Service"], found["Port"], found["Tags"]) == ("web", 8081, ["primary", "v1"])


def heartbeats():
    assert passing() == 0
    assert api.agent.check.ttl_pass("service:web-1", notes="all well")
    assert passing() == 1
    assert api.agent.check.ttl_warn("service:web-1")
    assert passing() == 0
    assert api.agent.check.ttl_fail("service:web-1")
    assert api.agent.checks()["service:web-1"]["Status"] == "critical"
    assert api.agent.check.ttl_pass("service:web-1", notes="all well")


def checks():
    assert api.agent.check.register("disk", check=consul.Check.ttl("1h"), service_id="web-1")
    page = consul.Check.http("http://127.0.0.1:1/", "1h", timeout="1s", header={"X-Name": ["value"]})
    assert api.agent.check.register("page", check=page)
    assert api.agent.check.register("port", check=consul.Check.tcp("127.0.0.1", 1, "1h"))
    found = api.agent.checks()
    assert found["disk"]["ServiceName"] == "web"
    assert {"page", "port"} <= found.keys()
    for name in ("disk", "page", "port"):
        assert api.agent.check.deregister(name)
    assert list(api.agent.checks()) == ["service:web-1"]


def agent():
    assert [member["Name"] for member in api.agent.members()] == [node_name()]
    assert api.status.peers() == [api.status.leader()]


def catalog():
    assert len(api.catalog.datacenters()) == 1
    assert [node["Node"] for node in api.catalog.nodes()[1]] == [node_name()]
    assert api.catalog.services()[1]["web"] == ["primary", "v1"]
    assert [row["ServiceID"] for row in api.catalog.service("web", tag="primary")[1]] == ["web-1"]
    assert "web-1" in api.catalog.node(node_name())[1]["Services"]


def catalog_writes():
    check = {"Node": "db-1", "CheckID": "db-up", "Name": "db", "Status": "passing", "ServiceID": "db"}
    assert api.catalog.register("db-1", "10.1.0.1", service={"Service": "db", "Port": 5432}, check=check)
    assert [row["Node"]["Address"] for row in api.health.service("db", passing=True)[1]] == ["10.1.0.1"]
    assert api.catalog.deregister("db-1")
    assert api.catalog.service("db")[1] == []


def health():
    (found,) = api.health.service("web", tag="primary")[1]
    assert found["Service"]["Port"] == 8081
    assert [check["Output"] for check in api.health.checks("web")[1]] == ["all well"]
    assert len(api.health.node(node_name())[1]) == 2
    assert len(api.health.state("any")[1]) == 2


def filter_expressions():
    assert list(api.agent.services(filter_expr='Meta.version == "1" or "v1" in Tags')) == ["web-1"]
    assert not api.agent.checks(filter_expr="Status == warning")


def blocking():
    index, before = api.health.service("web")
    assert len(before) == 1
    waiting = in_another_thread(lambda other: other.health.service("web", index=index, wait="20s"))
    register_web(2)
    newer, after = waiting.result(15)
    assert len(after) == 2
    assert int(newer) > int(index)
    assert api.health.service("web", index=newer, wait="200ms") == (newer, after)
    assert api.agent.service.deregister("web-2")


def maintenance():
    assert api.agent.service.maintenance("web-1", "true", "upgrade")
    assert passing() == 0
    assert api.agent.service.maintenance("web-1", "false")
    assert api.agent.maintenance("true", "reboot")
    assert passing() == 0
    assert api.agent.maintenance("false")
    assert passing() == 1


def kv():
    assert api.kv.put("app/a", "1 ü", flags=42)
    assert api.kv.put("app/b/c", b"\x00\xff")
    found = api.kv.get("app/a")[1]
    assert (found["Value"].decode(), found["Flags"]) == ("1 ü", 42)
    assert [row["Value"] for row in api.kv.get("app/b", recurse=True)[1]] == [b"\x00\xff"]
    assert api.kv.get("app/", keys=True, separator="/")[1] == ["app/a", "app/b/"]
    assert api.kv.put("app/a", "3", cas=found["ModifyIndex"]) is True
    assert api.kv.put("app/a", "4", cas=found["ModifyIndex"]) is False
    assert api.kv.delete("app/", recurse=True)
    assert api.kv.get("app/a")[1] is None


def kv_blocking():
    index, nothing = api.kv.get("watched")
    assert nothing is None
    waiting = in_another_thread(lambda other: other.kv.get("watched", index=index, wait="20s"))
    api.kv.put("watched", "yes")
    assert waiting.result(15)[1]["Value"] == b"yes"


def transactions():
    value = base64.b64encode(b"1").decode()
    writes = [{"KV": {"Verb": "set", "Key": "txn/a", "Value": value}}, {"KV": {"Verb": "get", "Key": "txn/a"}}]
    assert api.txn.put(writes)["Results"][1]["KV"]["Value"] == value


def sessions():
    session = api.session.create(name="s", ttl=10, behavior="delete", lock_delay=1)
    assert api.session.info(session)[1]["Name"] == "s"
    assert api.session.renew(session)["ID"] == session
    assert [each["ID"] for each in api.session.list()[1]] == [session]
    assert [each["ID"] for each in api.session.node(node_name())[1]] == [session]
    assert api.session.destroy(session)
    assert api.session.list()[1] == []


def locks():
    first, second = (api.session.create(ttl=10, lock_delay=0) for _ in range(2))
    assert api.kv.put("lock", "1", acquire=first) is True
    assert api.kv.put("lock", "2", acquire=second) is False
    assert api.kv.get("lock")[1]["Session"] == first
    assert api.kv.put("lock", "1", release=first) is True
    assert api.kv.put("lock", "2", acquire=second) is True
    assert api.session.destroy(second)
    assert "Session" not in api.kv.get("lock")[1]
    assert api.session.destroy(first)


def events():
    fired = api.event.fire("deploy", "v2")
    (found,) = eventually(lambda: api.event.list("deploy")[1])
    assert found["ID"] == fired["ID"]
    assert found["Payload"] in (b"v2", "djI="), "python-consul2 leaves it in base64"


def prepared_queries():
    query = api.query.create("web", name="web-primary", onlypassing=True, tags=["primary"])["ID"]
    assert [row["Service"]["ID"] for row in api.query.execute("web-primary")["Nodes"]] == ["web-1"]
    assert api.query.explain("web-primary")["Query"]["Name"] == "web-primary"
    assert [each["ID"] for each in api.query.list()] == [query]
    assert [each["Name"] for each in api.query.get(query)] == ["web-primary"]
    assert api.query.delete(query)
    assert api.query.list() == []


def coordinates():
    (center,) = api.coordinate.datacenters()
    assert [row["Node"] for row in center["Coordinates"]]
    assert len(api.coordinate.nodes()[1]) <= 1


def config_entries():
    entry = {"Kind": "service-defaults", "Name": "web", "Protocol": "http"}
    write = getattr(api.config, "set", None)
    assert write("service-defaults", "web", {"Protocol": "http"}) if write else api.config.put(entry)
    assert _body(api.config.get("service-defaults", "web"))["Protocol"] == "http"
    assert [each["Name"] for each in _body(api.config.list("service-defaults"))] == ["web"]
    api.config.delete("service-defaults", "web")
    assert _body(api.config.list("service-defaults")) == []


def _body(answer):
    """The answer without its index, which only some of the clients give."""
    return answer[1] if isinstance(answer, tuple) else answer


def snapshots():
    api.kv.put("kept", "before")
    is_by_file = hasattr(api.snapshot, "put")  # python-consul2, whose `save` and `restore` are of files
    archive = api.snapshot.get() if is_by_file else api.snapshot.save()
    api.kv.put("kept", "after")
    (api.snapshot.put if is_by_file else api.snapshot.restore)(archive)
    assert api.kv.get("kept")[1]["Value"] == b"before"


def errors():
    assert "Missing service name" in _refusal(lambda: api.agent.service.register(""))
    assert "Invalid index" in _refusal(lambda: api.health.service("web", index="x"))


def _refusal(mistake):
    """The text of the client's own error; "" without one."""
    try:
        mistake()
    except consul.ConsulException as refusal:
        return str(refusal)
    return ""


def deregister():
    assert api.agent.service.deregister("web-1")
    assert api.agent.services() == {}
    assert api.health.service("web")[1] == []


FEATURES = {
    "register": register,
    "heartbeats": heartbeats,
    "checks": checks,
    "agent": agent,
    "catalog": catalog,
    "catalog writes": catalog_writes,
    "health": health,
    "filter": filter_expressions,
    "blocking": blocking,
    "maintenance": maintenance,
    "kv": kv,
    "kv blocking": kv_blocking,
    "transactions": transactions,
    "sessions": sessions,
    "locks": locks,
    "events": events,
    "prepared queries": prepared_queries,
    "coordinates": coordinates,
    "config entries": config_entries,
    "snapshots": snapshots,
    "errors": errors,
    "deregister": deregister,
}

HAS = {
    "filter": "filter_expr" in inspect.signature(api.agent.services).parameters,
    "transactions": hasattr(api, "txn"),
    "config entries": hasattr(api, "config"),
    "snapshots": hasattr(api, "snapshot"),
}
"""Whether this one has what only some of them have."""

if __name__ == "__main__":
    run_features({name: run for name, run in FEATURES.items() if HAS.get(name, True)})
