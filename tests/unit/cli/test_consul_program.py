"""The program `consul`: its commands are ours, with Consul's flags, words and exit codes."""

import base64
import json
import sys

import pytest

from regista.cli import main
from regista.cli.consul_program import main as run
from regista.cli.consul_verbs import VERBS, load

VALUE = base64.b64encode(b"1").decode()
ENTRY = {"Key": "a", "Value": VALUE, "Flags": 0, "CreateIndex": 5, "ModifyIndex": 7, "LockIndex": 0}


def test_no_command(consul):
    """Without a command, and with an unknown one, the usage is told on standard error, with exit code 127."""
    for words in ((), ("bogus",), ("-bogus",)):
        result = consul(*words)
        assert (result.exit_code, result.stdout) == (127, "")
        assert result.stderr.startswith("Usage: consul [--version] [--help] <command> [<args>]\n")
        assert "    kv " in result.stderr


@pytest.mark.parametrize("words", [["version"], ["-v"], ["--version"], ["-version"]])
def test_the_version(consul, words):
    """Every spelling prints Consul's two lines."""
    result = consul(*words)
    assert result.stdout.startswith("Consul v1.9.0\nProtocol 2 spoken by default, understands 2 to 3 (")


def test_a_group_alone(consul):
    """A group without its sub-command, or with an unknown one, shows its help on standard error, with exit code 1."""
    for words in (("kv",), ("kv", "bogus")):
        result = consul(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Usage: consul kv <subcommand>" in result.stderr


@pytest.mark.parametrize("name", [*VERBS, "agent", "kv"])
def test_help(capsys, name):
    """Both ways to ask for help name the command, as entry points of containers expect; it is no error."""
    for words in (["--help", *name.split()], [*name.split(), "-h"]):
        assert run(words) == 0
        assert f"consul {name}" in capsys.readouterr().out


def test_the_name_decides(agent, monkeypatch, capsys):
    """Started as `consul`, the program is that one."""
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/consul", "version"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 0
    assert capsys.readouterr().out.startswith("Consul v1.9.0\n")


@pytest.mark.parametrize(
    ("words", "line", "answer", "said"),
    [
        (["kv", "get", "-base64", "a"], "GET /v1/kv/a", [ENTRY], f"{VALUE}\n"),
        (["kv", "get", "-recurse=true", "-separator", "x", "a"], "GET /v1/kv/a?recurse=", [ENTRY], "a:1\n"),
        (["kv", "get", "-recurse=false", "a"], "GET /v1/kv/a", [ENTRY], "1\n"),
        (["kv", "put", "-cas", "-modify-index=3", "a", "-1"], "PUT /v1/kv/a?cas=3", True, "Success! Data written to: a\n"),
        (["kv", "delete", "-recurse", "a"], "DELETE /v1/kv/a?recurse=", True, "Success! Deleted keys with prefix: a\n"),
        (["event", "-name", "e", "-node=n", "x"], "PUT /v1/event/fire/e?node=n", {"ID": "i"}, "Event ID: i\n"),
        (["catalog", "services"], "GET /v1/catalog/services", {"web": ["b", "a"]}, "web\n"),
        (["catalog", "services", "-tags"], "GET /v1/catalog/services", {"web": ["b", "a"]}, "web  a,b\n"),
        (["catalog", "datacenters"], "GET /v1/catalog/datacenters", ["dc1"], "dc1\n"),
        (["services", "deregister", "-id", "w"], "PUT /v1/agent/service/deregister/w", None, "Deregistered service: w\n"),
        (["services", "register", "-name=web", "-tag", "a", "-meta", "k=v"], "PUT /v1/agent/service/register", None, "Registered service: web\n"),
        (["maint", "-enable", "-reason", "x"], "PUT /v1/agent/maintenance?enable=true&reason=x", None, "Node maintenance is now enabled\n"),
        (["config", "list", "-kind", "service-defaults"], "GET /v1/config/service-defaults", [{"Name": "w"}], "w\n"),
        (["config", "delete", "-kind=k", "-name=n"], "DELETE /v1/config/k/n", True, "Config entry deleted: k/n\n"),
        (["reload"], "PUT /v1/agent/reload", None, "Configuration reload triggered\n"),
        (["leave"], "PUT /v1/agent/leave", None, "Graceful leave complete\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value and isinstance(value[0], str) else "",
)  # fmt: skip
def test_commands(consul, agent, *, words, line, answer, said):
    """Each command asks the path that it is about, and says what Consul's says."""
    method, _, target = line.partition(" ")
    agent.say(target.partition("?")[0], b"" if answer is None else answer, method=method)
    result = consul(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, said, "")
    assert agent.asked[0].line == line


def test_faults(consul, agent, free_port):
    """Errors are told on standard error in the words of Consul's client, with exit code 1."""
    agent.say("/v1/kv/a", b"Permission denied", status=403)
    for words, text in (
        (["kv", "get", "a"], "Error querying Consul agent: Unexpected response code: 403 (Permission denied)\n"),
        (["kv", "get", "b"], "Error! No key exists at: b\n"),
        (["kv", "get", "-bogus", "a"], "flag provided but not defined: -bogus\n"),
        (["kv", "get", "a", "b"], "Got unexpected extra argument (b)\n"),
        (["config", "read", "-kind", "k"], "Must specify the -name parameter\n"),
        (["kv", "get", f"-http-addr=127.0.0.1:{free_port}", "a"], "Error connecting to Consul agent: "),
        (["watch"], "Must specify a watch type with -type\n"),
        (["watch", "-type", "zz"], "Unsupported watch type: zz\n"),
        (["watch", "-type", "key"], "Must specify a single key to watch\n"),
    ):
        result = consul(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(text)


def test_no_members(consul, agent):
    """No member that matches is exit code 2."""
    agent.say("/v1/agent/members", [])
    assert consul("members", "-status=alive").exit_code == 2


def test_no_services_is_no_error(consul, agent):
    """An empty catalog is told on standard error with exit code 0."""
    agent.say("/v1/catalog/services", {})
    result = consul("catalog", "services")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No services match the given query - try expanding your search.\n"


@pytest.mark.parametrize(
    ("words", "target", "answer", "shown"),
    [
        (["-type=key", "-key=a"], "/v1/kv/a", [ENTRY], ENTRY),
        (["-type", "keyprefix", "-prefix", "a/"], "/v1/kv/a/", [ENTRY], [ENTRY]),
        (["-type", "services"], "/v1/catalog/services", {"a": []}, {"a": []}),
        (["-type", "nodes"], "/v1/catalog/nodes", [], []),
        (["-type", "service", "-service", "w", "-passingonly=true", "-tag=v"], "/v1/health/service/w", [], []),
        (["-type", "checks", "-service", "w"], "/v1/health/checks/w", [], []),
        (["-type", "checks"], "/v1/health/state/any", [], []),
        (["-type", "event", "-name", "e"], "/v1/event/list", [], []),
    ],
)
def test_a_watch_without_a_program_prints_once(consul, agent, *, words, target, answer, shown):
    """Without a program, what is watched is printed as indented JSON, once."""
    agent.say(target, answer, index=7)
    result = consul("watch", *words)
    assert (result.exit_code, result.stdout) == (0, json.dumps(shown, indent=4) + "\n")


def test_a_program_in_one_word_is_split_and_no_shell_runs_it(consul, agent, tmp_path):
    """`"program 'a b'"` in one word is a program with one argument; $ and ; mean nothing."""
    agent.say("/v1/catalog/nodes", [], index=7)
    agent.say("/v1/catalog/nodes", b"enough", status=400)
    script = tmp_path / "script.py"
    script.write_text(f"import sys; open({str(tmp_path / 'said')!r}, 'a').write(repr(sys.argv[1:]))")
    consul("watch", "-type", "nodes", "-shell=true", f"{sys.executable} {script} 'a b' $HOME ;")
    assert (tmp_path / "said").read_text() == "['a b', '$HOME', ';']"
    assert consul("watch", "-type", "nodes", "'").stderr.startswith("Error parsing the command '")


def test_every_target_is_a_command():
    """Each line of the table leads to a command."""
    assert all(load(verb.target).name for verb in VERBS.values())
