"""Where the replica keeps alerts and what belongs to them; all are found by their keys."""

from __future__ import annotations

from regista.catalog.shelves import Shelf
from regista.model import Alert, AlertChannel, AlertNotice, AlertRule, AlertSilence


class AlertShelves:
    """The shelves, and their entries by key; read only for everybody else."""

    def __init__(self) -> None:
        self.rule_shelf: Shelf[AlertRule] = Shelf()
        self.alert_shelf: Shelf[Alert] = Shelf()
        self.notice_shelf: Shelf[AlertNotice] = Shelf()
        self.silence_shelf: Shelf[AlertSilence] = Shelf()
        self.channel_shelf: Shelf[AlertChannel] = Shelf()
        self.rules = self.rule_shelf.entries
        self.alerts = self.alert_shelf.entries
        self.notices = self.notice_shelf.entries
        self.silences = self.silence_shelf.entries
        self.channels = self.channel_shelf.entries
