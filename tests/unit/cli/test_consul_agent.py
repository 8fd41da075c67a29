"""`consul agent`: from Consul's flags and files to a configuration handed to the agent."""

import datetime as dt
import json
from pathlib import Path

import pytest

from regista.agent import Ready
from regista.cli.consul_agent import KEYS, banner, help_text, start
from regista.cli.consul_flags import FlagError


class FakeRun:
    """Notes what it was given instead of running an agent."""

    def __init__(self):
        self.config = None
        self.reload = None

    def __call__(self, config, *, reload, greet):
        self.config, self.reload = config, reload
        return 5


def configured(*words):
    """The configuration that the flags come to."""
    run = FakeRun()
    assert start(words, run=run) == 5
    return run.config


@pytest.fixture
def write(tmp_path):
    """Writes a file; its path."""

    def to(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return to


def test_flags_reach_the_configuration(tmp_path):
    """One dash or two, `-x v` or `-x=v`: each flag sets its key."""
    config = configured(
        "-dev=false", f"-data-dir={tmp_path}", "--node", "node1", "-node-id=5ccbfcd2-6b5c-4b1d-a4a1-6f9c6a0e9e6c",
        "-datacenter", "DC9", "-bind", "127.0.0.2", "-advertise=127.0.0.3", "-client", "127.0.0.1 127.0.0.2",
        "-http-port=0", "-dns-port", "-1", "-log-level=ERR", "-log-json", "-pid-file", str(tmp_path / "pid"),
        "-node-meta", "a:b:c", "-node-meta=d:", "-enable-script-checks", "-enable-local-script-checks=true",
    )  # fmt: skip
    assert (config.dev, config.data_dir, config.node_name, config.datacenter) == (False, tmp_path, "node1", "dc9")
    assert (config.bind_addr, config.advertise_addr) == ("127.0.0.2", "127.0.0.3")
    assert config.client_addresses == ("127.0.0.1", "127.0.0.2")
    assert (config.http_port, config.dns_port, config.log_level, config.log_json) == (0, -1, "err", True)
    assert config.node_meta == {"a": "b:c", "d": ""}
    assert (config.pid_file, config.enable_script_checks) == (tmp_path / "pid", True)
    assert config.enable_local_script_checks


def test_dev_needs_no_directory():
    """-dev keeps all in memory, and goes with the flags that other harnesses add to it."""
    config = configured("-dev", "-bootstrap-expect", "1", "-bootstrap", "-server")
    assert (config.dev, config.data_dir, config.warnings) == (True, None, ())


def test_order_of_the_sources(write, tmp_path):
    """Files win over each other in the order of the command line, flags over files, -hcl over flags."""
    first = write("first.json", {"node_name": "a", "datacenter": "a", "log_level": "warn", "ports": {"http": 1}})
    write("dir/b.json", {"node_name": "b", "datacenter": "b"})
    write("dir/a.hcl", 'node_name = "c"\ndatacenter = "c"\nnode_meta { x = "1" }')
    write("dir/ignored.txt", "{")
    config = configured(
        "-dev", "-hcl", 'log_level = "debug"', "-datacenter=flag", "-hcl=ports { http = 7 }",
        "-config-file", first, "-config-dir", str(tmp_path / "dir"), "-http-port=5", "-node-meta", "x:2",
    )  # fmt: skip
    assert (config.node_name, config.datacenter) == ("b", "flag")
    assert (config.log_level, config.http_port, config.node_meta) == ("debug", 7, {"x": "2"})
    assert [file.name for file in config.files] == ["first.json", "a.hcl", "b.json"]


def test_a_file_may_be_given_twice(write):
    """Scalars of a file that is read twice are as if it were read once; its lists are joined."""
    file = write("a.json", {"node_name": "a", "services": [{"name": "web"}]})
    config = configured("-dev", "-config-file", file, "-config-file", file)
    assert (config.node_name, len(config.services)) == ("a", 2)


def test_what_is_unknown_in_files_is_a_warning(write):
    """Keys of later versions, null, and files of another kind do not keep an agent from starting."""
    file = write("a.json", {"peering2": {"enabled": True}, "segments": None, "ports": {"grpc_new": -1}})
    config = configured("-dev", "-config-file", file, "-config-file", write("b.conf", "x"))
    assert 'invalid config key "peering2"' in config.warnings[0]
    assert 'invalid config key "ports.grpc_new"' in config.warnings[1]
    assert config.warnings[2].startswith("skipping file ")
    config = configured("-dev", "-config-format=hcl", "-config-file", write("c.conf", 'node_name = "c"'))
    assert config.node_name == "c"


def test_flags_without_a_meaning_are_told_once(capsys):
    """Flags that are taken for Consul's sake are named in one line on standard error."""
    configured("-dev", "-encrypt", "eA==", "-retry-join", "a", "-retry-join=b", "-raft-protocol=3", "-server")
    assert capsys.readouterr().err == (
        "==> Accepted, but without effect here: -encrypt, -retry-join, -raft-protocol\n"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-http-port=1"], "==> data_dir cannot be empty"),
        (["-dev", "extra", "-x"], "==> Unexpected extra arguments: [extra -x]\n"),
        (["-dev", "-config-file", "/no/such.json"], "==> /no/such.json can't be read"),
        (["-dev", "-config-format=yaml"], "==> config: -config-format must be either 'hcl' or 'json'\n"),
        (["-dev", "-hcl", "a ="], "==> failed to parse flags-0.hcl: "),
        (["-dev", "-datacenter", "dc one"], "==> datacenter can only contain lowercase alphanumeric"),
        (["-dev", "-http-port=70000"], "==> the command line: ports.http: invalid port: 70000"),
    ],
)
def test_faults(capsys, words, text):
    """What can't be used is told on standard error as Consul does, with exit code 1, and no agent is started."""
    run = FakeRun()
    assert start(words, run=run) == 1
    assert run.config is None
    assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize(("words", "text"), [(["-bogus"], "-bogus"), (["-dns-port=x"], 'invalid value "x"')])
