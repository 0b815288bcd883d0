"""Hypothesis machines: a scenario as a rule-based state machine."""

from __future__ import annotations

from treadle.hypothesis.learned import close_machines
from treadle.hypothesis.machine import state_machine

__all__ = ["close_machines", "state_machine"]
