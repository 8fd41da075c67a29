"""What readers are told when things are bad: panic, fallback, and how far an answer can be relied on."""

import itertools
import resource

import pytest
from tests.agents import Waiter, eventually, running_agent

CONSISTENCY, CONTACT = "x-consul-effective-consistency", "x-consul-lastcontact"
ANSWER, DEGRADED = "x-regista-answer", "x-regista-degraded"

SETTLED = {"degrading": {"settling": "0s"}}


@pytest.fixture(scope="module")
def shared_agent(tmp_path_factory):
    """One agent for all tests of this module that don't need their own, as if it had been running for long."""
    with running_agent(tmp_path_factory.mktemp("shared"), config=SETTLED) as agent:
        yield agent


def put_instances(agent, name, statuses, *, tags=()):
    """Registers an instance in each of these statuses, on a node of its own; their ids."""
    ids = []
    for number, status in enumerate(statuses):
        ids.append(f"{name}-{number}")
        row = {
            "Node": f"node-{ids[-1]}",
            "Address": "10.0.0.1",
            "Service": {"Service": name, "ID": ids[-1], "Tags": list(tags)},
            "Check": {"CheckID": "c", "ServiceID": ids[-1], "Status": status},
        }
        assert agent.put("/v1/catalog/register", row).json is True
    return ids


def set_status(agent, service_id, status):
    check = {"CheckID": "c", "ServiceID": service_id, "Status": status}
    row = {"Node": f"node-{service_id}", "Address": "10.0.0.1", "SkipNodeUpdate": True, "Check": check}
    assert agent.put("/v1/catalog/register", row).json is True


def set_panic_threshold(agent, name, percent):
    entry = {"Kind": "service-defaults", "Name": name, "PanicThreshold": percent}
    reply = agent.put("/v1/config", entry)
    assert reply.status == 200, reply


def ids_of(reply):
    return [entry["Service"]["ID"] for entry in reply.json]


# ---- panic ----


def test_panic_gives_out_all_and_says_so(shared_agent):
    """Below its threshold a service's ?passing answers hold all its instances; at the threshold they don't."""
    agent, name = shared_agent, "panicking"
    ids = put_instances(agent, name, ["passing", "critical", "critical", "critical"])
    path = f"/v1/health/service/{name}?passing"
    assert ids_of(agent.get(path)) == ids[:1], "off by default"
    set_panic_threshold(agent, name, 50)
    reply = agent.get(path)
    assert ids_of(reply) == ids
    assert reply.headers[DEGRADED] == "panic; passing=1; of=4; threshold=50%"
    set_status(agent, ids[1], "passing")
    reply = agent.get(path)
    assert ids_of(reply) == ids[:2]
    assert DEGRADED not in reply.headers
    assert DEGRADED not in agent.get(f"/v1/health/service/{name}").headers


def test_a_new_threshold_wakes_those_whom_it_concerns(shared_agent):
    """A blocking query returns when a threshold changes its answer, and not when it changes another service's."""
    agent, name = shared_agent, "woken"
    ids = put_instances(agent, name, ["passing", "critical", "critical"])
    path = f"/v1/health/service/{name}?passing"
    waiter = Waiter(agent, f"{path}&index={agent.get(path).index}&wait=20s")
    set_panic_threshold(agent, "woken-not", 100)
    set_panic_threshold(agent, name, 10)
    assert waiter.is_waiting
    set_panic_threshold(agent, name, 60)
    reply = waiter.reply()
    assert ids_of(reply) == ids
    waiter = Waiter(agent, f"{path}&index={reply.index}&wait=20s")
    assert agent.delete(f"/v1/config/service-defaults/{name}").status == 200
    assert ids_of(waiter.reply()) == ids[:1]


