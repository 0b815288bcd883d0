from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tests.report import bank
from treadle.pytest_plugin import CheckFailed, Treadle
from treadle.values.errors import UsageError
from treadle.values.verdict import Verdict

pytest_plugins = ["pytester"]

PASSING = """
from tests.report.bank import bank, one_statement

def test_bank(treadle):
    assert treadle.check(bank("fixed", one_statement)).exhausted
"""

FAILING = """
from tests.report.bank import surprising

def test_bank(treadle):
    treadle.check(surprising())
"""


@pytest.fixture(scope="module")
def failure() -> CheckFailed:
    """Return how the check of a scenario with a surprise fails."""
    with pytest.raises(CheckFailed) as caught:
        Treadle().check(bank.surprising())
    return caught.value


@pytest.fixture
def arguments() -> list[str]:
    """Return what loads the plugin where it is not installed."""
    installed = importlib.metadata.entry_points(group="pytest11", name="treadle")
    return ["-p", "no:cacheprovider", *([] if installed else ["-p", "treadle.pytest_plugin"])]


class TestCheck:
    def test_returns_the_result(self) -> None:
        """A check that is as expected returns all that was decided."""
        result = Treadle().check(bank.fixed)
        assert (result.scenario, result.as_expected) == ("bank/fixed", True)

    def test_accepts_what_is_expected_to_fail(self) -> None:
        """A property that is expected to be violated, and is, fails no test."""
        result = Treadle().check(bank.scenarios()[0])
        assert result["no-lost-update"].verdict is Verdict.VIOLATED

    def test_fails_with_the_tokens(self, failure: CheckFailed) -> None:
        """The schedules are an attribute, so that no test needs to parse the text."""
        example = failure.result["no-lost-update"].counterexample
        assert example is not None
        assert failure.tokens == (example.schedule.token,)

    def test_fails_with_the_report(self, failure: CheckFailed) -> None:
        """The text is the report, and says how to replay."""
        assert f"treadle.replay(scenario, '{failure.tokens[0]}')" in str(failure)
        assert "Broken: the balance is 89, and should be 77" in str(failure)

    def test_fails_when_it_is_inconclusive(self) -> None:
        """A search that did not finish is never a pass."""
        with pytest.raises(CheckFailed) as caught:
            Treadle().check(bank.fixed, max_states=2)
        assert caught.value.result.inconclusive
        assert caught.value.tokens == ()

    def test_passes_options(self) -> None:
        """Options are those of the checker."""
        with pytest.raises(UsageError, match="nonsense"):
            Treadle().check(bank.fixed, search="nonsense")
        with pytest.raises(UsageError, match="without="):
            Treadle().check(bank.fixed, without=["nonsense"])
        assert Treadle().check(bank.fixed, workers=2, without=["memory"]).exhausted


class TestPlugin:
    def test_provides_a_fixture(self, pytester: pytest.Pytester, arguments: list[str]) -> None:
        """A test asks for ``treadle`` by name."""
        pytester.makepyfile(PASSING)
        pytester.runpytest_inprocess(*arguments).assert_outcomes(passed=1)

    def test_shows_the_timeline_without_a_traceback(
        self, pytester: pytest.Pytester, arguments: list[str], failure: CheckFailed
    ) -> None:
        """A failing check is a failed test that shows the report, and nothing of the plugin."""
        pytester.makepyfile(FAILING)
        result = pytester.runpytest_inprocess(*arguments)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"  Replay  treadle.replay(scenario, '{failure.tokens[0]}')"])
        result.stdout.no_fnmatch_line("*pytest_plugin.py*")

    def test_is_quick_to_load(self) -> None:
        """Loading the plugin loads neither the reports nor the command line."""
        code = "import sys, treadle.pytest_plugin; print([m for m in sys.modules if m.startswith('rich')])"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout == "[]\n"
