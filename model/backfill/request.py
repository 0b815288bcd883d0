"""What a client asks for when it creates a backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import field, frozen

from model.backfill.schema import Reprocess

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""When requests arrive, unless they say otherwise: a model has no clock of its own."""


@frozen
class Request:
    """The body of ``POST /backfills``, with its user and the moment it arrives.

    Attributes:
        dag_id: the workflow.
        from_date: the first logical date.
        to_date: the last logical date, itself included.
        reprocess: which existing runs to run again.
        max_active_runs: how many of its runs may be running at a time.
        reverse: whether the latest date comes first.
        conf: the configuration of each run.
        user: who asks.
        now: when.
    """

    dag_id: str
    from_date: datetime
    to_date: datetime
    reprocess: Reprocess = field(default=Reprocess.NONE, converter=Reprocess)
    max_active_runs: int = 1
    reverse: bool = False
    conf: Mapping[str, Any] = field(factory=dict, hash=False)
    user: str | None = None
    now: datetime = NOW
