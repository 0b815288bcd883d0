"""A view of the database, read as a story of requests and their backfills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
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


def named(table: str, rows: Iterable[Row]) -> Rows:
    """Return rows with the name of their table."""
    return tuple((table, row) for row in rows)


def heeded(backfill: Row) -> bool:
    """Tell whether readers heed a backfill: one whose ``initialized_at`` is NULL they must not."""
    return "initialized_at" not in backfill or backfill["initialized_at"] is not None


@frozen
class Reading:
    """A view, and the requests that led to it.

    Attributes:
        view: the committed rows, and how each client ended.
        requests: what each client asks for that sends a request, by its name. It is also the user name in the
            backfill's row.
        actors: the names of the other clients.
    """

    view: View
    requests: Mapping[str, Request]
    actors: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """Whether all clients have finished."""
        return self.view.outcomes.keys() >= {*self.requests, *self.actors}

    def status(self, name: str) -> int | None:
        """Return the HTTP status that a client got, or None if it got no answer (it raised, or it died)."""
        answer = self.view.returned().get(name)
        return answer.status if isinstance(answer, Response) else None

    def has_succeeded(self, name: str) -> bool:
        """Tell whether a client has finished and its request succeeded.

        It got 201; or it died before it got its answer, and its backfill is whole. Nobody could tell that death
        from one a moment later, so it may have had all, or nothing.
        """
        if isinstance(self.view.outcomes.get(name), Crashed):
            return any(heeded(backfill) and not self.missing(backfill) for backfill in self.backfills(name))
        return self.status(name) == CREATED

    @property
    def finished(self) -> tuple[str, ...]:
        """The clients that sent a request and have finished."""
        return tuple(name for name in self.requests if name in self.view.outcomes)

    @property
    def succeeded(self) -> tuple[str, ...]:
        """Those of them whose requests succeeded."""
        return tuple(name for name in self.finished if self.has_succeeded(name))

    @property
    def failed(self) -> tuple[str, ...]:
        """Those of them that finished in any other way."""
        return tuple(name for name in self.finished if not self.has_succeeded(name))

    @property
    def server_errors(self) -> tuple[str, ...]:
        """Those of them that failed with a status from 500 on, or without an answer."""
        return tuple(name for name in self.failed if (self.status(name) or SERVER_ERROR) >= SERVER_ERROR)

    def ending(self, name: str) -> str:
        """Say how a client ended."""
        answer = self.view.returned().get(name)
        if isinstance(answer, Response):
            return f"got {answer.status} ({answer.detail})"
        return str(self.view.outcomes[name])

    def backfills(self, user: str) -> tuple[Row, ...]:
        """Return the backfills of a client."""
        return tuple(row for row in self.view.rows("backfill") if row["triggering_user_name"] == user)

    def active(self) -> tuple[Row, ...]:
        """Return the backfills that are heeded and not complete."""
        rows = self.view.rows("backfill")
        return tuple(row for row in rows if row["completed_at"] is None and heeded(row))

    def user(self, backfill_id: int | None) -> str | None:
        """Return the client whose backfill this is."""
        for row in self.view.rows("backfill"):
            if row["id"] == backfill_id:
                name: str | None = row["triggering_user_name"]
                return name
        return None

    def dates(self, backfill: Row) -> tuple[Row, ...]:
        """Return the rows of a backfill's dates."""
        return tuple(row for row in self.view.rows("backfill_dag_run") if row["backfill_id"] == backfill["id"])

    def runs(self, backfill: Row) -> tuple[Row, ...]:
        """Return the runs that a backfill owns."""
        return tuple(row for row in self.view.rows("dag_run") if row["backfill_id"] == backfill["id"])

    def wanted(self, user: str) -> list[str]:
        """Return the dates that a client asked for, as the database keeps them."""
        return [as_stored(date) for date in dates_of(self.requests[user])]

    def missing(self, backfill: Row) -> list[str]:
        """Return the dates that a client asked for and that its backfill has no row for."""
        there = {row["logical_date"] for row in self.dates(backfill)}
        return [date for date in self.wanted(backfill["triggering_user_name"]) if date not in there]

    def left_by(self, user: str) -> Rows:
        """Return all rows that belong to a client: its backfills, their dates, and the runs that they own."""
        rows: Rows = ()
        for backfill in self.backfills(user):
            rows += named("backfill", [backfill])
            rows += named("backfill_dag_run", self.dates(backfill))
            rows += named("dag_run", self.runs(backfill))
        return rows

    def changed(self, table: str) -> list[tuple[Row, Row | None]]:
        """Return the rows that were there before any client and are not as they were: each then, and now."""
        key = KEYS[table]
        now = {tuple(row[column] for column in key): row for row in self.view.rows(table)}
        return [(row, now.get(tuple(row[column] for column in key))) for row in self.view.lost_rows(table)]

    def owner(self, table: str, row: Row) -> str | None:
        """Return the client that owns the run that a row of ``dag_run`` or ``task_instance`` belongs to."""
        if table == "task_instance":
            runs = self.view.rows("dag_run")
            row = next((run for run in runs if _same_run(run, row)), {"backfill_id": None})
        return self.user(row["backfill_id"]) if "backfill_id" in row else None


def _same_run(left: Row, right: Row) -> bool:
    return bool(left["dag_id"] == right["dag_id"] and left["run_id"] == right["run_id"])
