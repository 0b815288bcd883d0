"""What is shown is data: nothing in it acts, whatever it is and wherever it is shown."""

from __future__ import annotations

import ast
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from tests.report import hostile
from tests.report.examples import ALL_OR_NOTHING, ONE_SUCCEEDS, Script, holds, inconclusive, result, violated
from tests.report.hostile import SQL, TEXT, WORD, unseen
from tests.report.test_screen import terminal, written
from treadle import cli
from treadle.arguments import shell_word
from treadle.checking import check, replay
from treadle.hypothesis import close_machines, state_machine
from treadle.pytest_plugin import CheckFailed, Treadle
from treadle.report import Directory, render_document, render_replay, render_result, render_summary, render_timeline
from treadle.report.screen import Screen
from treadle.scenario import Client, Database, Scenario
from treadle.search.protocol import Progress
from treadle.values import display
from treadle.values.errors import CounterexampleError, NondeterminismError, TreadleError
from treadle.values.fault import LockKind
from treadle.values.observation import Failure, Observation
from treadle.values.operation import Kind
from treadle.values.outcome import Raised, Returned
from treadle.values.property import Breach, always
from treadle.values.trace import Change, Trace
from treadle.values.verdict import Result
from treadle.values.view import View

ROOT = Path(__file__).parents[2]
SCENARIOS = "tests.report.hostile:scenarios"

WORSE = f"{TEXT}\ud800\udc9b"
"""With what is no text at all. SQLite has no such names, but whoever writes a scenario may."""


@pytest.fixture(scope="module")
def checked() -> Result:
    """Return the result of a check of the hostile scenario."""
    return check(hostile.hostile())


@pytest.fixture(scope="module")
def token(checked: Result) -> str:
    """Return the schedule that loses an update."""
    example = checked.decisions[0].counterexample
    assert example is not None
    return example.schedule.token


@pytest.fixture(scope="module")
def replayed(token: str) -> Trace:
    """Return the trace of that schedule."""
    return replay(hostile.hostile(), token)


def odd(text: str = WORSE) -> Trace:
    """Return a trace that is written by hand, with a text in each place that has one."""
    script = Script((f"A{text}", f"B{text}"))
    row = {"id": 1, f"c{text}": text}
    script.start(0)
    script.select(0, f"SELECT '{text}'", {text: text}, (text, b"\x1b[31m", [text, {text}]))
    script.add(0, Kind.EXECUTEMANY, f"INSERT '{text}'", [(text,), (text,)])
    script.add(0, Kind.CONFIGURE, arguments=(f"create_function {text}", text))
    script.run(0, "X", seen=Observation(failure=Failure(f"Error{text}", text)))
    script.run(1, "X", seen=Observation(failure=Failure("E", text)), lock_kind=LockKind.TIMEOUT, holders=(f"A{text}",))
    changes = (Change(text, None, row), Change(text, row, None), Change(text, row, {**row, f"c{text}": f"{text}!"}))
    script.add(0, Kind.COMMIT, changes=changes)
    script.add(0, Kind.CLOSE, outcome=Returned([text, hostile.Strange(text)]))
    script.add(1, Kind.CLOSE, outcome=Raised((hostile.Refusal if text == WORSE else ValueError)(text)))
    return evolve(
        script.trace("t1.A3"), breaches={f"p{''.join(text.split())}": (Breach(text, [(text, row), (text, {text: 1})]),)}
    )


def odd_result(text: str = WORSE) -> Result:
    """Return a result that is written by hand, likewise."""
    item = evolve(ALL_OR_NOTHING, name=f"p{''.join(text.split())}", clause=text)
    decision = violated(item, odd(text))
    assert decision.counterexample is not None
    decision = evolve(decision, why=text, counterexample=evolve(decision.counterexample, why=text))
    more = inconclusive(evolve(ONE_SUCCEEDS, clause=text), text)
    return result(decision, more, scenario=text, clients=(f"A{text}", f"B{text}"), notes=(text,), sqlite_version=text)


