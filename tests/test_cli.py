from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from treadle import cli
from treadle.checking import check, undecided
from treadle.parallel.luggage import pack, unpack
from treadle.scenario import Scenario
from treadle.values.errors import CheckInterrupted, NondeterminismError
from treadle.values.fault import FaultBudget, Placement
from treadle.values.verdict import Verdict

ROOT = Path(__file__).parent.parent
BANK = "tests.report.bank"
SCENARIOS = f"{BANK}:scenarios"


def run(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli.cli, list(arguments), prog_name="treadle")


def document(*arguments: str) -> dict[str, Any]:
    """Return the document of a check."""
    found: dict[str, Any] = json.loads(run("check", *arguments, "--format", "json").stdout)
    return found


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``python -m treadle`` in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "treadle", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget where the command line imports from."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def token() -> str:
    """Return the schedule that loses an update."""
    (result,) = document(f"{BANK}:surprising")["results"]
    found: str = result["properties"][0]["counterexample"]["schedule"]
    return found


class Recorder:
    """Stands in for the checker: remembers what it is asked, and answers that everything is as expected."""

    def __init__(self, **errors: BaseException) -> None:
        self.asked: list[tuple[Scenario, dict[str, Any]]] = []
        self.errors = errors

    def __call__(self, scenario: Scenario, **options: Any) -> Any:
        self.asked.append((scenario, options))
        short = scenario.name.partition("/")[2].replace("-", "_")
        if short in self.errors:
            raise self.errors[short]
        return undecided(scenario, "not run", options)


def record(monkeypatch: pytest.MonkeyPatch, **errors: BaseException) -> Recorder:
    """Put a recorder in the checker's place; ``errors`` are raised for scenarios by name."""
    recorder = Recorder(**errors)
    monkeypatch.setattr(cli, "run_check", recorder)
    return recorder


