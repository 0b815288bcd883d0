"""Create-backfill as in ``flush``, the whole request inside one ``BEGIN IMMEDIATE`` (apache/airflow #64534).

The write lock is taken before the guard looks, so what the guard saw stays true until the COMMIT, and no
statement of the request has to upgrade from reading to writing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from model.backfill.algorithm import Algorithm
from model.backfill.dates import dates_of
from model.backfill.guard import find_dag, refuse_second_backfill, reread_dag, validate
from model.backfill.request import Request
from model.backfill.rows import new_backfill
from model.backfill.runs import create_runs
from model.backfill.schema import Backfill


def create_backfill(session: Session, request: Request) -> Backfill:
    """Write a backfill and its runs.

    Raises:
        BackfillError: the request is refused.
        RuntimeError: the range has no dates.
    """
    take_write_lock(session)
    dag = find_dag(session, request.dag_id)
    refuse_second_backfill(session, request.dag_id)
    validate(dag, request)
    backfill = new_backfill(request)
    session.add(backfill)
    session.flush()
    reread_dag(session, request.dag_id)
    dates = dates_of(request)
    if not dates:
        raise RuntimeError(f"dag {request.dag_id!r} has no runs to create")
    create_runs(session, dag, backfill, dates, request)
    return backfill


def take_write_lock(session: Session) -> None:
    """Begin the session's transaction with the write lock in hand, or wait for it.

    An application would set this up once, on its engine. Here it stands in the request, so that the algorithm
    is the same under each of the driver's transaction modes. In the default mode no transaction is open yet,
    and ``BEGIN IMMEDIATE`` opens one. In the others the engine or the driver has just sent a BEGIN; SQLite
    refuses a second one, but a write as the very first statement takes the same lock with the same waiting,
    even one that changes no row.
    """
    connection = session.connection()
    driver_connection: Any = connection.connection.dbapi_connection
    if driver_connection.in_transaction:
        connection.exec_driver_sql("UPDATE backfill SET id = id WHERE FALSE")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


ALGORITHM = Algorithm("immediate", create_backfill)
