"""The check of a system service: what does systemd say of the unit?"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
from typing import Protocol, cast

import msgspec

from regista.health.observation import Observation
from regista.health.probes.script import timed_out
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition

SYSTEMD_EXTRA_MISSING = (
    "Checks of system services need the library dbus-fast, which is not installed for this agent; "
    "run: pip install 'regista[systemd]'"
)

_UNIT_KIND = re.compile(r"\.(service|socket|target|timer|mount|automount|path|swap|slice|scope)$")
"""Of the kinds of units that have a state; a name without one is a service's, as for systemctl."""


class Unit(msgspec.Struct, frozen=True):
    """What systemd says of a unit.

    Attributes:
        load: `loaded`, `not-found`, `masked` …
        active: `active`, `activating`, `failed` …
        sub: the finer state of its kind: `running`, `exited`, `dead` …
    """

    load: str
    active: str
    sub: str


class UnitSource(Protocol):
    """Who can be asked for the states of units, see `system_bus.SystemBus`."""

    async def unit(self, name: str) -> Unit:
        """The unit's state.

        Raises:
            OSError: nobody answers; the text says why.
        """

    async def close(self) -> None:
        """Closes the connection; it may be asked again."""


def os_services_problem() -> str:
    """Why no system service can be checked here, as a sentence; "" if the library for it is installed."""
    return "" if importlib.util.find_spec("dbus_fast") else SYSTEMD_EXTRA_MISSING


def observe_unit(service: str, unit: Unit) -> Observation:
    """Active is passing; failed, stopped or not there critical; on the way from one to the other a warning.

    Source: Consul 1.16, checks of system services (behaviour on Windows; it has none on Linux).
    """
    if unit.load == "not-found":
        return Observation(CRITICAL, f'Service "{service}" is not known to systemd')
    state = f"{unit.active} ({unit.sub})" + ("" if unit.load == "loaded" else f", {unit.load}")
    if unit.active == "active":
        return Observation(PASSING, f'Service "{service}" is healthy')
    if unit.active in ("failed", "inactive"):
        return Observation(CRITICAL, f'Service "{service}" is {state}')
    return Observation(WARNING, f'Service "{service}" is {state}')


def unit_name(service: str) -> str:
    """The unit that a service's name means."""
    return service if _UNIT_KIND.search(service) else f"{service}.service"


class OsServiceProbe:
    """Asks systemd, over one connection for all checks."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._source: UnitSource | None = None

    async def observe(self, definition: CheckDefinition) -> Observation:
        """What the unit's state means."""
        timeout_s = definition.timeout_s or self._settings.script_timeout_s
        try:
            if self._source is None:
                self._source = _open_source()
            async with asyncio.timeout(timeout_s):
                unit = await self._source.unit(unit_name(definition.os_service))
        except ImportError:
            return Observation(CRITICAL, SYSTEMD_EXTRA_MISSING)
        except TimeoutError:
            # A bus that does not answer would keep the question for ever.
            await self.close()
            return Observation(CRITICAL, timed_out(timeout_s, ""))
        except OSError as problem:
            return Observation(CRITICAL, f"systemd can't be asked: {problem}")
        return observe_unit(definition.os_service, unit)

    async def close(self) -> None:
        """Closes the connection."""
        if self._source is not None:
            await self._source.close()


def _open_source() -> UnitSource:
    """The system's bus; loaded only here, because it needs the extra.

    Raises:
        ImportError: the library is not installed.
    """
    module = importlib.import_module("regista.health.probes.system_bus")
    return cast("UnitSource", module.SystemBus())
