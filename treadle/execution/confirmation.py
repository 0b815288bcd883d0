"""Live executions, compared with what was learned.

::

    learned   ● ──SELECT──▶ ● ──INSERT──▶ ● ──COMMIT──▶ ●     known, or executed where it is not
              ║             ║             ║             ║     the same operations, observations, locks and rows
    live      ● ──SELECT──▶ ● ──INSERT──▶ ● ──COMMIT──▶ ●     the real code of all clients, on a fresh database

What a client asks is asked by its real code, interleaved with that of the others, and what it sees comes from a real
database on which nothing else was executed. A call that waits really waits there.
"""

from __future__ import annotations

from attrs import evolve

from treadle.execution.state import State
from treadle.execution.system import System
from treadle.execution.taken import Taken
from treadle.values.errors import NondeterminismError
from treadle.values.schedule import Schedule


def run_live(system: System, schedule: Schedule) -> list[Taken]:
    """Run a schedule live, compare each step with what was learned, and return what each choice did, and where.

    Raises:
        NondeterminismError: something was different.
        ScheduleMismatchError: the schedule does not fit.
    """
    script = list(system.product.walk(schedule.choices))
    names = [client.name for client in system.scenario.clients]
    sourced = []
    with system.live(sources=True) as live:
        state = live.root()
        for learned in script:
            client = learned.choice.client
            depth = state.locals[client].node.depth + 1
            sourced.append(evolve(learned, source=live.source(client)))
            taken = live.take(state, learned.choice)
            if taken.observation is not learned.observation or taken.waits is not learned.waits:
                expected = f"{_seen(learned)} from {learned.operation}"
                raise NondeterminismError(names[client], depth, expected, _seen(taken))
            if taken.after != learned.after:
                raise NondeterminismError(names[client], depth, "the rows and locks that were learned", "others")
            state = taken.after
    return sourced


def _seen(taken: Taken) -> str:
    return "a wait" if taken.waits else str(taken.observation)


def end_of(system: System, script: list[Taken]) -> State:
    """Return where choices led to, which is where everything starts if there are none."""
    return script[-1].after if script else system.product.root()