def test_who_was_taken_out_on_purpose_stays_out(shared_agent):
    """Instances in maintenance neither count in the share nor come back in a panic."""
    agent = shared_agent
    for number in range(3):
        agent.register(Name="mended", ID=f"mended-{number}", Check={"TTL": "1h", "Status": "critical"})
    assert agent.put("/v1/agent/service/maintenance/mended-0?enable=true").status == 200
    set_panic_threshold(agent, "mended", 50)
    reply = agent.get("/v1/health/service/mended?passing")
    assert ids_of(reply) == ["mended-1", "mended-2"]
    assert reply.headers[DEGRADED] == "panic; passing=0; of=2; threshold=50%"
    for number in (1, 2):
        assert agent.put(f"/v1/agent/service/maintenance/mended-{number}?enable=true").status == 200
    reply = agent.get("/v1/health/service/mended?passing&fallback=any")
    assert (ids_of(reply), DEGRADED in reply.headers) == ([], False)


def test_the_agents_own_threshold_is_for_services_without_one(tmp_path):
    """`degrading.panic_threshold_percent` counts where service-defaults say nothing; 0 there switches it off."""
    with running_agent(tmp_path, config={"degrading": {"panic_threshold_percent": 30}}) as agent:
        ids = put_instances(agent, "web", ["critical", "critical", "critical", "passing"])
        reply = agent.get("/v1/health/service/web?passing")
        assert (len(reply.json), reply.headers[DEGRADED]) == (4, "panic; passing=1; of=4; threshold=30%")
        set_panic_threshold(agent, "web", 0)
        assert ids_of(agent.get("/v1/health/service/web?passing")) == ids[3:]
        assert agent.get("/v1/config/service-defaults/web").json["PanicThreshold"] == 0


def test_a_prepared_query_panics_too(shared_agent):
    """What a query calls usable is what counts: passing with OnlyPassing, and not critical without."""
    agent = shared_agent
    put_instances(agent, "asked", ["warning", "critical", "critical"])
    set_panic_threshold(agent, "asked", 30)
    found = {}
    for only_passing in (True, False):
        query = {"Name": f"asked-{only_passing}", "Service": {"Service": "asked", "OnlyPassing": only_passing}}
        assert agent.request("POST", "/v1/query", query).status == 200
        reply = agent.get(f"/v1/query/asked-{only_passing}/execute")
        found[only_passing] = (len(reply.json["Nodes"]), reply.headers.get(DEGRADED))
    assert found == {True: (3, "panic; passing=0; of=3; threshold=30%"), False: (1, None)}


def test_an_ingress_gateway_panics_by_its_own_threshold(shared_agent):
    """health/ingress names the gateway whose instances are too few."""
    agent = shared_agent
    put_instances(agent, "behind", ["passing"])
    row = {
        "Node": "gw",
        "Address": "10.0.0.9",
        "Service": {"Service": "gate", "ID": "gate", "Kind": "ingress-gateway"},
    }
    row["Check"] = {"CheckID": "g", "ServiceID": "gate", "Status": "critical"}
    assert agent.put("/v1/catalog/register", row).json is True
    services = [{"Name": "behind"}]
    entry = {"Kind": "ingress-gateway", "Name": "gate", "Listeners": [{"Port": 80, "Protocol": "tcp"}]}
    entry["Listeners"][0]["Services"] = services
    assert agent.put("/v1/config", entry).status == 200
    assert agent.get("/v1/health/ingress/behind?passing").json == []
    set_panic_threshold(agent, "gate", 50)
    reply = agent.get("/v1/health/ingress/behind?passing")
    assert ids_of(reply) == ["gate"]
    assert reply.headers[DEGRADED] == "panic; passing=0; of=1; threshold=50%; service=gate"


def test_a_mesh_look_up_panics_by_the_services_threshold(shared_agent):
    """health/connect gives out all proxies of a service whose own threshold says so."""
    agent = shared_agent
    for number, status in enumerate(("critical", "critical", "passing")):
        service = {"Service": "meshed-proxy", "ID": f"p{number}", "Kind": "connect-proxy", "Port": 1}
        service["Proxy"] = {"DestinationServiceName": "meshed"}
        row = {"Node": f"mesh-{number}", "Address": "10.0.0.1", "Service": service}
        row["Check"] = {"CheckID": "p", "ServiceID": f"p{number}", "Status": status}
        assert agent.put("/v1/catalog/register", row).json is True
    assert ids_of(agent.get("/v1/health/connect/meshed?passing")) == ["p2"]
    set_panic_threshold(agent, "meshed", 40)
    assert ids_of(agent.get("/v1/health/connect/meshed?passing")) == ["p0", "p1", "p2"]


