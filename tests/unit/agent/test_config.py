"""The configuration: order of the sources, types, bounds, unknown keys, Consul's keys."""

import dataclasses
import json
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.agent.config import AgentConfig, load_config, waiting_for_restart
from regista.agent.config_values import read_layer
from regista.agent.consul_keys import NO_EFFECT, SAME_AS
from regista.agent.keys import AGENT_KEYS, FLAGS, KEYS, SETTING_KEYS
from regista.agent.settings import SETTINGS_BLOCKS
from regista.model import ConfigError, format_duration


def load(*files, environ=None, **flags):
    flags = {"dev": True, **flags}
    return load_config(flags={**flags, "config_file": files}, environ=environ or {}, hostname="host-1")


def refused(*files, environ=None, **flags):
    with pytest.raises(ConfigError) as caught:
        load(*files, environ=environ, **flags)
    return str(caught.value)


@pytest.fixture
def make(tmp_path):
    """Writes objects to a.json, b.json, …; the paths."""
    names = iter("abcdefghijklmnopqrstuvwxyz")

    def write(content):
        path = tmp_path / f"{next(names)}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


def test_scripts_for_everybody_on_an_open_address_are_warned_of(make):
    """The log says what it means to run scripts from an API that other machines reach; local scripts are no danger."""
    assert load(make({"enable_script_checks": True})).warnings == ()
    assert load(make({"enable_local_script_checks": True, "client_addr": "0.0.0.0"})).warnings == ()
    opened = {"enable_script_checks": True, "client_addr": "127.0.0.1 0.0.0.0"}
    (warning,) = load(make(opened)).warnings
    assert "enable_local_script_checks" in warning
    assert load(make(opened | {"ports": {"http": -1}})).warnings == ()


# ---- defaults and order ----


def test_the_defaults():
    """Without files, an agent listens locally at Consul's ports, named after its host."""
    config = load()
    assert (config.dev, config.node_name, config.node_id, config.datacenter) == (True, "host-1", "", "dc1")
    assert (config.bind_addr, config.advertise_addr, config.client_addr) == ("127.0.0.1",) * 3
    assert (config.http_port, config.dns_port, config.log_level) == (8500, 8600, "info")
    assert (config.data_dir, config.ready_file, config.enable_script_checks) == (None, None, False)
    assert (config.services, config.checks, config.files, config.warnings) == ((), (), (), ())


def test_every_room_has_its_default_settings():
    """Each block of the table is a field of the configuration, and without files holds its own defaults."""
    config = load()
    for block, settings_type in SETTINGS_BLOCKS:
        assert getattr(config, block) == settings_type()
        assert block in {field.name for field in dataclasses.fields(AgentConfig)}


def test_a_data_directory_is_required_unless_dev():
    """An agent that would keep nothing says so, and what to do."""
    text = refused(dev=None)
    assert text.startswith("data_dir cannot be empty")
    assert "--data-dir" in text
    assert load(dev=None, data_dir="/tmp/x").data_dir == Path("/tmp/x")
    assert load(environ={"REGISTA_DEV": "true"}, dev=None).dev is True


def test_the_later_source_wins(make):
    """Defaults yield to files in order, files to the environment, the environment to flags."""
    first, second = make({"ports": {"http": 1}}), make({"ports": {"http": 2}})
    assert load(first).http_port == 1
    assert load(first, second).http_port == 2
    assert load(first, second, environ={"REGISTA_HTTP_PORT": "3"}).http_port == 3
    assert load(first, second, environ={"REGISTA_HTTP_PORT": "3"}, http_port=4).http_port == 4


def test_an_empty_variable_counts_as_absent(make):
    """A variable that a script sets to nothing changes nothing."""
    assert load(make({"log_level": "warn"}), environ={"REGISTA_LOG_LEVEL": ""}).log_level == "warn"


