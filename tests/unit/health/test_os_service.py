"""What systemd's states of a unit mean."""

import pytest

from regista.health.probes.os_service import Unit, observe_unit, unit_name
from regista.model import CRITICAL, PASSING, WARNING


@pytest.mark.parametrize(
    ("unit", "status", "output"),
    [
        (Unit("loaded", "active", "running"), PASSING, 'Service "web" is healthy'),
        (Unit("loaded", "active", "exited"), PASSING, 'Service "web" is healthy'),
        (Unit("loaded", "activating", "start-pre"), WARNING, 'Service "web" is activating (start-pre)'),
        (Unit("loaded", "reloading", "reload"), WARNING, 'Service "web" is reloading (reload)'),
        (Unit("loaded", "deactivating", "stop-sigterm"), WARNING, 'Service "web" is deactivating (stop-sigterm)'),
        (Unit("loaded", "inactive", "dead"), CRITICAL, 'Service "web" is inactive (dead)'),
        (Unit("loaded", "failed", "failed"), CRITICAL, 'Service "web" is failed (failed)'),
        (Unit("masked", "inactive", "dead"), CRITICAL, 'Service "web" is inactive (dead), masked'),
        (Unit("not-found", "inactive", "dead"), CRITICAL, 'Service "web" is not known to systemd'),
    ],
)
def test_the_state_of_a_unit_is_a_status(unit, status, output):
    """Active is passing, stopped, failed and unknown are critical, on the way between them is a warning."""
    found = observe_unit("web", unit)
    assert (found.status, found.output) == (status, output)


def test_a_name_without_a_kind_is_a_services():
    """`web` means `web.service`, as for systemctl; a kind that is named stays."""
    assert [unit_name(each) for each in ("web", "web.service", "web.v2", "db@1", "sshd.socket")] == [
        "web.service", "web.service", "web.v2.service", "db@1.service", "sshd.socket",
    ]  # fmt: skip
