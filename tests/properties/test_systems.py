"""The small systems: each mistake shows exactly as known, and each repair is exhausted and holds."""

from __future__ import annotations

import ast
import itertools
import sys
from pathlib import Path

import pytest

from properties.systems import SYSTEMS, scenarios
from tests.sampled import one_in
from treadle import Scenario, UsageError, Verdict, check
from treadle.values.property import Kind

pytestmark = pytest.mark.usefixtures("few_challenges")

MODEL = Path(__file__).parents[2] / "model" / "systems"

MODES = ("legacy", "begin", "immediate", "autocommit-off")

SHOWN = {
    "lost-update": {"counts-every-increment"},
    "write-skew": {"someone-on-call"},
    "job-claim": {"claimed-once"},
    "idempotency-key": {"called-once"},
    "outbox": {"none-skipped"},
    "check-then-insert": {"one-account"},
    "upgrade-storm": {"none-locked-out"},
    "savepoint-survives": {"all-or-nothing"},
    "rollback-to-without-release": {"stored-means-stored"},
    "count-then-start": {"within-limit"},
}
"""What the mistake of each system violates, in the mode in which it shows."""


def violated(scenario: Scenario) -> set[str]:
    """Check a scenario to the end; return the properties that are violated, each confirmed live."""
    result = check(scenario)
    assert result.exhausted
    assert not result.inconclusive
    found = {decision.property.name: decision for decision in result.decisions}
    broken = {name for name, decision in found.items() if decision.verdict is Verdict.VIOLATED}
    for name in broken:
        counterexample = found[name].counterexample
        assert counterexample is not None, f"{name}: no execution shows it, so others hold vacuously"
        assert counterexample.confirmed
    return broken


def named(scenario: Scenario) -> str:
    """Return a scenario's name, for the name of a test."""
    return scenario.name


@pytest.mark.parametrize(("journal", "system"), one_in(2, itertools.product(["wal", "delete"], SYSTEMS)))
def test_the_mistake_shows_and_every_repair_holds(system: str, journal: str) -> None:
    """In the mode that each variant is written for, in both journal modes."""
    buggy, *repaired = scenarios(journal=journal, system=system)
    assert f"{system}/buggy" == buggy.name
    assert SHOWN[system] == violated(buggy)
    assert repaired
    for scenario in repaired:
        assert scenario.name.startswith(f"{system}/fixed-")
        assert set() == violated(scenario), scenario.name


@pytest.mark.parametrize(("system", "mode"), one_in(5, itertools.product(SYSTEMS, MODES)))
def test_every_verdict_is_expected_in_every_transaction_mode(system: str, mode: str) -> None:
    """What is expected depends on the mode, and is exactly what is found."""
    if mode == "autocommit-off" and sys.version_info < (3, 12):
        pytest.skip("autocommit=False is new in Python 3.12")
    for scenario in scenarios(transactions=mode, system=system):
        assert scenario.expect_violated == violated(scenario), scenario.name


def test_no_transaction_mode_keeps_the_provider_from_being_called_twice() -> None:
    """The call is in no transaction."""
    for mode in MODES[:3]:
        (buggy, _) = scenarios(transactions=mode, system="idempotency-key")
        assert {"called-once"} == violated(buggy)


def test_without_begin_a_storm_passes_and_numbers_clash_instead() -> None:
    """Nothing is refused where nothing ties a write to what was read."""
    (buggy, *_) = scenarios(transactions="legacy", system="upgrade-storm")
    assert {"numbers-differ"} == violated(buggy)


@pytest.mark.parametrize("scenario", scenarios(), ids=named)
def test_every_scenario_has_a_witness(scenario: Scenario) -> None:
    """So nothing holds vacuously."""
    assert any(item.kind is Kind.SOMETIMES for item in scenario.properties)


def test_a_pattern_takes_underscores_for_dashes() -> None:
    """A system can be asked for by the name of its file."""
    names = [scenario.name for scenario in scenarios(system="write_*")]
    assert ["write-skew/buggy", "write-skew/fixed-immediate", "write-skew/fixed-one-statement"] == names


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(UsageError, match="system='lost': it matches none of lost-update"):
        scenarios(system="lost")


def test_each_system_is_one_model_file_that_imports_nothing_of_ours() -> None:
    """They are plain SQLAlchemy."""
    files = {path.stem: path for path in MODEL.glob("*.py") if path.stem != "__init__"}
    assert {name.replace("-", "_") for name in SYSTEMS} == set(files)
    for path in files.values():
        imported = {
            (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, (ast.Import, ast.ImportFrom))
        }
        assert not {name for name in imported if name.partition(".")[0] in {"treadle", "properties", "model"}}


@pytest.mark.parametrize("system", ["lost-update", "idempotency-key", "check-then-insert"])
def test_clients_that_do_the_same_run_one_object(system: str) -> None:
    """So that nothing tells them apart."""
    for scenario in scenarios(system=system):
        first, second = scenario.clients
        assert first.run is second.run
