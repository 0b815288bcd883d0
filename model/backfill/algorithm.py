"""An algorithm of create-backfill, and what it needs of the database."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from attrs import field, frozen
from sqlalchemy import ColumnElement, Engine
from sqlalchemy.orm import Session

from model.backfill.guard import EVERY_BACKFILL
from model.backfill.request import Request
from model.backfill.schema import Backfill, Base


@frozen
class Algorithm:
    """One way to create a backfill.

    Attributes:
        name: how it is called in scenarios.
        create: writes the backfill and its runs in the given session. What it leaves uncommitted, the route
            commits.
        migration: the DDL statements that it adds to the schema.
        heeded: the condition under which other requests and the scheduler heed a backfill.
        locked_status: the status that the route answers to ``database is locked``.
    """

    name: str
    create: Callable[[Session, Request], Backfill]
    migration: tuple[str, ...] = ()
    heeded: ColumnElement[bool] = field(default=EVERY_BACKFILL, eq=False, repr=False)
    locked_status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR

    def create_schema(self, engine: Engine) -> None:
        """Create the tables, and migrate them."""
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            for statement in self.migration:
                connection.exec_driver_sql(statement)
