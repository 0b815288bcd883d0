"""The tests of truth notice when a rule that verdicts rest on is broken; docs/challenges.md tells who else does.

Each rule of ``tests.truth.rules`` is broken on purpose. Then a check sees other ends than real executions show, or
finds out by itself.
"""

from __future__ import annotations

import pytest

from tests.sampled import one_in
from tests.truth.challenges import PAGE, rows_of
from tests.truth.rules import RIGHT, RULES, Rule, executed, seen_in_force, verdict_of, what_comes_of

_EXECUTIONS = 600

_HARMLESS = {"EXPLAIN reads nothing", "a statement that is over is not under way"}
"""Rules that make no check wrong any more when they are broken: locks are asked of SQLite."""


@pytest.mark.parametrize(
    "rule",
    one_in(3, [rule for rule in RULES if not any(rule.faults)]),
    ids=str,
)
def test_with_all_rules_in_force_real_executions_show_what_a_check_sees(rule: Rule) -> None:
    """All ends that happen, and where all interleavings were executed, no others."""
    (ends, _), _ = seen_in_force(rule)
    explored = executed(rule, _EXECUTIONS)
    real = {
        (by_then, tuple((name, rows) for name, rows in content.tables if not name.startswith("sqlite_")))
        for by_then, content in explored.ends
    }
    assert set() == real - ends
    assert not explored.complete or ends == real


@pytest.mark.parametrize("rule", one_in(2, RULES), ids=str)
def test_broken_rule_is_noticed(rule: Rule) -> None:
    """Real executions end otherwise, or the check fails, or it finds out and starts over."""
    assert rule.noticed == what_comes_of(rule).of_it


def test_every_rule_makes_a_difference() -> None:
    """But for those that are known not to."""
    assert {rule.name for rule in RULES if rule.noticed == RIGHT} == _HARMLESS


@pytest.mark.parametrize(
    "rule",
    one_in(5, RULES),
    ids=str,
)
def test_challenge_notices_what_the_page_says(rule: Rule) -> None:
    """Where it says so of all checks, this one notices, too."""
    noticed = {row.rule: row.noticed for row in rows_of(PAGE.read_text(encoding="utf-8"))}[rule.name]
    if noticed == "20":
        assert verdict_of(rule, 1000) not in {"wrong", "inconclusive"}


def test_page_is_about_the_rules_that_there_are() -> None:
    """Each has a row, in this order. ``python -m tests.truth.challenges`` makes the page anew."""
    assert [rule.name for rule in RULES] == [row.rule for row in rows_of(PAGE.read_text(encoding="utf-8"))]


def test_names_of_rules_are_unique() -> None:
    """Otherwise a row of the page would stand for two."""
    assert len(RULES) == len({rule.name for rule in RULES})
