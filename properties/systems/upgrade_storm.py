"""What must hold when three requests read and then write, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import upgrade_storm as model
from properties.systems.system import DEFERRED, LEGACY, System, Variant, locked_out, succeeded
from treadle import Breach, View, always, at_end, sometimes


@at_end("no request fails with 'database is locked'", name="none-locked-out")
def none_locked_out(view: View) -> list[Breach]:
    """Decide by how the clients ended."""
    return [Breach(f"{name} failed: {str(error).splitlines()[0]}") for name, error in locked_out(view).items()]


@always("no two entries have one number", name="numbers-differ")
def numbers_differ(view: View) -> list[Breach]:
    """Decide in every committed state."""
    entries = view.rows("entry")
    numbers = [entry["number"] for entry in entries]
    if len(set(numbers)) == len(numbers):
        return []
    return [Breach("entries have one number", [("entry", entry) for entry in entries])]


PROPERTIES = (
    none_locked_out,
    numbers_differ,
    sometimes("all requests succeed", lambda view: succeeded(view) == 3, name="all-succeed"),
)


def _requests(run: Callable[..., int]) -> dict[str, Callable[..., Any]]:
    return {f"request-{text}": partial(run, text=text) for text in ("a", "b", "c")}


SYSTEM = System(
    name="upgrade-storm",
    metadata=model.Base.metadata,
    mode="begin",
    variants=(
        Variant(
            name="buggy",
            clients=_requests(model.add_entry),
            properties=PROPERTIES,
            violated={"none-locked-out": DEFERRED, "numbers-differ": LEGACY},
        ),
        Variant(
            name="fixed-immediate",
            clients=_requests(model.add_entry),
            properties=PROPERTIES,
            mode="immediate",
        ),
        Variant(
            name="fixed-one-statement",
            clients=_requests(model.add_entry_at_once),
            properties=PROPERTIES,
        ),
    ),
)
"""Read, then write, in one deferred transaction: SQLite refuses at once, whatever the timeout."""
