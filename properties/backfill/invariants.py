"""What must hold for create-backfill: how a view can break each property."""

from __future__ import annotations

from sqlalchemy import Engine

from model.backfill import Algorithm, Reprocess, Response, RunState
from model.backfill.schema import UNFINISHED
from properties.backfill.reading import CREATED, KEYS, Reading, Row, Rows, heeded, named
from properties.backfill.sequels import Retry, WorkOff
from treadle import Breach, Returned

CONFLICT = 409
FINISHED = (RunState.SUCCESS, RunState.FAILED)


def all_or_nothing(reading: Reading) -> list[Breach]:
    """A request that succeeded has one backfill with a row for every date; any other has left nothing."""
    breaches = []
    for name in reading.succeeded:
        backfills = reading.backfills(name)
        if len(backfills) != 1:
            why = f"request {name} {reading.ending(name)}, but {len(backfills)} backfills of it are there"
            breaches.append(Breach(why, named("backfill", backfills)))
        for backfill in backfills:
            if missing := reading.missing(backfill):
                why = f"request {name} {reading.ending(name)}, but its backfill lacks {_days(missing)}"
                breaches.append(Breach(why, reading.left_by(name)))
    breaches += [
        Breach(f"request {name} {reading.ending(name)}, but left {_count(left)}", left)
        for name in reading.failed
        if (left := reading.left_by(name))
    ]
    if reading.failed:
        breaches += [
            Breach(f"a {table} row was changed, and no request that succeeded owns it", rows)
            for table in KEYS
            for rows in _disowned(reading, table)
        ]
    return breaches


def _disowned(reading: Reading, table: str) -> list[Rows]:
    """Return the rows that changed and that no request that succeeded owns: each as it was, and as it is."""
    return [
        named(table, [before] if now is None else [before, now])
        for before, now in reading.changed(table)
        if now is None or reading.owner(table, now) not in reading.succeeded
    ]


def history_kept(reading: Reading) -> list[Breach]:
    """A run that had finished before is unchanged, or owned by a request that succeeded and may rerun it."""
    breaches = []
    for before, now in reading.changed("dag_run"):
        if before["state"] not in FINISHED:
            continue
        what = f"the finished run of {before['logical_date'][:10]}"
        if now is None:
            breaches.append(Breach(f"{what} is gone", named("dag_run", [before])))
            continue
        rows = named("dag_run", [before, now])
        user = reading.owner("dag_run", now)
        if user is None:
            breaches.append(Breach(f"{what} was changed, and no backfill owns it", rows))
        elif user not in reading.succeeded:
            breaches.append(Breach(f"{what} was taken by request {user}, which did not succeed", rows))
        elif not _may_run_again(before, reading.requests[user].reprocess):
            breaches.append(Breach(f"{what} was taken by request {user}, which did not ask for that", rows))
    return breaches


def _may_run_again(run: Row, reprocess: Reprocess) -> bool:
    return reprocess is Reprocess.COMPLETED or (reprocess is Reprocess.FAILED and run["state"] == RunState.FAILED)


def one_active_backfill(reading: Reading) -> list[Breach]:
    """No two backfills of one workflow are active."""
    active: dict[str, list[Row]] = {}
    for row in reading.active():
        active.setdefault(row["dag_id"], []).append(row)
    return [
        Breach(f"{len(rows)} backfills of dag {dag_id!r} are active", named("backfill", rows))
        for dag_id, rows in active.items()
        if len(rows) > 1
    ]


