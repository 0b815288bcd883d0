"""Challenges: plain executions that share nothing with a search, against which it must stand when it is finished.

What a search found rests on what was learned and on what was left out, and each of that on an argument
(docs/soundness.md). An argument can be wrong. So after the search, the clients' code and plain SQLite are run
(``treadle.execution.plain``): every call a scheduling point, waiting as SQLite waits, and nothing merged, learned, or
known of any statement. Whatever is committed on the way, however clients end, and whatever breaks a property must be
among what the search found::

    the search found    contents ▣ ▣ ▣   ends ● ● ●   broken: p
                            ▲ ▲ ▲            ▲             ▲          each must be there
    a challenge         ──▣─▣─▣──────────────●             p

Half of the executions are uniform walks, half have random priorities (``treadle.search.pct``). None is walked twice.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import define, field, frozen

from treadle.client.tree import Node
from treadle.execution.plain import Made, Passed, PlainExecution
from treadle.execution.state import State
from treadle.execution.system import System
from treadle.interning import the_operation
from treadle.judge import Judge
from treadle.scenario import Client
from treadle.search.interruption import Interruption
from treadle.search.pct import Priorities
from treadle.values.difference import difference_of_rows
from treadle.values.display import name as spelled
from treadle.values.display import quoted
from treadle.values.errors import ChallengeError, NondeterminismError, ScheduleMismatchError, StuckClientError
from treadle.values.operation import Kind, Operation
from treadle.values.origin import ADDRESS, SET_ORDER
from treadle.values.outcome import Outcome, OutcomeKey
from treadle.values.schedule import Choice, Fail, Schedule, Step
from treadle.values.signals import OperationBoundError
from treadle.world.content import Content

_SMALL_S = 0.24
"""How long challenges may take in any case, in seconds: what a small search leaves."""

_MOST_OF_SMALL = 250
"""How many executions of a small search are enough."""


@frozen
class Met:
    """How challenges ended.

    Attributes:
        count: how many executions were run, all of which the search had found.
        why_not: why one could not be run to its end, or an empty text.
    """

    count: int
    why_not: str = ""


@define(eq=False)
class _Walked:
    """What was walked of the tree of all schedules, from one point of it on.

    Attributes:
        onward: the points after the choices that were made here.
        choices: how many choices there are here; None if that is not known yet.
        done: everything from here on was walked.
    """

    onward: dict[Choice, _Walked] = field(factory=dict)
    choices: int | None = None
    done: bool = False

    def left(self, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """Return the choices after which something was not walked yet."""
        self.choices = len(choices)
        return tuple(choice for choice in choices if choice not in self.onward or not self.onward[choice].done)


class Uniform:
    """The decisions of a uniform walk, in which faults are as likely to come late as early."""

    def __init__(self, dice: random.Random, length: int, faults: int) -> None:
        """Choose where faults come.

        Args:
            dice: chooses.
            length: of an execution, about.
            faults: how many there may be.
        """
        self._dice = dice
        self._fault_points = {dice.randrange(1, length + 1) for _ in range(dice.randrange(faults + 1))}
        self._count = self._due = 0

    def pick(self, state: State, choices: tuple[Choice, ...]) -> Choice:
        """Choose among what may happen."""
        del state
        self._count += 1
        self._due += self._count in self._fault_points
        faults = [choice for choice in choices if isinstance(choice, Fail)]
        steps = [choice for choice in choices if not isinstance(choice, Fail)]
        if faults and (self._due or not steps):
            self._due = max(0, self._due - 1)
            return self._dice.choice(faults)
        return self._dice.choice(steps)


class Challenger:
    """Runs executions, and compares what they show with what a search found."""

    def __init__(self, system: System, found: Judge, broken: frozenset[str], seed: int) -> None:
        """Challenge a search.

        Args:
            system: what was searched.
            found: what its judge met.
            broken: the properties of which it has an example.
            seed: of the choices.
        """
        self._system = system
        self._found = found
        self._broken = broken
        self._dice = random.Random(f"challenge {seed}")  # for choices, not for secrets
        self._root = _Walked()
        self._longest = 10 * len(system.scenario.clients)
        self._first = True
        self._execution: PlainExecution | None = None
        self._nodes: dict[tuple[int, OutcomeKey | None], Node] = {}
        self._judge = Judge(system.scenario, lambda _, run: self._sequel(run), system.serial)

    def run(self, *, seconds: float, least: int, interruption: Interruption) -> Met:
        """Run executions for a while.

        Args:
            seconds: for how long.
            least: how many are run in any case, if there are so many.
            interruption: ends it.

        Raises:
            ChallengeError: one shows what the search did not find.
            NondeterminismError: the code of a client does not do again what it did.
        """
        until = time.perf_counter() + seconds
        small = time.perf_counter() + _SMALL_S if seconds or least else 0.0
        count = 0
        while not (self._root.done or interruption.asked):
            now = time.perf_counter()
            if count >= least and now >= until and (now >= small or count >= _MOST_OF_SMALL):
                break
            try:
                self._execute(uniform=count % 2 == 0)
            except (OperationBoundError, StuckClientError) as error:
                return Met(count, str(error))
            except ChallengeError as error:
                error.count = count + 1
                raise
            count += 1
        return Met(count)

    def _execute(self, *, uniform: bool) -> None:
        """Run one execution to its end."""
        faults = self._system.scenario.faults
        clients = len(self._system.scenario.clients)
        pick = Uniform(self._dice, self._longest, faults.locked + faults.crash).pick
        if not uniform:
            pick = Priorities(self._dice, clients, self._longest, faults.locked + faults.crash).pick
        passed = [self._root]
        with self._system.plain() as execution:
            self._execution = execution
            state = self._state(execution.passed)
            if self._judge.is_new:
                self._judge.start(state)
            self._compare(state)
            while choices := execution.choices():
                left = passed[-1].left(choices)
                choice = pick(state, left)
                execution.take(choice)
                state = self._state(execution.passed)
                self._compare(state)
                passed.append(passed[-1].onward.setdefault(choice, _Walked()))
            self._longest = max(self._longest, len(execution.script))
            if self._first:
                self._first = False
                self._require_determinism(self._where(execution.script)[0])
        passed[-1].done = True
        for point in reversed(passed[:-1]):
            point.done = len(point.onward) == point.choices and all(after.done for after in point.onward.values())

    def _state(self, passed: Passed) -> State:
        """Return a state as a judge sees it."""
        states = self._system.local_states
        locals_ = [states.of(self._node(place, outcome), ()) for place, outcome in enumerate(passed.outcomes)]
        return State(tuple(locals_), passed.content, 0, 0)

    def _node(self, place: int, outcome: Outcome | None) -> Node:
        key = (place, None if outcome is None else outcome.key)
        if key not in self._nodes:
            stop = the_operation(Kind.ANSWER, 0, None, None, (), clock_s=0.0, payload=None)
            self._nodes[key] = Node(stop if outcome is None else outcome, None, None)
        return self._nodes[key]

    def _sequel(self, run: Callable[[], object]) -> Outcome:
        """Return how one more client ends that runs alone from where the execution is."""
        assert self._execution is not None
        with self._system.plain() as again:
            for choice, _, _ in self._execution.script:
                again.take(choice)
            return again.alone(Client("sequel", run))

    def _compare(self, state: State) -> None:
        """Compare a state with what the search found."""
        if not self._found.has_met(state):
            raise self._parted("these rows, with these ends," if state.ended else "these rows")
        broken = self._judge.broken(state) - self._broken
        if broken:
            raise self._parted(f"a state that breaks {quoted(min(broken))}")
        witnessed = self._judge.witnessed - self._found.witnessed
        if witnessed:
            raise self._parted(f"an execution that shows {quoted(min(witnessed))}")

    def _parted(self, what: str) -> ChallengeError:
        """Return the error for an execution that the search did not find."""
        assert self._execution is not None
        script = tuple(self._execution.script)
        self._require_same_again(script)
        schedule, place, why = self._where(script)
        self._require_no_addresses(schedule)
        return ChallengeError(schedule.token, f"{what} and the search did not find that", place, why)

    def _require_same_again(self, script: Sequence[Made]) -> None:
        """Run the same execution once more: a client that does something else then is to blame, and not the search.

        Raises:
            NondeterminismError: a client asked for something else.
        """
        names = [client.name for client in self._system.scenario.clients]
        asked = [0] * len(names)
        with self._system.plain() as again:
            for choice, about, _ in script:
                client = choice.client
                asked[client] += 1
                if choice not in again.choices():
                    raise NondeterminismError(names[client], asked[client], str(about), "something else, run once more")
                again.take(choice)
                now = again.script[-1][1]
                if about is not None and now is not None and (about.kind, about.sql) != (now.kind, now.sql):
                    raise NondeterminismError(names[client], asked[client], repr(str(about)), repr(str(now)))

    def _require_determinism(self, schedule: Schedule) -> None:
        """Run the code of the clients live along a schedule, beside what was learned of it.

        Raises:
            NondeterminismError: it does something else than before. Then it is the code that differs.
        """
        with (
            contextlib.suppress(ScheduleMismatchError, OperationBoundError, StuckClientError),
            self._system.live() as live,
        ):
            for _ in live.walk(schedule.choices):
                pass

    def _require_no_addresses(self, schedule: Schedule) -> None:
        """Compare the rows with those that were learned: objects are not where they are in a process with the gate.

        Raises:
            NondeterminismError: a value differs as addresses in memory do, or the order of a set.
        """
        assert self._execution is not None
        *_, learned = [self._system.product.root(), *self._learned_states(schedule)]
        found = difference_of_rows(_rows(learned.content), _rows(self._execution.passed.content))
        if found is None or found.source not in {ADDRESS, SET_ORDER}:
            return
        last = next(choice.client for choice in reversed(schedule.choices))
        name = self._system.scenario.clients[last].name
        raise NondeterminismError(name, learned.locals[last].node.depth, found.expected, found.got, found)

    def _learned_states(self, schedule: Schedule) -> Iterator[State]:
        with contextlib.suppress(ScheduleMismatchError):
            for taken in self._system.product.walk(schedule.choices):
                yield taken.after

    def _where(self, script: Sequence[Made]) -> tuple[Schedule, str, str]:
        """Return the schedule of a plain execution as it was learned, and where and how the two part.

        The gate asks for a little more than the driver does for real (``create_function``, the end of a statement that
        is over already): where it does, a client is taken past that.
        """
        names = [client.name for client in self._system.scenario.clients]
        product = self._system.product
        state, why = product.root(), ""
        taken: list[Choice] = []
        place = "none of its operations"
        rest = [made for made in script if made[1] is None or made[1].kind is not Kind.ANSWER or self._system.answers]
        for number, (choice, about, waits) in enumerate(rest):
            client = choice.client
            try:
                while about is not None and _is_passing(state, client, about):
                    state = product.take(state, Step(client)).after
                    taken.append(Step(client))
                made = product.take(state, choice)
            except ScheduleMismatchError as error:
                why = str(error)
            else:
                state = made.after
                taken.append(choice)
                if about is not None and made.operation is not None and about.kind is not made.operation.kind:
                    why = f"as learned, {made.operation} comes there"
                elif waits is not made.waits:
                    why = f"live it {'waits' if waits else 'goes on'}, as learned it {'goes on' if waits else 'waits'}"
            if why:
                place = f"operation {len(taken)} ({about or 'a crash'} of {spelled(names[client])})"
                taken += [later for later, _, _ in rest[number + 1 :]]
                break
        why = why or "what was learned agrees, and something has left this execution out"
        return Schedule(tuple(taken)), place, why


def _rows(content: Content) -> dict[str, list[dict[str, Any]]]:
    committed = content.committed
    return {table: [dict(row) for row in committed.rows(table)] for table in committed.tables}


_MORE = frozenset({Kind.CONFIGURE, Kind.CLOSE_CURSOR, Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL})


def _is_passing(state: State, client: int, about: Operation) -> bool:
    """Tell whether a client, as learned, is about to do something that it need not do for real."""
    operation, wait = state.locals[client].node.operation, state.locals[client].wait
    return operation is not None and wait is None and operation.kind in _MORE and operation.kind is not about.kind
