"""The shelf of the key-value store: keys in order, who holds their locks, and since when a prefix is as it is.

Any beginning of a key can be asked for and waited for, so neither can have a topic of its own from the start: a
topic is there once somebody waits, and a change touches those that are there. What an answer's index is, is
therefore told by the entries and by the deletions that are remembered, and not by topics.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from regista.catalog.shelves import Shelf
from regista.catalog.sorted_keys import SortedKeys
from regista.catalog.topics import Topics
from regista.model import Change, Delete, Entry, KvEntry

KV_DELETIONS_MAX = 10_000

Held = dict[str, None]
"""Keys, in the order in which they were locked."""


class Deletions:
    """At which index keys were deleted that are not there any more.

    The oldest are forgotten first; then their index counts for every key and prefix, so that no index goes back.
    """

    def __init__(self, *, count_max: int) -> None:
        self._count_max = count_max
        self._indexes: OrderedDict[str, int] = OrderedDict()
        self._keys = SortedKeys()
        self.forgotten_index = 1

    def __len__(self) -> int:
        return len(self._indexes)

    def note(self, key: str, index: int) -> None:
        """Remembers that the key was deleted at `index`, which is no lower than any before."""
        self.drop(key)
        self._indexes[key] = index
        self._keys.add(key)
        if len(self._indexes) > self._count_max:
            oldest, oldest_index = self._indexes.popitem(last=False)
            self._keys.remove(oldest)
            self.forgotten_index = max(self.forgotten_index, oldest_index)

    def drop(self, key: str) -> None:
        """Forgets the deletion of a key that is there again, and so has a higher index."""
        if self._indexes.pop(key, None) is not None:
            self._keys.remove(key)

    def index_of(self, key: str) -> int:
        """When the key was deleted, as far as is remembered; at least 1."""
        return self._indexes.get(key, self.forgotten_index)

    def index_below(self, prefix: str) -> int:
        """When a key with this beginning was deleted last; O(those remembered)."""
        if not self._indexes:
            return self.forgotten_index
        return max(map(self._indexes.__getitem__, self._keys.below(prefix)), default=self.forgotten_index)


class KvShelf(Shelf[KvEntry]):
    """Keys with their values, by beginnings and by the session that holds their lock.

    Attributes:
        last_index: that of the last change of any key, at least 1.
        held: the keys whose lock each session holds.
    """

    def __init__(self, topics: Topics, *, deletions_max: int) -> None:
        super().__init__()
        self._topics = topics
        self._keys = SortedKeys()
        self._deletions = Deletions(count_max=deletions_max)
        # Only beginnings of these lengths were ever waited for.
        self._lengths: set[int] = set()
        self.last_index = 1
        self.held: dict[str, Held] = {}

    def add(self, key: str, entry: Entry[KvEntry]) -> None:
        """Notes an entry that was just put among the records; its key is free here."""
        self._keys.add(key)
        if entry.record.session:
            self.held.setdefault(entry.record.session, {})[key] = None
        self.last_index = max(self.last_index, entry.modify_index)

    def remove(self, key: str, entry: Entry[KvEntry]) -> None:
        """Drops an entry that was noted before."""
        self._keys.remove(key)
        session = entry.record.session
        if session:
            held = self.held[session]
            del held[key]
            if not held:
                del self.held[session]

    def note(self, change: Change, index: int) -> None:
        """Remembers deletions, so that the index of what is gone stays."""
        key = change.record.key
        if isinstance(change, Delete):
            self._deletions.note(key, index)
            self.last_index = max(self.last_index, index)
        else:
            self._deletions.drop(key)

    def begin(self, floor_index: int) -> None:
        """Takes it that any key may have been deleted up to `floor_index`."""
        self._deletions.forgotten_index = max(1, floor_index)
        self.last_index = max(self.last_index, floor_index)

    # ---- looking ----

    def below(self, prefix: str) -> list[Entry[KvEntry]]:
        """The entries whose keys begin with `prefix`, in the order of the keys' bytes; O(their number)."""
        entries = self.entries
        return [entries[key] for key in self._keys.below(prefix)]

    def names_below(self, prefix: str, separator: str) -> list[str]:
        """The keys that begin with `prefix`, each cut behind the first separator after it, and none twice."""
        keys = self._keys.below(prefix)
        if not separator:
            return list(keys)
        found: dict[str, None] = {}
        start = len(prefix)
        for key in keys:
            at = key.find(separator, start)
            found[key if at < 0 else key[: at + len(separator)]] = None
        return list(found)

    def index_of(self, key: str) -> int:
        """The index of what is to be said of a key; others' changes don't move it."""
        entry = self.entries.get(key)
        return entry.modify_index if entry else self._deletions.index_of(key)

    def index_below(self, prefix: str) -> int:
        """The index of what is to be said of all keys that begin with `prefix`; it never goes back."""
        if not prefix:
            return self.last_index
        entries = self.entries
        newest = max((entries[key].modify_index for key in self._keys.below(prefix)), default=1)
        return max(newest, self._deletions.index_below(prefix))

    # ---- waiting ----

    def key_topic(self, key: str) -> str:
        """What changes with this key."""
        return "kv/" + key

    def prefix_topic(self, prefix: str) -> str:
        """What changes with any key that begins with `prefix`."""
        self._lengths.add(len(prefix))
        return "kv-prefix/" + prefix

    def topics(self, record: KvEntry) -> Iterable[str]:
        """Those of the key and of its beginnings that somebody waits for."""
        key = record.key
        names = ["kv/" + key, *("kv-prefix/" + key[:length] for length in self._lengths if length <= len(key))]
        return [name for name in names if name in self._topics]
