"""The logical dates of a request."""

from __future__ import annotations

from datetime import datetime, timedelta

from model.backfill.request import Request

INTERVAL = timedelta(days=1)
"""Every workflow of the model runs daily."""


def dates_of(request: Request) -> list[datetime]:
    """Return the logical dates whose interval is over, in the order in which they are to run."""
    days = (request.to_date - request.from_date) // INTERVAL + 1
    dates = [request.from_date + INTERVAL * day for day in range(days)]
    dates = [date for date in dates if date + INTERVAL < request.now]
    return dates[::-1] if request.reverse else dates
