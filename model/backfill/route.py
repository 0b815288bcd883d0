"""The route that creates a backfill: from a request to a response, whatever happens."""

from __future__ import annotations

from http import HTTPStatus

from attrs import field, frozen
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from model.backfill.algorithm import Algorithm
from model.backfill.errors import BackfillError
from model.backfill.request import Request
from model.backfill.schema import Log
from model.backfill.session import unit_of_work


@frozen
class Response:
    """What the client gets.

    Attributes:
        status: an HTTP status.
        detail: the reason, for a reader.
        backfill_id: the number of the backfill that was created, or None if none was.
    """

    status: int = field(converter=int)
    detail: str = ""
    backfill_id: int | None = None


def post(engine: Engine, algorithm: Algorithm, request: Request, *, log: bool = False) -> Response:
    """Create a backfill, as ``POST /backfills`` does.

    Args:
        engine: reaches the database.
        algorithm: how.
        request: what.
        log: whether the request first inserts a row into the audit log, in a session and a transaction of its
            own. The application always does; it makes one more writer.

    Returns:
        A response for every outcome, as a server would: an exception that nobody foresaw is a 500.
    """
    try:
        if log:
            write_log(engine, request)
        with unit_of_work(engine) as session:
            backfill = algorithm.create(session, request)
        return Response(HTTPStatus.CREATED, f"backfill {backfill.id}", backfill.id)
    except BackfillError as error:
        return Response(error.status, str(error))
    except DBAPIError as error:
        return Response(_status(error, algorithm), f"{type(error.orig).__name__}: {error.orig}")
    except Exception as error:  # noqa: BLE001  # a server answers, whatever happens
        return Response(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")


def write_log(engine: Engine, request: Request) -> None:
    """Insert and commit a request's row in the audit log."""
    with unit_of_work(engine) as session:
        session.add(Log(dttm=request.now, dag_id=request.dag_id, event="create_backfill", owner=request.user))


def _status(error: DBAPIError, algorithm: Algorithm) -> HTTPStatus:
    text = str(error.orig)
    if isinstance(error, IntegrityError) and "UNIQUE constraint failed" in text:
        return HTTPStatus.CONFLICT
    if isinstance(error, OperationalError) and "database is locked" in text:
        return algorithm.locked_status
    return HTTPStatus.INTERNAL_SERVER_ERROR