class TestReports:
    @pytest.mark.parametrize("width", [60, 100, 140])
    def test_have_nothing_in_them_that_acts(self, checked: Result, replayed: Trace, width: int) -> None:
        """Whoever wrote it: clients, tables, statements, errors and what was returned."""
        for one in (checked, odd_result()):
            other = evolve(one, journal="delete")
            assert set() == unseen(render_result(one, width=width, command=lambda token: token))
            assert set() == unseen(render_summary([one, other], width=width))
        for trace in (replayed, odd()):
            for verbose in (False, True):
                assert set() == unseen(render_timeline(trace, width=width, verbose=verbose))
                assert set() == unseen(
                    render_replay(trace, list(trace.breaches), [WORSE], width=width, verbose=verbose)
                )

    @pytest.mark.parametrize("verbose", [False, True])
    def test_keep_their_lines(self, verbose: bool) -> None:
        """A name with an end of line in it takes as many lines as any other one of its length."""

        def lines(text: str) -> int:
            return len(render_timeline(odd(text), verbose=verbose).splitlines())

        assert lines("a-nb") == lines("a\nb") == lines("a\rb")
        assert lines("a-x1bb") == lines("a\x1bb")
        assert render_result(odd_result("a-nb")).count("\n") == render_result(odd_result("a\nb")).count("\n")

    def test_of_what_is_plain_stay_as_they_are(self) -> None:
        """Letters of any script, signs and emoji."""
        plain = "naïve 漢字 עברית ﷺ 🙂❤️ 1️⃣ [red] C:\\dir 'it''s'"
        text = render_timeline(odd(plain), width=140, verbose=True)
        assert f"'{plain}'" in text
        assert "\\u" not in text

    def test_can_be_written(self, checked: Result, tmp_path: Path) -> None:
        """To files of any name."""
        directory = Directory(tmp_path / WORD.replace("/", "").replace("\0", ""))
        directory.prepare()
        for one in (checked, odd_result()):
            text = render_result(one)
            assert text == directory.write_text(one.scenario, text).read_text(encoding="utf-8")
        assert json.loads(directory.write_document([checked, odd_result()]).read_text(encoding="utf-8"))


class TestDocument:
    def test_is_valid(self, checked: Result) -> None:
        """In UTF-8, and with nothing in it that a terminal obeys."""
        text = render_document([checked, odd_result()])
        assert set() == unseen(text)
        found = json.loads(text.encode())
        first, second = found["results"]
        assert f"{TEXT}[wal]" == first["scenario"]
        assert [f"A{TEXT}", f"B{TEXT}", f"C{TEXT}"] == first["clients"]
        assert f"{TEXT}\\ud800\\udc9b" == second["scenario"]

    def test_has_null_for_what_is_no_number(self) -> None:
        """JSON knows no infinity."""
        one = result(holds(ALL_OR_NOTHING))
        text = render_document([evolve(one, bounds=evolve(one.bounds, max_seconds=float("inf")))])
        assert json.loads(text)["results"][0]["bounds"]["max_seconds"] is None

    def test_has_numbers_of_any_size(self) -> None:
        """Python refuses to write more than 4,300 digits unless it is told otherwise."""
        one = result(holds(ALL_OR_NOTHING))
        before = sys.get_int_max_str_digits()
        many = evolve(one, stats=evolve(one.stats, schedules=10**5000))
        assert f'"schedules": 1{"0" * 5000}' in render_document([many])
        assert "1.0e5000 schedules" in render_result(many)
        assert before == sys.get_int_max_str_digits()

    def test_has_bounds_of_any_size(self) -> None:
        """In the text as their magnitude."""
        one = result(holds(ALL_OR_NOTHING))
        bounds = evolve(one.bounds, max_states=10**5000, max_executions=10**5000, max_memory=2**20 * 10**5000)
        bounds = evolve(bounds, max_seconds=10**5000)
        text = render_result(evolve(one, bounds=bounds))
        for unit in ("states", "s", "executions", "MiB"):
            assert f"at most 1.0e5000 {unit}" in " ".join(text.split())


