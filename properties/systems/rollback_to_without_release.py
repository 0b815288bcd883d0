"""What must hold when two store batches of items, one of which both have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import rollback_to_without_release as model
from properties.systems.system import LEGACY, System, Variant
from treadle import Breach, View, at_end, sometimes

BATCHES = {"north": ("bolt", "nut"), "south": ("bolt", "screw")}
"""Names of items by batch: one item is in both."""


@at_end("an item that was reported as stored is there", name="stored-means-stored")
def stored_means_stored(view: View) -> list[Breach]:
    """Decide by what the clients reported: each is called like its batch."""
    there = {(item["batch"], item["name"]) for item in view.rows("item")}
    return [
        Breach(f"{batch} reported {name!r} as stored, and it is not there")
        for batch, names in view.returned().items()
        for name in names
        if (batch, name) not in there
    ]


PROPERTIES = (
    stored_means_stored,
    sometimes(
        "a batch skips an item and stores another",
        lambda view: any(len(names) == 1 for names in view.returned().values()),
        name="one-skipped",
    ),
)


def _batches(atomic: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {batch: partial(model.store, batch=batch, names=names, atomic=atomic) for batch, names in BATCHES.items()}


SYSTEM = System(
    name="rollback-to-without-release",
    metadata=model.Base.metadata,
    variants=(
        Variant(
            name="buggy",
            clients=_batches(model.undo_on_error),
            properties=PROPERTIES,
            mode="legacy",
            violated={"stored-means-stored": LEGACY},
        ),
        Variant(
            name="fixed-release",
            clients=_batches(model.undo_and_release_on_error),
            properties=PROPERTIES,
            mode="legacy",
        ),
    ),
)
"""A savepoint that was rolled back to is still open, and nothing after it commits.

Only in the mode ``legacy`` can a savepoint be the transaction: in the others the engine or the driver has
sent a BEGIN, also for a connection in ``AUTOCOMMIT``, and nobody sends the COMMIT.
"""
