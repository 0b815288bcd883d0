from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.report import bank
from treadle.cli import check as command
from treadle.pytest_plugin import CheckFailed, Treadle
from treadle.testing.settings import SETTINGS, configured, marked
from treadle.testing.store import Store
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

MARKED = """
import pytest
from tests.report.bank import fixed

@pytest.mark.treadle(max_states=2)
class TestBank:
    def test_bounded(self, treadle):
        treadle.check(fixed)

    @pytest.mark.treadle(allow_inconclusive=True)
    def test_allowed(self, treadle):
        assert treadle.check(fixed).inconclusive

    def test_given(self, treadle):
        assert treadle.check(fixed, max_states=None).exhausted
"""


@pytest.fixture(scope="module")
def failure() -> CheckFailed:
    """Return how the check of a scenario with a surprise fails."""
    with pytest.raises(CheckFailed) as caught:
        Treadle().check(bank.surprising())
    return caught.value


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what loads the plugin, and no other, which would take most of the time."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return ["-p", "treadle.pytest_plugin"]


def config(options: dict[str, str], file: dict[str, str]) -> pytest.Config:
    """Return what stands for pytest's configuration, with so much set."""
    found: Any = SimpleNamespace(
        getoption=options.get,
        getini=lambda key: file.get(key, ""),
        rootpath=Path.cwd(),
        invocation_params=SimpleNamespace(dir=Path.cwd()),
    )
    return cast("pytest.Config", found)


@pytest.mark.usefixtures("few_challenges")
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


