"""Odd arguments: each gets one clear error, at once, and no traceback."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests import odd
from treadle import Client, Database, FaultBudget, Schedule, UsageError, check, cli, replay
from treadle.search.memory import bytes_of

ONE = "tests.odd:one"
DIGITS = "9" * 5000
LONG = "x" * 100_000
ZEROS = "0" * 100_000 + "1"

NO_NUMBERS = [
    "", DIGITS, f"-{DIGITS}", ZEROS, "1" * 400, "1e400", "nan", "inf", "-inf", "1e3", "0x10", "1_000", "٣", "²",
    "⅕", "\uff11", " 1", "1 ", "+1", "1\0", "1\n", "\0", LONG, "\ud800", "True", "None", "--", f"{DIGITS}K", "1KB",
    "1E", "0K", "1.5G", "1e400G", "- 1", "1,,1", "=", "1,",
]  # fmt: skip
"""What is no number, in any option."""

BUDGETS = [
    "locked", "locked=", "locked=-1", "locked=1,locked=2", f"locked={DIGITS}", "locked=1;crash=1",
    f"crash=1,{LONG}", "locked=٣", "locked=1\0", "lock=1", "locked=99999999999999999999", "locked=1_0",
    "locked==1", "crash=1e400", "locked=\ud800", "," * 100_000, "locked=1" * 50_000,
]  # fmt: skip

PARAMETERS = [
    "count", "", LONG, f"count={DIGITS}", f"count={LONG}", "count=\0", "count=\ud800", "count=1e5", "count=",
    "well=maybe", f"well={LONG}", "a\0=1", "1a=1", "a b=1", f"{LONG}=1", "self=1", "__class__=1", "=1",
]  # fmt: skip

GLOBS = [
    "", "nothing", LONG, "*a" * 5000, "?" * 100_000, "[a-z" * 2000, "[", "[!", "\0", "\ud800", "[z-a]", "(?P<",
    "{a,b}", "a*" + "*a" * 40,
]  # fmt: skip

TARGETS = [
    "", ":", "a:", ":b", "tests.odd", "tests.odd:", "tests.odd:absent", "tests.odd:empty", "tests.odd:number",
    "tests.odd:text", "tests.odd:nothing", "tests.odd:mapping", "tests.odd:endless", "tests.odd:strangers",
    "tests.odd:breaks_off", "tests.odd:required", "tests.odd:raises", "tests.odd:raises_base", "tests.odd:leaves",
    "tests.odd:recurses", "tests.odd:holds_none", "tests.odd:holds_long", "tests.odd:unshowable",
    "tests.odd:unshowables", "tests.odd:unaskable", "tests.odd:unaskable.more", "tests.odd:unending",
    "tests.odd:gives_unshowable", "tests.odd:Unshowable", "tests.odd:one.name", "tests.odd:one:two",
    "tests/odd.py", "tests/odd.py:one", "/etc/passwd", "/etc/passwd:x", "no.such:x", "tests.odd:a\0b",
    "tests\0odd:one", "\ud800:x", "tests.odd:\ud800", LONG, f"{LONG}:x", f"tests.odd:{LONG}",
    "a." * 50_000 + "a:x", "..:x", "class:x", "os:environ", "sys:modules", "sys:exit", "builtins:object",
    "itertools:count", "@x:y", "tests.odd:one ",
]  # fmt: skip

MODULES = {
    "raising": "raise RuntimeError('at import')",
    "leaving": "import sys; sys.exit(3)",
    "unwritten": "def (",
    "of_no_kind": "raise BaseException('at import')",
    "gone": "raise GeneratorExit",
    "needy": "import no_such_module",
    "zero": "x = '\0'",
    "no_text": "\udcff\udcfe",
    "asking": "def __getattr__(name): raise RuntimeError(name)",
}
"""Modules that cannot be imported, or asked."""

TOKENS = [
    "", "t", "t1.", "t2", "t2.", "t2..", "t3.A1", "t01.A1", "t1.A0", "t1.A", "t1.A1.", "t1..A1", "t1.a1", "t1.A-",
    "t1.A-locked1", "t1.A-Crash", "t1.B1", "t1.ZZZZ1", "t1.ZZZZZ1", "t1.A9999999999", f"t1.A{DIGITS}",
    f"t1.{'A' * 5000}1", "t1.A٣", "t1.A1\0", "\0", f"t{DIGITS}.A1", "t٣.A1", "t²", "t1.A1.\ud800", "\ud800", LONG,
    "t1." + "A1." * 33_000, "t2.A1.zzzz", "t2.A1", f"t2.A1.{'z' * 50_000}", "T1.A1", "t1,A1", "t-1.A1", "t1.A+1",
    "t1.A 1", "t1.A1é", ".", "..", "/", "/dev/zero", "/dev/full", "/proc/self/mem", "no-such-file.txt", "a/b/c",
    "x" * 300,
]  # fmt: skip


def _make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**32)


FILES: dict[str, Callable[[Path], Any]] = {
    "directory": Path.mkdir,
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 400),
    "huge": _make_huge,
    "pipe": os.mkfifo,
    "empty": Path.touch,
    "loop": lambda path: path.symlink_to(path.name),
    "nested.json": lambda path: path.write_text("[" * 200_000),
    "numbers.json": lambda path: path.write_text(f'{{"results": {DIGITS}}}'),
}
"""Files that have no token in them."""

OTHERS = [
    ["replay"],
    ["nonsense"],
    ["check", "--nonsense"],
    ["check", f"--{LONG}"],
    ["check", ONE, "--report", "a\0b"],
    ["check", ONE, "--report", "\ud800"],
    ["check", ONE, "--report", LONG],
    ["check", ONE, "--report", "/proc/nothing"],
    ["check", ONE, "--report", __file__],
    ["check", ONE, "--workers", f"tcp://{LONG}:1"],
    ["check", ONE, "--workers", f"tcp://x:{DIGITS}"],
    ["check", ONE, "--workers", "tcp://\0:1"],
    ["check", ONE, "--workers", "100000"],
    ["check", ONE, "--workers", "1" * 9],
    ["check", ONE, "-p", "count=1"],
    ["check", "tests.odd:typed", "-p", "count=1", "-p", "count=2"],
    ["check", "tests.odd:positional", "-p", "name=x"],
    ["check", "tests.odd:long_names", "-k", "nothing"],
    ["replay", "t1.A1", "tests.odd:long_names"],
]

NUMERIC = ["--max-states", "--max-seconds", "--max-executions", "--seed", "--workers", "--challenge", "--faults"]
WORDS = ["--faults-at", "--search", "--without", "--format"]

ARGUMENTS = [
    *(["check", ONE, f"{option}={value}"] for option in [*NUMERIC, *WORDS, "--max-memory"] for value in NO_NUMBERS),
    *(["check", ONE, "--faults", value] for value in BUDGETS),
    *(["check", "tests.odd:typed", "-p", value] for value in PARAMETERS),
    *(
        [*command, "tests.odd:many", "-k", value]
        for command in (["check"], ["replay", "t1.A1"])
        for value in GLOBS
        if value
    ),
    *([*command, value] for command in (["check"], ["replay", "t1.A1"]) for value in TARGETS if value),
    *(["replay", value, ONE] for value in TOKENS),
    *OTHERS,
]


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget where the command line imports from."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def _require_one_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    code = cli.main(arguments)
    seconds = time.perf_counter() - began
    told = capsys.readouterr()
    assert (2, "") == (code, told.out)
    assert 1 == [line[:7] for line in told.err.splitlines()].count("Error: ")
    assert "Traceback" not in told.err
    assert len(told.err) < 3000
    assert seconds < 3


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_what_is_not_right_is_one_clear_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Short, with exit code 2, and without any search."""
    _require_one_error(arguments, capsys)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_cannot_be_imported_is_one_clear_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it raises."""
    (tmp_path / f"odd_{name}.py").write_bytes(MODULES[name].encode("utf-8", "surrogateescape"))
    monkeypatch.chdir(tmp_path)
    _require_one_error(["check", f"odd_{name}:x"], capsys)
    _require_one_error(["replay", "t1.A1", f"odd_{name}:x"], capsys)


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_token_is_one_clear_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe is not waited for, and a huge one not read."""
    FILES[name](tmp_path / name)
    _require_one_error(["replay", str(tmp_path / name), ONE], capsys)


