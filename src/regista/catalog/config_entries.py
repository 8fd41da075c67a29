"""The shelf of configuration entries."""

from __future__ import annotations

from collections.abc import Iterable

from regista.catalog.shelves import Shelf
from regista.catalog.topics import CONFIG_ENTRIES, config_topic
from regista.model import ConfigEntry, Entry, config_entry_key


class ConfigShelf(Shelf[ConfigEntry]):
    """Configuration entries by kind and name.

    Attributes:
        by_kind: by kind, then by key; read only for everybody else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_kind: dict[str, dict[str, Entry[ConfigEntry]]] = {}

    def add(self, key: str, entry: Entry[ConfigEntry]) -> None:
        """Notes an entry that was just put among the records."""
        self.by_kind.setdefault(entry.record.entry_kind, {})[key] = entry

    def remove(self, key: str, entry: Entry[ConfigEntry]) -> None:
        """Drops an entry that was noted before."""
        of_kind = self.by_kind[entry.record.entry_kind]
        del of_kind[key]
        if not of_kind:
            del self.by_kind[entry.record.entry_kind]

    def topics(self, record: ConfigEntry) -> Iterable[str]:
        """The list of all, that of its kind, and the entry itself."""
        return (
            CONFIG_ENTRIES,
            config_topic(record.entry_kind),
            config_topic(record.entry_kind, record.name),
        )

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there is an entry of that kind, or of that kind and name."""
        return room == "config" and (name in self.by_kind or name in self.entries)

    def find(self, entry_kind: str, name: str) -> Entry[ConfigEntry] | None:
        """The entry of that kind and name, in any case."""
        return self.entries.get(config_entry_key(entry_kind, name))

    def of_kind(self, entry_kind: str) -> list[Entry[ConfigEntry]]:
        """The entries of a kind, by name."""
        of_kind = self.by_kind.get(entry_kind, {})
        return [of_kind[key] for key in sorted(of_kind)]

    def all(self) -> list[Entry[ConfigEntry]]:
        """Every entry, by kind and then by name."""
        return [entry for entry_kind in sorted(self.by_kind) for entry in self.of_kind(entry_kind)]
