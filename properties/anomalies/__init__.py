"""Isolation anomalies: ``treadle check properties.anomalies:scenarios``.

``python -m properties.anomalies`` writes docs/anomalies.md anew.
"""

from __future__ import annotations

from properties.anomalies.catalogue import ANOMALIES
from properties.anomalies.scenarios import scenarios

__all__ = ["ANOMALIES", "scenarios"]
