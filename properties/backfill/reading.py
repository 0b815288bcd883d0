"""A view of the database, read as a story of requests and their backfills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, cached_property
from itertools import islice
from typing import Any

from attrs import frozen

from model.backfill import Request, Response
from model.backfill.dates import dates_of
from treadle import Crashed, View

Row = Mapping[str, Any]
"""A committed row."""

Rows = tuple[tuple[str, Row], ...]
"""Rows with the names of their tables, as a Breach shows them."""

KEYS = {
    "dag": ("dag_id",),
    "serialized_dag": ("id",),
    "backfill": ("id",),
    "dag_run": ("id",),
    "backfill_dag_run": ("id",),
    "task_instance": ("dag_id", "task_id", "run_id", "map_index"),
}
"""The tables that a backfill may change, with their primary keys. The audit log is not one of them."""

CREATED = 201
SERVER_ERROR = 500


def as_stored(date: datetime) -> str:
    """Return a date as the database keeps it."""
    return date.strftime("%Y-%m-%d %H:%M:%S.%f")


@cache
def dates_wanted(request: Request) -> tuple[str, ...]:
    """Return the dates that a request asks for, as the database keeps them."""
    return tuple(as_stored(date) for date in dates_of(request))


def named(table: str, rows: Iterable[Row]) -> Rows:
    """Return rows with the name of their table."""
    return tuple((table, row) for row in rows)


def heeded(backfill: Row) -> bool:
    """Tell whether readers heed a backfill: one whose ``initialized_at`` is NULL they must not."""
    return "initialized_at" not in backfill or backfill["initialized_at"] is not None


@frozen
class Reading:
    """A view, and the requests that led to it.

    All requests are the same, so no row says whose it is. A backfill belongs to the request whose answer names it.

    Attributes:
        view: the committed rows, and how each client ended.
        clients: the names of the clients that send the request.
        request: what each of them asks for.
        actors: the names of the other clients.
    """

    view: View
    clients: tuple[str, ...]
    request: Request
    actors: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """Whether all clients have finished."""
        return self.view.outcomes.keys() >= {*self.clients, *self.actors}

    # --- Requests -------------------------------------------------------------------------------------

    def answer(self, name: str) -> Response | None:
        """Return what a client was told, or None if it got no answer (it raised, or it died, or it still runs)."""
        answer = self._returned.get(name)
        return answer if isinstance(answer, Response) else None

    @cached_property
    def _returned(self) -> Mapping[str, Any]:
        return self.view.returned()

    def status(self, name: str) -> int | None:
        """Return the HTTP status that a client got, or None if it got no answer."""
        answer = self.answer(name)
        return answer.status if answer is not None else None

    @cached_property
    def finished(self) -> tuple[str, ...]:
        """The clients that sent the request and have finished."""
        return tuple(name for name in self.clients if name in self.view.outcomes)

    @cached_property
    def created(self) -> tuple[str, ...]:
        """Those of them that got 201."""
        return tuple(name for name in self.finished if self.status(name) == CREATED)

    @cached_property
    def crashed(self) -> tuple[str, ...]:
        """Those of them that died before they got an answer."""
        return tuple(name for name in self.finished if isinstance(self.view.outcomes[name], Crashed))

    @cached_property
    def succeeded(self) -> tuple[str, ...]:
        """Those of them whose requests succeeded.

        They got 201; or they died before they got their answer, and a whole backfill is there that no answer
        names: one for each of them. Nobody could tell that death from one a moment later, so it may have had
        all, or nothing.
        """
        done = {*self.created, *self.crashed[: len(self.credited)]}
        return tuple(name for name in self.finished if name in done)

    @cached_property
    def failed(self) -> tuple[str, ...]:
        """Those of them that finished in any other way."""
        return tuple(name for name in self.finished if name not in self.succeeded)

    @cached_property
    def server_errors(self) -> tuple[str, ...]:
        """Those of them that failed with a status from 500 on, or without an answer."""
        return tuple(name for name in self.failed if (self.status(name) or SERVER_ERROR) >= SERVER_ERROR)

    def ending(self, name: str) -> str:
        """Say how a client ended."""
        answer = self.answer(name)
        return str(self.view.outcomes[name]) if answer is None else f"got {answer.status} ({answer.detail})"

    # --- Backfills ------------------------------------------------------------------------------------

    @cached_property
    def backfills(self) -> Mapping[int, Row]:
        """The backfills that were not there before any client, by number: those of the requests."""
        before = {row["id"] for row in self.view.initial.rows("backfill")}
        return {row["id"]: row for row in self.view.rows("backfill") if row["id"] not in before}

    @cached_property
    def told(self) -> Mapping[int, str]:
        """The backfills that are there and that a 201 names, by number: the client that was told so.

        Where several clients were told of one backfill, it belongs to one of them, and the others have none.
        """
        answers = ((self.answer(name), name) for name in self.created)
        return {
            answer.backfill_id: name
            for answer, name in answers
            if answer is not None and answer.backfill_id is not None and answer.backfill_id in self.backfills
        }

    @cached_property
    def credited(self) -> frozenset[int]:
        """The whole backfills that no answer names, at most one for each client that died: they count as theirs."""
        whole = (number for number in self.backfills if number not in self.told and self.is_whole(number))
        return frozenset(islice(whole, len(self.crashed)))

    def has_succeeded(self, number: int | None) -> bool:
        """Tell whether a backfill belongs to a request that succeeded."""
        return number in self.told or number in self.credited

    @property
    def orphans(self) -> tuple[Row, ...]:
        """The backfills that belong to no request that succeeded."""
        return tuple(row for number, row in self.backfills.items() if not self.has_succeeded(number))

    def active(self) -> tuple[Row, ...]:
        """Return the backfills that are heeded and not complete."""
        rows = self.view.rows("backfill")
        return tuple(row for row in rows if row["completed_at"] is None and heeded(row))

    def called(self, number: int) -> str:
        """Say which backfill one is, and whose, as far as that is known by now."""
        if number in self.told:
            return f"backfill {number} of request {self.told[number]}"
        if self.failed and self.finished == self.clients and not self.has_succeeded(number):
            return f"backfill {number} of a request that failed"
        return f"backfill {number}"

    # --- Dates and runs -------------------------------------------------------------------------------

    @cached_property
    def _dates(self) -> Mapping[int, list[Row]]:
        return _by_backfill(self.view.rows("backfill_dag_run"))

    @cached_property
    def _runs(self) -> Mapping[int, list[Row]]:
        return _by_backfill(self.view.rows("dag_run"))

    def dates(self, number: int) -> list[Row]:
        """Return the rows of a backfill's dates."""
        return self._dates.get(number, [])

    def runs(self, number: int) -> list[Row]:
        """Return the runs that a backfill owns."""
        return self._runs.get(number, [])

    @property
    def wanted(self) -> tuple[str, ...]:
        """The dates that every backfill must have, as the database keeps them."""
        return dates_wanted(self.request)

    @cached_property
    def _missing(self) -> Mapping[int, list[str]]:
        there = {number: {row["logical_date"] for row in self.dates(number)} for number in self.backfills}
        return {number: [date for date in self.wanted if date not in dates] for number, dates in there.items()}

    def missing(self, number: int) -> list[str]:
        """Return the dates that were asked for and that a backfill has no row for."""
        return self._missing[number]

    def is_whole(self, number: int) -> bool:
        """Tell whether readers heed a backfill, and it has a row for every date."""
        return heeded(self.backfills[number]) and not self.missing(number)

    def belongings(self, backfill: Row) -> Rows:
        """Return all rows that belong to a backfill: itself, its dates, and the runs that it owns."""
        number = backfill["id"]
        return (
            *named("backfill", [backfill]),
            *named("backfill_dag_run", self.dates(number)),
            *named("dag_run", self.runs(number)),
        )

    # --- What was there before ------------------------------------------------------------------------

    def changed(self, table: str) -> list[tuple[Row, Row | None]]:
        """Return the rows that were there before any client and are not as they were: each then, and now."""
        lost = self.view.lost_rows(table)
        if not lost:
            return []
        now = {_key(table, row): row for row in self.view.rows(table)}
        return [(row, now.get(_key(table, row))) for row in lost]

    @cached_property
    def _owners(self) -> Mapping[tuple[str, str], int | None]:
        return {(run["dag_id"], run["run_id"]): run["backfill_id"] for run in self.view.rows("dag_run")}

    def owner(self, table: str, row: Row) -> int | None:
        """Return the number of the backfill that a row belongs to, itself or through its run."""
        if table == "task_instance":
            return self._owners.get((row["dag_id"], row["run_id"]))
        return row.get("backfill_id")


def _by_backfill(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["backfill_id"]].append(row)
    return found


def _key(table: str, row: Row) -> tuple[Any, ...]:
    return tuple(row[column] for column in KEYS[table])
