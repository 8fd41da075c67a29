"""The endings that are not carried out yet, by how far each has come."""

from __future__ import annotations

from collections.abc import Collection

from regista.health.endings import Ending, State

_STATES: tuple[State, ...] = ("waiting", "queued", "held", "kept")


class Docket:
    """Endings by slot, by state, and those that are held by service too."""

    def __init__(self) -> None:
        self._endings: dict[str, Ending] = {}
        self._by_state: dict[State, dict[str, Ending]] = {state: {} for state in _STATES}
        self._held: dict[str, dict[str, Ending]] = {}

    def __len__(self) -> int:
        return len(self._endings)

    def get(self, slot: str) -> Ending | None:
        """The ending of this slot."""
        return self._endings.get(slot)

    def add(self, ending: Ending) -> None:
        """Takes in an ending, in the state that it has; its slot must be free."""
        assert ending.slot not in self._endings, ending.slot
        self._endings[ending.slot] = ending
        self._enter(ending)

    def move(self, ending: Ending, state: State) -> None:
        """Has the ending be in another state."""
        self._leave(ending)
        ending.state = state
        self._enter(ending)

    def remove(self, ending: Ending) -> None:
        """Forgets an ending that is here."""
        self._leave(ending)
        del self._endings[ending.slot]

    def of(self, state: State) -> Collection[Ending]:
        """Those in this state, in the order in which they came to be; a view, not a copy."""
        return self._by_state[state].values()

    def held_of(self, scope: str) -> Collection[Ending]:
        """Those held of a service, or ("") of all; a view, not a copy."""
        return self._held.get(scope, {}).values() if scope else self.of("held")

    def counts(self) -> dict[str, int]:
        """How many are in each state."""
        return {state: len(endings) for state, endings in self._by_state.items()}

    def _enter(self, ending: Ending) -> None:
        self._by_state[ending.state][ending.slot] = ending
        if ending.state == "held":
            self._held.setdefault(ending.service, {})[ending.slot] = ending

    def _leave(self, ending: Ending) -> None:
        del self._by_state[ending.state][ending.slot]
        if ending.state == "held":
            held = self._held[ending.service]
            del held[ending.slot]
            if not held:
                del self._held[ending.service]