def test_files_can_be_named_in_the_environment(make):
    """REGISTA_CONFIG_FILE names files as PATH does, and flags replace it."""
    first, second = make({"node_name": "a", "log_level": "warn"}), make({"node_name": "b"})
    environ = {"REGISTA_CONFIG_FILE": f"{first}:{second}"}
    config = load_config(flags={"dev": True}, environ=environ, hostname="h")
    assert (config.node_name, config.log_level, config.files) == ("b", "warn", (first, second))
    assert load(second, environ=environ).files == (second,)


def test_maps_merge_and_definitions_are_joined(make):
    """node_meta is merged by key; services and checks of all files stand one after the other."""
    first = make({"node_meta": {"a": "1", "b": "1"}, "service": {"name": "x"}, "check": {"name": "c"}})
    second = make({"node_meta": {"b": "2"}, "services": [{"name": "y"}, {"name": "z"}]})
    config = load(first, second)
    assert config.node_meta == {"a": "1", "b": "2"}
    assert [service["name"] for service in config.services] == ["x", "y", "z"]
    assert [check["name"] for check in config.checks] == ["c"]


def test_a_directory_of_files(tmp_path):
    """A directory is read by name, and an empty one is a warning."""
    (tmp_path / "1.json").write_text('{"node_name": "a"}')
    (tmp_path / "2.hcl").write_text('node_name = "b"')
    (tmp_path / "empty").mkdir()
    assert load(tmp_path).node_name == "b"
    assert "holds no .json or .hcl file" in load(tmp_path / "empty").warnings[0]


def test_names_are_matched_without_case_and_null_is_absent(make):
    """Ports.HTTP is ports.http, and null leaves the default."""
    config = load(make('{"Ports": {"HTTP": 9}, "node_name": null, "ports": null, "services": null}'))
    assert (config.http_port, config.node_name) == (9, "host-1")


# ---- values ----


def test_datacenters_are_lower_cased_and_checked(make):
    """Capitals are made small; other characters are refused with Consul's words."""
    assert load(datacenter="DC-1_b").datacenter == "dc-1_b"
    assert refused(datacenter="dc one") == (
        'datacenter can only contain lowercase alphanumeric, - or _ characters. received: "dc one"'
    )


@pytest.mark.parametrize("port", [-2, 65536, 70000])
def test_ports_are_bounded(make, port):
    """A port is refused outside 1 to 65535, but for 0 and -1."""
    assert f"ports.http: invalid port: {port}" in refused(make({"ports": {"http": port}}))
    assert load(make({"ports": {"http": 0, "dns": -1}})).dns_port == -1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"ports": {"http": "8500"}}, 'ports.http: expected an integer, got the string "8500"'),
        ({"ports": {"http": True}}, "ports.http: expected an integer, got the boolean true"),
        ({"ports": {"http": 8500.0}}, "ports.http: expected an integer, got the number 8500"),
        ({"ports": 8500}, "ports: expected an object, got the integer 8500"),
        ({"node_name": 7}, "node_name: expected a string, got the integer 7"),
        ({"log_json": "yes"}, 'log_json: expected true or false, got the string "yes"'),
        ({"node_meta": {"a": 1}}, "node_meta: expected an object of strings, got an object"),
        (
            {"store": {"log_retention": 10}},
            'store.log_retention: expected a duration such as "10s", got the integer 10',
        ),
        ({"store": {"log_retention": "10"}}, 'expected a duration such as "10s" or "1h30m", got the string "10"'),
        ({"log_level": "loud"}, 'log_level: "loud" is not known; it may be one of trace, debug'),
        ({"services": [1]}, "services: expected an object, got the integer 1"),
    ],
)
def test_types_are_strict(make, content, problem):
    """A value of another type is refused; the text names file, key, expected and given type."""
    text = refused(make(content))
    assert problem in text
    assert "a.json" in text


