"""The small systems: ``treadle check properties.systems:scenarios``."""

from __future__ import annotations

from properties.systems.scenarios import SYSTEMS, scenarios

__all__ = ["SYSTEMS", "scenarios"]
