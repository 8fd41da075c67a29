"""Which addresses may be sent to."""

import pytest

from regista.model import ConfigError
from regista.notify.addresses import AddressRule

PUBLIC_ONLY = AddressRule(allow_private=False, deny=())
DENYING = AddressRule(allow_private=True, deny=("169.254.0.0/16", "10.0.0.0/8", "fd00:ec2::254/128"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "2002:a00:1::",
        "2001:db8::1",
        "no address",
    ],
)
def test_what_is_not_public(address):
    """Private, local, shared, reserved and multicast addresses, and IPv6 addresses that lead to such."""
    assert PUBLIC_ONLY.problem(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_public(address):
    """Those of the open internet may be sent to."""
    assert PUBLIC_ONLY.problem(address) == ""


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "10.9.8.7", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00:ec2::254"]
)
def test_what_is_denied(address):
    """A network that is denied is denied in every form."""
    assert "notify.deny" in DENYING.problem(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.0.1", "fd00:ec2::253"])
def test_what_is_not_denied(address):
    """Private networks may be sent to unless that is switched off."""
    assert DENYING.problem(address) == ""


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [
        ("example.com", False),
        ("localhost", False),
        ("10.0.0.1", True),
        ("[::1]", True),
        ("::1", True),
        ("10.0.0.1.", True),
        ("2130706433", True),
        ("0x7f000001", True),
        ("127.1", True),
        ("0177.0.0.1", True),
        ("8.8.8.8", False),
        ("face.com", False),
    ],
)
def test_hosts(host, is_refused):
    """An address in a URL is judged at once, also in forms that old resolvers take; a name is not."""
    assert bool(PUBLIC_ONLY.host_problem(host)) == is_refused


def test_what_is_no_network():
    """The setting is named."""
    with pytest.raises(ConfigError, match=r"notify\.deny"):
        AddressRule(allow_private=True, deny=("10.0.0.0/8", "ten"))
