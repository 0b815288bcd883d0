"""The instant at which every client starts."""

from __future__ import annotations

import datetime as dt

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The instant at which every client starts; from there, only ``time.sleep`` moves a client's clock."""
