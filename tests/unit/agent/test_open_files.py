"""How many open files the settings may take, and what they are where fewer may be had."""

import errno
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.agent.config import Reading, load_config
from regista.agent.open_files import OpenFilesWatch, files_needed, fit_open_files

CONFIG = load_config(flags={"dev": True}, environ={}, hostname="h")
FEW_MIN = 200
"""With fewer than these not even the least that the settings allow would fit."""


def limits_of(config):
    """What takes open files."""
    http, health, dns = config.http, config.health, config.dns_config
    clients = http.connections_max, http.connections_reserve, http.refusals_max
    return (
        *clients,
        health.probes_at_once_max,
        health.dials_at_once_max,
        dns.recursions_max,
        dns.tcp_connections_max,
    )


def with_content(content):
    return load_config(flags={"dev": True}, environ={}, hostname="h", reading=Reading(first=((content, "test"),)))


def test_what_fits_is_left_as_it_is():
    """With as many files as are needed nothing is lowered, and nothing is said."""
    assert fit_open_files(CONFIG, files_needed(CONFIG)) == (CONFIG, "")


def test_one_file_too_few_is_told_with_both_numbers():
    """How many there are, how many there should be, what is lowered, and what to do."""
    need = files_needed(CONFIG)
    fitting, warning = fit_open_files(CONFIG, need - 1)
    assert fitting != CONFIG
    for part in (
        f"may have {need - 1} open files",
        f"may take {need}",
        f"ulimit -n {need}",
        f"LimitNOFILE={need}",
        f"health.probes_at_once_max is {fitting.health.probes_at_once_max} instead of 4096",
    ):
        assert part in warning


@pytest.mark.parametrize(
    ("files_max", "connections_least"), [(200, 90), (1024, 700), (4096, 3000), (20_000, 15_000), (65_536, 20_000)]
)
def test_most_files_are_for_connections(files_max, connections_least):
    """Three quarters and more of what is free let clients in."""
    fitting, _ = fit_open_files(CONFIG, files_max)
    assert connections_least <= fitting.http.connections_max <= CONFIG.http.connections_max


@given(files_max=st.integers(FEW_MIN, 40_000), connections_max=st.integers(10, 100_000))
def test_it_always_fits_and_is_never_more_than_was_wanted(files_max, connections_max):
    """With all limits reached there is a file left; fitting again changes nothing; no setting grows."""
    wanted = with_content({"http": {"connections_max": connections_max}})
    fitting, warning = fit_open_files(wanted, files_max)
    assert files_needed(fitting) <= files_max
    assert fit_open_files(fitting, files_max) == (fitting, "")
    assert all(now <= before for now, before in zip(limits_of(fitting), limits_of(wanted), strict=True))
    assert min(limits_of(fitting)) >= 1
    assert bool(warning) == (fitting != wanted)


def test_workers_and_scripts_take_files_too():
    """Each worker has sockets and connections to the main process; a script has its pipes."""
    need = files_needed(CONFIG)
    assert files_needed(with_content({"workers": 2})) > need + 500
    assert files_needed(with_content({"enable_script_checks": True})) > need + CONFIG.health.scripts_at_once_max


def test_hopelessly_few_files_still_give_a_configuration():
    """The least that the settings allow stays; the warning says that it is too much."""
    fitting, warning = fit_open_files(CONFIG, 20)
    assert fitting.http.connections_max == 10
    assert "may have 20 open files" in warning
    again, warning = fit_open_files(fitting, 20)
    assert again == fitting
    assert "all is lowered that can be" in warning


class Files:
    """Files, of which there may be none."""

    def __init__(self):
        self.error = None

    def __call__(self):
        if self.error is not None:
            raise OSError(self.error, "no more")


def test_running_out_is_said_once_a_minute(caplog):
    """Not ten times a second, and again if it goes on; nothing while there are files, or for another fault."""
    files = Files()
    watch = OpenFilesWatch(50, take=files)
    with caplog.at_level(logging.INFO):
        watch.look(0.0)
        files.error = errno.EACCES
        watch.look(1.0)
        assert caplog.messages == []
        files.error = errno.EMFILE
        for now_s in (2.0, 2.1, 30.0, 61.9):
            watch.look(now_s)
        assert len(caplog.messages) == 1
        assert "all 50 of this process are in use" in caplog.messages[0]
        assert "ulimit -n" in caplog.messages[0]
        files.error = errno.ENFILE
        watch.look(62.1)
        assert len(caplog.messages) == 2
        assert "all of this machine are in use" in caplog.messages[1]
