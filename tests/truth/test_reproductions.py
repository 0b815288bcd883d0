"""Every counterexample of the project's own systems, done again with Python's sqlite3 alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from properties import anomalies, systems
from properties.backfill import scenarios
from treadle import Scenario, check
from treadle.report.reproduction import render_reproduction
from treadle.report.tracefile import cases_in

pytestmark = pytest.mark.truth


def all_scenarios() -> Iterator[Scenario]:
    """Yield the scenarios of all systems, in both journal modes."""
    for journal in ("wal", "delete"):
        yield from scenarios(algorithms="all", requests=2, runs=1, journal=journal)
        yield from systems.scenarios(journal=journal)
        yield from anomalies.scenarios(journal=journal)


@pytest.mark.parametrize("scenario", list(all_scenarios()), ids=lambda scenario: f"{scenario.name}")
def test_are_reproduced(scenario: Scenario, tmp_path: Path) -> None:
    """In an empty environment, each script ends with the violation."""
    for case in cases_in(check(scenario, challenge=0.0, challenges=0)):
        path = tmp_path / "reproduce.py"
        path.write_text(render_reproduction(case), encoding="utf-8")
        command = [sys.executable, "-I", "-S", str(path)]
        done = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=60)
        assert (1, "") == (done.returncode, done.stderr), f"{case.decision.property.name}: {done.stdout}"
