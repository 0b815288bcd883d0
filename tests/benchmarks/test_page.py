"""The page about cost says what was recorded, and nothing is measured here."""

from __future__ import annotations

import json

import pytest

from benchmarks.cases import Want, cases, find
from benchmarks.page import PAGE, WHY, large, missed, number, page
from benchmarks.plot import PLOT, digest
from benchmarks.results import RESULTS, judged, recorded
from treadle import UsageError


def test_the_page_says_what_is_recorded() -> None:
    """It is made of the record: `python -m benchmarks --page`."""
    assert page(recorded()) == PAGE.read_text(encoding="utf-8")


def test_the_plot_shows_what_is_recorded() -> None:
    """It says which figures it was drawn from."""
    assert digest(recorded()) in PLOT.read_text(encoding="utf-8")


def test_only_cases_are_recorded() -> None:
    """Under their present titles."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))

    assert set() == set(found) - set(cases())
    assert {name: find(name).title for name in found} == {name: row["title"] for name, row in found.items()}


def test_each_miss_has_a_reason() -> None:
    """What is not as wanted is explained."""
    assert [] == [name for name, why in missed(recorded()).items() if why not in WHY.values()]


def test_a_figure_that_misses_is_told() -> None:
    """In bold, with the reason."""
    rows = recorded()
    rows["A"] = {**rows["A"], "ratio": 9999.0}
    text = page(rows)

    assert "| **9,999** | at most 35 plain runs | **no** |" in text
    assert "A" in missed(rows)


def test_a_figure_that_is_as_wanted_needs_no_reason() -> None:
    """It is not listed."""
    rows = recorded()
    rows["A"] = {**rows["A"], "ratio": 35.0}

    assert [("at most 35 plain runs", True)] == judged(find("A"), rows["A"])
    assert "A" not in missed(rows)


def test_wants() -> None:
    """At most, or at least."""
    assert "at least 1.6 times as fast" == str(Want("speedup", 1.6, "times as fast", least=True))
    assert Want("speedup", 1.6, least=True).met(2)
    assert not Want("ratio", 3000).met(3001)


@pytest.mark.parametrize("name", cases())
def test_a_case_is_known_by_its_name(name: str) -> None:
    """All that distinguishes it is in there."""
    assert name == find(name).name


def test_a_case_may_have_another_size() -> None:
    """For a quick look."""
    case = find("F/shipped-3.2.2/30")

    assert 30 == case.runs
    assert case.name not in cases()


@pytest.mark.parametrize("name", ["", "Z", "A/1", "E/flush", "E/flush/many", "R/A/magic"])
def test_there_is_no_such_case(name: str) -> None:
    """And the error says which there are."""
    with pytest.raises(UsageError):
        find(name)


@pytest.mark.parametrize(
    ("value", "words"), [(0.1234, "0.12"), (9.999, "10.0"), (12.34, "12.3"), (99.97, "100"), (1234.5, "1,234")]
)
def test_figures_have_the_digits_that_count(value: float, words: str) -> None:
    """And no more."""
    assert words == number(value)


@pytest.mark.parametrize(
    ("value", "words"), [(9_999_999, "9,999,999"), (10_000_000, "1.0 · 10⁷"), (3 * 10**45, "3.0 · 10⁴⁵")]
)
def test_large_counts_are_powers_of_ten(value: int, words: str) -> None:
    """One cannot read them otherwise."""
    assert words == large(value)
