"""What configuration files define, and what is said of what can't be used."""

import re

import pytest

from regista.agent import check_definitions, load_config
from regista.agent.definitions import read_definitions
from regista.model import ConfigError


def loaded(path, content):
    path.write_text(content)
    return load_config(flags={"dev": True, "config_file": [path]}, environ={}, hostname="h")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('service { nam = "x" }', 'service "number 1" in the configuration: '),
        ('service { name = "x"\n prot = 1 }', 'service "x" in the configuration: unknown field "prot"'),
        (
            'service { name = "x"\n check { ttl = "1s" }\n check { ttl = "2s" } }',
            'service "x" in the configuration: Check: expected an object, got a list of 2',
        ),
        ('check { name = "y"\n interval = "1s" }', 'check "y" in the configuration: '),
        ('watches = [{type = "moon"}]', 'watch number 1, of the type "moon", in the configuration: type: '),
    ],
)
def test_a_definition_that_cannot_be_used_is_told_with_its_file(tmp_path, content, words):
    """Of many files the one with the mistake is named, and the definition in it."""
    file = tmp_path / "a.hcl"
    with pytest.raises(ConfigError) as told:
        check_definitions(loaded(file, content))
    assert str(told.value).startswith(f"{file}: {words}")


def test_a_definition_without_a_name_is_told_by_its_place_in_its_file(tmp_path):
    """Whatever other files define before it."""
    (tmp_path / "a.json").write_text('{"watches": [{"type": "nodes", "args": ["x"]}]}')
    file = tmp_path / "b.json"
    file.write_text('{"watches": [{"type": "nodes", "args": ["x"]}, {"type": "moon"}]}')
    flags = {"dev": True, "config_file": [tmp_path / "a.json", file]}
    with pytest.raises(ConfigError, match=f"^{re.escape(str(file))}: watch number 2, "):
        check_definitions(load_config(flags=flags, environ={}, hostname="h"))


def test_what_can_be_used_is_passed_over(tmp_path):
    """Nothing is raised for what an agent would take in."""
    check_definitions(loaded(tmp_path / "a.hcl", 'service { name = "x" }\nwatches = []'))


@pytest.mark.parametrize(
    ("first", "second", "warning", "kept"),
    [
        (
            'service { name = "api"\n port = 1 }',
            'service { name = "API"\n port = 2 }',
            '{a}: service "api" has no effect, because {b}: service "API" has',
            ({"API": ()}, ()),
        ),
        (
            'service { name = "api"\n check { id = "alive"\n ttl = "1s" } }',
            'service { name = "db"\n check { id = "alive"\n ttl = "1s" } }',
            '{a}: check "alive" of service "api" has no effect, because {b}: check "alive" of service "db" has',
            ({"api": (), "db": ("alive",)}, ()),
        ),
        (
            'check { name = "alive"\n ttl = "1s" }',
            'service { name = "db"\n check { id = "alive"\n ttl = "1s" } }',
            '{b}: check "alive" of service "db" has no effect, because {a}: check "alive" has',
            ({"db": ()}, ("alive",)),
        ),
        (
            'check { name = "alive"\n ttl = "1s" }',
            'check { name = "alive"\n ttl = "2s" }',
            '{a}: check "alive" has no effect, because {b}: check "alive" has',
            ({}, ("alive",)),
        ),
    ],
    ids=["services", "checks of services", "a check that stands alone", "checks that stand alone"],
)
def test_of_several_definitions_with_one_id_the_last_counts(tmp_path, first, second, warning, kept):
    """The others are not made true in between at each reload, and a warning names both places."""
    a, b = tmp_path / "a.hcl", tmp_path / "b.hcl"
    a.write_text(first)
    b.write_text(second)
    config = load_config(flags={"dev": True, "config_file": [tmp_path]}, environ={}, hostname="h")
    found = read_definitions(config, config.kind_rule, node="h")
    services = {each.service.id: tuple(check.id for check in each.checks) for each in found.services}
    assert (services, tuple(check.id for check in found.checks)) == kept
    (told,) = found.warnings
    assert told.startswith(warning.format(a=a, b=b))
    assert check_definitions(config) == found.warnings


def test_a_file_that_is_given_twice_defines_nothing_twice(tmp_path):
    """What is the same needs no word; what else is defined stays, in its order."""
    file = tmp_path / "a.hcl"
    services = 'services { name = "x"\n check { ttl = "1s" } }\nservices { name = "y" }\n'
    file.write_text(services + 'check { name = "c"\n ttl = "1s" }')
    config = load_config(flags={"dev": True, "config_file": [file, file]}, environ={}, hostname="h")
    found = read_definitions(config, config.kind_rule, node="h")
    assert [each.service.id for each in found.services] == ["x", "y"]
    assert [check.id for check in (*found.services[0].checks, *found.checks)] == ["service:x", "c"]
    assert found.warnings == ()
