"""What configuration files define, and what is said of what can't be used."""

import re

import pytest

from regista.agent import check_definitions, load_config
from regista.model import ConfigError


def loaded(path, content):
    path.write_text(content)
    return load_config(flags={"dev": True, "config_file": [path]}, environ={}, hostname="h")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('service { nam = "x" }', 'service "number 1" in the configuration: '),
        ('service { name = "x"\n prot = 1 }', 'service "x" in the configuration: '),
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