@pytest.mark.parametrize("percent", [-1, 100.5, "much", [1, 2], {}])
def test_a_threshold_is_a_percentage(shared_agent, percent):
    """Anything but a number from 0 to 100 is refused, naming the field."""
    entry = {"Kind": "service-defaults", "Name": "wrong", "PanicThreshold": percent}
    reply = shared_agent.put("/v1/config", entry)
    assert (reply.status, reply.headers["x-regista-field"]) == (400, "PanicThreshold")


def test_a_passing_answer_keeps_its_index_through_a_restart(kept_agent):
    """That other services were deregistered does not move the index of an answer that has no threshold behind it."""
    path = "/v1/health/service/web?passing"
    kept_agent.register(Name="web", ID="web-1")
    index = kept_agent.get(path).index
    kept_agent.register(Name="api", ID="api-1")
    kept_agent.put("/v1/agent/service/deregister/api-1")
    set_panic_threshold(kept_agent, "other", 50)
    assert kept_agent.get(path).index == index
    kept_agent.restart()
    assert kept_agent.get(path).index == index
    waiter = Waiter(kept_agent, f"{path}&index={index}&wait=20s")
    set_panic_threshold(kept_agent, "web", 50)
    kept_agent.put("/v1/kv/unrelated", b"1")
    assert waiter.is_waiting
    kept_agent.register(Name="web", ID="web-2")
    assert ids_of(waiter.reply()) == ["web-1", "web-2"]


# ---- fallback ----


def test_fallbacks_are_tried_in_order(shared_agent):
    """An empty answer is replaced by the first fallback that gives anything; one that is not empty never is."""
    agent = shared_agent
    failing = put_instances(agent, "fails", ["critical", "warning"], tags=("v1",))
    other = put_instances(agent, "other", ["passing", "critical"], tags=("v2",))
    path = "/v1/health/service/fails?passing&tag=v1&fallback="
    for fallback, ids, degraded in (
        ("warning", failing[1:], "fallback=warning"),
        ("any", failing, "fallback=any"),
        ("absent,other,any", other[:1], "fallback=other"),
        ("absent", [], None),
    ):
        reply = agent.get(path + fallback)
        assert (ids_of(reply), reply.headers.get(DEGRADED)) == (ids, degraded)
    reply = agent.get("/v1/health/service/other?passing&fallback=any")
    assert (ids_of(reply), DEGRADED in reply.headers) == (other[:1], False)
    named = agent.get("/v1/catalog/service/absent?fallback=warning&fallback=other")
    assert ([row["ServiceID"] for row in named.json], named.headers[DEGRADED]) == (other, "fallback=other")


def test_a_fallback_wakes_who_waits(shared_agent):
    """A query that waits returns when its fallback changes, and when it is no longer needed."""
    agent = shared_agent
    backup = put_instances(agent, "backup", ["critical"])
    path = "/v1/health/service/main?passing&fallback=backup"
    waiter = Waiter(agent, f"{path}&index={agent.get(path).index}&wait=20s")
    set_status(agent, backup[0], "passing")
    reply = waiter.reply()
    assert (ids_of(reply), reply.headers[DEGRADED]) == (backup, "fallback=backup")
    waiter = Waiter(agent, f"{path}&index={reply.index}&wait=20s")
    main = put_instances(agent, "main", ["passing"])
    reply = waiter.reply()
    assert (ids_of(reply), DEGRADED in reply.headers) == (main, False)


def test_a_fallback_panics_as_any_service(shared_agent):
    """Another service is looked up with its own threshold, and the header tells both."""
    agent = shared_agent
    put_instances(agent, "weak", ["passing", "critical", "critical"])
    set_panic_threshold(agent, "weak", 50)
    reply = agent.get("/v1/health/service/nobody?passing&fallback=weak")
    assert len(reply.json) == 3
    assert reply.headers[DEGRADED] == "fallback=weak, panic; passing=1; of=3; threshold=50%; service=weak"


