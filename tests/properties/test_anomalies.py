"""Isolation anomalies: which are possible where, and that each would be noticed."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from properties.anomalies import ANOMALIES, scenarios
from properties.anomalies.document import Cell, page
from tests.sampled import one_in
from treadle import Committed, Decision, Returned, UsageError, Verdict, View, check, replay
from treadle.values.view import Table

pytestmark = pytest.mark.usefixtures("few_challenges")

PAGE = (Path(__file__).parents[2] / "docs" / "anomalies.md").read_text(encoding="utf-8")

JOURNALS = ("wal", "delete")
MODES = ("legacy", "begin", "immediate", "autocommit-off")

POSSIBLE_WITHOUT_BEGIN = {"PMP", "PMP-write", "P4", "G-single", "G-single-write", "G2-item", "G2"}
"""In the mode ``legacy``. In the others SQLite is serializable, and so nothing is possible."""


@pytest.mark.parametrize(("symbol", "journal", "mode"), one_in(3, itertools.product(ANOMALIES, JOURNALS, MODES)))
def test_an_anomaly_is_possible_only_without_begin(symbol: str, journal: str, mode: str) -> None:
    """And not all of them even then. Each search is exhausted."""
    if mode == "autocommit-off" and sys.version_info < (3, 12):
        pytest.skip("autocommit=False is new in Python 3.12")
    (scenario,) = scenarios(journal=journal, transactions=mode, anomaly=symbol)
    result = check(scenario)
    assert result.exhausted
    possible = mode == "legacy" and symbol in POSSIBLE_WITHOUT_BEGIN
    verdicts = {decision.property.name: decision.verdict for decision in result.decisions}
    assert {
        f"no-{symbol}": Verdict.VIOLATED if possible else Verdict.HOLDS,
        "all-succeed": Verdict.HOLDS,
    } == verdicts
    assert result.as_expected


def ended(rows: dict[int, int], **returned: Any) -> View:
    """Build a view in which the rows are so, and the clients have returned these values."""
    initial = Committed({"test": Table(("id", "value"), ((1, 10), (2, 20)))})
    committed = Committed({"test": Table(("id", "value"), tuple(rows.items()))})
    return View(committed, initial, {name: Returned(value) for name, value in returned.items()})


SHOWN = {
    "G0": ended({1: 11, 2: 22}, T1=None, T2=None),
    "G1a": ended({1: 10, 2: 20}, T1=None, T2=([(1, 10), (2, 20)], [(1, 101), (2, 20)])),
    "G1b": ended({1: 11, 2: 20}, T1=None, T2=([(1, 101), (2, 20)], [(1, 11), (2, 20)])),
    "G1c": ended({1: 11, 2: 22}, T1=22, T2=11),
    "OTV": ended({1: 12, 2: 18}, T1=None, T2=None, T3=[(1, 12), (2, 19), (2, 18), (1, 12)]),
    "PMP": ended({1: 10, 2: 20, 3: 30}, T1=([], [(3, 30)]), T2=None),
    "PMP-write": ended({2: 30}, T1=None, T2=([2], [1])),
    "P4": ended({1: 12, 2: 20}, T1=10, T2=10),
    "G-single": ended({1: 12, 2: 18}, T1=(10, 18), T2=None),
    "G-single-write": ended({1: 12, 2: 18}, T1=(10, 0), T2=None),
    "G2-item": ended({1: 11, 2: 21}, T1=(10, 20), T2=(10, 20)),
    "G2": ended({1: 10, 2: 20, 3: 30, 4: 42}, T1=[], T2=[]),
}
"""For each anomaly an ending that shows it, written by hand."""

NOT_SHOWN = {
    "G0": ended({1: 12, 2: 22}, T1=None, T2=None),
    "G1a": ended({1: 10, 2: 20}, T1=None, T2=([(1, 10), (2, 20)], [(1, 10), (2, 20)])),
    "G1b": ended({1: 11, 2: 20}, T1=None, T2=([(1, 10), (2, 20)], [(1, 11), (2, 20)])),
    "G1c": ended({1: 11, 2: 22}, T1=20, T2=11),
    "OTV": ended({1: 11, 2: 19}, T1=None, T2=None, T3=[(1, 10), (2, 18), (2, 19), (1, 11)]),
    "PMP": ended({1: 10, 2: 20, 3: 30}, T1=([], []), T2=None),
    "PMP-write": ended({2: 30}, T1=None, T2=([1], [1])),
    "P4": ended({1: 12, 2: 20}, T1=10, T2=11),
    "G-single": ended({1: 12, 2: 18}, T1=(12, 18), T2=None),
    "G-single-write": ended({1: 12, 2: 18}, T1=(12, 0), T2=None),
    "G2-item": ended({1: 11, 2: 21}, T1=(10, 20), T2=(11, 20)),
    "G2": ended({1: 10, 2: 20, 3: 30, 4: 42}, T1=[], T2=[(3, 30)]),
}
"""For each anomaly an ending that is near it, and allowed."""


@pytest.mark.parametrize("symbol", ANOMALIES)
def test_an_anomaly_would_be_noticed(symbol: str) -> None:
    """So 'impossible' does not mean that nobody looks."""
    assert ANOMALIES[symbol].shown(SHOWN[symbol]) is not None


@pytest.mark.parametrize("symbol", ANOMALIES)
def test_what_is_allowed_is_no_anomaly(symbol: str) -> None:
    """So "possible" does not mean that anything counts."""
    assert ANOMALIES[symbol].shown(NOT_SHOWN[symbol]) is None


@pytest.mark.parametrize("symbol", ANOMALIES)
def test_a_transaction_that_failed_shows_nothing(symbol: str) -> None:
    """What it has read is lost with it."""
    assert ANOMALIES[symbol].shown(ended({1: 10, 2: 20})) is None


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    """With the symbols that there are."""
    with pytest.raises(UsageError, match="anomaly='G9': it matches none of G0, G1a"):
        scenarios(anomaly="G9")


def test_the_table_of_the_documentation_says_what_is_expected() -> None:
    """In each journal mode and transaction mode."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    columns = [tuple(column.split(", ")) for column in lines[0][1:]]
    assert [(journal, mode) for journal in JOURNALS for mode in MODES] == columns
    said = {line[0].split(" (")[0]: line[1:] for line in lines[2 : 2 + len(ANOMALIES)]}
    assert {
        symbol: ["**possible**" if mode in anomaly.possible else "impossible" for _, mode in columns]
        for symbol, anomaly in ANOMALIES.items()
    } == said


