"""What machine this agent runs on, as far as the kernel tells it to anybody."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_ERRORS_MAX = 10


def describe_host(data_dir: Path | None, *, now_s: float, proc: Path = _PROC) -> dict[str, Any]:
    """Memory, processors, system and disk, with the keys of Consul's agent/host.

    What can't be read is left out, and said under `Errors`. Reads a few small files of the kernel's.

    Args:
        data_dir: the disk is the one that it is on; the working directory's if None.
        now_s: seconds since the epoch.
        proc: where the kernel's files are.
    """
    errors: list[str] = []
    found: dict[str, Any] = {"Memory": {}, "CPU": [], "Host": {}, "Disk": {}}
    parts: dict[str, Callable[[], Any]] = {
        "Memory": lambda: _memory((proc / "meminfo").read_text()),
        "CPU": lambda: _processors((proc / "cpuinfo").read_text()),
        "Host": lambda: _system((proc / "uptime").read_text(), now_s),
        "Disk": lambda: _disk(data_dir or Path.cwd()),
    }
    for name, read in parts.items():
        try:
            found[name] = read()
        except (OSError, ValueError, LookupError) as error:
            errors.append(f"{name}: {error}")
    return {**found, "CollectionTime": int(now_s * 1e9), "Errors": errors[:_ERRORS_MAX] or None}


def _memory(meminfo: str) -> dict[str, Any]:
    kibibytes = {}
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        kibibytes[name] = int(value.split()[0])
    total, available = kibibytes["MemTotal"] * 1024, kibibytes["MemAvailable"] * 1024
    return {
        "total": total,
        "available": available,
        "used": total - available,
        "usedPercent": 100 * (total - available) / total,
        "free": kibibytes["MemFree"] * 1024,
    }


def _processors(cpuinfo: str) -> list[dict[str, Any]]:
    processors = []
    for block in cpuinfo.strip().split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        fields = {name.strip(): value.strip() for name, _, value in pairs}
        if "processor" not in fields:
            continue
        mhz = 0.0
        with contextlib.suppress(ValueError):
            mhz = float(fields.get("cpu MHz", 0))
        processors.append(
            {
                "cpu": int(fields["processor"]),
                "vendorId": fields.get("vendor_id", ""),
                "modelName": fields.get("model name", ""),
                "mhz": mhz,
            }
        )
    return processors


def _system(uptime: str, now_s: float) -> dict[str, Any]:
    uptime_s = int(float(uptime.split(maxsplit=1)[0]))
    system = os.uname()
    release: dict[str, str] = {}
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
    return {
        "hostname": system.nodename,
        "uptime": uptime_s,
        "bootTime": int(now_s) - uptime_s,
        "os": system.sysname.lower(),
        "platform": release.get("ID", ""),
        "platformVersion": release.get("VERSION_ID", ""),
        "kernelVersion": system.release,
        "kernelArch": system.machine,
    }


def _disk(path: Path) -> dict[str, Any]:
    disk = os.statvfs(path)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    used = total - disk.f_bfree * disk.f_frsize
    return {
        "path": str(path),
        "total": total,
        "free": free,
        "used": used,
        "usedPercent": 100 * used / total if total else 0.0,
        "inodesTotal": disk.f_files,
        "inodesUsed": disk.f_files - disk.f_ffree,
        "inodesFree": disk.f_ffree,
    }