class TestScreen:
    def test_shows_progress_of_any_scenario(self) -> None:
        """Its name is data."""
        shown = Screen(terminal(), terminal(2000))
        with shown.progress(TEXT) as progress:
            assert progress is not None
            progress(Progress(1, 1, 0, 0.0))
        name = display.name(TEXT)
        assert f"{name}: 1 states" in written(shown.err)

    def test_lets_nothing_through(self) -> None:
        """Whatever has been forgotten before."""
        shown = Screen(terminal(1000), terminal(1000))
        shown.report(f"{WORSE}\n")
        shown.say(WORSE)
        for console in (shown.out, shown.err):
            assert display.harmless(WORSE) in written(console)
            assert set() == unseen(written(console))

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
    def test_writes_what_the_terminal_does_not_have_as_escapes(self, encoding: str, tmp_path: Path) -> None:
        """And documents in UTF-8 in any case."""
        path = tmp_path / "out"
        with path.open("w", encoding=encoding) as file:
            shown = Screen.of(file, file)
            shown.report("é漢🙂\n")
        lacking = {"ascii": "\\xe9\\u6f22\\U0001f642\n", "utf-8": "é漢🙂\n", "utf-16": "é漢🙂\n"}
        assert lacking.get(encoding, "é\\u6f22\\U0001f642\n") == path.read_text(encoding=encoding)
        with path.open("w", encoding=encoding) as file:
            Screen.of(file, file).document('{"a": "é漢🙂"}')
        if encoding != "utf-16":  # a stream of which is no UTF-8 whatever is written
            assert {"a": "é漢🙂"} == json.loads(path.read_bytes().decode("utf-8"))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "treadle", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )


class TestCommandLine:
    @pytest.mark.parametrize(
        ("environment", "encoding"),
        [
            ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "ascii"),
            pytest.param({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, "ascii", marks=pytest.mark.truth),
            pytest.param({"PYTHONUTF8": "1"}, "utf-8", marks=pytest.mark.truth),
        ],
    )
    def test_shows_everything_everywhere(self, token: str, environment: dict[str, str], encoding: str) -> None:
        """What a terminal does not have is shown as an escape."""
        target = "tests.report.hostile:hostile"
        for arguments, code in (
            (["check", SCENARIOS], 1),
            (["check", target, "--format", "json"], 1),
            (["replay", token, target, "-v"], 1),
            (["check", "tests.report.hostile:asking"], 3),
            (["replay", token, "tests.report.hostile:asking"], 3),
            (["check", "tests.report.hostile:unmade"], 2),
        ):
            done = run(*arguments, **environment)
            assert code == done.returncode, done.stderr
            for output in (done.stdout, done.stderr):
                assert set() == unseen(output.decode(encoding))
            assert b"UnicodeEncodeError" not in done.stderr
            if "json" in arguments:
                assert f"{TEXT}[wal]" == json.loads(done.stdout.decode("utf-8"))["results"][0]["scenario"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["{}"],
            ["--{}"],
            ["check", "--{}"],
            ["check", "{}"],
            ["check", "m:{}"],
            ["check", "tests.report.hostile:{}"],
            ["check", SCENARIOS, "-k", "{}"],
            ["check", SCENARIOS, "-p", "{}"],
            ["check", SCENARIOS, "-p", "journal={}"],
            ["check", SCENARIOS, "-p", "{}=1"],
            ["check", "tests.report.hostile:hostile", "-p", "journal={}"],
            ["check", SCENARIOS, "--search", "{}"],
            ["check", SCENARIOS, "--faults", "{}"],
            ["check", SCENARIOS, "--faults-at", "{}"],
            ["check", SCENARIOS, "--workers", "{}"],
            ["check", SCENARIOS, "--challenge", "{}"],
            ["check", SCENARIOS, "--max-memory", "{}"],
            ["check", SCENARIOS, "--max-states", "{}"],
            ["check", SCENARIOS, "--without", "{}"],
            ["check", SCENARIOS, "--format", "{}"],
            ["check", SCENARIOS, "--report", "/proc/{file}"],
            ["replay", "{}", "tests.report.hostile:hostile"],
            ["replay", "t1.A3", "tests.report.hostile:hostile", "{}"],
            ["replay", "t1.{}", "tests.report.hostile:hostile"],
            ["replay", "{}.A3", "tests.report.hostile:hostile"],
            ["replay", "t1.A3", SCENARIOS],
        ],
    )
    def test_quotes_arguments_as_data(self, arguments: list[str]) -> None:
        """On one line each."""
        given = [argument.format(WORSE, file=f"{SQL}\udc9b") for argument in arguments]
        done = CliRunner().invoke(cli.cli, given, prog_name="treadle")
        assert (2, "") == (done.exit_code, done.stdout)
        assert set() == unseen(done.stderr)
        assert not [
            line for line in done.stderr.splitlines() if line and line[:6] not in {"Error:", "Usage:", "Try 't"}
        ]

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_shows_a_command_that_a_shell_understands(self) -> None:
        """Also where an argument cannot be shown as it is."""
        word = f"{SQL} it's a \\ $x \udcff"
        shown = shell_word(word)
        assert set() == unseen(shown)
        done = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
        assert os.fsencode(word) == done.stdout or word.encode("utf-8", "surrogateescape") == done.stdout

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_shows_a_command_that_replays(self) -> None:
        """It can be copied, whatever the scenario is called."""
        done = run("check", SCENARIOS)
        shown = next(line for line in done.stdout.decode().splitlines() if line.startswith("  Replay "))
        command = shown.removeprefix("  Replay ").strip().replace("treadle ", f"{sys.executable} -m treadle ", 1)
        again = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
        assert 1 == again.returncode, again.stderr

    def test_quotes_what_is_no_text(self) -> None:
        """An argument is bytes."""
        for arguments in ([b"check", b"m:\xff\x1b"], [b"\xff\x1b"], [b"replay", b"t1.\xff\x9b", b"m:x"]):
            done = run(*map(os.fsdecode, arguments))
            assert 2 == done.returncode
            assert set() == unseen(done.stderr.decode())
            assert b"\\udcff" in done.stderr

    def test_finds_the_scenario_of_a_document(self, checked: Result, tmp_path: Path) -> None:
        """By its name, whatever that is."""
        path = tmp_path / "results.json"
        path.write_text(render_document([checked]), encoding="utf-8")
        done = CliRunner().invoke(cli.cli, ["replay", str(path), SCENARIOS], prog_name="treadle")
        assert 1 == done.exit_code, done.stderr


