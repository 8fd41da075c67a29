"""Checks of system services against a stand-in for systemd on a real D-Bus daemon."""

import asyncio
import time
from pathlib import Path

import pytest
import uvloop
from tests.agents import eventually, running_agent
from tests.integration.polling import open_files
from tests.integration.system_bus import system

from regista.health import HealthSettings, os_services_problem
from regista.health.probes.os_service import OsServiceProbe
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition

__all__ = ["system"]


@pytest.fixture
async def observe(system, monkeypatch):
    """Observes a service with the probe, on the stand-in's bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", system.address)
    probe = OsServiceProbe(HealthSettings())

    async def observe(service, **fields):
        return await probe.observe(CheckDefinition(os_service=service, **fields))

    yield observe
    await probe.close()


@pytest.mark.parametrize(
    ("state", "status", "output"),
    [
        (("loaded", "active", "running"), PASSING, 'Service "web" is healthy'),
        (("loaded", "activating", "start"), WARNING, 'Service "web" is activating (start)'),
        (("loaded", "failed", "failed"), CRITICAL, 'Service "web" is failed (failed)'),
        (None, CRITICAL, 'Service "web" is not known to systemd'),
    ],
)
async def test_the_units_state_is_the_status(system, observe, state, status, output):
    """Asked of the manager's interface, over the bus."""
    if state:
        system.units.states["web.service"] = state
    found = await observe("web")
    assert (found.status, found.output) == (status, output)


async def test_what_systemd_refuses_is_critical_in_its_words(system, observe):
    """A name that can be none."""
    found = await observe("bad name")
    assert found.status == CRITICAL
    assert found.output == (
        "systemd can't be asked: Unit name bad name.service is not valid. (org.freedesktop.DBus.Error.InvalidArgs)"
    )


async def test_all_checks_share_a_connection(system, observe):
    """Two hundred questions at once, and again, come over one."""
    for _ in range(2):
        await asyncio.gather(*(observe(f"web{each}") for each in range(100)))
    assert system.units.asked_count == 200
    assert len(system.units.senders) == 1


async def test_a_lost_connection_is_opened_again(system, observe):
    """While the bus is away the check is critical and says so; when it is back, the next question finds it."""
    system.units.states["web.service"] = ("loaded", "active", "running")
    assert (await observe("web")).status == PASSING
    system.stop()
    found = await observe("web")
    assert found.status == CRITICAL
    assert found.output.startswith("systemd can't be asked: ")
    system.start()
    assert (await observe("web")).status == PASSING
    # Restarted between two questions: nobody notices.
    system.stop()
    system.start()
    assert (await observe("web")).status == PASSING


async def test_a_bus_that_says_nothing_is_critical_in_time(system, observe):
    """The timeout holds, and the connection and the question are not kept."""
    await observe("web")
    before = open_files()
    system.units.is_silent = True
    began_s = time.monotonic()
    found = await observe("web", timeout_s=0.3)
    assert time.monotonic() - began_s < 2
    assert (found.status, found.output) == (CRITICAL, "Timed out (300ms) running check")
    system.units.is_silent = False
    system.units.states["web.service"] = ("loaded", "active", "running")
    assert (await observe("web")).status == PASSING
    assert open_files() <= before


@pytest.mark.parametrize("address", ["unix:path=/nope/bus", "nonsense"])
async def test_where_there_is_no_bus_the_check_is_critical(monkeypatch, address):
    """A machine without systemd, or an address that is none."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    probe = OsServiceProbe(HealthSettings())
    found = await probe.observe(CheckDefinition(os_service="web"))
    await probe.close()
    assert found.status == CRITICAL
    assert found.output.startswith("systemd can't be asked: ")


def test_the_probe_runs_on_the_agents_event_loop(system, monkeypatch):
    """uvloop, which the agent uses, serves the bus as well."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", system.address)
    system.units.states["web.service"] = ("loaded", "active", "running")

    async def run():
        probe = OsServiceProbe(HealthSettings())
        found = await asyncio.gather(*(probe.observe(CheckDefinition(os_service="web")) for _ in range(20)))
        await probe.close()
        return {each.status for each in found}

    assert uvloop.run(run()) == {PASSING}


def test_an_os_service_check_is_registered_run_and_shown(system, tmp_path, monkeypatch):
    """Through an agent, and it follows the unit's state."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", system.address)
    with running_agent(tmp_path / "agent") as agent:
        system.units.states["nginx.service"] = ("loaded", "active", "running")
        check = {"Name": "nginx", "OSService": "nginx", "Interval": "1s"}
        assert agent.put("/v1/agent/check/register", check).status == 200
        eventually(lambda: agent.get("/v1/agent/checks").json["nginx"]["Status"] == "passing")
        found = agent.get("/v1/agent/checks").json["nginx"]
        assert (found["Type"], found["Output"]) == ("os_service", 'Service "nginx" is healthy')
        system.units.states["nginx.service"] = ("loaded", "failed", "failed")
        eventually(lambda: agent.get("/v1/agent/checks").json["nginx"]["Status"] == "critical")


def test_without_the_library_the_check_is_refused(tmp_path, monkeypatch):
    """An agent installed without the extra says what to install, when such a check is registered."""
    # An agent that finds no dbus_fast: a folder before all others says that it is not there.
    hidden = Path(tmp_path / "hidden")
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'dbus_fast' else find(name, package)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    assert os_services_problem() == ""
    with running_agent(tmp_path / "agent") as agent:
        reply = agent.put("/v1/agent/check/register", {"Name": "x", "OSService": "nginx", "Interval": "1s"})
        assert reply.status == 403
        assert "pip install 'regista[systemd]'" in reply.text
