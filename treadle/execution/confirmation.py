"""Live executions, compared with what was learned.

::

    learned   ● ──SELECT──▶ ● ──INSERT──▶ ● ──COMMIT──▶ ●     known, or executed where it is not
              ║             ║             ║             ║     the same operations, observations and rows
    live      ● ──SELECT──▶ ● ──INSERT──▶ ● ──COMMIT──▶ ●     the real code of all clients, on a fresh database

What a client asks is asked by its real code, interleaved with that of the others, and what it sees comes from a real
database on which nothing else was executed. Whether it waits follows from what was seen, by the rules of
``treadle.world.aftermath``.
"""

from __future__ import annotations

import random

from treadle.client.tree import LiveRun
from treadle.execution.state import State
from treadle.execution.system import System
from treadle.execution.taken import Taken, reset_of
from treadle.values.errors import NondeterminismError, StuckClientError
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.schedule import Choice, Fail, Schedule
from treadle.values.signals import OperationBoundError
from treadle.world.state import Transition
from treadle.world.world import World

SPOT_CHECKS = 5
"""How many random schedules are executed live before a property is said to hold."""


def run_live(system: System, schedule: Schedule) -> list[Taken]:
    """Run a schedule live, compare each step with what was learned, and return what each choice did.

    Raises:
        NondeterminismError: something was different.
        ScheduleMismatchError: the schedule does not fit.
    """
    script = list(system.product.walk(schedule.choices))
    with system.fresh_world() as world:
        play(system, world, script)
    return script


def end_of(system: System, script: list[Taken]) -> State:
    """Return where choices led to, which is where everything starts if there are none."""
    return script[-1].after if script else system.product.root()


def play(system: System, world: World, script: list[Taken]) -> None:
    """Run live what was learned, from the start.

    Args:
        system: what runs.
        world: to which nothing has happened.
        script: what each choice did.

    Raises:
        NondeterminismError: something was different.
    """
    names = [client.name for client in system.scenario.clients]
    with system.live_runs_of_all() as runs:
        for taken in script:
            client = taken.choice.client
            _Step(names[client], runs[client], world, taken).play()
        if script and world.read_again() is not script[-1].after.content:
            last = script[-1].choice.client
            raise _other_rows(names[last], runs[last])


class _Step:
    """One choice, done live."""

    def __init__(self, name: str, run: LiveRun, world: World, taken: Taken) -> None:
        self._name = name
        self._run = run
        self._world = world
        self._taken = taken

    def play(self) -> None:
        """Do it, and let the client go on."""
        taken = self._taken
        if taken.operation is None:  # a crash
            self._world.vanish(taken.choice.client, only_idle=False)
            return
        if taken.reset is not None:
            self._perform(reset_of(taken.operation), taken.reset)
        if taken.transition is not None:
            self._perform(taken.operation, taken.transition, outside=isinstance(taken.choice, Fail))
        if taken.observation is not None:
            self._run.resume(taken.observation)

    def _perform(self, operation: Operation, known: Transition, *, outside: bool = False) -> None:
        key = (self._taken.choice.client, operation.connection)
        seen = self._world.perform_again(key, operation, known, outside=outside)
        if seen is not known.observation:
            raise self._other(operation, known.observation, seen)
        if self._world.content is not known.result.content:
            raise _other_rows(self._name, self._run)

    def _other(self, operation: Operation, expected: Observation, seen: Observation) -> NondeterminismError:
        return NondeterminismError(self._name, self._run.node.depth + 1, f"{expected} from {operation}", str(seen))


def _other_rows(name: str, run: LiveRun) -> NondeterminismError:
    return NondeterminismError(name, run.node.depth + 1, "the committed rows that were learned", "others")


def spot_check(system: System, dice: random.Random, count: int = SPOT_CHECKS) -> str:
    """Run random schedules live: what is seen must be what was learned.

    Args:
        system: what is searched.
        dice: chooses.
        count: how many schedules.

    Returns:
        Why one could not be run to its end, or an empty text.

    Raises:
        NondeterminismError: something else was seen.
    """
    product = system.product
    try:
        for _ in range(count):
            path: list[Choice] = []
            state = product.root()
            while choices := product.choices(state):
                edge = product.run(state, dice.choice(choices))
                path += edge.choices()
                state = edge.after
            run_live(system, Schedule(tuple(path)))
    except (OperationBoundError, StuckClientError) as error:
        return str(error)
    return ""
