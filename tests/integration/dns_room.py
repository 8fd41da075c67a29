"""Looks names up with glibc in a network of its own; run under `unshare --net --mount`, see `test_dns_clients`.

There dnsmasq has 127.0.0.53:53, as a stub of the system's would, and the agent a port behind it. Another agent has
127.0.0.1:53 to itself, and a dnsmasq for all other names; it is asked with a `resolv.conf` that names it alone.
Prints what was found, as JSON.
"""

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.agents import eventually, running_agent
from tests.integration.dns_programs import dnsmasq


def look_up(name, family=socket.AF_UNSPEC):
    """What the C library finds: sorted addresses, or its error."""
    try:
        found = socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return [error.strerror]
    return sorted(address[4][0] for address in found)


def look_up_alone(folder):
    """What is found where the agent is the only name server, as the guide has it."""
    config = {"degrading": {"settling": "0s"}, "recursors": ["127.0.0.54"]}
    others = ("--host-record=www.example.org,192.0.2.1,2001:db8::1", "--cname=cdn.example.org,www.example.org")
    with (
        dnsmasq(folder / "others", 1, address="127.0.0.54", port=53, extra=others),
        running_agent(folder / "alone", arguments=("--dns-port", "53"), config=config) as agent,
    ):
        addresses = {
            "web": "10.0.0.4",
            "inside": "web.service.consul",
            "node": "n1.node.consul",
            "twice": "inside.service.dc1.consul",
            "outside": "cdn.example.org",
            "both": "outside.service.consul",
            "loop": "loop.service.consul",
            "gone": "none.service.consul",
            "nowhere": "none.example.org",
        }
        for name, address in addresses.items():
            agent.register(Name=name, ID=name, Address=address)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        # The C library reads the file anew when it has changed.
        eventually(lambda: look_up("web.service.consul") == ["10.0.0.4"])
        eventually(lambda: look_up("www.example.org") == ["192.0.2.1", "2001:db8::1"])
        return {name: look_up(f"{name}.service.consul") for name in addresses}


def main(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    own = {"resolv.conf": "nameserver 127.0.0.53\noptions timeout:1 attempts:2\n", "nsswitch.conf": "hosts: dns\n"}
    for name, text in own.items():
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", str(folder / name), f"/etc/{name}"], check=True)
    config = {"degrading": {"settling": "0s"}}
    with contextlib.redirect_stdout(sys.stderr), running_agent(folder / "agent", config=config) as agent:
        agent.register(Name="web", ID="web-4", Address="10.0.0.4", Check={"TTL": "60s", "CheckID": "c4"})
        agent.register(Name="web", ID="web-6", Address="fd00::6", Check={"TTL": "60s", "CheckID": "c6"})
        agent.register(Name="four", ID="four-1", Address="10.0.0.44")
        for number in range(60):
            agent.register(Name="many", ID=f"many-{number}", Address=f"10.1.0.{number}")
        for check in ("c4", "c6"):
            agent.put(f"/v1/agent/check/pass/{check}")
        with dnsmasq(folder / "dnsmasq", agent.dns.rpartition(":")[2], address="127.0.0.53", port=53):
            eventually(lambda: look_up("four.service.consul") == ["10.0.0.44"])
            found = {
                "both": look_up("web.service.consul"),
                "IPv4": look_up("web.service.consul", socket.AF_INET),
                "IPv6": look_up("web.service.consul", socket.AF_INET6),
                "other family": look_up("four.service.consul", socket.AF_INET6),
                "none": look_up("none.service.consul"),
                "many": [look_up("many.service.consul") for _ in range(30)],
            }
            agent.put("/v1/agent/check/fail/c4")
            found["after a failure"] = look_up("web.service.consul")
    with contextlib.redirect_stdout(sys.stderr):
        found["alone"] = look_up_alone(folder)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