class Strange:
    """A value that fails whatever is asked of it."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("nothing is equal")


STRANGE: list[Any] = [
    b"x", -1, 1.5, float("nan"), float("inf"), 10**5000, -(10**5000), object(), LONG, Strange(), {"a": 1}, (1,), "",
]  # fmt: skip

CALLS: dict[str, Callable[[Any], Any]] = {
    **{
        name: lambda value, name=name: check(odd.one, **{name: value})  # type: ignore[misc]
        for name in (
            "search", "max_states", "max_executions", "max_memory", "seed", "workers", "challenges", "progress",
            "without",
        )
    },
    "scenario": check,
    "replay": lambda value: replay(value, "t1.A1"),
    "token": lambda value: replay(odd.one, value),
    "parse": Schedule.parse,
    "locked": lambda value: FaultBudget(locked=value),
    "crash": lambda value: FaultBudget(crash=value),
    "journal": lambda value: Database(odd.METADATA, journal=value),
    "transactions": lambda value: Database(odd.METADATA, transactions=value),
    "engine": lambda value: Database(odd.METADATA, engine=value),
    "busy_timeout_ms": lambda value: Database(odd.METADATA, busy_timeout_ms=value),
    "client": lambda value: Client("A", value),
    **{
        name: lambda value, name=name: evolve(odd.one, **{name: value})  # type: ignore[misc]
        for name in ("database", "clients", "properties", "faults", "faults_at", "max_operations", "expect_violated")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("place", range(len(STRANGE)))
def test_values_that_are_not_allowed_are_one_clear_error(name: str, place: int) -> None:
    """In Python, each is a UsageError that shows the value in short."""
    value = STRANGE[place]
    if (name, place) in {("seed", 1), ("without", 10)}:
        value = None
    began = time.perf_counter()
    with pytest.raises(UsageError) as raised:
        CALLS[name](value)
    assert len(str(raised.value)) < 3000
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize("value", [0.1, 1, 0])
def test_what_is_right_is_taken(value: float) -> None:
    """The rules refuse nothing of use."""
    check(odd.one, challenge=value, max_seconds=60, seed=-3, workers=1, max_memory=2**40)
    assert 2**29 == bytes_of("512M")
