"""What happens after all clients have finished: one more actor, alone."""

from __future__ import annotations

from datetime import timedelta

from attrs import field, frozen
from sqlalchemy import ColumnElement, Engine

from model.backfill import NOW, Algorithm, Request, Response, cancel, post, work_off

LATER = NOW + timedelta(hours=1)
"""A time at which nothing counts as just being created."""


@frozen
class Retry:
    """Send a request again, once the backfills of others are over.

    Attributes:
        engine: reaches the database.
        algorithm: as before.
        request: as before.
        over: the ids of the backfills that are cancelled first.
    """

    engine: Engine
    algorithm: Algorithm
    request: Request
    over: tuple[int, ...] = ()

    def __call__(self) -> Response:
        """Cancel, then send."""
        for backfill_id in self.over:
            cancel(self.engine, backfill_id, LATER)
        return post(self.engine, self.algorithm, self.request)


@frozen
class WorkOff:
    """Let the scheduler and the tasks finish what is there.

    Attributes:
        engine: reaches the database.
        heeded: which backfills the scheduler knows of.
    """

    engine: Engine
    heeded: ColumnElement[bool] = field(eq=False)

    def __call__(self) -> list[int]:
        """Return the ids of the backfills that are then complete."""
        return work_off(self.engine, LATER, self.heeded)