SECTIONS = dict(re.findall(r"^## ([\w-]+): .*?\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SCHEDULES = [
    (symbol, *found)
    for symbol, text in SECTIONS.items()
    for found in re.findall(r"^\| (\w+), ([\w-]+) \| `(t[12]\.[^`]+)` \| (.*) \|$", text, re.MULTILINE)
]


def test_the_documentation_has_a_schedule_for_whatever_is_possible() -> None:
    """And for nothing else."""
    listed = {(symbol, journal, mode) for symbol, journal, mode, *_ in SCHEDULES}
    assert listed == {
        (symbol, journal, mode)
        for symbol, anomaly in ANOMALIES.items()
        for journal in JOURNALS
        for mode in anomaly.possible
    }


@pytest.mark.parametrize(("symbol", "journal", "mode", "token", "why"), SCHEDULES)
def test_a_schedule_of_the_documentation_shows_what_it_says(
    symbol: str, journal: str, mode: str, token: str, why: str
) -> None:
    """Each is replayed live."""
    (scenario,) = scenarios(journal=journal, transactions=mode, anomaly=symbol)
    breaches = replay(scenario, token).breaches
    assert [why] == [breach.why for breach in breaches[f"no-{symbol}"]]


def test_the_page_is_a_function_of_what_was_decided() -> None:
    """The same verdicts give the same text, without schedules where there are none."""
    anomaly = ANOMALIES["P4"]
    never, _ = anomaly.properties
    decided = {Cell("P4", "wal", "begin"): Decision(never, Verdict.HOLDS, Verdict.HOLDS)}
    pages = {page([anomaly], ["wal"], ["begin"], decided) for _ in range(2)}
    assert 1 == len(pages)
    (text,) = pages
    assert "| P4 (lost update) | impossible |" in text
    assert "treadle replay" not in text
