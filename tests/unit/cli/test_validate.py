"""`regista validate`, and `consul validate`."""

import json

import pytest


@pytest.fixture
def file(tmp_path):
    """Writes a configuration; its path."""

    def write(content, name="a.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_what_an_agent_would_start_with(regista, consul, file):
    """Files that fit together are valid; --quiet says nothing."""
    path = file({"data_dir": "/x", "retry_join": ["a"]})
    for run in (regista, consul):
        result = run("validate", path)
        assert (result.exit_code, result.stdout) == (0, "Configuration is valid!\n")
        assert '"retry_join" has no effect' in result.stderr
    assert consul("validate", "-quiet", path).stdout == ""
    assert consul("validate", "-config-format=hcl", file('data_dir = "/x"', "a.conf")).exit_code == 0


def test_a_definition_without_effect_is_a_warning(regista, consul, file):
    """Two services with one id are valid, and the one that does not count is named."""
    path = file({"data_dir": "/x", "services": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]})
    for run in (regista, consul):
        result = run("validate", path)
        assert (result.exit_code, result.stdout) == (0, "Configuration is valid!\n")
        assert f'Warning: {path}: service "a" has no effect, because ' in result.stderr


def test_what_it_would_not(regista, consul, file):
    """What is wrong is told; an unknown key is a fault here, and a warning for Consul's program."""
    path = file({"data_dir": "/x", "bogus": 1})
    result = regista("validate", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith('Config validation failed: invalid config key "bogus"')
    result = consul("validate", path)
    assert (result.exit_code, result.stdout) == (0, "Configuration is valid!\n")
    assert 'Warning: invalid config key "bogus"' in result.stderr
    result = consul("validate", file({"ports": {"http": "x"}}))
    assert (result.exit_code, result.stderr.startswith("Config validation failed: ")) == (1, True)
    assert consul("validate").exit_code == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"service": {"name": "x", "prot": 1}}, 'unknown field "prot"; did you mean "Port"?'),
        ({"services": [{"name": "x", "port": 70000}]}, "Port must be from 0 to 65535"),
        ({"check": {"name": "x", "http": "http://x"}}, "Interval"),
        ({"watches": [{"type": "moon"}]}, '"moon" is not supported'),
    ],
)
def test_definitions_that_would_stop_the_start(regista, consul, file, content, words):
    """Services, checks and watches are looked at as an agent would, and the file is named."""
    path = file({"data_dir": "/x", **content})
    for run in (regista, consul):
        result = run("validate", path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Config validation failed: ")
        assert words in result.stderr


def test_scripts_that_a_flag_allows(regista, consul, file):
    """A script check needs a setting in a file, or word of the flag that allows it; Consul's program does not ask."""
    path = file({"data_dir": "/x", "check": {"name": "x", "args": ["true"], "interval": "10s"}})
    result = regista("validate", path)
    assert result.exit_code == 1
    assert "Scripts are disabled on this agent" in result.stderr
    assert regista("validate", "--enable-script-checks", path).exit_code == 0
    assert consul("validate", path).exit_code == 0


def test_a_file_that_is_not_there(regista, consul, tmp_path):
    """A path that leads nowhere is told as that, whatever its suffix."""
    for run in (regista, consul):
        result = run("validate", str(tmp_path / "nope"))
        assert result.exit_code == 1
        assert "nope can't be read: No such file or directory." in result.stderr
