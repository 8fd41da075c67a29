"""Topics: what an answer depends on, when it last changed, and who wants to know.

A topic is a name such as `services` or `service/web`. Its *index* is that of the last transaction that touched
it, and is what callers of a blocking query hold on to. Its *version* also counts what changes without a
transaction (the output of a check), and is what a ready answer is compared by; nobody is woken for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

NODES = "nodes"
SERVICES = "services"
CHECKS = "checks"

COORDINATES = "coordinates"
QUERIES = "queries"
CONFIG_ENTRIES = "config-entries"
EVENTS = "events"
SESSIONS = "sessions"

WakeUp = Callable[[], None]


def service_topic(name: str) -> str:
    """The instances of a service, their checks, and the nodes they are on."""
    return "service/" + name.lower()


def node_topic(name: str) -> str:
    """A node, its services and its checks."""
    return "node/" + name.lower()


def coordinate_topic(node: str) -> str:
    """Where a node is in the network."""
    return "coordinate/" + node.lower()


def session_topic(session_id: str) -> str:
    """A session."""
    return "session/" + session_id


def query_topic(query_id: str) -> str:
    """A prepared query."""
    return "query/" + query_id


def config_topic(entry_kind: str, name: str | None = None) -> str:
    """The configuration entries of a kind, or the one of that name."""
    return f"config/{entry_kind}" if name is None else f"config/{entry_kind}/{name.lower()}"


def mesh_topic(name: str) -> str:
    """The instances through which a service is reached within the mesh, their checks, and their nodes."""
    return "mesh/" + name.lower()


class _Topic:
    __slots__ = ("index", "is_touched", "version", "watchers")

    def __init__(self, index: int, version: int) -> None:
        self.index = index
        self.is_touched = False
        self.version = version
        self.watchers: dict[int, WakeUp] | None = None


class Topics:
    """Every topic that was ever touched, or that somebody watches.

    A topic nobody ever touched has the index `absent_index`, which other topics' changes don't move; so a
    caller who waits for a name that doesn't exist waits for *that name*.

    Attributes:
        changes_count: grows with whatever makes the version of any topic another, and never goes back.
    """

    def __init__(self) -> None:
        self.absent_index = 1
        self.changes_count = 0
        self._topics: dict[str, _Topic] = {}
        self._tickets = 0
        self._absent_version = 0
        # Of the touched topics that were dropped the latest index, by what stands before their slash.
        self._dropped: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def __contains__(self, name: object) -> bool:
        return name in self._topics

    def has_all(self, names: Iterable[str]) -> bool:
        """Whether each of these topics is kept, so that its version tells of every change."""
        return all(name in self._topics for name in names)

    def index(self, names: Iterable[str]) -> int:
        """The highest index of these topics, at least 1 (Consul never says 0)."""
        topics = self._topics
        return max(topics[name].index if name in topics else self.absent_index for name in names)

    def touched_index(self, names: Iterable[str]) -> int:
        """The highest index at which any of these topics may have been touched; 0 where none can have been.

        Of topics that were dropped only the latest of their kind is remembered, which then counts for all of it.
        """
        return max(map(self._touched_index, names), default=0)

    def is_touched(self, name: str) -> bool:
        """Whether a topic was touched, as far as is remembered."""
        topic = self._topics.get(name)
        return topic is not None and topic.is_touched

    def _touched_index(self, name: str) -> int:
        topic = self._topics.get(name)
        if topic is not None and topic.is_touched:
            return topic.index
        return self._dropped.get(_kind(name), 0) if self._dropped else 0

    def version(self, names: Iterable[str]) -> tuple[int, ...]:
        """A value that differs whenever anything about these topics may have changed."""
        versions: list[int] = []
        for name in names:
            topic = self._topics.get(name)
            versions.append(self._absent_version if topic is None else topic.version)
        return tuple(versions)

    def touch(self, names: Iterable[str], index: int) -> None:
        """Notes a change at `index`, waking nobody yet; see `wake`."""
        for name in names:
            topic = self._topics.get(name)
            if topic is None:
                topic = self._topics[name] = _Topic(index, self._absent_version)
            topic.index = max(topic.index, index)
            topic.is_touched = True
            topic.version = self._next_version()

    def refresh(self, names: Iterable[str]) -> None:
        """Notes that something changed for which nobody is woken."""
        for name in names:
            if name in self._topics:
                self._topics[name].version = self._next_version()

    def watch(self, names: Iterable[str], wake_up: WakeUp) -> Callable[[], None]:
        """Has `wake_up` called after each change of any of these topics, until the returned function is called.

        A change that touches several of the topics calls once for each; `wake_up` must be cheap and not raise.
        """
        self._tickets += 1
        ticket = self._tickets
        names = tuple(names)
        for name in names:
            topic = self._topics.get(name)
            if topic is None:
                topic = self._topics[name] = _Topic(self.absent_index, self._absent_version)
            if topic.watchers is None:
                topic.watchers = {}
            topic.watchers[ticket] = wake_up

        def stop() -> None:
            for name in names:
                topic = self._topics.get(name)
                if topic is not None and topic.watchers is not None:
                    topic.watchers.pop(ticket, None)
                    topic.watchers = topic.watchers or None

        return stop

    def wake(self, names: Iterable[str]) -> None:
        """Calls whoever watches these topics."""
        for name in names:
            topic = self._topics.get(name)
            if topic is not None and topic.watchers:
                for wake_up in list(topic.watchers.values()):
                    wake_up()

    def forget(self, is_live: Callable[[str], bool]) -> None:
        """Drops topics that nothing stands behind and nobody watches; their index goes into `absent_index`.

        Keeps names that came and went from filling the memory. A dropped topic's index never goes back: it is at
        most the new `absent_index`.
        """
        dead = [name for name, topic in self._topics.items() if not topic.watchers and not is_live(name)]
        for name in dead:
            topic = self._topics.pop(name)
            self.absent_index = max(self.absent_index, topic.index)
            if topic.is_touched:
                kind = _kind(name)
                self._dropped[kind] = max(self._dropped.get(kind, 0), topic.index)
        if dead:
            self._absent_version = self._next_version()

    def raise_absent(self, index: int) -> None:
        """Takes it that any topic that is not kept may have been touched up to `index`."""
        if index > self.absent_index:
            self.absent_index = index
            self._absent_version = self._next_version()

    def raise_all(self, index: int) -> None:
        """Takes it that any topic may have been touched up to `index`, waking nobody."""
        self.raise_absent(index)
        for topic in self._topics.values():
            topic.index = max(topic.index, index)
            topic.version = self._next_version()

    def _next_version(self) -> int:
        """One count for all topics, so that a topic that is dropped and comes back never repeats a version."""
        self.changes_count += 1
        return self.changes_count


def _kind(name: str) -> str:
    return name.partition("/")[0]