class TestErrors:
    def test_have_nothing_in_them_that_acts(self) -> None:
        """Whatever they quote, and also after a journey to another process."""
        errors: list[TreadleError] = [
            TreadleError(WORSE),
            NondeterminismError(WORSE, 1, WORSE, WORSE),
            CounterexampleError(WORSE, property=WORSE, token="t1.A1", details=lambda: "x\n"),
        ]
        for error in errors:
            assert set() == unseen(str(error))
        assert str(errors[1]) == str(pickle.loads(pickle.dumps(errors[1])))  # noqa: S301  # made right here

    def test_of_a_plugin_show_data(self, checked: Result) -> None:
        """A failing test shows the report."""
        with pytest.raises(CheckFailed) as caught:
            Treadle().check(hostile.hostile())
        assert set() == unseen(str(caught.value))
        assert TEXT in checked.scenario

    def test_of_a_machine_show_data(self) -> None:
        """And so do its notes, which Hypothesis prints."""
        with pytest.raises(CounterexampleError) as caught:
            run_state_machine_as_test(state_machine(hostile.hostile()))
        close_machines()
        assert set() == unseen(str(caught.value))
        assert set() == unseen("\n".join(getattr(caught.value, "__notes__", ()))) - PRINTABLE


PRINTABLE = {one for one in WORD if one.isprintable()}
"""What Python's own ``repr`` leaves as it is: it is not seen, and does nothing."""


class TestValues:
    def test_can_be_printed(self, checked: Result, replayed: Trace) -> None:
        """Each by itself."""
        for value in (checked, odd_result(), replayed, odd(), *odd().events, *odd().outcomes.values()):
            for text in (repr(value), str(value)):
                assert set() == unseen(text) - PRINTABLE
        for event in odd().events:
            assert set() == unseen(f"{event.operation} {event.observation}")


BIG = "word " * 2**20
"""5 MiB."""


