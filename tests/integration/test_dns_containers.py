"""Names looked up in containers, for which networks of their own stand; docs/guides/dns.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.dns_programs import find

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("clients", ["127.0.0.1 172.17.0.1", "0.0.0.0"])
def test_a_container_finds_names_at_the_bridge(tmp_path, clients):
    """It asks the host's agent at the bridge, also with Kubernetes' search domains; its own 127.0.0.1 has none."""
    if os.geteuid():
        pytest.skip("networks of their own need root")
    find("ip")
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.integration.dns_container"]
    if subprocess.run([*command[:3], "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root make namespaces")
    command += ["host", str(tmp_path), clients]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "name": ["10.0.0.1"],
        "whole name": ["10.0.0.1"],
        "name of the cluster's": ["10.0.0.1"],
        "short name": ["10.0.0.1"],
        "none": ["Name or service not known"],
        "at its own 127.0.0.1": ["Temporary failure in name resolution"],
    }
