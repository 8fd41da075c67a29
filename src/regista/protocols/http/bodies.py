"""Reading a request's body as it arrives, for as long as it does.

A client that has sent a head may keep back the rest. So a body must make progress, and it must come with some
least rate once a first time is over: a time for the whole would either let a few bytes take as long as the largest
body that is allowed, or end an honest large one on a slow line. A body of 10 bytes that is sent drop by drop has
30 seconds from the first on by default, one of 512 KB more than nine minutes, and whoever wants to hold a
connection for longer than the first time has to pay for it with as many bytes.

    arriving ──a part came, in time──▶ arriving ──its end──▶ read
             └── none for `body_stall`, or too few in all ──▶ 408, and the connection ends
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Protocol

from aiohttp import HttpVersion11, web

from regista.model import BadInput, TooSlow
from regista.protocols.http.connection import body_too_large
from regista.protocols.http.messages import BodyReader
from regista.protocols.http.packing import unpacked
from regista.protocols.http.settings import HttpSettings

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_LATE_S = 0.5
"""An agent that is so late to notice that a body's time is over was stopped or had too much to do, and may not
have taken yet what has arrived long since. The client gets as much time again."""


class Carrying(Protocol):
    """What this module needs of a connection."""

    def end_without_rest(self) -> None:
        """Has the connection end with the next response, whatever of the body is still to come."""


@dataclasses.dataclass(frozen=True, slots=True)
class Due:
    """Until when more of a body has to arrive.

    Attributes:
        at_s: the same clock as what it was decided from.
        limit: the setting that says so.
        most: its value.
    """

    at_s: float
    limit: str
    most: float


def decide_due(settings: HttpSettings, *, began_s: float, arrived_bytes: int, now_s: float) -> Due:
    """Until when more of a body has to arrive.

    Args:
        began_s: monotonic seconds, when it began to come, or to be waited for.
        now_s: when the last of the bytes that are there came; `began_s` before the first.
    """
    stalls_s = now_s + settings.body_stall_s
    drags_s = began_s + settings.body_stall_s + arrived_bytes / settings.body_bytes_per_s_min
    if stalls_s <= drags_s:
        return Due(stalls_s, "http.body_stall", settings.body_stall_s)
    return Due(drags_s, "http.body_bytes_per_s_min", settings.body_bytes_per_s_min)


def body_reader(carried: web.BaseRequest, connection: Carrying, settings: HttpSettings) -> BodyReader:
    """Reads a body as it arrives."""

    async def read(bytes_max: int) -> bytes:
        declared = carried.content_length
        if declared is not None and declared > bytes_max:
            raise body_too_large(bytes_max, declared)
        _ask_for_body(carried)
        clock = asyncio.get_running_loop().time
        began_s = clock()
        parts: list[bytes] = []
        size = 0
        due = decide_due(settings, began_s=began_s, arrived_bytes=0, now_s=began_s)
        while True:
            try:
                async with asyncio.timeout_at(due.at_s):
                    part = await carried.content.readany()
            except web.RequestPayloadError as error:
                # aiohttp's own sentence begins with a code and a line of its own.
                why = " ".join(str(error).split()).removeprefix("400, message: ")
                raise BadInput(
                    f"the body can't be read: {why}; send all of it, packed as its head says"
                ) from error
            except TimeoutError as error:
                now_s = clock()
                if now_s - due.at_s > _LATE_S:
                    due = dataclasses.replace(due, at_s=now_s + _LATE_S)
                    continue
                connection.end_without_rest()
                raise _too_slow(due, size, declared, waited_s=now_s - began_s) from error
            if not part:
                return unpacked(b"".join(parts), carried.headers.get("Content-Encoding", ""), bytes_max)
            size += len(part)
            if size > bytes_max:
                raise body_too_large(bytes_max, size)
            now_s = clock()
            if not parts:
                began_s = now_s  # Who sends nothing is slow in no other way than that.
            parts.append(part)
            due = decide_due(settings, began_s=began_s, arrived_bytes=size, now_s=now_s)

    return read


def _ask_for_body(carried: web.BaseRequest) -> None:
    """Tells a client to send the body that it keeps back until it is wanted (RFC 9110, 10.1.1)."""
    is_kept_back = carried.headers.get("Expect", "").lower() == "100-continue" and not carried.content.is_eof()
    if is_kept_back and carried.version == HttpVersion11 and carried.transport is not None:
        carried.transport.write(_CONTINUE)


def _too_slow(due: Due, size: int, declared: int | None, *, waited_s: float) -> TooSlow:
    """The error for a body that has not arrived by then."""
    came = f"{size} bytes" if declared is None else f"{size} of {declared} bytes"
    if due.limit == "http.body_stall":
        why = f"{came} came, and nothing more for {due.most:g}s"
        what = "Send all that the head announces"
    else:
        why = f"{came} came in {waited_s:.0f}s, which is less than {due.most:g} bytes a second"
        what = "Send it faster, or in smaller requests"
    return TooSlow(
        f"the body did not arrive: {why} ({due.limit} in the agent's configuration is the limit). Nothing was "
        f"done. {what}, on a new connection.",
        limit=due.limit,
        most=due.most,
    )