@pytest.mark.usefixtures("few_challenges")
class TestPlugin:
    def test_provides_a_fixture(self, pytester: pytest.Pytester, arguments: list[str]) -> None:
        """A test asks for ``treadle`` by name, also where nothing can be stored."""
        pytester.makepyfile(PASSING)
        pytester.runpytest_inprocess(*arguments, "-p", "no:cacheprovider").assert_outcomes(passed=1)

    def test_shows_the_line_and_the_story_and_the_command(
        self, pytester: pytest.Pytester, arguments: list[str], failure: CheckFailed
    ) -> None:
        """A failing check is a failed test that shows the report, and nothing of the plugin."""
        pytester.makepyfile(FAILING)
        result = pytester.runpytest_inprocess(*arguments)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "test_shows_the_line_and_the_story_and_the_command.py:4: in test_bank",
                "    treadle.check(surprising())",
                "*every withdrawal counts",
                "  Replay  pytest test_shows*.py::test_bank --treadle-replay " + failure.tokens[0],
            ]
        )
        result.stdout.no_fnmatch_line("*pytest_plugin.py*")

    def test_a_given_schedule_is_run_first(
        self, pytester: pytest.Pytester, arguments: list[str], failure: CheckFailed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The command that a failure shows replays it, and searches nothing."""
        monkeypatch.setattr("treadle.testing.running.check", None)
        pytester.makepyfile(FAILING)
        result = pytester.runpytest_inprocess(*arguments, "--treadle-replay", failure.tokens[0])
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"*no-lost-update violated ({failure.tokens[0]})", "*--treadle-replay breaks it*"])

    def test_marker_and_call(self, pytester: pytest.Pytester, arguments: list[str]) -> None:
        """The nearest marker wins over one that is further away, and the call over all."""
        pytester.makepyfile(MARKED)
        result = pytester.runpytest_inprocess(*arguments, "--strict-markers")
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(["*its bound of 2 states*"])

    def test_command_line_wins_over_the_file(self, pytester: pytest.Pytester, arguments: list[str]) -> None:
        """Both count where there is no marker; what is inconclusive passes where that is allowed."""
        pytester.makeini("[pytest]\ntreadle_max_states = 3\ntreadle_allow_inconclusive = true\n")
        pytester.makepyfile(
            "from tests.report.bank import fixed\n"
            "def test_bank(treadle):\n"
            "    assert treadle.check(fixed).bounds.max_states == 2\n"
        )
        result = pytester.runpytest_inprocess(*arguments, "-rP", "--treadle-max-states", "2")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["*all inconclusive: the search stopped at its bound of 2 states"])

    @pytest.mark.parametrize(
        ("options", "file"),
        [
            ({"treadle_max_states": "0"}, {}),
            ({"treadle_report": "/proc/x"}, {}),
            ({"treadle_workers": "0"}, {}),
            ({}, {"treadle_search": "nonsense"}),
            ({}, {"treadle_challenge": "x"}),
            ({}, {"treadle_until_violated": "maybe"}),
        ],
    )
    def test_refuses_a_wrong_value(self, options: dict[str, str], file: dict[str, str]) -> None:
        """It is a usage error of pytest's, with the name of what is set."""
        (key,) = [*options, *file]
        with pytest.raises(pytest.UsageError, match=key if file else key.replace("_", "-")):
            configured(config(options, file))

    def test_reads_what_is_set(self) -> None:
        """As the command line reads it."""
        there = config(
            {"treadle_max_memory": "2G", "treadle_challenge": "0.5,7"},
            {"treadle_max_memory": "1G", "treadle_max_seconds": "1.5"},
        )
        expected = {"max_seconds": 1.5, "max_memory": 2**31, "challenge": 0.5, "challenges": 7}
        assert expected == configured(there)

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.mark.treadle(max_states=0),
            pytest.mark.treadle(nonsense=1),
            pytest.mark.treadle(7),
            pytest.mark.treadle(until_violated="yes"),
        ],
    )
    def test_refuses_a_wrong_marker(self, wrong: pytest.MarkDecorator) -> None:
        """Likewise, with the name of the test."""
        item: Any = SimpleNamespace(
            nodeid="test_it.py::test_it", iter_markers=lambda _: iter([wrong.mark]), config=config({}, {})
        )
        with pytest.raises(pytest.UsageError, match="test_it\\.py::test_it"):
            marked(item)

    def test_refuses_before_anything_runs(self, pytester: pytest.Pytester, arguments: list[str]) -> None:
        """One line says what is wrong, be it for all tests or for one."""
        pytester.makepyfile("import pytest\n\n@pytest.mark.treadle(seed=None)\ndef test_it():\n    pass\n")
        for more in (["--treadle-replay=t2.x"], []):
            result = pytester.runpytest_inprocess(*arguments, *more)
            assert pytest.ExitCode.USAGE_ERROR == result.ret
            assert 1 == len([line for line in result.errlines if line])

    def test_writes_reports(self, pytester: pytest.Pytester, arguments: list[str]) -> None:
        """What the command line writes, in a directory for each test."""
        pytester.makepyfile(test_it=FAILING)
        pytester.runpytest_inprocess(*arguments, "--treadle-report", "out").assert_outcomes(failed=1)
        where = pytester.path / "out" / "test_it.py-test_bank"
        (found,) = json.loads((where / "results.json").read_text(encoding="utf-8"))["results"]
        assert "bank/surprising" == found["scenario"]
        assert (where / "bank-surprising" / "no-lost-update" / "report.md").is_file()

    def test_has_the_options_of_the_command_line(self) -> None:
        """What both take has the same name in both, and the same word for its value."""
        there = {option.name: option for option in command.params}
        for setting in SETTINGS:
            if setting.name not in {"allow_inconclusive", "search", "report"}:
                assert (there[setting.name].metavar or "") == setting.metavar
            assert setting.name in there or setting.name == "allow_inconclusive"

    def test_is_quick_to_load(self) -> None:
        """Loading the plugin loads itself and what pytest has loaded, and nothing else."""
        code = (
            "import sys, pytest; before = set(sys.modules); import treadle.pytest_plugin; "
            "print(sorted(set(sys.modules) - before))"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        own = ["treadle", "treadle.pytest_plugin", "treadle.testing", "treadle.testing.settings"]
        assert f"{own}\n" == result.stdout


@pytest.mark.usefixtures("few_challenges")
class TestKnown:
    def test_is_tried_first_and_forgotten_when_it_is_fixed(
        self, pytester: pytest.Pytester, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stored schedule fails its test without a search, until the code is fixed and a search says so."""
        test = FAILING.replace("surprising", "scenario").replace("tests.report.bank", "mended_bank")
        pytester.makepyfile(test_it=test, mended_bank="from tests.report.bank import surprising as scenario")
        monkeypatch.syspath_prepend(pytester.path)
        pytester.runpytest_inprocess(*arguments).assert_outcomes(failed=1)
        (stored,) = (pytester.path / ".pytest_cache" / "d" / "treadle").iterdir()

        with monkeypatch.context() as patched:
            patched.setattr("treadle.testing.running.check", None)
            again = pytester.runpytest_inprocess(*arguments)
        again.assert_outcomes(failed=1)
        again.stdout.fnmatch_lines(["A schedule of an earlier run still breaks it; nothing was searched.*"])

        fixed = "from tests.report.bank import bank, one_statement\ndef scenario():\n"
        pytester.makepyfile(mended_bank=f"{fixed}    return bank('surprising', one_statement)")
        pytester.runpytest_inprocess(*arguments).assert_outcomes(passed=1)
        assert not stored.exists()

    def test_is_nothing_where_a_file_is_not_as_it_was_written(self, tmp_path: Path) -> None:
        """What cannot be read is not known, and is written anew."""
        store = Store(tmp_path)
        store.remember("test", "scenario", ["t1.A1"])
        (file,) = tmp_path.iterdir()
        for text in ("", "{", "[]", '{"schedules": 3}', '{"schedules": [3]}'):
            file.write_text(text, encoding="utf-8")
            assert () == store.schedules("test", "scenario")
        store.remember("test", "scenario", ["t1.A2"])
        assert ("t1.A2",) == store.schedules("test", "scenario")
        assert () == store.schedules("test", "other")
        assert [file] == list(tmp_path.iterdir())

    def test_needs_no_room(self, tmp_path: Path) -> None:
        """Where nothing can be written, nothing is known."""
        store = Store(tmp_path / "gone")
        store.remember("test", "scenario", ["t1.A1"])
        store.forget("test", "scenario")
        assert () == store.schedules("test", "scenario")
