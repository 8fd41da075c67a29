"""A stand-in for systemd on a D-Bus of its own: a real dbus-daemon, and a program that owns systemd's name on it."""

import asyncio
import contextlib
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from dbus_fast import DBusError
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_method

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="*"/>
    <allow send_destination="*" eavesdrop="true"/><allow receive_type="*" eavesdrop="true"/>
  </policy>
</busconfig>
"""


class Units(ServiceInterface):
    """What the stand-in knows: load, active and sub state by unit, and how it answers.

    Attributes:
        asked_count: how many questions came.
        senders: the connections that they came over.
        is_silent: whether questions stay without an answer.
    """

    def __init__(self):
        super().__init__("org.freedesktop.systemd1.Manager")
        self.states = {}
        self.asked_count = 0
        self.senders = set()
        self.is_silent = False
        self.bus = None

    def note(self, message):
        if message.member == "ListUnitsByNames":
            self.senders.add(message.sender)
            if self.is_silent:
                return True
        return None

    @dbus_method()
    def ListUnitsByNames(self, names: "as") -> "a(ssssssouso)":  # noqa: F722, F821, N802 - D-Bus' types
        self.asked_count += 1
        if names[0] == "bad name.service":
            raise DBusError("org.freedesktop.DBus.Error.InvalidArgs", "Unit name bad name.service is not valid.")
        state = self.states.get(names[0], ("not-found", "inactive", "dead"))
        return [[names[0], f"{names[0]} described", *state, "", "/org/unit", 0, "", "/"]]


class System:
    """A bus daemon that can be ended and started, and the stand-in on it."""

    def __init__(self, folder):
        self.socket = folder / "bus"
        self.address = f"unix:path={self.socket}"
        self.units = Units()
        self._config = folder / "bus.conf"
        self._config.write_text(CONFIG.format(socket=self.socket))
        self._daemon = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self):
        command = ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile", "--print-address"]
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._daemon.stdout.readline(), "the bus daemon ended at its start"  # it listens from here on
        self._do(self._export())

    def stop(self):
        self._daemon.terminate()
        self._daemon.wait(10)
        self._daemon.stdout.close()
        Path(self.socket).unlink(missing_ok=True)
        self._do(self._forget())

    def close(self):
        if self._daemon is not None and self._daemon.poll() is None:
            self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _export(self):
        self.units.bus = await MessageBus(bus_address=self.address).connect()
        self.units.bus.add_message_handler(self.units.note)
        self.units.bus.export("/org/freedesktop/systemd1", self.units)
        await self.units.bus.request_name("org.freedesktop.systemd1")

    async def _forget(self):
        if self.units.bus is None:
            return
        with contextlib.suppress(Exception):
            await self.units.bus.wait_for_disconnect()
        self.units.bus.unexport("/org/freedesktop/systemd1")


@pytest.fixture
def system(tmp_path):
    """A bus with systemd's stand-in."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    system = System(tmp_path)
    try:
        system.start()
        yield system
    finally:
        system.close()
