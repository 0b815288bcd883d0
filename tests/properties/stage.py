"""A database on which requests have been sent, and views of it, for tests of the properties."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count

from attrs import evolve, frozen

from model.backfill import Reprocess, Request, Response, post
from properties.backfill import properties_of
from tests.model.workshop import Workshop
from treadle import Breach, Committed, Crashed, Raised, Returned, View
from treadle.values.view import Table

CLIENTS = ("A", "B")
CREATED = 201

Outcome = Returned | Raised | Crashed


@frozen
class Stage:
    """A workshop with two clients, A and B, and what was committed before them."""

    workshop: Workshop
    initial: Committed
    reprocess: Reprocess

    def post(self) -> Response:
        """Send the request of both clients."""
        return post(self.workshop.engine, self.workshop.algorithm, self.request)

    @property
    def request(self) -> Request:
        return evolve(self.workshop.request, reprocess=self.reprocess)

    def broken(self, name: str, **ends: int | Outcome) -> tuple[Breach, ...]:
        """Return how the committed rows break a property, when the clients have ended with these statuses.

        The first client that gets 201 is told of backfill 1, the next one of backfill 2.
        """
        numbers = count(1)
        outcomes = {
            name: Returned(Response(end, "as told", next(numbers) if end == CREATED else None))
            if isinstance(end, int)
            else end
            for name, end in ends.items()
        }
        view = View(committed(self.workshop), self.initial, outcomes, self._sequel)
        others = ends.keys() - set(CLIENTS)
        properties = properties_of(self.workshop.engine, self.workshop.algorithm, CLIENTS, self.request, others)
        return next(item for item in properties if item.name == name).breaches(view)

    def _sequel(self, run: Callable[[], object]) -> Outcome:
        """Run one more client, and undo what it did."""
        with (
            closing(sqlite3.connect(self.workshop.path)) as file,
            closing(sqlite3.connect(":memory:")) as kept,
        ):
            file.backup(kept)
            outcome = Returned(run())
            kept.backup(file)
            return outcome


Enact = Callable[..., Stage]
"""The fixture ``enact``: takes what the fixture ``build`` takes, and sets the stage."""


def committed(workshop: Workshop) -> Committed:
    """Return all rows as another connection reads them."""
    names = workshop.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return Committed({name: _table(workshop, name) for (name,) in names})


def _table(workshop: Workshop, name: str) -> Table:
    columns = workshop.rows(f"SELECT name FROM pragma_table_info('{name}')")
    return Table(tuple(column for (column,) in columns), tuple(workshop.rows(f"SELECT * FROM {name}")))