def traces() -> dict[str, Callable[[Script], None]]:
    """Return executions with something endless in them."""
    return {
        "statement": lambda script: script.run(0, f"INSERT INTO t VALUES ('{BIG}')"),
        "parameter": lambda script: script.run(0, "INSERT INTO t VALUES (?)", (BIG,)),
        "blob": lambda script: script.run(0, "INSERT INTO t VALUES (?)", (b"\1" * 2**22,)),
        "named": lambda script: script.run(0, "INSERT INTO t VALUES (:a)", {BIG: BIG}),
        "row": lambda script: script.select(0, "SELECT 1", (), (BIG, BIG)),
        "columns": lambda script: script.select(0, "SELECT 1", (), tuple(range(2_000))),
        "parameters": lambda script: script.run(0, "SELECT ?", tuple(range(100_000))),
        "many": lambda script: script.add(0, Kind.EXECUTEMANY, "INSERT", [(one,) for one in range(100_000)]),
        "error": lambda script: script.run(0, "X", seen=Observation(failure=Failure("OperationalError", BIG))),
        "raised": lambda script: script.add(0, Kind.CLOSE, outcome=Raised(ValueError(BIG))),
        "returned": lambda script: script.add(
            0, Kind.CLOSE, outcome=Returned([BIG, {one: one for one in range(9**6)}])
        ),
        "changed": lambda script: script.add(0, Kind.COMMIT, changes=(Change("t", {"x": BIG}, {"x": f"{BIG}!"}),)),
    }


class TestLength:
    @pytest.mark.parametrize("name", traces())
    def test_of_a_value_costs_no_time(self, name: str) -> None:
        """It is shortened before it is formatted: 40 s for 5 MiB were lost in breaking lines."""
        script = Script()
        traces()[name](script)
        trace = script.trace("t1.A1")
        start = time.process_time()
        assert len(render_timeline(trace)) < 2_000
        assert len(render_timeline(trace, verbose=True)) < 20_000
        assert len(repr(trace.events)) < 70_000
        assert time.process_time() - start < 2

    def test_of_what_a_real_client_does_costs_no_time(self) -> None:
        """Its check takes as long as SQLite takes; its reports take none."""
        big = BIG[: 2**20]

        def create(engine: Engine) -> None:
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, b BLOB)")

        def write() -> str:
            with database.engine.begin() as connection:
                connection.exec_driver_sql("INSERT INTO t (x, b) VALUES (?, ?)", (big, big.encode()))
                return str(connection.exec_driver_sql("SELECT x FROM t").all()[0][0])

        def refuse() -> None:
            write()
            raise LookupError(big)

        def look(view: View) -> list[Breach]:
            return [Breach(big, [("t", row) for row in view.rows("t")])] if view.rows("t") else []

        database = Database(create)
        clients = [Client("A", write), Client("B", refuse)]
        scenario = Scenario("big", database, clients, [always("none", look, name="none")], may_fail=["B"])
        found = check(scenario)
        example = found["none"].counterexample
        assert example is not None
        trace = replay(scenario, example.schedule.token)
        start = time.process_time()
        assert len(render_result(found)) < 4_000
        assert len(render_document([found])) < 2_000
        assert len(render_replay(trace, ["none"], [], verbose=True)) < 10_000
        assert time.process_time() - start < 1

    def test_of_a_breach_costs_no_time(self) -> None:
        """Neither its reason nor its rows."""
        row = {"id": 1, "x": BIG, **{f"c{one}": one for one in range(2_000)}}
        trace = evolve(odd("x"), breaches={BIG: (Breach(BIG, [(BIG, row)]),)})
        assert len(render_timeline(trace)) < 4_000
        assert len(render_timeline(trace, verbose=True)) < 60_000

    def test_is_told(self) -> None:
        """With what is shown of it, for each kind of value."""
        script = Script()
        script.run(0, f"INSERT INTO t VALUES ('{BIG}')", (BIG, b"\1" * 2**22))
        text = " ".join(render_timeline(script.trace("t1.A1"), width=140, verbose=True).split())
        assert "(5,242,905 characters)" in text
        assert "(5,242,880 characters)" in text
        assert "(4,194,304 bytes)" in text

    def test_of_what_differs_is_told_apart(self) -> None:
        """Where equality matters there is a digest."""
        assert str(Returned(f"{BIG}a")) != str(Returned(f"{BIG}b"))
        assert str(Raised(ValueError(f"{BIG}a"))) != str(Raised(ValueError(f"{BIG}b")))
        assert Returned(f"{BIG}a") != Returned(f"{BIG}b")
        assert str(Returned(list(range(10**5)))) != str(Returned([*range(10**5 - 1), 7]))
        one = {number: number for number in range(10**5)}
        assert str(Returned(one)) == str(Returned(dict(reversed(one.items()))))