@pytest.mark.parametrize(
    "wrong", ["", ",any", "any,", "x%0Ay", "w%00", "web", "WEB", "a," * 8 + "b", "x" * 513, "%20"]
)
def test_a_bad_fallback_is_refused(shared_agent, wrong):
    """An empty, unprintable or endless fallback, too many, and the service itself are 400 naming the parameter."""
    for path in ("/v1/health/service/web?passing", "/v1/catalog/service/web?", "/v1/health/connect/web?"):
        reply = shared_agent.get(f"{path}&fallback={wrong}")
        assert (reply.status, reply.headers.get("x-regista-field")) == (400, "fallback"), wrong


# ---- how far an answer can be relied on ----


def test_a_restarted_agent_with_an_empty_memory_says_unknown(agent):
    """A server that lost all it knew says `unknown` of a service that had instances, not that there are none."""
    agent.register(Name="web", ID="web-1")
    assert agent.get("/v1/health/service/web").headers[ANSWER] == "fresh"
    agent.restart()
    for path in ("health/service/web", "health/service/web?passing", "catalog/service/web", "health/checks/web"):
        reply = agent.get(f"/v1/{path}")
        assert reply.json == []
        assert reply.headers[ANSWER].startswith("unknown; settles="), path
    for path in ("health/connect/web", "catalog/connect/web", "health/node/gone", "health/state/critical"):
        assert agent.get(f"/v1/{path}").headers[ANSWER].startswith("unknown"), path
    assert 80 < int(agent.get("/v1/health/service/web").headers[ANSWER].partition("=")[2]) <= 90


def test_an_explicit_deregistration_is_confirmed_at_once(agent):
    """The last instance that is taken away leaves an answer that callers may believe, also while others settle."""
    agent.register(Name="web", ID="web-1")
    path = "/v1/health/service/web"
    waiter = Waiter(agent, f"{path}?index={agent.get(path).index}&wait=20s")
    assert agent.put("/v1/agent/service/deregister/web-1").status == 200
    reply = waiter.reply()
    assert (reply.json, reply.headers[ANSWER]) == ([], "empty-confirmed")
    assert agent.get("/v1/health/service/api").headers[ANSWER].startswith("unknown")


def test_what_is_there_but_does_not_pass_yet_is_unknown(agent):
    """While others may still come, an empty ?passing answer is not confirmed by instances that don't pass."""
    agent.register(Name="web", ID="web-1", Check={"CheckID": "beat", "TTL": "1h"})
    assert agent.get("/v1/health/service/web?passing").headers[ANSWER].startswith("unknown")
    agent.put("/v1/agent/check/pass/beat")
    assert agent.get("/v1/health/service/web?passing").headers[ANSWER] == "fresh"


def test_an_agent_that_has_its_store_knows_what_is_not_there(tmp_path):
    """A restart with the data on disk confirms emptiness at once, once the store is old enough to know."""
    with running_agent(tmp_path, keeps_data=True, config={"degrading": {"settling": "1s"}}) as agent:
        agent.register(Name="web", ID="web-1")
        agent.restart()
        assert agent.get("/v1/health/service/web").headers[ANSWER] == "fresh"
        eventually(lambda: agent.get("/v1/health/service/api").headers[ANSWER] == "empty-confirmed")
        agent.restart()
        assert agent.get("/v1/health/service/api").headers[ANSWER] == "empty-confirmed"


def test_a_young_store_is_still_unknown_after_another_restart(kept_agent):
    """A second restart within the settling time does not turn what nobody knows into what is confirmed."""
    kept_agent.restart()
    assert kept_agent.get("/v1/health/service/web").headers[ANSWER].startswith("unknown")


