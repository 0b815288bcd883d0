"""What must hold for a counter that two clients increment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from model.systems import lost_update as model
from properties.systems.system import LEGACY, System, Variant, succeeded
from treadle import Breach, Property, View, at_end, sometimes


def _properties(table: str) -> tuple[Property, ...]:
    def counts_every_increment(view: View) -> list[Breach]:
        (counter,) = view.rows(table)
        done = succeeded(view)
        if counter["n"] == done:
            return []
        return [Breach(f"{done} increments succeeded, and the counter is at {counter['n']}", [(table, counter)])]

    return (
        at_end(
            "the counter is at the number of increments that succeeded",
            counts_every_increment,
            name="counts-every-increment",
        ),
        sometimes("both increments succeed", lambda view: succeeded(view) == 2, name="both-succeed"),
    )


def _both(run: Callable[[Engine], Any]) -> dict[str, Callable[[Engine], Any]]:
    return {"first": run, "second": run}


SYSTEM = System(
    name="lost-update",
    metadata=model.Base.metadata,
    seed=model.seed,
    variants=(
        Variant(
            name="buggy",
            clients=_both(model.increment),
            properties=_properties("counter"),
            violated={"counts-every-increment": LEGACY},
        ),
        Variant(
            name="fixed-in-place",
            clients=_both(model.increment_in_place),
            properties=_properties("counter"),
        ),
        Variant(
            name="fixed-immediate",
            clients=_both(model.increment),
            properties=_properties("counter"),
            mode="immediate",
        ),
        Variant(
            name="fixed-version",
            clients=_both(model.increment_versioned),
            properties=_properties("versioned_counter"),
        ),
    ),
)
"""Read in Python, then UPDATE by primary key."""
