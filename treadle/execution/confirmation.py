"""Live executions, compared with what was learned.

::

    learned   ● ──A4──▶ ● ──B8──▶ ● ──A3──▶ ●     known, or executed where it is not
              ║         ║         ║         ║     the same states
    live      ● ──A4──▶ ● ──B8──▶ ● ──A3──▶ ●     the real code of all clients, on a fresh database

Equal states have equal histories: what each client asked and saw, what is committed, and how each connection came to
what it holds.
"""

from __future__ import annotations

import random

from treadle.execution.state import State
from treadle.execution.system import System
from treadle.values.errors import NondeterminismError, StuckClientError
from treadle.values.schedule import Choice, Schedule
from treadle.values.signals import OperationBoundError

SPOT_CHECKS = 5
"""How many random schedules are executed live before a property is said to hold."""


def run_live(system: System, schedule: Schedule) -> State:
    """Run a schedule live, compare each step with what was learned, and return where it leads.

    Raises:
        NondeterminismError: something was different.
        ScheduleMismatchError: the schedule does not fit.
    """
    learned = system.product
    expected = learned.root()
    with system.live() as live:
        real = live.root()
        for choice in schedule.choices:
            steps = zip(live.steps(real, choice), learned.steps(expected, choice), strict=True)
            for real_now, expected_now in steps:
                real, expected = real_now, expected_now
                if real != expected:
                    raise _difference(system, choice.client, expected, real)
    return real


def _difference(system: System, client: int, expected: State, real: State) -> NondeterminismError:
    """Return what to raise where a step of a client led to another state than the one learned."""
    name = system.scenario.clients[client].name
    learned, lived = (state.locals[client].node.history() for state in (expected, real))
    for number, (before, ours, theirs) in enumerate(zip(learned, learned[1:], lived[1:], strict=False), 1):
        if ours is not theirs:
            return NondeterminismError(name, number, f"{ours.seen} from {before.operation}", str(theirs.seen))
    return NondeterminismError(name, len(lived), "a state of the database", "another one after the same operations")


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
