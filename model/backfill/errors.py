"""The errors of create-backfill, each with the HTTP status that the route answers.

::

    BackfillError
    ├── DagNotFoundError          404
    ├── RunTypeNotAllowedError    400
    ├── AlreadyRunningError       409
    ├── NoScheduleError           422
    ├── InvalidDirectionError     422
    ├── InvalidReprocessError     422
    ├── InvalidDateError          422
    ├── InvalidConfError          422
    └── NoRunsError               422
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar


class BackfillError(Exception):
    """Base class: a request that is refused, with nothing wrong in the server."""

    status: ClassVar[HTTPStatus] = HTTPStatus.UNPROCESSABLE_ENTITY


class DagNotFoundError(BackfillError):
    """There is no such workflow."""

    status = HTTPStatus.NOT_FOUND


class RunTypeNotAllowedError(BackfillError):
    """The workflow allows no backfills."""

    status = HTTPStatus.BAD_REQUEST


class AlreadyRunningError(BackfillError):
    """A backfill of this workflow is active."""

    status = HTTPStatus.CONFLICT


class NoScheduleError(BackfillError):
    """The workflow has no schedule, so a range has no dates."""


class InvalidDirectionError(BackfillError):
    """The dates cannot run in reverse, because tasks depend on the run before."""


class InvalidReprocessError(BackfillError):
    """Existing runs must run again, because tasks depend on the run before."""


class InvalidDateError(BackfillError):
    """The whole range is in the future."""


class InvalidConfError(BackfillError):
    """The configuration does not fit the workflow's parameters."""


class NoRunsError(BackfillError):
    """The range has no date that can run."""
