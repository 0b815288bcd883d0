"""Plain executions: clients in processes of their own, connections of the driver itself, and nothing in between.

Clients run as they are. Before each call of the driver a client stops, and goes on when it is its turn
(``treadle.execution.connecting``). Searches rest on rules, and what learns and what is learned rest on the same world.
This shares none of it, so that it shows where one is wrong (``treadle.search.challenge``). The rules here are few:
whoever is not waiting can go on; whoever waits can try again when somebody else has gone on; if all wait, the timeout
of the longest waiter expires; a process outside may take any lock that is free, at any call; what a client leaves open
stays open.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import define, field

from treadle.client.forkserver import ForkServer
from treadle.execution.connecting import DIE, GO_ON, NOWHERE, TIME_IS_OVER, Note, OpensPlainly
from treadle.scenario import Client
from treadle.values.fault import Fault
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Crashed, Outcome
from treadle.values.schedule import Choice, Fail, Step
from treadle.values.signals import OperationBoundError
from treadle.world.content import Content, ContentStore
from treadle.world.holding import Lock
from treadle.world.observer import Observer

_NOT_REFUSED = frozenset({Kind.CONNECT, Kind.ANSWER, Kind.ROW, Kind.END_ROWS})
"""Where a client stops, and no call of SQLite follows that needs a lock."""


class Turns:
    """A client as an execution sees it.

    Attributes:
        stop: what it is about to ask for, or how it has ended.
        note: what it and its connections are like then.
        steps: how often it has gone on.
    """

    def __init__(self, client: Client, server: ForkServer, way: OpensPlainly) -> None:
        """Run a client to its first call.

        Args:
            client: what runs.
            server: starts it.
            way: how it opens connections.
        """
        self.note = NOWHERE
        self.steps = 0
        self._client, self._server = client, server
        self._process = server.start(client, way, answers=True)
        self.stop: Operation | Outcome = self._process.first()
        self._take_note()

    def _take_note(self) -> None:
        if isinstance(self.stop, Operation) and isinstance(
            self.stop.payload, Note
        ):  # the same operation may come again
            self.note = self.stop.payload

    @property
    def outcome(self) -> Outcome | None:
        """How it has ended, or None if it has not."""
        return None if isinstance(self.stop, Operation) else self.stop

    @property
    def waits(self) -> bool:
        """Whether it is inside a call that waits."""
        return self.outcome is None and self.note.waits

    @property
    def locks(self) -> list[Lock]:
        """What its open connections hold."""
        return [lock for lock in self.note.locks if lock is not None]

    def go(self, *, patient: bool = True) -> None:
        """Go on to the next stop; impatiently, whatever would wait is refused."""
        self.steps += 1
        self._resume(GO_ON if patient else TIME_IS_OVER)

    def _resume(self, told: Observation) -> None:
        self.stop = self._process.resume(told)
        self._take_note()

    def die(self) -> None:
        """Vanish, with all connections; nothing more is committed."""
        self._resume(DIE)
        self.stop, self.note = Crashed(), NOWHERE

    def leave(self) -> None:
        """Need the process no more, nor whatever is open in it."""
        self._server.put_back(self._client, self._process)


@define(eq=False)
class Passed:
    """Where an execution has come to.

    Attributes:
        content: what is committed.
        outcomes: how each client has ended, or None.
    """

    content: Content
    outcomes: tuple[Outcome | None, ...]


Made = tuple[Choice, Operation | None, bool]
"""A choice that was made, with what its client was about to do, None for a crash, and whether it waits then."""


@define
class PlainExecution:
    """One execution on a fresh file, choice by choice; a context manager.

    Attributes:
        locked: how many ``locked`` faults are left.
        crash: how many ``crash`` faults are left.
        outside: a process outside may take locks, and not only let timeouts expire.
        script: the choices that were made.
    """

    locked: int
    crash: int
    outside: bool
    _clients: tuple[Client, ...]
    _server: ForkServer
    _way: OpensPlainly
    _observer: Observer
    _contents: ContentStore
    _max_operations: int
    script: list[Made] = field(factory=list)
    _actors: list[Turns] = field(factory=list)
    _waiting: list[int] = field(factory=list)  # the longest first
    _able_again: set[int] = field(factory=set)
    _version: int | None = None
    _content: Any = None

    @classmethod
    def on(
        cls,
        path: Path,
        journal: str,
        driver: ModuleType,
        *,
        clients: tuple[Client, ...],
        server: ForkServer,
        faults: tuple[int, int],
        outside: bool,
        contents: ContentStore,
        max_operations: int,
    ) -> PlainExecution:
        """Start all clients on a database file that is theirs alone.

        Args:
            path: the file.
            journal: its journal mode.
            driver: as ``sqlite3``.
            clients: what runs.
            server: starts them.
            faults: how many ``locked`` and ``crash`` faults there may be.
            outside: a process outside may take locks.
            contents: where contents are interned.
            max_operations: how often a client may stop.
        """
        way = OpensPlainly(path, journal, driver.__name__)
        observer = Observer(path, journal, driver)
        made = cls(*faults, outside, clients, server, way, observer, contents, max_operations)
        try:
            made._look()  # of this class
            for client in clients:
                made._actors.append(Turns(client, server, way))  # likewise
        except BaseException:
            made.close()
            raise
        return made

    @property
    def passed(self) -> Passed:
        """Where it has come to."""
        return Passed(self._content, tuple(actor.outcome for actor in self._actors))

    @property
    def ended(self) -> bool:
        """Whether all clients have ended."""
        return all(actor.outcome is not None for actor in self._actors)

    def _look(self) -> None:
        version = self._observer.data_version()
        if version is not None and version != self._version:  # else a COMMIT is barred, and nothing is new
            self._content = self._contents.read(self._observer.connection)
            self._version = version

    def choices(self) -> tuple[Choice, ...]:
        """Return what may happen next."""
        alive = [place for place, actor in enumerate(self._actors) if actor.outcome is None]
        found: list[Choice] = [Step(place) for place in alive if self._is_able(place)]
        if not found and alive:
            found.append(Fail(self._waiting[0]))
        for place in alive:
            if self.locked > 0 and (place in self._waiting or (self.outside and self._may_be_refused(place))):
                found.append(Fail(place, Fault.LOCKED))
            if self.crash > 0:
                found.append(Fail(place, Fault.CRASH))
        return tuple(dict.fromkeys(found))

    def _is_able(self, place: int) -> bool:
        return place not in self._waiting or place in self._able_again

    def _may_be_refused(self, place: int) -> bool:
        actor = self._actors[place]
        assert isinstance(actor.stop, Operation)
        at, locks = actor.note.at, actor.note.locks
        if at is None or actor.stop.kind in _NOT_REFUSED:
            return False
        beside = [lock for place, lock in enumerate(locks) if place != at and lock is not None]
        others = [lock for other in self._actors if other is not actor for lock in other.locks]
        return not any(lock >= Lock.WRITE for lock in (*beside, *others))

    def take(self, choice: Choice) -> None:
        """Let something happen.

        Raises:
            OperationBoundError: a client does not come to an end.
        """
        place = choice.client
        actor = self._actors[place]
        assert isinstance(actor.stop, Operation)
        about = actor.stop
        waited = place in self._waiting
        if isinstance(choice, Fail) and choice.fault is Fault.CRASH:
            actor.die()
            self.crash -= 1
        elif isinstance(choice, Step):
            actor.go()
        elif waited:
            free = not any(self._is_able(other) for other, one in enumerate(self._actors) if one.outcome is None)
            actor.go(patient=False)
            self.locked -= not (free and place == self._waiting[0])
        else:
            assert actor.note.at is not None
            held = actor.note.locks[actor.note.at]
            assert held is not None
            with self._observer.outside_lock(held) as executes:
                actor.go(patient=not executes)
            self.locked -= actor.note.refused
        self.script.append((choice, None if choice == Fail(place, Fault.CRASH) else about, actor.waits))
        self._note_waiting(place, waited=waited, tried=isinstance(choice, Step))
        if actor.steps > self._max_operations:
            raise OperationBoundError.of(self._clients[place].name, self._max_operations, about)
        self._look()

    def _note_waiting(self, place: int, *, waited: bool, tried: bool) -> None:
        waits = self._actors[place].waits
        self._able_again.discard(place)
        in_vain = waited and waits and tried
        if not in_vain:
            self._able_again |= set(self._waiting) - {place}
            if waited:
                self._waiting.remove(place)
            if waits:
                self._waiting.append(place)

    def alone(self, client: Client) -> Outcome:
        """Run one more client to its end, with nobody else going on."""
        actor = Turns(client, self._server, self._way)
        self._actors.append(actor)
        while actor.outcome is None:
            actor.go(patient=not actor.waits)
        return actor.outcome

    def close(self) -> None:
        """End all clients, and close all connections."""
        for actor in self._actors:
            actor.leave()
        self._observer.close()
