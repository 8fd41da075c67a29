"""Configuration entries, prepared queries, events and coordinates of a real agent: waiting, restarts, limits."""

import pytest
from tests.agents import Waiter, running_agent

VEC = [0.0] * 8


def create(agent, **fields):
    reply = agent.request("POST", "/v1/query", {"Service": {"Service": "web"}, **fields})
    assert reply.status == 200, reply
    return reply.json["ID"]


def place(agent, node, x):
    coordinate = {"Vec": [x, *VEC[1:]], "Error": 1.5, "Height": 0.001}
    assert agent.put("/v1/coordinate/update", {"Node": node, "Coord": coordinate}).status == 200


def waiting(agent, path):
    """A caller who has the answer to `path` and waits for the next one."""
    before = agent.get(path)
    sign = "&" if "?" in path else "?"
    return Waiter(agent, f"{path}{sign}index={before.index}&wait=20s")


# ---- configuration entries ----


def test_a_missing_entry_is_waited_for(agent):
    """A query for an entry that is not there answers 404 with an index, and returns when the entry appears."""
    waiter = waiting(agent, "/v1/config/service-defaults/web")
    agent.put("/v1/config", {"Kind": "service-defaults", "Name": "web", "Protocol": "http"})
    assert waiter.reply().json["Protocol"] == "http"


def test_lists_of_entries_are_waited_for(agent):
    """The list of a kind and that of all kinds return when an entry comes or goes; other kinds don't wake one."""
    kind = waiting(agent, "/v1/config/service-defaults")
    everything = waiting(agent, "/v1/config/")
    agent.put("/v1/config", {"Kind": "mesh"})
    assert [entry["Kind"] for entry in everything.reply().json] == ["mesh"]
    assert kind.is_waiting
    agent.put("/v1/config", {"Kind": "service-defaults", "Name": "web"})
    assert [entry["Name"] for entry in kind.reply().json] == ["web"]
    gone = waiting(agent, "/v1/config/service-defaults/web")
    assert agent.delete("/v1/config/service-defaults/web").json == {}
    assert gone.reply().status == 404


def test_entries_survive_a_restart(kept_agent):
    """An entry, its indexes and what it allows are the same after a restart."""
    splits = [{"Weight": 60}, {"Weight": 40, "Service": "api"}]
    for body in (
        {"Kind": "service-defaults", "Name": "web", "Protocol": "http"},
        {"Kind": "service-defaults", "Name": "api", "Protocol": "http"},
        {"Kind": "service-splitter", "Name": "web", "Splits": splits},
    ):
        assert kept_agent.put("/v1/config", body).json is True
    before = kept_agent.get("/v1/config/").json
    kept_agent.restart()
    assert kept_agent.get("/v1/config/").json == before
    assert kept_agent.delete("/v1/config/service-defaults/web").status == 400


def test_a_kind_that_is_not_there_is_named(agent):
    """Reading, writing and deleting an unknown kind is a 400 with the kind in it."""
    replies = (
        agent.get("/v1/config/nonsense"),
        agent.put("/v1/config", {"Kind": "nonsense", "Name": "x"}),
        agent.delete("/v1/config/nonsense/x"),
    )
    assert [reply.status for reply in replies] == [400, 400, 400]
    assert all("invalid config entry kind: nonsense" in reply.text for reply in replies)


# ---- prepared queries ----


def test_queries_are_waited_for(agent):
    """The list returns when a query is created, and the query when it is replaced or deleted."""
    waiter = waiting(agent, "/v1/query")
    query_id = create(agent, Name="q")
    assert [query["Name"] for query in waiter.reply().json] == ["q"]
    waiter = waiting(agent, f"/v1/query/{query_id}")
    agent.put(f"/v1/query/{query_id}", {"Name": "r", "Service": {"Service": "web"}})
    assert waiter.reply().json[0]["Name"] == "r"
    waiter = waiting(agent, f"/v1/query/{query_id}")
    assert agent.delete(f"/v1/query/{query_id}").body == b""
    assert waiter.reply().status == 404


def test_a_query_ends_with_its_session(agent):
    """A query may have a session instead of a name, and goes when that is destroyed."""
    session = agent.put("/v1/session/create").json["ID"]
    query_id = create(agent, Session=session)
    assert agent.get(f"/v1/query/{query_id}").json[0]["Session"] == session
    agent.put(f"/v1/session/destroy/{session}")
    assert agent.get(f"/v1/query/{query_id}").status == 404
    assert agent.get("/v1/query").json == []


def test_a_template_answers_for_all_its_names(agent):
    """One template finds each service by the name that is asked for, in any order, as many as are wanted."""
    for number in range(4):
        agent.register(Name="web", ID=f"w{number}", Port=80 + number)
    create(
        agent,
        Name="near-",
        Template={"Type": "name_prefix_match", "Regexp": "^near-(.*)$"},
        Service={"Service": "${match(1)}", "Near": "_agent"},
        DNS={"TTL": "7s"},
    )
    answer = agent.get("/v1/query/near-web/execute").json
    assert {each["Service"]["ID"] for each in answer["Nodes"]} == {"w0", "w1", "w2", "w3"}
    assert (answer["Service"], answer["DNS"]) == ("web", {"TTL": "7s"})
    assert len(agent.get("/v1/query/near-web/execute?limit=2").json["Nodes"]) == 2
    assert agent.get("/v1/query/near-none/execute").json["Nodes"] == []
    assert agent.get("/v1/query/near-web/explain").json["Query"]["Service"]["Service"] == "web"
    assert agent.get("/v1/query/other/execute").status == 404


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("limit=x", 'Bad limit: strconv.Atoi: parsing "x": invalid syntax'),
        ("connect=maybe", "Error parsing 'connect' value: strconv.ParseBool"),
        ("connect=true", "connect is not supported"),
    ],
)
def test_a_bad_parameter_of_an_execution_is_told(agent, parameters, problem):
    """A parameter that can't be used is a 400 with Consul's words."""
    create(agent, Name="q")
    reply = agent.get(f"/v1/query/q/execute?{parameters}")
    assert (reply.status, problem in reply.text) == (400, True)