def never_partial(reading: Reading) -> list[Breach]:
    """A backfill that readers heed has all dates, each with a run or a reason, and no run without a date."""
    breaches = []
    for name in reading.requests:
        for backfill in filter(heeded, reading.backfills(name)):
            wanted, missing = reading.wanted(name), reading.missing(backfill)
            dates = reading.dates(backfill)
            dated = {row["dag_run_id"] for row in dates}
            blank = [row for row in dates if row["dag_run_id"] is None and row["exception_reason"] is None]
            stray = [run for run in reading.runs(backfill) if run["id"] not in dated]
            whose = f"the backfill of request {name}"
            rows = named("backfill", [backfill])
            if missing:
                there = f"{len(wanted) - len(missing)} of its {len(wanted)} dates"
                why = f"{whose} is committed with {there}"
                breaches.append(Breach(why, rows + named("backfill_dag_run", dates)))
            if blank:
                why = f"{whose} has a date with neither a run nor a reason"
                breaches.append(Breach(why, rows + named("backfill_dag_run", blank)))
            if stray:
                why = f"{whose} owns a run that none of its dates names"
                breaches.append(Breach(why, rows + named("dag_run", stray)))
    return breaches


def honest_conflict(reading: Reading) -> list[Breach]:
    """A request that got 409 was in the way of one that succeeded, or of a backfill that was there before."""
    if any(row["completed_at"] is None for row in reading.view.initial.rows("backfill")):
        return []
    return [
        Breach(
            f"request {name} {reading.ending(name)}, but no other request succeeded",
            named("backfill", reading.view.rows("backfill")),
        )
        for name in reading.failed
        if reading.status(name) == CONFLICT and not reading.succeeded
    ]


def retry_succeeds(reading: Reading, engine: Engine, algorithm: Algorithm) -> list[Breach]:
    """A request that failed with a server error gets 201 when it is alone, with no true backfill in its way.

    The backfills of requests that succeeded are cancelled first. What a request left that failed is not.
    """
    breaches = []
    for name in reading.server_errors:
        over = tuple(row["id"] for row in reading.active() if row["triggering_user_name"] in reading.succeeded)
        end = reading.view.then(Retry(engine, algorithm, reading.requests[name], over))
        if isinstance(end, Returned) and isinstance(end.value, Response):
            if end.value.status == CREATED:
                continue
            answer = f"got {end.value.status} ({end.value.detail})"
        else:
            answer = str(end)
        why = f"request {name} {reading.ending(name)}; sent again alone, it {answer}"
        breaches.append(Breach(why, named("backfill", reading.active())))
    return breaches


def complete_means_complete(reading: Reading, work_off: WorkOff) -> list[Breach]:
    """A backfill that is complete has all its dates, and so has one that the scheduler completes in the end.

    One that is complete has no unfinished run either, but for a run that was running when it was cancelled.
    """
    later = completed_later(reading, work_off) if reading.over else ()
    breaches = []
    for name in reading.requests:
        for backfill in reading.backfills(name):
            complete = backfill["completed_at"] is not None
            cancelled = bool(backfill["is_paused"])  # nothing else pauses a backfill here
            how = "will be completed" if not complete else "was cancelled" if cancelled else "is complete"
            whose = f"the backfill of request {name} {how}"
            rows = named("backfill", [backfill])
            missing = reading.missing(backfill)
            if missing and (complete or backfill["id"] in later):
                dates = named("backfill_dag_run", reading.dates(backfill))
                breaches.append(Breach(f"{whose}, but lacks {_days(missing)}", rows + dates))
            wrong = (RunState.QUEUED,) if cancelled else UNFINISHED
            unfinished = [run for run in reading.runs(backfill) if run["state"] in wrong]
            if unfinished and complete:
                what = "a queued run" if cancelled else "an unfinished run"
                breaches.append(Breach(f"{whose}, but has {what}", rows + named("dag_run", unfinished)))
    return breaches


def completed_later(reading: Reading, work_off: WorkOff) -> tuple[int, ...]:
    """Return the ids of the backfills that the scheduler completes when nothing else happens any more."""
    end = reading.view.then(work_off)
    return tuple(end.value) if isinstance(end, Returned) else ()


def _days(dates: list[str]) -> str:
    return ", ".join(date[:10] for date in dates)


def _count(rows: Rows) -> str:
    tables = [table for table, _ in rows]
    counts = [f"{tables.count(table)} {table} row{'s' * (tables.count(table) > 1)}" for table in KEYS]
    return " and ".join(count for count in counts if not count.startswith("0 "))
