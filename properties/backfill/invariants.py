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
    breaches = [
        Breach(
            f"request {name} {reading.ending(name)}, but no backfill of it is there",
            named("backfill", reading.backfills.values()),
        )
        for name in reading.created
        if name not in reading.told.values()
    ]
    for number, name in reading.told.items():
        if missing := reading.missing(number):
            why = f"request {name} {reading.ending(name)}, but its backfill lacks {_days(missing)}"
            breaches.append(Breach(why, reading.belongings(reading.backfills[number])))
    for backfill in reading.orphans:
        left = reading.belongings(backfill)
        breaches.append(Breach(f"{_failure(reading)} left {_count(left)}", left))
    if reading.failed:
        breaches += [
            Breach(f"a {table} row was changed, and no request that succeeded owns it", rows)
            for table in KEYS
            for rows in _disowned(reading, table)
        ]
    return breaches


def _failure(reading: Reading) -> str:
    """Say which requests failed, as the subject of what one of them did: no row says which one."""
    if not reading.failed:
        return "all requests succeeded, but something"
    if len(reading.failed) == 1:
        (name,) = reading.failed
        return f"request {name} {reading.ending(name)}, but"
    short = [
        f"{name} got {status}" if (status := reading.status(name)) else f"{name} {reading.ending(name)}"
        for name in reading.failed
    ]
    return f"request {', '.join(short)}, and one of them"


def _disowned(reading: Reading, table: str) -> list[Rows]:
    """Return the rows that changed and that no request that succeeded owns: each as it was, and as it is."""
    return [
        named(table, [before] if now is None else [before, now])
        for before, now in reading.changed(table)
        if now is None or not reading.has_succeeded(reading.owner(table, now))
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
        number = reading.owner("dag_run", now)
        if number is None:
            breaches.append(Breach(f"{what} was changed, and no backfill owns it", rows))
        elif not reading.has_succeeded(number):
            breaches.append(Breach(f"{what} was taken by {reading.called(number)}", rows))
        elif not _may_run_again(before, reading.request.reprocess):
            breaches.append(Breach(f"{what} was taken by {reading.called(number)}, which did not ask for that", rows))
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
    for number, backfill in reading.backfills.items():
        if not heeded(backfill):
            continue
        missing, dates = reading.missing(number), reading.dates(number)
        dated = {row["dag_run_id"] for row in dates}
        blank = [row for row in dates if row["dag_run_id"] is None and row["exception_reason"] is None]
        stray = [run for run in reading.runs(number) if run["id"] not in dated]
        rows = named("backfill", [backfill])
        if missing:
            count = len(reading.wanted)
            why = f"{reading.called(number)} is committed with {count - len(missing)} of its {count} dates"
            breaches.append(Breach(why, rows + named("backfill_dag_run", dates)))
        if blank:
            why = f"{reading.called(number)} has a date with neither a run nor a reason"
            breaches.append(Breach(why, rows + named("backfill_dag_run", blank)))
        if stray:
            why = f"{reading.called(number)} owns a run that none of its dates names"
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
    if not reading.server_errors:
        return []
    over = tuple(row["id"] for row in reading.active() if reading.has_succeeded(row["id"]))
    end = reading.view.then(Retry(engine, algorithm, reading.request, over))
    if isinstance(end, Returned) and isinstance(end.value, Response):
        if end.value.status == CREATED:
            return []
        answer = f"got {end.value.status} ({end.value.detail})"
    else:
        answer = str(end)
    return [
        Breach(
            f"request {name} {reading.ending(name)}; sent again alone, it {answer}",
            named("backfill", reading.active()),
        )
        for name in reading.server_errors
    ]


def complete_means_complete(reading: Reading, work_off: WorkOff) -> list[Breach]:
    """A backfill that is complete has all its dates, and so has one that the scheduler completes in the end.

    One that is complete has no unfinished run either, but for a run that was running when it was cancelled.
    """
    later = completed_later(reading, work_off) if reading.over else ()
    breaches = []
    for number, backfill in reading.backfills.items():
        complete = backfill["completed_at"] is not None
        cancelled = bool(backfill["is_paused"])  # nothing else pauses a backfill here
        how = "will be completed" if not complete else "was cancelled" if cancelled else "is complete"
        rows = named("backfill", [backfill])
        missing = reading.missing(number)
        if missing and (complete or number in later):
            why = f"{reading.called(number)} {how}, but lacks {_days(missing)}"
            breaches.append(Breach(why, rows + named("backfill_dag_run", reading.dates(number))))
        wrong = (RunState.QUEUED,) if cancelled else UNFINISHED
        unfinished = [run for run in reading.runs(number) if run["state"] in wrong]
        if unfinished and complete:
            why = f"{reading.called(number)} {how}, but has {'a queued' if cancelled else 'an unfinished'} run"
            breaches.append(Breach(why, rows + named("dag_run", unfinished)))
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
