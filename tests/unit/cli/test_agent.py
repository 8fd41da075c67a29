"""`regista agent`: from flags to a configuration handed to the agent."""

import pytest
from click.testing import CliRunner

from regista.agent.keys import FLAGS
from regista.cli import main
from regista.cli.agent import agent_command


class FakeRun:
    """Notes what it was given instead of running an agent."""

    def __init__(self, code=0):
        self.code = code
        self.config = None
        self.reload = None

    def __call__(self, config, *, reload):
        self.config, self.reload = config, reload
        return self.code


@pytest.fixture
def start():
    def run(*arguments, code=0, **environ):
        fake = FakeRun(code)
        return CliRunner().invoke(agent_command(fake), arguments, env=environ), fake

    return run


def test_flags_reach_the_configuration(start, tmp_path):
    """Each flag sets its key, and the agent's exit code is the command's."""
    result, fake = start(
        "--dev", "--node", "n", "--datacenter", "dc9", "--data-dir", str(tmp_path), "--bind", "10.0.0.1",
        "--client", "0.0.0.0", "--http-port", "0", "--dns-port", "-1", "--log-level", "warn", "--log-json",
        "--ready-file", str(tmp_path / "ready"), code=3,
    )  # fmt: skip
    config = fake.config
    assert result.exit_code == 3
    assert (config.dev, config.node_name, config.datacenter, config.data_dir) == (True, "n", "dc9", tmp_path)
    assert (config.bind_addr, config.client_addr, config.http_port, config.dns_port) == (
        "10.0.0.1",
        "0.0.0.0",
        0,
        -1,
    )
    assert (config.log_level, config.log_json, config.ready_file) == ("warn", True, tmp_path / "ready")


def test_flags_not_given_leave_the_word_to_others(start, tmp_path):
    """A flag that was not given does not hide the environment or a file."""
    (tmp_path / "a.hcl").write_text('log_json = true\nnode_name = "from-file"')
    _, fake = start("--config-file", str(tmp_path / "a.hcl"), REGISTA_DEV="1", REGISTA_HTTP_PORT="9")
    assert (fake.config.dev, fake.config.http_port) == (True, 9)
    assert (fake.config.log_json, fake.config.node_name) == (True, "from-file")


def test_reload_reads_the_same_sources_again(start, tmp_path):
    """The function given to the agent reads the files as they are then."""
    file = tmp_path / "a.json"
    file.write_text('{"services": []}')
    _, fake = start("--dev", "--config-file", str(file))
    file.write_text('{"services": [{"name": "web"}]}')
    assert fake.config.services == ()
    assert fake.reload().services == ({"name": "web"},)


def test_a_configuration_that_cannot_be_used_is_an_error(start):
    """A ConfigError is told on standard error with exit code 1, and no agent is started."""
    result, fake = start()
    assert (result.exit_code, fake.config) == (1, None)
    assert result.stderr.startswith("Error: data_dir cannot be empty")


def test_every_flag_is_in_the_help():
    """--help lists each flag of the table, with examples."""
    text = CliRunner().invoke(main, ["agent", "--help"]).stdout
    assert all(f"--{flag.name}" in text for flag in FLAGS)
    assert "Examples:\n    regista agent --dev\n" in text