def itself() -> list[Any]:
    """Return a list that contains itself."""
    found: list[Any] = [1]
    found.append(found)
    return found


def deep(levels: int) -> list[Any]:
    """Return lists in lists."""
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


class Raising:
    def __repr__(self) -> str:
        raise ValueError(WORSE)


class Endless:
    def __repr__(self) -> str:
        return BIG


class NoText:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError

    def __repr__(self) -> str:
        return Text("<\x1b>")


class NoTextError(Exception):
    def __str__(self) -> str:
        raise ValueError(WORSE)


ODD = {
    "nan": (float("nan"), "nan"),
    "infinity": (float("-inf"), "-inf"),
    "minus zero": (-0.0, "-0.0"),
    "huge": (2**16_000, "0x8000"),
    "minus huge": (-(10**5_000), "-0x"),
    "large": (10**2_000, "1" + "0" * 2_000),
    "bytes": (b"\x1b\xff", "b'\\x1b\\xff'"),
    "itself": (itself(), "[1, ...]"),
    "deep": (deep(10_000), "[" * 60),
    "raising": (Raising(), "<Raising, whose repr raises ValueError>"),
    "endless": (Endless(), "word word"),
    "no text": (NoText(), "<NoText, whose repr raises TypeError>"),
    "address": (object(), "<object object>"),
    "text": (Text("a"), "<\\x1b>"),
    "surrogate": ("\ud800", "'\\ud800'"),
    "nested": ([(1,), {2: {3}}, frozenset({4})], "[(1,), {2: {3}}, frozenset({4})]"),
    "wide": ([list(range(1_000))] * 1_000, "[[0, 1, 2, 3"),
}


class TestAnyValue:
    @pytest.mark.parametrize(("value", "expected"), ODD.values(), ids=ODD)
    def test_is_shown(self, value: object, expected: str) -> None:
        """Where it is returned, a parameter, an observation, and in the text of an error."""
        outcome = Returned(value)
        assert f"returned {expected}" in str(outcome)[: len(expected) + 200]
        script = Script()
        script.select(0, "SELECT ?", (value,), (value,))
        script.add(0, Kind.CLOSE, outcome=outcome)
        trace = script.trace("t1.A1")
        for text in (
            str(outcome),
            repr(outcome),
            repr(trace.events),
            display.quoted(value),
            render_timeline(trace),
            render_timeline(trace, verbose=True),
        ):
            assert set() == unseen(text)
            assert len(text) < 100_000

    def test_is_shown_when_it_is_an_error(self) -> None:
        """Whose text cannot be had."""
        assert "raised NoTextError: (its text raises ValueError)" == str(Raised(NoTextError()))
        assert "NoTextError: (its text raises ValueError)" == display.said(NoTextError())


WRITES = ("file.write", "err.write", "out.write", "out.print", "err.print")


def test_texts_of_reports_are_made_in_one_place() -> None:
    """Lines become text where what acts is taken out of them, and nothing is written but by the screen."""
    joins, writes = set(), set()
    for path in (ROOT / "treadle").rglob("*.py"):
        module = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name == "'\\n'.join" and module.startswith("treadle/report/"):
                joins.add(module)
            if name in {"print", "click.echo", "click.secho", "path.write_text"} or name.endswith(WRITES):
                writes.add((module, name))
    assert {"treadle/report/sql.py", "treadle/report/document.py"} == joins
    assert {
        ("treadle/racing/script.py", "file.write"),  # Python, in which texts are literals
        ("treadle/report/directory.py", "file.write"),
        ("treadle/report/directory.py", "path.write_text"),
        ("treadle/report/screen.py", "self.err.file.write"),
        ("treadle/report/screen.py", "self.out.file.write"),
        ("treadle/report/screen.py", "self.out.print"),
        ("treadle/testing/store.py", "file.write"),  # JSON in ASCII, for Treadle itself
    } == writes
