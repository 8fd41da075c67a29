"""The stream of instances: a list once, and then each instance that changes, encoded once for all who follow.

Theory of operation. Readers of the same question share a `Followed`. A batch only notes which instances it
touched; a moment later (the *window*) these are looked at together, which gives the changes, and the readers are
woken. All that is followed is looked at in the same moment, so every reader's state is that of one index. A reader
keeps nothing but how far it has come in each question.

    list ──sent──▶ whole ──changes──▶ behind ──sent──▶ whole
      ▲                                 └── fell behind what is remembered ──▶ list
      └── comes back with an index that is not remembered

The id is told only when a reader is whole: whoever loses the connection in the midst of some changes comes back
with the index before them, and gets what it has not heard.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Sequence

from regista.catalog import Catalog, Instance, Lookup, touched_instances
from regista.model import Batch, Overloaded
from regista.protocols.http import Request, Watchers
from regista.protocols.native.followed import Counts, Followed, key_of
from regista.protocols.native.instance_stream import InstanceStream, Question
from regista.protocols.native.settings import StreamSettings

_LINGER_S = 60.0
"""How long a question that nobody follows any more is kept, so that its reader can come back without a full list.
A connection that broke is back within seconds, a program that was restarted within a minute."""

_PROOF_S = 0.05
"""How often it is looked at whether readers' machines have what they were sent: a drain waits no longer than that
beyond what it must."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answering:
    """How instances are shown.

    Attributes:
        encode: an instance as JSON.
        label: how far an answer about a service can be relied on, by its topic and whether it is empty.
        threshold_default: the panic threshold of services without their own, in percent.
    """

    encode: Callable[[Instance], bytes]
    label: Callable[[str, bool], str]
    threshold_default: float


