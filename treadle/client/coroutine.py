"""Coroutines: live runs of client code that stop at each operation. The only module that imports greenlet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

from treadle.client.surroundings import Surroundings
from treadle.interning import the_operation
from treadle.scenario import Client
from treadle.values.errors import ForeignThreadError, SharedStateError, TreadleError
from treadle.values.observation import Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.values.outcome import Outcome, Raised, Returned

_QUIET = frozenset({Kind.CLOSE, Kind.CLOSE_CURSOR, Kind.ROLLBACK})
"""What code that cleans up calls; outside a run these do nothing."""

_PATIENCE = 100
"""How often an abandoned client may catch its exception and go on before it is left alone."""


class _Abandoned(BaseException):
    """Thrown into a client that is not needed any more."""


def _forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of an exception and its causes, so that their frames let go of what they hold."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = None
        queue += [link.__cause__, link.__context__]


class Coroutine:
    """One live run of a client, and the port that its connections talk to.

    Attributes:
        opens: opens its connections, given the options; None for those of the gate. With it, to give its answer is an
            operation of the client in any case.
    """

    def __init__(self, client: Client, surroundings: Surroundings) -> None:
        """Prepare a run; nothing of the client happens before the first ``resume``."""
        self.name = client.name
        self.clock_s = 0.0
        self.opens: Callable[[dict[str, Any]], Any] | None = None
        self._run = client.run
        self._surroundings = surroundings
        self._belongings = surroundings.belongings(client.name)
        self._thread = threading.get_ident()
        self._numbers: set[int] = set()
        self._kept: set[object] = set()
        self._closing = False
        self._misuse: TreadleError | None = None
        self._pending = Kind.CONNECT
        self._greenlet = greenlet(self._body)
        self._inside: greenlet = self._greenlet
        self._greenlet.gr_context = surroundings.context.copy()

    def _body(self, _: Observation | None) -> Outcome | None:
        try:
            outcome = self._outcome()
            if self._surroundings.answers or self.opens is not None:
                self.ask(the_operation(Kind.ANSWER, 0, None, None, (), clock_s=self.clock_s, payload=None))
            return outcome
        except _Abandoned:
            return None
        finally:
            self._run = _gone

    def _outcome(self) -> Outcome:
        try:
            return Returned(self._run())
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the client raises is its outcome
            _forget_frames(error)
            return Raised(error)  # type: ignore[arg-type]  # SystemExit ends a process as an exception does

    def resume(self, observation: Observation | None = None) -> Operation | Outcome:
        """Go on with an observation, to the next operation or the end.

        Raises:
            TreadleError: the client did something that cannot be checked.
        """
        self._greenlet.parent = getcurrent()
        answer = self._surroundings.run(self, self._belongings, self._inside.switch, observation)
        if self._misuse is not None:
            misuse, self._misuse = self._misuse, None
            self.abandon()
            raise misuse
        assert isinstance(answer, (Operation, Returned, Raised))
        return answer

    def put_away(self) -> None:
        """Take what belongs to the client out of the process, until it is resumed."""
        self._surroundings.put_away()

    def drew(self) -> bool:
        """Tell whether the client, which ran last, has drawn from a random source that is seeded with its name."""
        self._belongings.put_away()
        return self._belongings.drew

    def keep(self, connection: object) -> None:
        """Keep an open connection alive, as the cycle does that a real one is in."""
        self._kept.add(connection)

    def let_go(self, connection: object) -> None:
        """Keep a connection no more."""
        self._kept.discard(connection)

    def abandon(self) -> None:
        """Unwind a run that is not needed any more; what it raises while unwinding is swallowed."""
        self._closing = True
        self._kept.clear()
        for _ in range(_PATIENCE):
            if not self._greenlet:  # never started, or dead
                break
            self._greenlet.parent = getcurrent()
            try:
                self._surroundings.run(self, self._belongings, self._unwind, None)
            except BaseException as error:  # swallowed, but for the user's own interrupt
                if isinstance(error, KeyboardInterrupt):
                    raise

    def _unwind(self, _: None) -> None:
        if self._pending in _QUIET:  # it is cleaning up already
            self._inside.switch(Observation())
        else:
            self._inside.throw(_Abandoned)

    # What the gate calls, from inside the client.

    def ask(self, operation: Operation) -> Observation:
        """Stop the client at an operation until it is resumed with an observation."""
        if self._closing or not self._surroundings.is_running(self):
            return self._unheard(operation)
        self._inside = getcurrent()
        self._pending = operation.kind
        outer = self._greenlet.parent  # also from a greenlet that the client itself started
        assert outer is not None
        answer: Observation = outer.switch(operation)
        return answer

    def _unheard(self, operation: Operation) -> Observation:
        if not self.owns_thread():
            self._misuse = ForeignThreadError(
                f"{operation} was called from thread {threading.current_thread().name!r}, which is no client: it "
                f"uses a connection of client {self.name!r}. Make the call from the client's own thread, or make "
                "the other thread's work a client of its own."
            )
            raise self._misuse
        if self._surroundings.is_running(self):  # it is being unwound
            if operation.kind in RUNS_SQL:
                raise _Abandoned
            return Observation()
        user = self._surroundings.runner_name()
        over = self._closing or self._greenlet.dead
        if operation.kind in _QUIET and (over or user is None):  # what is left of it is collected
            return Observation()
        if user is None:
            raise SharedStateError(
                f"{operation} was called on a connection of client {self.name!r} after its run. "
                "Close connections, sessions and results inside the client."
            )
        misuse = SharedStateError(
            f"client {user!r} used a connection of client {self.name!r} ({operation}). Clients stand for separate "
            "processes: they share the database and nothing else. Let each client open its own session."
        )
        self._surroundings.blame(misuse)
        raise misuse

    def blame(self, misuse: TreadleError) -> None:
        """Remember what the client did, to be raised when it stops next."""
        self._misuse = misuse

    def owns_thread(self) -> bool:
        """Tell whether the calling thread is the one that runs this client."""
        return threading.get_ident() == self._thread

    def listening(self) -> bool:
        """Tell whether the client is running now."""
        return not self._closing and self._surroundings.is_running(self) and not self._greenlet.dead

    def take_number(self) -> int:
        """Return the lowest connection number that is free, and take it."""
        number = 0
        while number in self._numbers:
            number += 1
        self._numbers.add(number)
        return number

    def free_number(self, number: int) -> None:
        """Give a connection number back."""
        self._numbers.discard(number)


def _gone() -> object:
    raise AssertionError("a run is started once")
