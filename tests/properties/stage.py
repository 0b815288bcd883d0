"""A database on which requests have been sent, and views of it, for tests of the properties."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from attrs import evolve, frozen

from model.backfill import Reprocess, Request, Response, post
from properties.backfill import properties_of
from tests.model.workshop import Workshop
from treadle import Breach, Committed, Crashed, Raised, Returned, View
from treadle.values.view import Table

Outcome = Returned | Raised | Crashed


@frozen
class Stage:
    """A workshop with two clients, A and B, and what was committed before them."""

    workshop: Workshop
    initial: Committed
    reprocess: Reprocess

    def post(self) -> Response:
        """Send the request of client A."""
        return post(self.workshop.engine, self.workshop.algorithm, self.requests["A"])

    @property
    def requests(self) -> dict[str, Request]:
        return {user: evolve(self.workshop.request, user=user, reprocess=self.reprocess) for user in ("A", "B")}

    def broken(self, name: str, **ends: int | Outcome) -> tuple[Breach, ...]:
        """Return how the committed rows break a property, when the clients have ended with these statuses."""
        outcomes = {
            user: Returned(Response(end, "as told")) if isinstance(end, int) else end for user, end in ends.items()
        }
        view = View(committed(self.workshop), self.initial, outcomes, self._sequel)
        others = ends.keys() - self.requests.keys()
        properties = properties_of(self.workshop.engine, self.workshop.algorithm, self.requests, others)
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
