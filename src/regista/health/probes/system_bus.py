"""One connection to the system's D-Bus, and the question about a unit. Needs the extra `systemd`.

Source: systemd's `org.freedesktop.systemd1.Manager`; `ListUnitsByNames` loads what is not loaded (systemd 230).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from dbus_fast import BusType, DBusFastError, Message, MessageType
from dbus_fast.aio import MessageBus

from regista.health.probes.os_service import Unit


class SystemBus:
    """Connects at the first question, and again when the connection was lost."""

    def __init__(self) -> None:
        self._bus: MessageBus | None = None
        self._connecting = asyncio.Lock()

    async def unit(self, name: str) -> Unit:
        """The unit's state.

        Raises:
            OSError: nobody answers; the text says why.
        """
        try:
            # That the bus went away in the meantime is noticed only when it is asked, so it is asked again.
            reply = await self._ask(name) or await self._ask(name)
        except (DBusFastError, EOFError, ValueError) as problem:
            raise OSError(str(problem) or type(problem).__name__) from problem
        if reply is None:
            raise OSError("the connection to the system's bus was lost")
        if reply.message_type == MessageType.ERROR:
            said = reply.body[0] if reply.body else "no reason given"
            raise OSError(f"{said} ({reply.error_name})")
        # The fields of a unit: name, description, load, active and sub state, and five more.
        rows: list[Any] = reply.body[0]
        return Unit(*rows[0][2:5]) if rows else Unit("not-found", "inactive", "dead")

    async def close(self) -> None:
        """Closes the connection; questions under way are asked again over another."""
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()
            with contextlib.suppress(Exception):  # whatever ended it earlier
                await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library's only such

    async def _ask(self, name: str) -> Message | None:
        """The answer, or None if the connection was lost before it came."""
        bus = await self._connected()
        question = Message(
            destination="org.freedesktop.systemd1",
            path="/org/freedesktop/systemd1",
            interface="org.freedesktop.systemd1.Manager",
            member="ListUnitsByNames",
            signature="as",
            body=[[name]],
        )
        try:
            return await bus.call(question)
        except (EOFError, OSError):
            if self._bus is bus:
                await self.close()
            return None

    async def _connected(self) -> MessageBus:
        """The connection.

        Raises:
            OSError, DBusFastError, EOFError, ValueError: nobody is there, or refuses.
        """
        async with self._connecting:
            if self._bus is None or not self._bus.connected:
                await self.close()
                self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            return self._bus