def test_an_empty_body_is_no_query(agent):
    """A POST with nothing or with null is a 400; Consul ends the connection."""
    assert agent.request("POST", "/v1/query", b"").status == 400
    assert agent.request("POST", "/v1/query", b"null").status == 400


# ---- events ----


def test_events_are_waited_for_by_equality(agent):
    """A caller with the list's index waits for the next event of its name; with any other he does not wait."""
    waiter = waiting(agent, "/v1/event/list?name=deploy")
    agent.put("/v1/event/fire/other", b"x")
    assert waiter.is_waiting
    fired = agent.put("/v1/event/fire/deploy", b"v1").json
    assert [event["ID"] for event in waiter.reply().json] == [fired["ID"]]
    reply = agent.get("/v1/event/list?index=12345&wait=20s")
    assert [event["Name"] for event in reply.json] == ["other", "deploy"]


def test_events_have_limits(tmp_path):
    """Only the latest events are kept, and a large one is refused with Consul's words."""
    with running_agent(tmp_path, config={"events": {"kept_max": 2}}) as agent:
        for number in range(3):
            agent.put(f"/v1/event/fire/e{number}")
        assert [event["Name"] for event in agent.get("/v1/event/list").json] == ["e1", "e2"]
        assert agent.put("/v1/event/fire/large", b"p" * 400).status == 200
        reply = agent.put("/v1/event/fire/large", b"p" * 512)
        assert reply.status == 413
        assert "user event exceeds configured limit of 512 bytes before encoding" in reply.text


def test_events_for_others_are_not_kept(agent):
    """A filter that does not fit this agent's node or services leaves the event out of its list."""
    agent.register(Name="web", Tags=["v1"])
    for filters in ("?node=^x", "?service=api", "?service=web&tag=v2", "?service=^consul$"):
        assert agent.put(f"/v1/event/fire/theirs{filters}").status == 200
    agent.put("/v1/event/fire/_rexec")
    assert agent.put("/v1/event/fire/ours?node=1&service=w&tag=1").status == 200
    assert [event["Name"] for event in agent.get("/v1/event/list").json] == ["ours"]


# ---- coordinates ----


def test_near_goes_by_distance(agent):
    """What is near a node comes first, and a new place is seen at once by those who ask with `near` and wait."""
    for number, x in enumerate((0.9, 0.5, 0.1)):
        node = f"m{number}"
        service = {"Service": "web", "ID": "w"}
        agent.put("/v1/catalog/register", {"Node": node, "Address": "10.0.0.1", "Service": service})
        place(agent, node, x)
    place(agent, "n1", 0.0)
    path = "/v1/health/service/web?near=_agent"
    assert [each["Node"]["Node"] for each in agent.get(path).json] == ["m2", "m1", "m0"]
    assert [each["Node"] for each in agent.get("/v1/catalog/nodes?near=m1").json][:2] == ["m1", "m0"]
    waiter = waiting(agent, path)
    place(agent, "m0", 0.01)
    assert [each["Node"]["Node"] for each in waiter.reply().json] == ["m0", "m2", "m1"]
    create(agent, Name="q", Service={"Service": "web", "Near": "m1"})
    assert agent.get("/v1/query/q/execute").json["Nodes"][0]["Node"]["Node"] == "m1"
    assert agent.get("/v1/query/q/execute?near=m0").json["Nodes"][0]["Node"]["Node"] == "m0"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"Node": "n1"}, "Must provide coordinate"),
        ({"Coord": {"Vec": VEC}}, "Must provide node"),
        ({"Node": "n1", "Coord": {"Vec": [1]}}, "incompatible coordinate"),
        ({"Node": "n1", "Coord": {"Vec": [1e301, *VEC[1:]]}}, "too large a number"),
        ({"Node": "n1", "Coord": {"Vec": [None, *VEC[1:]]}}, "Request decode failed"),
        ({"Node": "n1", "Nope": 1, "Coord": {"Vec": VEC}}, 'unknown field "Nope"'),
    ],
)
def test_a_bad_coordinate_is_told(agent, body, problem):
    """What is no coordinate is a 400 with Consul's words, and not the end of the connection."""
    reply = agent.put("/v1/coordinate/update", body)
    assert (reply.status, problem in reply.text) == (400, True)


def test_coordinates_go_with_their_node(agent):
    """A deregistered node is nowhere any more, and whoever waits for its place is told."""
    agent.put("/v1/catalog/register", {"Node": "m", "Address": "10.0.0.1"})
    place(agent, "m", 1.0)
    waiter = waiting(agent, "/v1/coordinate/node/m")
    agent.put("/v1/catalog/deregister", {"Node": "m"})
    assert waiter.reply().status == 404
    assert agent.get("/v1/coordinate/nodes").json == []
