"""Create-backfill: ``treadle check properties.backfill:scenarios``.

``python -m properties.backfill`` records anew what is expected, and writes docs/which-fix-keeps-what.md.
"""

from __future__ import annotations

from properties.backfill.catalogue import properties_of
from properties.backfill.expectations import expected
from properties.backfill.scenarios import scenarios

__all__ = ["expected", "properties_of", "scenarios"]
