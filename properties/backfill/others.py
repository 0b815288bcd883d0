"""The other clients of a scenario: the scheduler, a user who cancels, a task that finishes.

Each runs once, beside the requests. All of them live at the moment at which the requests arrive, so nothing is
old yet; where there is nothing for one of them to do, it looks, and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine

from model.backfill import NOW, Algorithm, cancel, scheduler, task_finish_first

FIRST_BACKFILL = 1
"""The number of the backfill that is cancelled: whichever is committed first."""


def _scheduler(engine: Engine, algorithm: Algorithm) -> Callable[[], object]:
    return partial(scheduler, engine, NOW, algorithm.heeded)


def _cancel(engine: Engine, algorithm: Algorithm) -> Callable[[], object]:
    return partial(cancel, engine, FIRST_BACKFILL, NOW, algorithm.heeded)


def _task(engine: Engine, algorithm: Algorithm) -> Callable[[], object]:
    del algorithm  # a task knows its run, and nothing of backfills
    return partial(task_finish_first, engine)


OTHERS: dict[str, Callable[[Engine, Algorithm], Callable[[], object]]] = {
    "scheduler": _scheduler,
    "cancel": _cancel,
    "task": _task,
}
"""The clients by name: each takes the engine and the algorithm of the requests, and returns what to run."""