class TestExitCode:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ([SCENARIOS], 0),
            ([f"{BANK}:surprising"], 1),
            ([f"{BANK}:surprising", f"{BANK}:fixed", "--max-states", "2"], 3),
            ([f"{BANK}:fixed", f"{BANK}:surprising"], 1),
            ([f"{BANK}:number"], 2),
        ],
    )
    def test_of_check(self, arguments: list[str], expected: int) -> None:
        """0: as expected; 1: not; 2: usage error; 3: inconclusive."""
        assert expected == run("check", *arguments).exit_code

    def test_of_replay(self, token: str) -> None:
        """0 when what breaks is expected to break, 1 when it is not."""
        buggy, surprising = f"{SCENARIOS}", f"{BANK}:surprising"
        assert run("replay", token, buggy, "-k", "bank/read-then-write").exit_code == 0
        assert run("replay", token, surprising).exit_code == 1

    @pytest.mark.parametrize("token", ["t1", "t1.A1", "t1.A999", "t1.A9.B9"])
    def test_of_a_replay_that_decides_nothing(self, token: str) -> None:
        """3 when nothing is broken, and clients have not finished, or what was done was not recorded."""
        assert run("replay", token, f"{BANK}:surprising").exit_code == 3

    def test_of_a_replay_of_other_code(self, token: str) -> None:
        """3, though both break nothing, or something else."""
        assert run("replay", token, f"{BANK}:fixed").exit_code == 3

    def test_of_main(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The entry point returns the exit code."""
        codes = [cli.main(["--version"]), cli.main(["check", f"{BANK}:number"]), cli.main(["nonsense"])]
        assert codes == [0, 2, 2]


class TestUsageErrors:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["check", "bank"],
            ["check", "no_such_module:x"],
            ["check", f"{BANK}:no_such_attribute"],
            ["check", f"{BANK}:failing"],
            ["check", SCENARIOS, "-k", "nothing"],
            ["check", SCENARIOS, "-p", "clients"],
            ["check", SCENARIOS, "-p", "=3"],
            ["check", SCENARIOS, "-p", "clients=x"],
            ["check", SCENARIOS, "-p", "clients=2", "-p", "clients=3"],
            ["check", SCENARIOS, "-p", "unknown=3"],
            ["check", SCENARIOS, "-p", "transactions=nonsense"],
            ["check", SCENARIOS, "--faults", "locked"],
            ["check", SCENARIOS, "--faults", "locked=-1"],
            ["check", SCENARIOS, "--faults", "locked=1,locked=2"],
            ["check", SCENARIOS, "--faults", "disk=1"],
            ["check", SCENARIOS, "--faults", ""],
            ["check", SCENARIOS, "--faults-at", "nowhere"],
            ["check", SCENARIOS, "--search", "nonsense"],
            ["check", SCENARIOS, "--max-states", "0"],
            ["check", SCENARIOS, "--max-seconds", "0"],
            ["check", SCENARIOS, "--max-memory", "0"],
            ["check", SCENARIOS, "--max-memory", "0G"],
            ["check", SCENARIOS, "--max-memory", "-1"],
            ["check", SCENARIOS, "--max-memory", "much"],
            ["check", SCENARIOS, "--max-memory", ""],
            ["check", SCENARIOS, "--max-memory", "1.5G"],
            ["check", SCENARIOS, "--max-memory", "500MB"],
            ["check", SCENARIOS, "--seed", "x"],
            ["check", SCENARIOS, "--workers", "0"],
            ["check", SCENARIOS, "--workers", "-1"],
            ["check", SCENARIOS, "--workers", "two"],
            ["check", SCENARIOS, "--workers", "tcp://localhost"],
            ["check", SCENARIOS, "--workers", "localhost:8786"],
            ["check", SCENARIOS, "--workers", "2", "--live"],
            ["check", SCENARIOS, "--without", "nothing"],
            ["check", SCENARIOS, "--format", "yaml"],
            ["check", SCENARIOS, "--report", "/proc/treadle"],
            ["check", SCENARIOS, "--only", "no-such-property"],
            ["check", SCENARIOS, "-v", "-q"],
            ["replay"],
            ["replay", "t1.A3.x", f"{BANK}:fixed"],
            ["replay", "t9.A3", f"{BANK}:fixed"],
            ["replay", "no-such-file.txt", f"{BANK}:fixed"],
            ["replay", "t1.A3", SCENARIOS],
            ["replay", "t1.C1", f"{BANK}:fixed"],
            ["replay", f"t1.A{'1' * 5000}", f"{BANK}:fixed"],
            ["replay", f"t{'1' * 5000}.A1", f"{BANK}:fixed"],
            ["replay", f"t1.{'A' * 100_000}1", f"{BANK}:fixed"],
            ["replay", "t1." + "A1.B1." * 100_000, f"{BANK}:fixed"],
            ["replay", "t1.ZZZZ999999999", f"{BANK}:fixed"],
            ["replay", "t1.A3\0", f"{BANK}:fixed"],
            ["replay", "\0", f"{BANK}:fixed"],
            ["replay", "\udc80", f"{BANK}:fixed"],
            ["replay", "", f"{BANK}:fixed"],
            ["replay", "x" * 100_000, f"{BANK}:fixed"],
            ["replay", "t2.A3", f"{BANK}:fixed"],
            ["replay", "t2.A6.B9.A3.xba5e1a65txx", f"{BANK}:fixed"],
            ["nonsense"],
        ],
    )
    def test_are_one_clear_message(self, arguments: list[str]) -> None:
        """Bad input is one error on stderr, exit code 2, nothing on stdout, and never a traceback."""
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert [line[:7] for line in result.stderr.splitlines()].count("Error: ") == 1
        assert "Traceback" not in result.stderr

    def test_of_the_report_come_before_any_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A directory that cannot be written is noticed before time is spent."""
        recorder = record(monkeypatch)
        run("check", SCENARIOS, "--report", "/proc/treadle")
        assert recorder.asked == []


class TestOptions:
    def test_reach_the_checker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every option is passed on as it is."""
        recorder = record(monkeypatch)
        arguments = "--search pct --max-states 5 --max-seconds 2.5 --seed 7 --workers 2 --live --no-reduction "
        arguments += "--without memory --without symmetry"
        arguments += " --isolate --max-executions 3 --until-violated --max-memory 500M"
        run("check", f"{BANK}:fixed", *arguments.split())
        assert recorder.asked[0][1] == {
            "search": "pct",
            "max_states": 5,
            "max_seconds": 2.5,
            "max_executions": 3,
            "until_violated": True,
            "max_memory": 500 * 2**20,
            "seed": 7,
            "challenge": 0.1,
            "challenges": 20,
            "workers": 2,
            "live": True,
            "isolate": True,
            "reduction": False,
            "without": ("memory", "symmetry"),
            "progress": None,
        }

    def test_have_defaults(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without options, the search is exhaustive, reduced, and has no bounds."""
        recorder = record(monkeypatch)
        run("check", f"{BANK}:fixed")
        assert recorder.asked[0][1] == {
            "search": "exhaustive",
            "max_states": None,
            "max_seconds": None,
            "max_executions": None,
            "max_memory": None,
            "until_violated": False,
            "seed": 0,
            "challenge": 0.1,
            "challenges": 20,
            "workers": 1,
            "live": False,
            "isolate": None,
            "reduction": True,
            "without": (),
            "progress": None,
        }

    @pytest.mark.parametrize(
        ("arguments", "budget", "placement"),
        [
            ([], FaultBudget(), Placement.REACHABLE),
            (["--faults", "locked=2,crash=1"], FaultBudget(2, 1), Placement.REACHABLE),
            (["--faults", "crash=1"], FaultBudget(0, 1), Placement.REACHABLE),
            (["--faults-at", "statement"], FaultBudget(), Placement.STATEMENT),
        ],
    )
    def test_change_the_faults(
        self,
        arguments: list[str],
        budget: FaultBudget,
        placement: Placement,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """What is not named stays as the scenario has it."""
        recorder = record(monkeypatch)
        run("check", f"{BANK}:fixed", *arguments)
        scenario = recorder.asked[0][0]
        assert (budget, placement) == (scenario.faults, scenario.faults_at)

    @pytest.mark.parametrize(("text", "expected"), [("3", 3), ("tcp://a:1", "tcp://a:1"), ("tls://[::1]:8786",) * 2])
    def test_choose_workers(self, text: str, expected: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A number, or the address of a Dask scheduler."""
        recorder = record(monkeypatch)
        run("check", f"{BANK}:fixed", "--workers", text)
        assert expected == recorder.asked[0][1]["workers"]

    def test_travel_with_the_scenario(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a worker on another machine makes is what is checked here."""
        recorder = record(monkeypatch)
        run("check", SCENARIOS, "-k", "*/one-*", "-p", "clients=3", "--faults", "crash=1", "--faults-at", "statement")
        ((scenario, _),) = recorder.asked
        there = unpack(pack(scenario))
        assert (scenario.name, 3) == (there.name, len(there.clients))
        assert (FaultBudget(0, 1), Placement.STATEMENT) == (there.faults, there.faults_at)

    def test_choose_scenarios(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Targets keep their order, and -k keeps what matches."""
        recorder = record(monkeypatch)
        run("check", f"{BANK}:both", SCENARIOS, "-k", "*-statement", "-k", "*/fixed")
        assert ["bank/fixed", "bank/one-statement"] == [scenario.name for scenario, _ in recorder.asked]

    def test_choose_parameters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """-p reaches the callable."""
        recorder = record(monkeypatch)
        run("check", SCENARIOS, "-p", "clients=3", "-p", "transactions=begin")
        assert [3, 3] == [len(scenario.clients) for scenario, _ in recorder.asked]
        assert {"begin"} == {scenario.database.transactions for scenario, _ in recorder.asked}


class TestCheck:
    def test_shows_a_report_and_a_summary(self) -> None:
        """Text has a line for each scenario, one for each violation that is expected, and one for all at the end."""
        text = run("check", SCENARIOS).stdout
        first, known, second, *_, last = text.splitlines()
        assert first.startswith("bank/read-then-write  1 violated, as expected; 1 holds; all 14 schedules, ")
        assert known.startswith("  known  no-lost-update  3 turns  t2.")
        assert second.startswith("bank/one-statement  2 hold; all 4 schedules, ")
        assert last.startswith("2 scenarios in ")
        assert last.endswith("2 as expected")

    def test_shows_a_command_that_replays(self, token: str) -> None:
        """The command below a counterexample can be run as it is."""
        text = run("check", SCENARIOS, "-p", "transactions=legacy", "-v").stdout
        (line,) = (line for line in text.splitlines() if line.startswith("replay "))
        _, program, *arguments = line.split()
        assert program == "treadle"
        result = run(*arguments)
        assert result.exit_code == 0
        assert f"schedule  {token}" in result.stdout

    def test_shows_the_example_of_a_single_scenario(self) -> None:
        """Who checks one scenario wants to see what is known of it; -q shows nothing of it."""
        text = run("check", SCENARIOS, "-k", "*/read-*").stdout
        assert "\nKnown: no-lost-update: every withdrawal counts\n" in text
        quiet = run("check", SCENARIOS, "-k", "*/read-*", "-q").stdout.splitlines()
        assert [line.endswith("1 as expected") for line in quiet] == [True]

    def test_shows_what_is_not_as_expected(self) -> None:
        """First a line for each scenario, then the story, with the application's own lines."""
        text = run("check", f"{BANK}:surprising", SCENARIOS, "-q").stdout
        assert text.startswith("bank/surprising  1 violated, NOT as expected; ")
        assert "bank/one-statement" not in text
        assert text.count("\n✗ no-lost-update: every withdrawal counts\n") == 1
        assert "bank.py:28  UPDATE account SET balance=? (88)" in text

    def test_shows_one_property(self) -> None:
        """--only shows a counterexample whether it is expected or not; -v shows it step by step."""
        arguments = ["check", f"{BANK}:surprising", SCENARIOS, "--only", "no-lost-update"]
        brief, long = run(*arguments).stdout, run(*arguments, "-v").stdout
        assert (brief.count("no-lost-update: every"), long.count("no-lost-update: every")) == (2, 2)
        assert ("SELECT account.balance" in brief, "SELECT account.balance" in long) == (False, True)

    def test_shows_nothing_but_the_document(self) -> None:
        """With --format json stdout is one document; what clients print goes nowhere."""
        result = run("check", f"{BANK}:noisy", "--format", "json")
        assert [item["scenario"] for item in json.loads(result.stdout)["results"]] == ["bank/noisy"]
        assert "withdrawing 11" not in result.stderr

    def test_keeps_what_clients_print_out_of_the_report(self) -> None:
        """The text on stdout is the report alone, too."""
        assert "withdrawing" not in run("check", f"{BANK}:noisy").stdout

    def test_document_of_a_violated_property(self, token: str) -> None:
        """A violated property has its confirmed counterexample; one that holds has none."""
        (result,) = document(f"{BANK}:surprising")["results"]
        violated, holds = result["properties"]
        assert (violated["verdict"], violated["expected"]) == ("violated", "holds")
        assert violated["counterexample"]["schedule"] == token
        assert violated["counterexample"]["confirmed"] is True
        assert (holds["verdict"], holds["counterexample"]) == ("holds", None)

    def test_challenges_as_many_executions_as_it_is_told(self) -> None:
        """At least so many, unless there are no more; and none where none is wanted."""
        some, none = (document(SCENARIOS, "--challenge", value)["results"] for value in ("0,25", "0,0"))
        assert all(25 <= result["stats"]["challenges"] for result in some)
        assert {0} == {result["stats"]["challenges"] for result in none}

    @pytest.mark.parametrize("value", ["", "x", "-1", "0.1,", "0.1,-2", "1e9", "nan", "9" * 5000])
    def test_refuses_what_is_no_challenge(self, value: str) -> None:
        """One clear error."""
        result = run("check", SCENARIOS, "--challenge", value)
        assert 2 == result.exit_code
        assert "Traceback" not in result.stderr

    def test_with_several_processes_is_the_same(self) -> None:
        """Two workers decide and count as one does."""
        one, two = (document(SCENARIOS, "--workers", workers)["results"] for workers in "12")
        for result in (*one, *two):
            for varying in ("live_runs", "seconds", "peak_rss_bytes", "challenges"):
                del result["stats"][varying]
        assert one == two

    def test_writes_reports(self, tmp_path: Path) -> None:
        """--report writes a text for each scenario, the document, and a directory for each violated property."""
        result = run("check", SCENARIOS, "-v", "--report", str(tmp_path / "reports"))
        assert result.exit_code == 0
        written = {path.name: path.read_text() for path in (tmp_path / "reports").iterdir() if path.is_file()}
        assert sorted(written) == ["bank-one-statement.txt", "bank-read-then-write.txt", "results.json"]
        assert written["bank-one-statement.txt"] in result.stdout
        assert len(json.loads(written["results.json"])["results"]) == 2
        case = tmp_path / "reports" / "bank-read-then-write" / "no-lost-update"
        files = ["report.md", "reproduce.py", "test_regression.py", "timeline.html", "trace.json"]
        files.append("trace.perfetto.json")
        assert files == sorted(path.name for path in case.iterdir())
        assert "The property holds in: `bank/one-statement`." in (case / "report.md").read_text()


class TestService:
    def test_is_told_what_it_asks_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An annotation at the application's line for what is not expected, and a summary; stdout stays as it is."""
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        result = run("check", f"{BANK}:surprising", SCENARIOS, "-k", "*r*", "--format", "json")
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("::error ")]
        assert line.startswith(
            "::error file=tests/report/bank.py,line=26,title=bank/surprising breaks no-lost-update::"
        )
        summary = (tmp_path / "summary.md").read_text()
        assert "| `bank/surprising` | NOT as expected |\n| `bank/read-then-write` | as expected |\n" in summary
        assert summary.count("# bank/surprising breaks no-lost-update\n") == 1
        json.loads(result.stdout)

    def test_hears_nothing_where_it_does_not_ask(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And a summary that cannot be written changes no verdict."""
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/proc/treadle")
        result = run("check", f"{BANK}:fixed")
        assert (result.exit_code, "::error" in result.stderr) == (0, False)
        assert "no summary was written" in result.stderr


class TestFailures:
    def test_of_one_scenario_do_not_stop_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that is not deterministic makes its scenario inconclusive; the others are checked."""
        error = NondeterminismError("atm-1", 3, "SELECT", "UPDATE")
        recorder = record(monkeypatch, read_then_write=error)
        result = run("check", SCENARIOS, "--format", "json")
        assert len(recorder.asked) == 2
        assert result.exit_code == 3
        first, _ = json.loads(result.stdout)["results"]
        assert {Verdict.INCONCLUSIVE} == {item["verdict"] for item in first["properties"]}
        assert {"violated", "holds"} == {item["expected"] for item in first["properties"]}
        assert "bank/read-then-write" in result.stderr
        assert "Traceback" not in result.stderr

    def test_nobody_foresaw_show_their_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error from a schema or a seed is shown in full, and is inconclusive."""
        recorder = record(monkeypatch, read_then_write=ZeroDivisionError("in the seed"))
        result = run("check", SCENARIOS)
        assert (len(recorder.asked), result.exit_code) == (2, 3)
        assert "Traceback" in result.stderr
        assert "ZeroDivisionError: in the seed" in result.stdout

    def test_of_a_replay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A replay that cannot be done is inconclusive."""

        def fail(scenario: Scenario, token: str) -> None:
            raise NondeterminismError("atm-1", 3, "SELECT", "UPDATE")

        monkeypatch.setattr(cli, "run_replay", fail)
        result = run("replay", "t1.A1", f"{BANK}:fixed")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "NondeterminismError" in result.stderr

    def test_of_a_replay_nobody_foresaw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No error ends with 1, which would mean that there is a verdict."""

        def fail(scenario: Scenario, token: str) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(cli, "run_replay", fail)
        result = run("replay", "t1.A1", f"{BANK}:fixed")
        assert result.exit_code == 3
        assert "Traceback" in result.stderr


class TestInterruption:
    def test_keeps_what_was_decided(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends with what was decided so far, and exit code 3."""
        record(monkeypatch, one_statement=KeyboardInterrupt())
        result = run("check", SCENARIOS, "--format", "json")
        assert result.exit_code == 3
        assert [item["scenario"] for item in json.loads(result.stdout)["results"]] == ["bank/read-then-write"]
        assert result.stderr.endswith("interrupted: 1 of 2 scenarios were checked\n")

    def test_reports_what_was_found_by_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The scenario that was interrupted is reported, too, and the code is 3 whatever was found."""
        found = check(import_module(BANK).surprising(), until_violated=True)
        record(monkeypatch, one_statement=CheckInterrupted(found))
        result = run("check", SCENARIOS, "--format", "json")
        assert result.exit_code == 3
        assert [item["scenario"] for item in json.loads(result.stdout)["results"]][-1] == "bank/surprising"
        assert result.stderr.endswith("interrupted: 1 of 2 scenarios were checked, and one in part\n")

    def test_of_a_replay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends a replay with exit code 3."""

        def interrupt(scenario: Scenario, token: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(cli, "run_replay", interrupt)
        result = run("replay", "t1.A1", f"{BANK}:fixed")
        assert (result.exit_code, result.stderr) == (3, "interrupted\n")


class TestReplay:
    def test_shows_the_timeline(self, token: str) -> None:
        """The timeline says what is broken, and by what."""
        text = run("replay", token, f"{BANK}:surprising").stdout
        assert text.startswith("bank/surprising: this schedule breaks no-lost-update (NOT as expected)\n")
        assert "no-lost-update is broken: the balance is 89, and should be 77" in text

    def test_shows_everything_when_asked(self, token: str) -> None:
        """--verbose folds nothing away."""
        arguments = ["replay", token, f"{BANK}:surprising"]
        assert "connect" not in run(*arguments).stdout
        assert "connect" in run(*arguments, "--verbose").stdout

    def test_takes_a_report(self, token: str, tmp_path: Path) -> None:
        """A text report leads to its first token."""
        run("check", f"{BANK}:surprising", "--report", str(tmp_path))
        result = run("replay", str(tmp_path / "bank-surprising.txt"), f"{BANK}:surprising")
        assert f"schedule  {token}\n" in result.stdout

    def test_takes_a_document(self, token: str, tmp_path: Path) -> None:
        """A document leads to the scenario as well, so that -k is not needed."""
        run("check", SCENARIOS, "--report", str(tmp_path))
        result = run("replay", str(tmp_path / "results.json"), SCENARIOS)
        assert result.exit_code == 0
        assert f"schedule  {token}\n" in result.stdout

    def test_takes_the_trace_of_a_counterexample(self, token: str, tmp_path: Path) -> None:
        """And the report in Markdown; a trace leads to the scenario as well."""
        run("check", SCENARIOS, "--report", str(tmp_path))
        case = tmp_path / "bank-read-then-write" / "no-lost-update"
        for arguments in ([case / "trace.json"], [case / "report.md", "-k", "*/read-*"]):
            result = run("replay", str(arguments[0]), SCENARIOS, *map(str, arguments[1:]))
            assert result.exit_code == 0
            assert f"schedule  {token}\n" in result.stdout

    def test_refuses_the_trace_of_another_version(self, tmp_path: Path) -> None:
        """It may mean something else."""
        (tmp_path / "trace.json").write_text('{"format": "treadle-trace", "version": 2, "schedule": "t1.A1"}')
        result = run("replay", str(tmp_path / "trace.json"), f"{BANK}:fixed")
        assert (result.exit_code, "of version 2" in result.stderr) == (2, True)

    def test_refuses_the_document_of_another_scenario(self, tmp_path: Path) -> None:
        """A token is never run on a scenario that it does not belong to, where that is known."""
        run("check", f"{BANK}:surprising", "--report", str(tmp_path))
        result = run("replay", str(tmp_path / "results.json"), f"{BANK}:fixed")
        assert result.exit_code == 2
        assert "bank/surprising" in result.stderr

    def test_lists_the_names_when_several_are_meant(self) -> None:
        """A token belongs to one scenario."""
        result = run("replay", "t1.A3", SCENARIOS)
        assert "bank/read-then-write, bank/one-statement" in result.stderr

    def test_takes_parameters(self) -> None:
        """The same parameters lead to the same scenario."""
        text = run("replay", "t1.C1", SCENARIOS, "-k", "*/one-*", "-p", "clients=3").stdout
        assert "C = atm-3" in text


class TestProcess:
    def test_says_its_version(self) -> None:
        """Python -m treadle is the command line."""
        result = python("--version")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("treadle, version ")

    def test_checks(self) -> None:
        """A check leaves nothing on stderr when nobody watches."""
        result = python("check", SCENARIOS)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.endswith("2 as expected\n")

    def test_takes_targets_from_the_project(self, tmp_path: Path) -> None:
        """Without a target, those of the nearest pyproject.toml are checked, from any directory below."""
        (tmp_path / "pyproject.toml").write_text('[tool.treadle]\nscenarios = ["checks_of_a_project:both"]\n')
        (tmp_path / "checks_of_a_project.py").write_text(f"from {BANK} import both\n")
        below = tmp_path / "below"
        below.mkdir()
        result = python("check", "--format", "json", cwd=below)
        assert (result.returncode, result.stderr) == (0, "")
        names = [item["scenario"] for item in json.loads(result.stdout)["results"]]
        assert names == ["bank/fixed", "bank/also-fixed"]

    def test_says_how_to_name_targets(self, tmp_path: Path) -> None:
        """Without a target and without a project, the error says what to do."""
        result = python("check", cwd=tmp_path)
        assert result.returncode == 2
        assert "[tool.treadle]" in result.stderr
