"""Finds the hosts of one service that stand out by what their callers report, and says how long they stay out.

Theory of operation. Failures in a row are judged as they are reported; shares and latencies once an interval. Who
is found is taken out if the rule is enforced (a percentage, for trying a rule out), and if no more would be out
then than may. The time grows with each ejection in a row, and an interval without one forgives one. Whoever is out
comes back when its time is over, when a probe finds it well, or when more are out than may, because the others
went.

    in ──found by a rule, dice and cap allow it──▶ out (until: base times k, k + 1)
     ▲                                              │
     └─── time over · probe passing · above the cap ┘      in, at the end of each whole interval: k - 1

Pure: moments and dice come in. The caller says how many hosts there are, and tells of those that go; a host is
known here only while there is something to remember of it.

Source: Envoy, outlier detection (documented behaviour), with these differences: the cap counts the next ejection
in (Envoy tests before it, so three hosts can all be out at 67 %); it is kept when hosts go; a host comes back when
its time is over, and not at the interval's end after that; the rule for latency.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from regista.balance.hosts import Change, Ejection, Host, Release, RowRule, Rule
from regista.balance.intervals import find_suspects
from regista.balance.outcomes import GATEWAY_FAILURES, LOCAL_ORIGIN, Outcome
from regista.balance.parameters import OutlierParameters


class OutlierDetector:
    """The hosts of one service, as their callers find them.

    Args:
        roll: a number from 0 up to 1, by chance, each time.

    Attributes:
        host_count: how many hosts the service has, those that nobody reports included; kept right by the owner.
        detected: how often each rule found a host.
        withheld: how often that did not take it out: by `enforcing` (switched off, or the dice) and `cap`.
    """

    def __init__(self, parameters: OutlierParameters, *, host_count: int, roll: Callable[[], float]) -> None:
        self.host_count = host_count
        self.detected: collections.Counter[Rule] = collections.Counter()
        self.withheld: collections.Counter[str] = collections.Counter()
        self._parameters = parameters
        self._roll = roll
        self._hosts: dict[str, Host] = {}
        self._ejected: dict[str, Host] = {}
        self._interval_end_s: float | None = None

    @property
    def parameters(self) -> OutlierParameters:
        """What counts; later ones count from the next report on, and for times out from the next ejection on."""
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: OutlierParameters) -> None:
        self._parameters = parameters

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The hosts of which something is known; read only."""
        return MappingProxyType(self._hosts)

    @property
    def ejected(self) -> Iterator[str]:
        """Those that are out."""
        return iter(self._ejected)

    @property
    def ejected_count(self) -> int:
        """How many are out."""
        return len(self._ejected)

    @property
    def ejected_max(self) -> int:
        """How many may be out."""
        most = self.host_count * self._parameters.max_ejection_percent // 100
        return max(most, 1) if self._parameters.always_eject_one_host else most

    @property
    def interval_end_s(self) -> float | None:
        """When the present interval is judged; None if nothing was reported."""
        return self._interval_end_s

    # ---- what is found ----

    def record(
        self, key: str, outcome: Outcome, *, now_s: float, count: int = 1, latency_ms: float | None = None
    ) -> Ejection | None:
        """Takes `count` requests with the same outcome; the ejection if they bring one about.

        Args:
            latency_ms: their mean; counts for successes only.
        """
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = Host()
            if self._interval_end_s is None:
                self._interval_end_s = now_s + self._parameters.interval_s
        host.attempts += count
        if outcome == "success":
            host.clear_rows()
            host.requests += count
            host.successes += count
            host.reached += count
            if latency_ms is not None:
                host.timed += count
                host.latency_ms += count * latency_ms
            return None
        return self._record_failure(key, host, outcome, count, now_s)

    def _record_failure(self, key: str, host: Host, outcome: Outcome, count: int, now_s: float) -> Ejection | None:
        parameters = self._parameters
        is_apart = parameters.split_external_local_origin_errors and outcome in LOCAL_ORIGIN
        if is_apart:
            host.consecutive_local_origin_failure += count
        else:
            host.requests += count
            host.consecutive_5xx += count
            if outcome in GATEWAY_FAILURES:
                host.consecutive_gateway_failure += count
            else:
                host.consecutive_gateway_failure = 0
            if outcome not in LOCAL_ORIGIN:
                host.reached += count
                host.consecutive_local_origin_failure = 0
        if host.until_s is not None:
            return None  # requests that were under way
        if is_apart:
            return self._judge_row(key, host, "consecutive_local_origin_failure", now_s)
        return self._judge_row(key, host, "consecutive_gateway_failure", now_s) or self._judge_row(
            key, host, "consecutive_5xx", now_s
        )

    def _judge_row(self, key: str, host: Host, rule: RowRule, now_s: float) -> Ejection | None:
        """The ejection if the failures in a row are too many; they are counted anew then."""
        in_a_row: int = getattr(host, rule)
        if in_a_row < getattr(self._parameters, rule):
            return None
        setattr(host, rule, 0)
        return self._found(key, host, rule, lambda: _row(in_a_row), now_s)

    def note_passing(self, key: str) -> Release | None:
        """Takes a probe's word that the host is well; the release if it was out and that ends it."""
        if key not in self._ejected or not self._parameters.successful_active_health_check_uneject_host:
            return None
        return self._release(key, "a probe finds it passing")

    def release(self, key: str, because: str) -> Release | None:
        """Takes a host back that is out, whatever it did."""
        return self._release(key, because) if key in self._ejected else None

    def adopt(self, key: str, now_s: float) -> None:
        """Takes a host for one that was just taken out the first time: somebody before did so."""
        host = self._hosts.setdefault(key, Host())
        host.ejections = 1
        host.until_s = now_s + self._parameters.base_ejection_time_s
        self._ejected[key] = host
        if self._interval_end_s is None:
            self._interval_end_s = now_s + self._parameters.interval_s

    def forget(self, key: str) -> bool:
        """Forgets a host that is gone, or is another now; whether it was out."""
        self._hosts.pop(key, None)
        return self._ejected.pop(key, None) is not None

    # ---- what time brings ----

    def tick(self, now_s: float) -> list[Change]:
        """What is due: who comes back, and at the end of an interval who goes."""
        over = [key for key, host in self._ejected.items() if (host.until_s or 0.0) <= now_s]
        changes: list[Change] = [self._release(key, "its time is over") for key in over]
        if self._interval_end_s is not None and self._interval_end_s <= now_s:
            changes += self._end_interval(now_s)
        return changes

    def next_s(self) -> float | None:
        """When `tick` has something to do; None for never, until something is reported."""
        moments = [host.until_s for host in self._ejected.values() if host.until_s is not None]
        if self._interval_end_s is not None:
            moments.append(self._interval_end_s)
        return min(moments, default=None)

    def _end_interval(self, now_s: float) -> list[Change]:
        changes: list[Change] = []
        while len(self._ejected) > self.ejected_max:
            soonest = min(self._ejected, key=lambda key: (self._ejected[key].until_s or 0.0, key))
            changes.append(self._release(soonest, "more are out than may be"))
        for host in self._hosts.values():
            if host.until_s is None and not host.is_back:
                host.ejections = max(0, host.ejections - 1)
            host.is_back = False
        for suspect in find_suspects(self._hosts, self._parameters):
            host = self._hosts[suspect.host]
            if host.until_s is None:
                ejection = self._found(suspect.host, host, suspect.rule, suspect.because, now_s)
                if ejection is not None:
                    changes.append(ejection)
        for key in [key for key, host in self._hosts.items() if host.is_blank and not host.attempts]:
            del self._hosts[key]
        for host in self._hosts.values():
            host.begin_interval()
        self._interval_end_s = now_s + self._parameters.interval_s if self._hosts else None
        return changes

    def _found(
        self, key: str, host: Host, rule: Rule, because: Callable[[], str], now_s: float
    ) -> Ejection | None:
        """Takes the host out, if the rule is enforced this time and one more may be out."""
        parameters = self._parameters
        self.detected[rule] += 1
        enforcing = int(getattr(parameters, f"enforcing_{rule}"))
        if enforcing == 0:
            self.withheld["enforcing"] += 1
            return None
        if len(self._ejected) >= self.ejected_max:
            self.withheld["cap"] += 1
            return None
        if enforcing < 100 and self._roll() * 100 >= enforcing:
            self.withheld["enforcing"] += 1
            return None
        base_s = parameters.base_ejection_time_s
        most_s = max(base_s, parameters.max_ejection_time_s)
        if host.ejections * base_s < most_s + base_s:  # more would only take longer to be forgiven
            host.ejections += 1
        out_s = min(base_s * host.ejections, most_s)
        if parameters.max_ejection_time_jitter_s:
            out_s += parameters.max_ejection_time_jitter_s * self._roll()
        host.until_s = now_s + out_s
        host.rule = rule
        host.is_back = False
        self._ejected[key] = host
        return Ejection(key, rule, because(), host.until_s, host.ejections)

    def _release(self, key: str, because: str) -> Release:
        host = self._ejected.pop(key)
        host.until_s = None
        host.is_back = True
        # What was found before it was out, and of the last requests to it, must not take it out again at once.
        host.clear_rows()
        host.begin_interval()
        return Release(key, because)


def _row(in_a_row: int) -> str:
    return f"{in_a_row} failures in a row" if in_a_row > 1 else "a failure"
