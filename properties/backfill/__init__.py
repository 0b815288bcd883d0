"""Create-backfill: ``treadle check properties.backfill:scenarios``."""

from __future__ import annotations

from properties.backfill.catalogue import properties_of
from properties.backfill.expectations import EXPECT_VIOLATED
from properties.backfill.scenarios import scenarios

__all__ = ["EXPECT_VIOLATED", "properties_of", "scenarios"]