@pytest.mark.parametrize(
    "key", [key for key in SETTING_KEYS if key.at_least is not None], ids=lambda key: key.path
)
def test_every_setting_is_bounded(make, key):
    """Below its lower and above its upper bound each setting is refused, with key, value and bounds."""
    block, name = key.path.split(".")

    def text_of(value):
        return format_duration(value) if key.kind == "duration" else value

    for value in (key.at_least, key.at_most):
        if value is not None:
            load(make({block: {name: text_of(value)}}))
    assert f"{key.path}: {text_of(key.at_least - 1)} is too low" in refused(
        make({block: {name: text_of(key.at_least - 1)}})
    )
    if key.at_most is not None:
        text = refused(make({block: {name: text_of(key.at_most + 1)}}))
        assert f"{key.path}: {text_of(key.at_most + 1)} is too high; it may be from " in text


def test_settings_reach_their_room(make):
    """A duration's text becomes seconds in the room's settings; the others keep their defaults."""
    config = load(make({"store": {"log_retention": "90m"}, "registry": {"tombstones_max": 200}}))
    assert config.store.log_retention_s == 5400
    assert config.registry.tombstones_max == 200
    assert config.registry.shutdown_grace_s == 10.0


def test_node_ids_are_uuids(make):
    """A node id is a UUID, in any of its spellings, or left to the agent."""
    node_id = str(uuid.UUID(int=7))
    assert load(make({"node_id": node_id.replace("-", "").upper()})).node_id == node_id
    assert 'node_id: "x" is not a UUID' in refused(make({"node_id": "x"}))


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        (("consul-x", "1"), "Key prefix 'consul-' is reserved for internal use"),
        (("", "1"), "Key cannot be blank"),
        (("a b", "1"), "Key contains invalid characters"),
        (("a" * 129, "1"), "Key is too long (limit: 128 characters)"),
        (("a", "1" * 513), "Value is too long (limit: 512 characters)"),
    ],
)
def test_node_metadata_has_consuls_limits(make, pair, problem):
    """A pair that Consul refuses is refused with its words."""
    expected = f"node_meta invalid: Couldn't load metadata pair ('{pair[0]}', '{pair[1]}'): {problem}"
    assert refused(make({"node_meta": dict([pair])})) == expected
    too_many = {str(number): "" for number in range(65)}
    assert "more than 64 key/value pairs" in refused(make({"node_meta": too_many}))


def test_addresses():
    """bind_addr is one IP address, client_addr may be several, and other texts are refused by name."""
    assert load(client="127.0.0.1  ::1").client_addresses == ("127.0.0.1", "::1")
    assert load(bind="10.0.0.1").advertise_addr == "10.0.0.1"
    assert load(bind="10.0.0.1", advertise="10.0.0.2").advertise_addr == "10.0.0.2"
    assert refused(bind="10.0.0.1 10.0.0.2") == "bind_addr cannot contain multiple addresses."
    assert refused(client="here") == 'client_addr: "here" is not an IP address.'
    assert refused(client=" ") == "client_addr cannot be empty."


def test_an_address_to_advertise_is_not_guessed():
    """Bound to all addresses, a node must be told which one others reach it at; trying out needs none."""
    assert refused(bind="0.0.0.0", dev=None, data_dir="/x").startswith(
        "advertise_addr cannot be empty when bind_addr"
    )
    assert load(bind="0.0.0.0").advertise_addr == "127.0.0.1"


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("REGISTA_HTTP_PORT", "abc", 'REGISTA_HTTP_PORT: expected an integer, got the string "abc"'),
        ("REGISTA_HTTP_PORT", "70000", "REGISTA_HTTP_PORT: invalid port: 70000"),
        ("REGISTA_LOG_JSON", "maybe", "REGISTA_LOG_JSON: expected true or false"),
        ("REGISTA_DEV", "maybe", "REGISTA_DEV: expected true or false"),
    ],
)
def test_faults_in_the_environment_name_the_variable(variable, text, problem):
    """A variable that can't be used is named as it is spelled there."""
    assert problem in refused(environ={variable: text}, dev=None, data_dir="/x")


