"""The matrix of verdicts over modes."""

from __future__ import annotations

from attrs import evolve

from tests.checking.bank import bank, read_then_write
from treadle import Result, check
from treadle.report.matrix import render_matrices


def _results(*modes: tuple[str, str]) -> list[Result]:
    found = []
    for journal, transactions in modes:
        scenario = bank(read_then_write, journal=journal, transactions=transactions)
        found.append(check(evolve(scenario, name=f"bank[{journal},{transactions}]")))
    return found


def test_several_modes_of_one_scenario_are_a_matrix() -> None:
    """A column for each mode, a row for each property."""
    lines = render_matrices(_results(("wal", "legacy"), ("wal", "immediate"))).splitlines()
    assert [
        "bank                    wal       wal",
        "                        legacy    immediate",
        "every-increment-counts  VIOLATED  .",
    ] == lines[2:]


def test_one_mode_is_no_matrix() -> None:
    """A scenario that was checked in one mode has its verdicts already."""
    assert "" == render_matrices(_results(("wal", "legacy")))
