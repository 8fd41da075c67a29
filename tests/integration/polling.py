"""Waiting, in asynchronous tests, for what only the kernel brings about, and tells nobody."""

import asyncio
import os


async def until(condition, *, within_s=5.0):
    """Asks again and again until `condition()` is true."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)


def open_files(pid="self"):
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - in asynchronous tests too
