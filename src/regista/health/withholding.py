"""Between prober and verdicts: keeps back what a prober that doubts its own network did not hear.

What to think is decided in `doubt`. A withheld result is forgotten when its target answers. It is handed on when
the time is up, or when so many others answer that the network can't be gone; so no verdict is held longer than
`health.abstain`, even if the doubt ends and begins again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from regista.catalog import Catalog
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.doubt import TRUST, Doubt, Loss, decide_answer, decide_loss, decide_time
from regista.health.observation import Observation
from regista.health.statuses import WatchedCheck
from regista.model import CRITICAL

logger = logging.getLogger(__name__)


class Withholding:
    """The results that are kept back, and why."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        counters: Counters,
        abstain_s: float,
        on_observation: Callable[[WatchedCheck, Observation], None],
    ) -> None:
        self._catalog = catalog
        self._counters = counters
        self._abstain_s = abstain_s
        self._on_observation = on_observation
        self._doubt = TRUST
        self._withheld: dict[str, tuple[WatchedCheck, Observation]] = {}
        self._deadlines = Deadlines()

    @property
    def sentence(self) -> str:
        """Why the prober abstains, for people; "" while it does not."""
        if self._doubt.phase != "abstaining":
            return ""
        hosts = {loss.host for loss in self._doubt.lost}
        return (
            f"Nothing comes back from {len(self._doubt.lost)} checks on {len(hosts)} hosts that were well just "
            "before, so that this agent doubts its own network: it withholds such failures for up to "
            f"{self._abstain_s:g}s, or until an answer comes, and believes them then."
        )

    def take(self, watched: WatchedCheck, observation: Observation, now_s: float) -> None:
        """Hands the result of a probe on, unless it is better kept back."""
        if self._is_beyond_network(watched):
            if not observation.is_silent:
                self._note_answer(watched)
            elif observation.status != CRITICAL:
                self.drop(watched.key)  # UDP: silence is well, and says nothing of the network.
            elif self._keeps(watched, observation, now_s):
                return
        self._on_observation(watched, observation)

    def holds(self, key: str) -> bool:
        """Whether a result of the check is kept back."""
        return key in self._withheld

    def drop(self, key: str) -> bool:
        """Forgets what is kept back of the check; whether anything was."""
        if self._withheld.pop(key, None) is None:
            return False
        self._deadlines.drop(key)
        return True

    def tick(self, now_s: float) -> None:
        """Hands on what was kept back long enough."""
        self._think(decide_time(self._doubt, now_s))
        for key in self._deadlines.pop_due(now_s):
            self._on_observation(*self._withheld.pop(key))

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def _note_answer(self, watched: WatchedCheck) -> None:
        was_withheld = self.drop(watched.key)
        was_abstaining = self._doubt.phase == "abstaining"
        self._think(decide_answer(self._doubt, was_withheld=was_withheld))
        if was_abstaining and not was_withheld and self._doubt is TRUST:
            # The network was there all the time. Where it comes back, the others answer at their next probes.
            for key in list(self._withheld):
                found = self._withheld[key]
                self.drop(key)
                self._on_observation(*found)

    def _keeps(self, watched: WatchedCheck, observation: Observation, now_s: float) -> bool:
        entry = watched.entry_in(self._catalog)
        if entry is None or entry.record.status == CRITICAL:
            return False
        loss = Loss(watched.key, watched.host, now_s)
        self._think(decide_time(self._doubt, now_s))
        self._think(decide_loss(self._doubt, loss, abstain_s=self._abstain_s))
        if self._doubt.phase != "abstaining":
            self.drop(watched.key)
            return False
        if watched.key not in self._withheld:
            self._deadlines.set(watched.key, self._doubt.until_s)
        self._withheld[watched.key] = (watched, observation)
        self._counters.withheld["network"] += 1
        return True

    def _is_beyond_network(self, watched: WatchedCheck) -> bool:
        if not watched.host:
            return False
        node = self._catalog.nodes.get(watched.node.lower())
        return node is None or watched.host != node.record.address.lower()

    def _think(self, doubt: Doubt) -> None:
        before, self._doubt = self._doubt, doubt
        if before.phase == doubt.phase:
            return
        if doubt.phase == "abstaining":
            self._counters.abstentions += 1
            logger.warning("%s", self.sentence)
        elif doubt.phase == "believing":
            logger.warning("there was no answer for %gs; what was withheld is believed now", self._abstain_s)
        elif before.phase == "abstaining":
            logger.info("targets answer again; the agent trusts its network, and nothing more is withheld")
        else:
            logger.info("targets answer again, after a silence that was believed")