def test_answers_are_stale_while_the_store_cannot_be_written(tmp_path):
    """From the first write that fails until one succeeds, answers tell for how long; nobody need write meanwhile."""
    with running_agent(tmp_path, keeps_data=True, config=SETTLED) as agent:
        agent.register(Name="web", ID="web-1")
        before = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        assert agent.put("/v1/agent/service/register", {"Name": "api"}).status == 503
        for path in ("/v1/health/service/web", "/v1/health/service/absent", "/v1/health/state/passing"):
            assert agent.get(path).headers[ANSWER].startswith("stale; age=")
        eventually(lambda: int(agent.get("/v1/health/service/web").headers[ANSWER].partition("=")[2]) >= 1)
        summary = agent.get("/v1/regista/health/summary").json
        assert summary["store"]["writable"] is False
        assert summary["store"]["unwritable_s"] > 0
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, before)
        eventually(lambda: agent.get("/v1/health/service/web").headers[ANSWER] == "fresh")
        assert agent.get("/v1/health/service/absent").headers[ANSWER] == "empty-confirmed"
        assert agent.get("/v1/regista/health/summary").json["store"] == {
            "writable": True,
            "unwritable_s": None,
            "outages": 1,
        }
        assert agent.get("/v1/health/service/api").json == []


def test_consuls_own_headers_tell_of_a_store_that_cannot_be_written(tmp_path):
    """Reads of all kinds are `stale` with their age in milliseconds meanwhile, in headers and where bodies say it."""
    reads = ("/v1/catalog/services", "/v1/catalog/nodes", "/v1/kv/k", "/v1/kv/none", "/v1/health/service/web")
    with running_agent(tmp_path, keeps_data=True, config=SETTLED) as agent:
        agent.register(Name="web", ID="web-1")
        agent.put("/v1/kv/k", b"1")
        query = agent.request("POST", "/v1/query", {"Name": "q", "Service": {"Service": "web"}}).json["ID"]
        execution, transaction = f"/v1/query/{query}/execute", [{"KV": {"Verb": "get", "Key": "k"}}]

        def consistencies():
            replies = [agent.get(path) for path in (*reads, execution)]
            told = [(each.headers[CONSISTENCY], int(each.headers[CONTACT])) for each in replies]
            body = replies[-1].json
            told.append((body["ConsistencyLevel"], body["LastContact"] / 1_000_000))
            read = agent.put("/v1/txn", transaction)
            return [*told, (read.json["ConsistencyLevel"], int(read.headers[CONTACT]))]

        # A transaction of reads names no consistency while nothing is amiss.
        steady = [("leader", 0)] * (len(reads) + 2) + [("", 0)]
        for _ in range(3):
            assert consistencies() == steady
        before = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        assert agent.put("/v1/kv/k", b"2").status == 503
        for _ in range(2):
            told = consistencies()
            assert {word for word, _ in told} == {"stale"}
            ages = [age_ms for _, age_ms in told]
            assert all(earlier <= later + 1 for earlier, later in itertools.pairwise(ages))
        eventually(lambda: consistencies()[0][1] >= 100)
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, before)
        eventually(lambda: consistencies() == steady)


def test_answers_about_the_past_say_nothing_of_the_present(shared_agent):
    """?at= has no standing: it is what it was."""
    index = shared_agent.index()
    assert ANSWER not in shared_agent.get(f"/v1/health/service/web?at={index}").headers


# ---- explain ----


def test_explain_knows_of_panic_and_fallback(shared_agent):
    """`explain` says of each instance what the answer does, and why one is in that does not pass."""
    agent = shared_agent
    ids = put_instances(agent, "told", ["passing", "critical", "critical"])
    set_panic_threshold(agent, "told", 50)
    told = agent.get("/v1/regista/explain/service/told?passing").json
    assert told["degraded"] == ["panic; passing=1; of=3; threshold=50%"]
    assert [each["included"] for each in told["instances"]] == [True, True, True]
    reasons = [[finding["parameter"] for finding in each["findings"]] for each in told["instances"]]
    assert reasons == [["passing"], ["passing", "panic"], ["passing", "panic"]]
    set_panic_threshold(agent, "told", 0)
    set_status(agent, ids[0], "warning")
    told = agent.get("/v1/regista/explain/service/told?passing&fallback=warning").json
    assert [each["included"] for each in told["instances"]] == [True, False, False]
    assert told["instances"][0]["findings"][-1]["parameter"] == "fallback"
