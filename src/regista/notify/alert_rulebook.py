"""The rules in force, what looks whether they hold, and what each of them found since the last look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from regista.catalog import DEFAULT_RULES, RULE_KINDS, Catalog
from regista.model import AlertRule
from regista.notify.alert_certificates import Unreadable, read_end_s
from regista.notify.alert_facts import Touched, Unwell
from regista.notify.alert_watchers import WATCHERS, Certificate, Findings, Places, Sources, Watcher


def rules_in_force(catalog: Catalog, *, has_defaults: bool) -> dict[str, AlertRule]:
    """The rules by key: those that were written, and those of the house that were not written anew."""
    rules = {rule.key: rule for rule in DEFAULT_RULES} if has_defaults else {}
    return rules | {key: entry.record for key, entry in catalog.alerting.rules.items()}


class Certificates:
    """What is known of the files of certificates that rules name.

    Args:
        every_s: how often they are read.
        files: those that rules name now.
    """

    def __init__(self, *, every_s: float, files: Callable[[], Iterable[str]]) -> None:
        self._every_s = every_s
        self._files = files
        self._known: dict[str, Certificate] = {}
        self._is_wanted = asyncio.Event()

    def known(self, file: str) -> Certificate | None:
        """What is known of a file; None before it was read, which it will be soon."""
        found = self._known.get(file)
        if found is None:
            self._is_wanted.set()
        return found

    async def keep_reading(self) -> None:
        """Reads the files again and again, and at once when there is another, until cancelled."""
        while True:
            self._is_wanted.clear()
            self._known = {file: await asyncio.to_thread(_read, file) for file in sorted(self._files())}
            try:
                async with asyncio.timeout(self._every_s):
                    await self._is_wanted.wait()
            except TimeoutError:
                continue


class Rulebook:
    """The rules with their watchers.

    Args:
        certificates_s: how often the files of certificates are read.

    Attributes:
        rules: those that are in force and on, by key.
        certificates: to be kept reading.
    """

    def __init__(self, sources: Sources, *, certificates_s: float) -> None:
        self.rules: dict[str, AlertRule] = {}
        self.certificates = Certificates(every_s=certificates_s, files=self._files)
        self._catalog = sources.catalog
        self._unwell: Unwell | None = None
        self._places = Places(sources, self._needed_unwell, self.certificates.known)
        self._watchers: dict[str, Watcher] = {}
        self._touched = Touched()
        self._follows_log = False
        # Rules of which everything is to be looked at.
        self._fresh: set[str] = set()

    def note(self, touch: Callable[[Touched], None]) -> None:
        """Remembers what changed until the next look, if any rule may be about it."""
        if self._follows_log:
            touch(self._touched)

    def replace(self, rules: dict[str, AlertRule]) -> set[str]:
        """Puts other rules in force; the keys of those that are not any more."""
        wanted = {key: rule for key, rule in rules.items() if rule.is_enabled and rule.rule_kind in RULE_KINDS}
        gone = self.rules.keys() - wanted.keys()
        for key in gone:
            self._watchers.pop(key, None)
            self._fresh.discard(key)
        for key, rule in wanted.items():
            if self.rules.get(key) != rule:
                self._watchers[key] = WATCHERS[rule.rule_kind](rule, self._places)
                self._fresh.add(key)
        self.rules = wanted
        self._follows_log = any(not watcher.is_polled for watcher in self._watchers.values())
        if not any(rule.rule_kind == "service_healthy_below" for rule in wanted.values()):
            self._unwell = None
        return set(gone)

    def look_at_all(self, keys: Iterable[str]) -> None:
        """Has everything looked at for these rules the next time."""
        self._fresh.update(key for key in keys if key in self.rules)

    def look(self) -> list[tuple[str, Findings, bool]]:
        """What the rules found: the rule's key, the findings, and whether those are all there are."""
        touched, self._touched = self._touched, Touched()
        fresh, self._fresh = self._fresh, set()
        if self._unwell is not None:
            self._unwell.follow(touched)
        found = []
        for key, watcher in self._watchers.items():
            if watcher.is_polled or key in fresh:
                found.append((key, watcher.look(None), True))
            elif touched:
                found.append((key, watcher.look(touched), False))
        return found

    def _files(self) -> set[str]:
        """The files of certificates that rules name."""
        return {rule.file for rule in self.rules.values() if rule.file}

    def _needed_unwell(self) -> Unwell:
        if self._unwell is None:
            self._unwell = Unwell(self._catalog)
        return self._unwell


def _read(file: str) -> Certificate:
    try:
        return Certificate(end_s=read_end_s(file))
    except Unreadable as error:
        return Certificate(problem=str(error))
