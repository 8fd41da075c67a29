"""Looks names up as a container does; run under `unshare --net --mount`, see `test_dns_containers`.

That network is the host's, with an agent at the address of a bridge, port 53. This program starts itself once more in
a network within, the container's, which has a link to the bridge, a `resolv.conf` of its own, and its own 127.0.0.1.
Prints what was found there, as JSON.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from tests.agents import running_agent
from tests.integration.dns_room import look_up

BRIDGE, CONTAINER = "172.17.0.1", "172.17.0.2"
RESOLV_CONF = """nameserver {server}
search prod.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 timeout:1 attempts:1
"""
CONFIG = {
    "degrading": {"settling": "0s"},
    "dns_config": {"service_suffixes": {"svc.cluster.local": "ignored"}},
}


def run(*command):
    subprocess.run(command, check=True, stdout=sys.stderr)


def host(folder, clients):
    """Starts the agent and the container; what this one found."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "veth", "peer", "name", "inside")
    run("ip", "addr", "add", f"{BRIDGE}/16", "dev", "bridge")
    run("ip", "link", "set", "bridge", "up")
    arguments = ("--client", clients, "--dns-port", "53")
    with running_agent(folder / "agent", config=CONFIG, arguments=arguments) as agent:
        agent.register(Name="web", ID="web-1", Address="10.0.0.1")
        # Without --fork it becomes the program, so that its process is the one whose network the link goes to.
        command = ["unshare", "--net", "--mount", sys.executable, "-m", __spec__.name, "container", str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as container:
            container.stdout.readline()  # it is in its network
            run("ip", "link", "set", "inside", "netns", str(container.pid))
            return container.communicate("go on\n", timeout=30)[0]


def container(folder):
    """What is found in here."""
    sys.stdout.write("here\n")
    sys.stdout.flush()
    sys.stdin.readline()
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", f"{CONTAINER}/16", "dev", "inside")
    run("ip", "link", "set", "inside", "up")
    own = {"resolv.conf": RESOLV_CONF.format(server=BRIDGE), "nsswitch.conf": "hosts: dns\n"}
    for name, text in own.items():
        (folder / name).write_text(text)
        run("mount", "--bind", str(folder / name), f"/etc/{name}")
    found = {
        "name": look_up("web.service.consul"),
        "whole name": look_up("web.service.consul."),
        "name of the cluster's": look_up("web.prod.svc.cluster.local"),
        "short name": look_up("web"),
        "none": look_up("none.service.consul."),
    }
    (folder / "resolv.conf").write_text(RESOLV_CONF.format(server="127.0.0.1"))
    return json.dumps(found | {"at its own 127.0.0.1": look_up("web.service.consul")})


if __name__ == "__main__":
    where, place, *more = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr) if where == "host" else contextlib.nullcontext():
        told = {"host": host, "container": container}[where](Path(place), *more)
    sys.stdout.write(told)
