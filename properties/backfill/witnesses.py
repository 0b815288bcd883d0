"""What must happen somewhere, so that no property of create-backfill holds vacuously."""

from __future__ import annotations

from properties.backfill.invariants import CONFLICT, FINISHED, completed_later
from properties.backfill.reading import Reading
from properties.backfill.sequels import WorkOff

OK = 200


def some_request_succeeds(reading: Reading) -> bool:
    """For ``all-or-nothing``: all."""
    return bool(reading.succeeded)


def some_request_fails(reading: Reading) -> bool:
    """For ``all-or-nothing``: nothing."""
    return bool(reading.failed)


def some_history(reading: Reading) -> bool:
    """For ``history-kept``."""
    return any(row["state"] in FINISHED for row in reading.view.initial.rows("dag_run"))


def some_active_backfill(reading: Reading) -> bool:
    """For ``one-active-backfill``."""
    return bool(reading.active())


def some_whole_backfill(reading: Reading) -> bool:
    """For ``never-partial``."""
    return any(map(reading.is_whole, reading.backfills))


def some_conflict(reading: Reading) -> bool:
    """For ``honest-conflict``."""
    return any(reading.status(name) == CONFLICT for name in reading.failed)


def some_server_error(reading: Reading) -> bool:
    """For ``retry-succeeds``."""
    return bool(reading.server_errors)


def some_rival_loses(reading: Reading) -> bool:
    """For ``serial-equivalence``."""
    return bool(reading.succeeded and reading.failed)


def some_completion(reading: Reading, work_off: WorkOff) -> bool:
    """For ``complete-means-complete``."""
    return bool(completed_later(reading, work_off))


def some_start(reading: Reading) -> bool:
    """For the scheduler beside the requests: it finds a run to start."""
    started, _ = reading.view.returned().get("scheduler", ((), ()))
    return bool(started)


def some_cancel(reading: Reading) -> bool:
    """For the user who cancels beside the requests: there is a backfill to cancel."""
    return reading.status("cancel") == OK


def some_finish(reading: Reading) -> bool:
    """For the task beside the requests: it finds a run to finish."""
    return reading.view.returned().get("task") is not None
