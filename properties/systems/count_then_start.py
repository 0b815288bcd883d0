"""What must hold when more tasks want to start than may run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import count_then_start as model
from properties.systems.system import LEGACY, System, Variant
from treadle import Breach, View, always, sometimes


@always(f"at most {model.LIMIT} tasks run", name="within-limit")
def within_limit(view: View) -> list[Breach]:
    """Decide in every committed state."""
    running = [task for task in view.rows("task") if task["state"] == model.RUNNING]
    if len(running) <= model.LIMIT:
        return []
    why = f"{len(running)} tasks run, and {model.LIMIT} may"
    return [Breach(why, [("task", task) for task in running])]


def _started(view: View) -> list[bool]:
    return sorted(view.returned().values())


PROPERTIES = (
    within_limit,
    sometimes(
        "as many tasks start as may run, and one has to wait",
        lambda view: _started(view) == [False, True, True],
        name="limit-reached",
    ),
)


def _tasks(run: Callable[..., bool]) -> dict[str, Callable[..., Any]]:
    return {f"task-{task_id}": partial(run, task_id=task_id) for task_id in model.TASKS}


SYSTEM = System(
    name="count-then-start",
    metadata=model.Base.metadata,
    seed=model.seed,
    variants=(
        Variant(
            name="buggy",
            clients=_tasks(model.start),
            properties=PROPERTIES,
            violated={"within-limit": LEGACY},
        ),
        Variant(name="fixed-immediate", clients=_tasks(model.start), properties=PROPERTIES, mode="immediate"),
        Variant(
            name="fixed-one-statement",
            clients=_tasks(model.start_if_below_limit),
            properties=PROPERTIES,
        ),
    ),
)
"""Count what runs, then start one more."""