class InstanceFeed:
    """Where all readers follow instances.

    Args:
        watchers: where readers are noted, so that drains wait for them.
        life: differs from one start of the agent to the next, for an index may mean another state then.

    Attributes:
        life: as given.
        counts: what was done.
        index: of a state of the replica of which all that is followed was looked at.
    """

    def __init__(
        self, catalog: Catalog, answering: Answering, settings: StreamSettings, *, watchers: Watchers, life: str
    ) -> None:
        self.life = life
        self.counts = Counts()
        self.index = catalog.index
        self.settings = settings
        self._catalog = catalog
        self._answering = answering
        self._watchers = watchers
        self._questions: dict[str, Question] = {}
        self._by_name: dict[str, list[Question]] = {}
        self._dirty: dict[Question, None] = {}
        self._readers: dict[InstanceStream, None] = {}
        self._unproven: dict[InstanceStream, None] = {}
        self._look: asyncio.TimerHandle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._proof: asyncio.TimerHandle | None = None
        self._is_open = True
        catalog.subscribe(self._on_batch)

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def questions_count(self) -> int:
        """How many different questions are followed, or were a moment ago."""
        return len(self._questions)

    def listen(self, lookups: Sequence[Lookup], after: int | None, request: Request) -> InstanceStream:
        """The instances that some look-ups find, and how they change.

        Args:
            after: the index of what the reader knows; None if it knows nothing.

        Raises:
            Overloaded: as many listen as may, or to as many different questions.
        """
        readers_max = self.settings.readers_max
        if len(self._readers) >= readers_max:
            raise Overloaded("streams.readers_max", used=len(self._readers), most=readers_max, retry_after_s=5.0)
        questions = tuple(dict.fromkeys(self._question(lookup) for lookup in lookups))
        stream = InstanceStream(self, questions, after, request=request, watchers=self._watchers)
        self._readers[stream] = None
        for question in questions:
            question.readers[stream] = None
        if not self._is_open:
            stream.end()
        return stream

    def look(self) -> None:
        """Looks at all that was touched now, and wakes those who wait for what has changed."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self.index = self._catalog.index
        dirty, self._dirty = self._dirty, {}
        for question in dirty:
            question.followed.look(self.index)
            for reader in question.readers:
                reader.looked(question)

    def close(self) -> None:
        """Ends every stream; readers come back to whoever is there then."""
        self._is_open = False
        for reader in tuple(self._readers):
            reader.end()
        for timer in (self._look, self._tick, self._proof):
            if timer is not None:
                timer.cancel()

    # ---- for readers ----

    def now_index(self, question: Question) -> int:
        """The index of the answer to a question as of now."""
        if question.followed.is_dirty:
            self.look()
        return question.followed.index

    def whole_index(self, questions: Iterable[Question]) -> int:
        """The index of what a reader knows that has come to the end of its changes."""
        return self.index if any(each.followed.is_dirty for each in questions) else self._catalog.index

    def await_proof(self, reader: InstanceStream) -> None:
        """Has a reader look again, until what it was sent has arrived."""
        self._unproven[reader] = None
        if self._proof is None:
            self._proof = asyncio.get_running_loop().call_later(_PROOF_S, self._prove)

    def leave(self, reader: InstanceStream, questions: Iterable[Question]) -> None:
        """Forgets a reader."""
        self._readers.pop(reader, None)
        self._unproven.pop(reader, None)
        for question in questions:
            question.readers.pop(reader, None)
            question.left_s = asyncio.get_running_loop().time()

    # ---- what is followed ----

    def _question(self, lookup: Lookup) -> Question:
        question = self._questions.get(key_of(lookup))
        if question is None:
            self._make_room()
            followed = Followed(
                self._catalog,
                lookup,
                encode=self._answering.encode,
                label=self._answering.label,
                threshold_default=self._answering.threshold_default,
                changes_max=self.settings.changes_max,
                counts=self.counts,
            )
            question = self._questions[followed.key] = Question(followed)
            self._by_name.setdefault(lookup.name.lower(), []).append(question)
            self._tick_later()
            if followed.settings_topics:
                touch = question

                def settings_changed() -> None:
                    self._touch(touch, None)

                question.stop = self._catalog.topics.watch(followed.settings_topics, settings_changed)
        return question

    def _make_room(self) -> None:
        most = self.settings.questions_max
        if len(self._questions) < most:
            return
        idle = next((each for each in self._questions.values() if not each.readers), None)
        if idle is None:
            raise Overloaded("streams.questions_max", used=len(self._questions), most=most, retry_after_s=5.0)
        self._drop(idle)

    def _drop(self, question: Question) -> None:
        question.stop()
        self._dirty.pop(question, None)
        del self._questions[question.followed.key]
        name = question.followed.lookup.name.lower()
        same = self._by_name[name]
        same.remove(question)
        if not same:
            del self._by_name[name]

    def _on_batch(self, batch: Batch) -> None:
        if self._by_name:
            for name, key in touched_instances(self._catalog, batch):
                for question in self._by_name.get(name, ()):
                    self._touch(question, key)

    def _touch(self, question: Question, key: str | None) -> None:
        if not self._dirty:
            # All before this transaction was looked at.
            self.index = self._catalog.index - 1
        question.followed.touch(key)
        self._dirty[question] = None
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(self.settings.window_s, self.look)

    # ---- time ----

    def _tick_later(self) -> None:
        if self._tick is None and self._is_open:
            pause_s = self.settings.heartbeat_s / 2
            self._tick = asyncio.get_running_loop().call_later(pause_s, self._on_tick)

    def _on_tick(self) -> None:
        """Lets silent readers hear that they are heard, and forgets what nobody came back to."""
        self._tick = None
        now_s = asyncio.get_running_loop().time()
        for reader in self._readers:
            reader.beat(now_s - self.settings.heartbeat_s / 2)
        for question in tuple(self._questions.values()):
            if not question.readers and now_s - question.left_s > _LINGER_S:
                self._drop(question)
        if self._questions:
            self._tick_later()

    def _prove(self) -> None:
        self._proof = None
        unproven, self._unproven = self._unproven, {}
        for reader in unproven:
            reader.prove()
