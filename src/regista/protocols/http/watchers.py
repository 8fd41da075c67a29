"""Who follows what: the clients that ask again and again with the index of the answer they have.

Theory of operation. A *watcher* is a client that follows one question (a view, whatever its index). It is known
from its first query that names an index, for only who names one keeps what it is told. When it asks, it proves
which answer it has (`known_index`); when it is answered, it is told another (`delivered_index`), and whether it
has taken that in is known once it asks again. So what a caller may still believe is what it proved last.

    (none) ──asks──▶ waiting ──answered──▶ answered ──asks again──▶ waiting
                        └──── its connection closes ────┴──▶ away ──asks again within `return_s`──▶ waiting
                                                              └── else ──▶ gone

A query is the next one of the watcher that asked the same on its connection; else of one that is away and came
from the same address and program (clients that make a connection for each request); else of one that was answered
a moment ago with just the index that is asked with (clients with a pool of connections). So the number of watchers
is right for each of these kinds of clients, though two of one program on a machine may be taken for each other.

A stream tells without being asked again. Its reader waits all the time, and proves what it has by what the doors
can find out of it (`proved`).

A *barrier* is an index that all watchers shall pass whose answer has changed at it or since. It costs those who
ask nothing while there is none, and a look at a set each while there is.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Literal, NamedTuple, TypeAlias, cast

from regista.model import Overloaded
from regista.protocols.http.messages import Peer, Request, Watching

Client: TypeAlias = tuple[str, str]
"""Address and program."""

State: TypeAlias = Literal["waiting", "answered", "away", "gone"]

_QUESTIONS_EACH_MAX = 64
"""Of one connection, which asks one after the other; a client that follows more uses more connections."""

_CANDIDATES_MAX = 32
"""Among how many watchers of the same program it is looked for the one that asks on another connection now."""

_SILENT_S_MAX = 120.0
"""Who has been answered and is silent for longer, on a connection that is used for other things, has stopped to
follow. An idle connection is closed before (`http.keep_alive_s`)."""

_ASKS_CHARACTERS_MAX = 256

_NOT_THE_QUESTION = frozenset(("index", "wait", "token"))


class _Away:
    """What is kept of a connection that was closed."""

    __slots__ = ("client", "remote", "watching")

    unacknowledged_bytes = sys.maxsize

    def __init__(self, peer: Peer) -> None:
        self.client = peer.client
        self.remote = peer.remote
        self.watching: Watching | None = None


class _Question:
    """What is followed, shared by all who follow it.

    Attributes:
        index: of its answer now.
        idle: those who are not waiting, by client.
    """

    __slots__ = ("asks", "idle", "index", "key", "topics", "watchers")

    def __init__(self, key: str, topics: Collection[str], asks: str, index: Callable[[], int]) -> None:
        self.key = key
        self.topics = topics
        self.asks = asks
        self.index = index
        self.watchers: dict[Watcher, None] = {}
        self.idle: dict[Client, dict[Watcher, None]] = {}


class Watcher:
    """A client that follows a question. There may be ten thousands: every slot counts.

    Attributes:
        next: another on the same connection.
        since_s: since when it is in its state, by the loop's clock.
        known_index: the index of the answer that it proved to have.
        delivered_index: that of the answer it was given last.
    """

    __slots__ = ("_registry", "delivered_index", "known_index", "next", "peer", "question", "since_s", "state")

    def __init__(self, registry: Watchers, question: _Question, peer: Peer) -> None:
        self._registry = registry
        self.question = question
        self.peer = peer
        self.next: Watcher | None = None
        self.state: State = "gone"
        self.since_s = 0.0
        self.known_index = self.delivered_index = 0

    def release(self) -> None:
        """Says that the connection of this watcher, and of those after it, is closed."""
        self._registry.release(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Laggard:
    """A watcher that has not passed a barrier.

    Attributes:
        asks: path and parameters.
        index: of the answer that it was given last.
        for_s: how long it has been in its state.
    """

    remote: str
    user_agent: str
    asks: str
    index: int
    state: State
    for_s: float


class Follower(NamedTuple):
    """A watcher of what a barrier is about, as it is at a moment.

    Attributes:
        has_passed: whether it has proved to know the barrier's index.
    """

    told: Laggard
    has_passed: bool


class Passage(NamedTuple):
    """How far the watchers are.

    Attributes:
        watchers: how many follow what has changed; `laggards` are those who may not know it yet.
        is_complete: whether nobody can have been overlooked, because there were more watchers than are kept.
    """

    watchers: int
    laggards: tuple[Laggard, ...]
    is_complete: bool


class _Barrier:
    """Who shall pass an index, and who has yet to."""

    __slots__ = ("_is_passed", "index", "lagging", "questions", "seen", "topics")

    def __init__(self, topics: frozenset[str], index: int) -> None:
        self.topics = topics
        self.index = index
        self.questions: set[_Question] = set()
        self.seen: set[Watcher] = set()
        self.lagging: dict[Watcher, None] = {}
        self._is_passed = asyncio.Event()

    def concerns(self, question: _Question, current_index: int) -> bool:
        """Whether the answer to the question has changed at this index or since."""
        if question in self.questions:
            return True
        if current_index < self.index or self.topics.isdisjoint(question.topics):
            return False
        self.questions.add(question)
        return True

    def judge(self, watcher: Watcher) -> None:
        """Notes how far a watcher of such a question is."""
        self.seen.add(watcher)
        if watcher.known_index < self.index:
            self.lagging[watcher] = None
        else:
            self.drop(watcher)

    def drop(self, watcher: Watcher) -> None:
        """Waits for this watcher no longer."""
        self.lagging.pop(watcher, None)
        if not self.lagging:
            self._is_passed.set()

    async def wait(self) -> None:
        """Returns once nobody lags."""
        while self.lagging:
            self._is_passed.clear()
            await self._is_passed.wait()


class Watchers:
    """All watchers of an agent.

    Args:
        watchers_max: how many are kept; of one more nothing is known, and barriers say so.
        return_s: how long a watcher whose connection has closed is expected back.
        barriers_max: how many may wait for the others at once.
        forget_refused_s: how long somebody who was not kept may follow what was asked then.

    Attributes:
        count: how many are kept.
        elsewhere: waits for the watchers of all processes, where there are others: see `wait_passed`.
        outcomes: of the barriers that were waited for: `passed`, `laggards` or `abandoned`.
        refused_count: how often one was not kept.
    """

    def __init__(self, *, watchers_max: int, return_s: float, barriers_max: int, forget_refused_s: float) -> None:
        self.count = 0
        self.elsewhere: Callable[[Collection[str], int, float], Awaitable[Passage]] | None = None
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.refused_count = 0
        self._watchers_max = watchers_max
        self._return_s = return_s
        self._barriers_max = barriers_max
        self._forget_refused_s = forget_refused_s
        self._refused_s = float("-inf")
        self._questions: dict[str, _Question] = {}
        self._away: dict[Watcher, float] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._barriers: list[_Barrier] = []

    # ---- what clients do ----

    def ask(
        self,
        request: Request,
        key: str,
        topics: Collection[str],
        index: Callable[[], int],
        *,
        known_index: int,
        current_index: int,
    ) -> Watcher | None:
        """Notes that a client asks, and which answer it has; None if it can't be followed.

        Args:
            key: the same for the same question.
            index: gives the index of its answer whenever it is wanted.
            current_index: what it gives now.
        """
        peer = request.peer
        if peer is None:
            return None
        now_s = asyncio.get_running_loop().time()
        first = watcher = cast("Watcher | None", peer.watching)
        while watcher is not None and watcher.question.key != key:
            watcher = watcher.next
        if watcher is not None:
            self._leave_idle(watcher)
        else:
            question = self._questions.get(key)
            if question is None:
                question = _Question(key, topics, _asked(request), index)
            watcher = self._returned(question, peer, known_index, now_s) or self._new(question, peer, now_s)
            if watcher is None:
                return None
            watcher.next = first
            peer.watching = watcher
            self._limit(watcher, now_s)
        watcher.known_index = known_index
        watcher.state = "waiting"
        watcher.since_s = now_s
        for barrier in self._barriers:
            if barrier.concerns(watcher.question, current_index):
                barrier.judge(watcher)
        return watcher

    def answered(self, watcher: Watcher, index: int) -> None:
        """Notes that a watcher is given an answer; does nothing for one whose connection has closed."""
        if watcher.state == "waiting":
            watcher.state = "answered"
            watcher.since_s = asyncio.get_running_loop().time()
            watcher.delivered_index = index
            self._enter_idle(watcher)

    def proved(self, watcher: Watcher, index: int) -> None:
        """Notes that a watcher that is told without asking again has what it was told, up to an index."""
        if watcher.state == "waiting" and index > watcher.known_index:
            watcher.known_index = index
            watcher.since_s = asyncio.get_running_loop().time()
            for barrier in self._barriers:
                if barrier.concerns(watcher.question, watcher.question.index()):
                    barrier.judge(watcher)

    def release(self, first: Watcher) -> None:
        """Notes that a connection is closed: those on it, from the first on, are expected back for a while."""
        now_s = asyncio.get_running_loop().time()
        away = _Away(first.peer)
        for watcher in tuple(_chain(first)):
            watcher.next = None
            watcher.peer = away
            if watcher.state == "waiting":
                self._enter_idle(watcher)
            watcher.state = "away"
            watcher.since_s = now_s
            self._away[watcher] = now_s + self._return_s
        self._sweep_later()

    # ---- barriers ----

    @property
    def barriers_count(self) -> int:
        """How many wait for the others."""
        return len(self._barriers)

    def check_room(self) -> None:
        """Does nothing while one more may wait for the others.

        Raises:
            Overloaded: as many wait as may.
        """
        used = len(self._barriers)
        if used >= self._barriers_max:
            raise Overloaded("drain.waiting_max", used=used, most=self._barriers_max, retry_after_s=5.0)

    async def followers(self, topics: Collection[str], index: int) -> list[Follower]:
        """Those who follow what depends on these topics and has changed at the index or since."""
        barrier = _Barrier(frozenset(topics), index)
        await self._judge_all(barrier)
        now_s = asyncio.get_running_loop().time()
        return [Follower(_told(each, now_s), each not in barrier.lagging) for each in barrier.seen]

    @property
    def return_s(self) -> float:
        """How long a watcher whose connection has closed is expected back."""
        return self._return_s

    @property
    def is_complete(self) -> bool:
        """Whether nobody who may follow something still can have been overlooked."""
        return asyncio.get_running_loop().time() - self._refused_s > self._forget_refused_s

    async def wait_passed(self, topics: Collection[str], index: int, *, wait_s: float) -> Passage:
        """How far the watchers are of all that depends on these topics, once all have passed the index.

        Args:
            index: of a transaction that the replica has.
            wait_s: how long to wait for it at the most.
        """
        barrier = _Barrier(frozenset(topics), index)
        self._barriers.append(barrier)
        outcome = "abandoned"
        try:
            if self.elsewhere is not None:
                passage = await self.elsewhere(topics, index, wait_s)
            else:
                passage = await self._wait_here(barrier, wait_s)
            outcome = "laggards" if passage.laggards else "passed"
        finally:
            self._barriers.remove(barrier)
            if wait_s > 0:
                self.outcomes[outcome] += 1
        return passage

    async def _wait_here(self, barrier: _Barrier, wait_s: float) -> Passage:
        await self._judge_all(barrier)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wait_s)):
                await barrier.wait()
        now_s = asyncio.get_running_loop().time()
        return Passage(
            watchers=len(barrier.seen),
            laggards=tuple(_told(watcher, now_s) for watcher in barrier.lagging),
            is_complete=self.is_complete,
        )

    async def _judge_all(self, barrier: _Barrier) -> None:
        """Judges every watcher; lets others run after each question whose answer may have to be made."""
        silent_s = asyncio.get_running_loop().time() - _SILENT_S_MAX
        concerned = [each for each in self._questions.values() if not barrier.topics.isdisjoint(each.topics)]
        for question in concerned:
            if question.watchers and barrier.concerns(question, question.index()):
                for watcher in question.watchers:
                    if watcher.state != "answered" or watcher.since_s >= silent_s:
                        barrier.judge(watcher)
            await asyncio.sleep(0)

    # ---- who is who ----

    def _returned(self, question: _Question, peer: Peer, asked_index: int, now_s: float) -> Watcher | None:
        """The watcher that asks on this connection now, and was on another before; None if it is a new one."""
        candidates = tuple(itertools.islice(question.idle.get(peer.client, ()), _CANDIDATES_MAX))
        found = next((each for each in candidates if each.state == "away"), None)
        if found is None:
            earliest_s = now_s - self._return_s
            moved = (each for each in candidates if each.delivered_index == asked_index)
            found = next((each for each in moved if each.since_s >= earliest_s), None)
            if found is None:
                return None
            _unlink(found)
        self._leave_idle(found)
        found.peer = peer
        return found

    def _new(self, question: _Question, peer: Peer, now_s: float) -> Watcher | None:
        if self.count >= self._watchers_max:
            if not self._away:
                self.refused_count += 1
                self._refused_s = now_s
                return None
            self._forget(next(iter(self._away)))
        watcher = Watcher(self, question, peer)
        self._questions[question.key] = question
        question.watchers[watcher] = None
        self.count += 1
        return watcher

    def _limit(self, first: Watcher, now_s: float) -> None:
        """Forgets the oldest watcher of a connection with too many."""
        last = next(itertools.islice(_chain(first), _QUESTIONS_EACH_MAX, None), None)
        if last is not None:
            _unlink(last)
            self._forget(last)
            self.refused_count += 1
            self._refused_s = now_s

    def _enter_idle(self, watcher: Watcher) -> None:
        watcher.question.idle.setdefault(watcher.peer.client, {})[watcher] = None

    def _leave_idle(self, watcher: Watcher) -> None:
        self._away.pop(watcher, None)
        idle = watcher.question.idle
        client = watcher.peer.client
        same = idle.get(client)
        if same is not None:
            same.pop(watcher, None)
            if not same:
                del idle[client]

    def _forget(self, watcher: Watcher) -> None:
        self._leave_idle(watcher)
        watcher.state = "gone"
        question = watcher.question
        del question.watchers[watcher]
        if not question.watchers:
            del self._questions[question.key]
        self.count -= 1
        for barrier in self._barriers:
            barrier.drop(watcher)

    def _sweep_later(self) -> None:
        if self._sweeping is None and self._away:
            due_s = next(iter(self._away.values()))
            self._sweeping = asyncio.get_running_loop().call_at(due_s, self._sweep)

    def _sweep(self) -> None:
        """Forgets those who did not come back."""
        self._sweeping = None
        now_s = asyncio.get_running_loop().time()
        due = tuple(itertools.takewhile(lambda item: item[1] <= now_s, self._away.items()))
        for watcher, _ in due:
            self._forget(watcher)
        self._sweep_later()


def _chain(watcher: Watcher | None) -> Iterable[Watcher]:
    while watcher is not None:
        yield watcher
        watcher = watcher.next


def _unlink(watcher: Watcher) -> None:
    """Takes a watcher off its connection."""
    before: Watcher | None = None
    for each in _chain(cast("Watcher | None", watcher.peer.watching)):
        if each is watcher:
            break
        before = each
    if before is None:
        watcher.peer.watching = watcher.next
    else:
        before.next = watcher.next
    watcher.next = None


def _asked(request: Request) -> str:
    """Path and parameters, without what differs each time and without secrets."""
    parts = (part for part in request.parameters.text.split("&") if part)
    kept = "&".join(part for part in parts if part.partition("=")[0] not in _NOT_THE_QUESTION)
    return f"{request.path}?{kept}"[:_ASKS_CHARACTERS_MAX] if kept else request.path[:_ASKS_CHARACTERS_MAX]


def _told(watcher: Watcher, now_s: float) -> Laggard:
    return Laggard(
        remote=watcher.peer.remote,
        user_agent=watcher.peer.client[1],
        asks=watcher.question.asks,
        index=max(watcher.known_index, watcher.delivered_index),
        state=watcher.state,
        for_s=now_s - watcher.since_s,
    )