def test_flags_that_are_none(words, text):
    """An unknown flag, and a number that is none, are told in Go's words."""
    with pytest.raises(FlagError, match=text):
        start(words, run=FakeRun())


def test_reload_reads_the_files_again(write):
    """The function given to the agent reads the files as they are then."""
    file = write("a.json", {"node_name": "a"})
    run = FakeRun()
    start(["-dev", "-config-file", file], run=run)
    write("a.json", {"node_name": "b"})
    assert run.reload().node_name == "b"


def test_the_banner_has_the_words_that_scripts_wait_for():
    """The lines of Consul's start are printed, with what this agent is."""
    ready = Ready(
        version="0.1", node_name="n1", node_id="i-1", datacenter="dc1", advertise_addr="127.0.0.1",
        data_dir=Path("/d"), listeners={"http": "127.0.0.1:8500"}, instances=0, index=3,
    )  # fmt: skip
    lines = banner(ready, now=dt.datetime(2026, 11, 24, tzinfo=dt.UTC)).splitlines()
    assert lines[0] == "==> Starting Consul agent..."
    assert lines[-1] == "==> Consul agent running!"
    assert "      Node name: 'n1'" in lines
    assert "    Client Addr: [127.0.0.1] (HTTP: 8500)" in lines
    assert "    2026-11-24T00:00:00.000Z [INFO]  agent: Synced node info" in lines
    for words in (
        "New leader elected",
        "cluster leadership acquired",
        "Log data will now stream in as it occurs:",
    ):
        assert any(words in line for line in lines)


def test_help_lists_every_flag():
    """Each flag stands in the help."""
    text = help_text()
    assert all(
        f"  -{name}" in text for name in [*KEYS, "dev", "hcl", "config-dir", "config-file", "config-format"]
    )