def test_faults_in_flags_name_the_flag():
    """A flag out of bounds is named as it was typed."""
    assert "--http-port: invalid port: 70000" in refused(http_port=70000)


# ---- names ----


@pytest.mark.parametrize(
    ("content", "wrong", "right"),
    [
        ({"ports": {"htpp": 1}}, "ports.htpp", "ports.http"),
        ({"datacentre": "x"}, "datacentre", "datacenter"),
        ({"store": {"log_retention_s": 1}}, "store.log_retention_s", "store.log_retention"),
        ({"Stor": {}}, "Stor", "store"),
        ({"http_port": 1}, "http_port", "ports.http"),
        ({"acl": {"tokens": {"mastr": ""}}}, "acl.tokens.mastr", "acl.tokens.master"),
        ({"retry_jion": []}, "retry_jion", "retry_join"),
    ],
)
def test_an_unknown_key_names_the_nearest(make, content, wrong, right):
    """A key that nobody knows is an error with its file, its whole path and the nearest known one."""
    path = make(content)
    assert refused(path) == f'invalid config key "{wrong}" in {path}; did you mean "{right}"?'


def test_an_unknown_key_like_no_other_points_to_the_reference(make):
    """Where no name is near, the text says where the names are listed."""
    assert 'invalid config key "qqqqq" in ' in refused(make({"qqqqq": None}))
    assert "docs/reference/configuration.md" in refused(make({"qqqqq": 1}))


def test_all_problems_are_told_at_once(make):
    """Every fault of every file is in one message, a line each."""
    text = refused(make({"ports": {"http": "x", "dnss": 1}}), make({"datacenter": 3}), bind="x")
    assert text.startswith("the configuration has 4 problems:\n  * ")
    assert text.count("\n  * ") == 4


def test_consuls_keys_without_effect_are_warnings(make):
    """A key of Consul's that means nothing here is accepted with a warning, one for a whole block."""
    path = make(
        {
            "retry_join": ["a"],
            "acl": {"enabled": False, "tokens": {"master": "x"}},
            "ports": {"serf_lan": 8301},
            "connect": {"ca_config": {"what": {"ever": 1}}},
            "server": True,
        }
    )
    assert load(path).warnings == tuple(
        f'"{name}" has no effect in this version of Regista ({path}).'
        for name in ("retry_join", "acl", "ports.serf_lan", "connect", "server")
    )


def test_listeners_that_are_off_anyway_are_no_warning(make):
    """Switching off what this version does not have, and null and empty blocks, need no word."""
    content = {"ports": {"https": -1, "grpc": 0, "serf_wan": -1}, "segments": None, "addresses": {}, "acl": None}
    assert load(make(content)).warnings == ()


def test_the_file_of_consuls_test_suite_is_accepted(make):
    """What Consul's own Go test harness writes is a configuration without an error."""
    config = load(
        make(
            {
                "node_name": "node-1", "node_id": str(uuid.uuid4()), "performance": {"raft_multiplier": 1},
                "bootstrap": True, "server": True, "data_dir": "/tmp/x", "segments": None,
                "disable_update_check": True, "log_level": "debug", "bind_addr": "127.0.0.1", "addresses": {},
                "ports": {"dns": 1, "http": 2, "https": 3, "serf_lan": 4, "serf_wan": 5, "server": 6, "grpc_tls": 7},
                "acl": {"tokens": {}}, "peering": {"enabled": True},
                "connect": {"enabled": True, "ca_config": {"cluster_id": "11111111-2222-3333-4444-555555555555"}},
            }
        )
    )  # fmt: skip
    assert (config.http_port, config.dns_port, config.log_level) == (2, 1, "debug")


def test_other_names_lead_to_our_settings(make):
    """Consul's names of our settings set them, where the setting is mounted."""
    for theirs, ours in SAME_AS.items():
        if ours in KEYS:
            value = "30s" if KEYS[ours].kind == "duration" else int(KEYS[ours].at_least)
            block, name = ours.split(".")
            content = value
            for part in reversed(theirs.split(".")):
                content = {part: content}
            config = load(make(content))
            assert config == dataclasses.replace(load(make({block: {name: value}})), files=config.files)


