"""What must hold when two import books, one of which both have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import savepoint_survives as model
from properties.systems.system import LEGACY, System, Variant, succeeded
from treadle import Breach, Returned, View, at_end, sometimes

SHELVES = {"north": ("Emma", "Ulysses"), "south": ("Ulysses", "Walden")}
"""Titles by shelf: one title is on both."""


@at_end("an import wrote all of its books or none", name="all-or-nothing")
def all_or_nothing(view: View) -> list[Breach]:
    """Decide by how the clients ended: each is called like its shelf."""
    breaches = []
    for shelf, titles in SHELVES.items():
        books = [book for book in view.rows("book") if book["shelf"] == shelf]
        outcome = view.outcomes[shelf]
        wanted = len(titles) if isinstance(outcome, Returned) else 0
        if len(books) != wanted:
            why = f"the import of {shelf} {outcome}, and {len(books)} of its {len(titles)} books are there"
            breaches.append(Breach(why, [("book", book) for book in books]))
    return breaches


PROPERTIES = (
    all_or_nothing,
    sometimes("an import succeeds", lambda view: succeeded(view) == 1, name="one-succeeds"),
    sometimes(
        "an import is refused because of a book",
        lambda view: any("UNIQUE" in str(error) for error in view.raised().values()),
        name="one-is-refused",
    ),
)


def _imports(run: Callable[..., None]) -> dict[str, Callable[..., Any]]:
    return {shelf: partial(run, shelf=shelf, titles=titles) for shelf, titles in SHELVES.items()}


SYSTEM = System(
    name="savepoint-survives",
    metadata=model.Base.metadata,
    variants=(
        Variant(
            name="buggy",
            clients=_imports(model.import_books),
            properties=PROPERTIES,
            violated={"all-or-nothing": LEGACY},
        ),
        Variant(
            name="fixed-recipe",
            clients=_imports(model.import_books),
            properties=PROPERTIES,
            mode="begin",
        ),
        Variant(
            name="fixed-no-savepoints",
            clients=_imports(model.import_books_plainly),
            properties=PROPERTIES,
        ),
    ),
)
"""Rows that were written under ``begin_nested`` survive the rollback of the transaction around it."""
