"""Instances as the health endpoints tell them, in the words of the command line. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from regista.cli.tables import host_port, one_line
from regista.model import PASSING, STATUSES

OUTPUT_WIDTH_MAX = 100
"""So that a line with it still fits a wide terminal."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a service.

    Attributes:
        id: the instance's id, shown to people; unique on its node only.
        status: of its worst check, its node's included; passing without any.
        output: what the failing checks say, on one line.
    """

    id: str
    address: str
    node: str
    status: str
    output: str

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from all others."""
        return (self.node, self.id)


def decode_instances(items: Sequence[Any]) -> list[Instance]:
    """The instances in the answer of `/v1/health/service/<name>`, in its order."""
    return [_decode_instance(item) for item in items]


def _decode_instance(item: Any) -> Instance:
    service, node, checks = item["Service"], item["Node"], item["Checks"] or []
    failing = [check for check in checks if check["Status"] != PASSING]
    # The worst first, so that its words are not the ones cut off.
    failing.sort(key=lambda check: -_badness(check["Status"]))
    return Instance(
        service["ID"],
        host_port(service["Address"] or node["Address"], service["Port"]),
        node["Node"],
        failing[0]["Status"] if failing else PASSING,
        one_line("; ".join(_check_text(check) for check in failing), width_max=OUTPUT_WIDTH_MAX),
    )


def _badness(status: str) -> int:
    """A status that is not one of Consul's three is worse than warning and better than critical."""
    return 2 * STATUSES.index(status) if status in STATUSES else 3


def _check_text(check: Mapping[str, str]) -> str:
    # A check that was just registered has failed without a word.
    return check["Output"] or f"{check['Name']} is {check['Status']}"