# ---- the tables ----


def test_the_tables_agree():
    """No key is both ours and without effect, flags set keys that exist, and no name is given twice."""
    paths = [key.path for key in (*AGENT_KEYS, *SETTING_KEYS)]
    assert len(paths) == len(set(paths))
    assert not NO_EFFECT & set(paths)
    assert {flag.key for flag in FLAGS if flag.key} <= set(paths)
    assert len({flag.variable for flag in FLAGS}) == len(FLAGS)
    assert all(flag.kind == KEYS[flag.key].kind for flag in FLAGS if flag.key and flag.stands_for is None)


NAMES = st.sampled_from(sorted({part for path in (*KEYS, *NO_EFFECT) for part in path.split(".")}))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_content_breaks_the_reader(content):
    """Whatever a file holds, what it says is either taken or a problem with the file's name."""
    layer = read_layer(content, "a.json")
    assert all("a.json" in problem for problem in layer.problems)
    assert layer.values.keys() <= KEYS.keys()


@pytest.mark.parametrize("name", ["regista.hcl", "regista.json"])
def test_the_example_files_load(name):
    """The examples in docs/examples are configurations without a warning, and say the same."""
    examples = Path(__file__).parents[3] / "docs" / "examples"
    config = load(examples / name, dev=None)
    assert config.warnings == ()
    other = load(examples / "regista.json", dev=None)
    assert dataclasses.replace(config, files=()) == dataclasses.replace(other, files=())


@pytest.mark.parametrize("key", ["acl.enabled", "verify_incoming", "tls.https.verify_incoming"])
def test_protection_that_is_missing_is_refused(tmp_path, key):
    """A file that asks for protection which this version lacks stops the agent, instead of leaving the door open."""
    content: object = True
    for part in reversed(key.split(".")):
        content = {part: content}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=f'"{key}" asks for protection'):
        load_config(flags={"dev": True, "config_file": (str(path),)}, environ={}, hostname="n1")


def test_a_definition_knows_its_file(make):
    """Each service, check and watch remembers which file it came from, for messages."""
    first, second = (
        make({"service": {"name": "x"}, "checks": [{"name": "y"}]}),
        make({"watches": [{"type": "nodes"}]}),
    )
    config = load(first, second)
    (service,), (check,), (watch,) = config.services, config.checks, config.watches
    assert [each.source for each in (service, check, watch)] == [str(first), str(first), str(second)]


def test_what_a_reload_leaves_as_it_was_is_known_by_its_keys(make):
    """Changed settings are named as files spell them; definitions and the log's level are no part of it."""
    before = load(make({}))
    after = load(
        make({
            "node_name": "other", "ports": {"dns": 5353}, "http": {"waiting_max": 7}, "log_level": "debug",
            "service": {"name": "x"}, "retry_join": ["a"], "dns_config": {"soa": {"refresh": 9}},
        })
    )  # fmt: skip
    assert set(waiting_for_restart(before, after)) == {
        "node_name", "ports.dns", "http.waiting_max", "dns_config.soa"
    }  # fmt: skip
    assert waiting_for_restart(before, before) == ()


def test_every_key_that_may_wait_for_a_restart_is_one_of_a_file(make):
    """No field of the configuration is named by a word that files don't know."""
    before = load(make({}))
    other = dataclasses.replace(
        before, **{field.name: object() for field in dataclasses.fields(before) if not _is_block(before, field)}
    )
    groups = {path.rpartition(".")[0] for path in KEYS}
    # Flags alone say these.
    assert set(waiting_for_restart(before, other)) - {"dev"} <= {*KEYS, *groups}


def _is_block(config, field):
    return dataclasses.is_dataclass(getattr(config, field.name))
