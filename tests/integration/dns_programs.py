"""Programs that speak DNS, as Debian has them, run as children on free ports."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest
from tests.clients import runs
from tests.ports import free_port

START_S_MAX = 10.0

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def find(command):
    """Where a program is; the test is skipped without it."""
    found = shutil.which(command, path=PATH)
    if found is None:
        pytest.skip(f"there is no {command}; scripts/test installs it where it may")
    return found


@contextlib.contextmanager
def running(command, folder, *, is_ready):
    """A program until the end of the block, from when `is_ready()`; its log is shown beside a test that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as opened:
        process = subprocess.Popen(command, stdout=opened, stderr=opened, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        end_s = time.monotonic() + START_S_MAX
        while not is_ready():
            said = log.read_text(errors="replace")
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{said}"
            assert time.monotonic() < end_s, f"{command[0]} does not answer:\n{said}"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
        sys.stdout.write(f"---- log of {command[0]} ----\n{log.read_text(errors='replace')}")


def answers_at(port, name="n1.node.consul"):
    """Whether a DNS server answers there with anything but a failure."""
    query = dns.message.make_query(name, "A")
    try:
        return dns.query.udp(query, "127.0.0.1", port=port, timeout=0.5).rcode() in (0, 3)
    except (dns.exception.DNSException, OSError):
        return False


@contextlib.contextmanager
def unbound(folder, agent_port, *, zone="forward"):
    """An unbound that asks the agent about `consul`; its port.

    Args:
        zone: `forward` or `stub`, as a forwarder or as the zone's own server; `strict` is a stub that asks label by
            label, and takes NXDOMAIN for an answer about all that ends so (RFC 9156, RFC 8020).
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    is_strict, zone = zone == "strict", "forward" if zone == "forward" else "stub"
    (folder / "unbound.conf").write_text(
        f"""server:
    interface: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "iterator"
    domain-insecure: "consul"
    qname-minimisation: yes
    qname-minimisation-strict: {"yes" if is_strict else "no"}
remote-control:
    control-enable: no
{zone}-zone:
    name: "consul"
    {zone}-addr: 127.0.0.1@{agent_port}
"""
    )
    command = [find("unbound"), "-d", "-c", str(folder / "unbound.conf")]
    with running(command, folder, is_ready=lambda: answers_at(port)):
        yield port


@contextlib.contextmanager
def dnsmasq(folder, agent_port, *, address="127.0.0.1", port=0, extra=()):
    """A dnsmasq that asks the agent about `consul`, with arguments of its own besides; its port."""
    port = port or free_port()
    command = [
        find("dnsmasq"), "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces",
        f"--listen-address={address}", f"--port={port}", f"--server=/consul/127.0.0.1#{agent_port}",
        "--user=", "--group=", "--pid-file=", "--log-facility=-", *extra,
    ]  # fmt: skip
    with running(command, folder, is_ready=lambda: address != "127.0.0.1" or answers_at(port)):
        yield port


@contextlib.contextmanager
def coredns(folder, corefile):
    """A CoreDNS with these zones, on a port that they need not name; its port."""
    if missing := runs.COREDNS.missing():
        pytest.skip(missing)
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Corefile").write_text(corefile)
    with runs.ready(runs.COREDNS) as built:
        command = [*runs.COREDNS.command(built), "-conf", str(folder / "Corefile"), "-dns.port", str(port)]
        with running(command, folder, is_ready=lambda: answers_at(port)):
            yield port
