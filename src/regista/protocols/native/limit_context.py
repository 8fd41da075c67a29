"""What the native door needs of those who know the limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Protocol

from regista.protocols.http import Level


@dataclasses.dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit, and how it is used.

    Attributes:
        name: the setting, such as `http.waiting_max`.
        most: how much there may be; bytes for a size, seconds for a time, for a rate how much there must be.
        used: how much there is; None for the size or pace of a single thing.
        refused: how often it was the reason to refuse something.
    """

    name: str
    most: int
    used: int | None
    refused: int


class Limited(Protocol):
    """Who knows them."""

    @property
    def level(self) -> Level:
        """How much is refused for the load."""

    @property
    def lag_s(self) -> float:
        """How late the agent is with what is due."""

    @property
    def shed(self) -> Mapping[str, int]:
        """How many requests were refused for the load, by their class."""

    def uses(self) -> Iterable[LimitUse]:
        """Every limit."""
