"""Searches that stop early: what they found is kept, and as small as it can be."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine

from properties.backfill import scenarios
from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import CheckInterrupted, Client, FaultBudget, Result, Scenario, UsageError, Verdict, always, at_end, check
from treadle.search.memory import bytes_of, fair_share, peak, resident, spoken
from treadle.search.protocol import Progress

pytestmark = pytest.mark.usefixtures("few_challenges")

ROOT = Path(__file__).parents[2]
_COUNTS = "every-increment-counts"


def _three() -> Scenario:
    """Return a scenario whose first counterexample, depth first, has eight choices, and whose smallest has four."""
    return evolve(bank(read_then_write, clients=3), faults=FaultBudget(locked=1))


def _many() -> Scenario:
    """Return one with too many states to be searched in a test; it has 11 choices and a fault where 3 are enough."""
    return scenarios(algorithms="shipped-3.2.2", requests=3, runs=3)[0]


def _schedule(result: Result, name: str) -> str:
    example = result[name].counterexample
    assert example is not None
    assert example.confirmed
    return example.schedule.token


@pytest.mark.parametrize(
    "options", [{"max_states": 30}, {"until_violated": True}, {"until_violated": True, "workers": 2}]
)
def test_the_smallest_counterexample_is_found_in_spite_of_a_bound(options: dict[str, Any]) -> None:
    """It is the one of the whole search, whatever the bounded one came across."""
    smallest, bounded = check(_three())[_COUNTS].counterexample, check(_three(), **options)[_COUNTS].counterexample
    assert smallest is not None
    assert bounded is not None
    assert (len(smallest.schedule), 0) == (len(bounded.schedule), bounded.schedule.faults)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_irrelevant_fault_is_in_it(workers: int) -> None:
    """Two requests pass the guard together: three choices."""
    result = check(_many(), max_states=200 if workers == 1 else 1000, workers=workers)  # of which each visits a part
    assert not result.exhausted
    example = result["one-active-backfill"].counterexample
    assert example is not None
    assert (3, 0) == (len(example.schedule), example.faults)


def test_a_bound_of_states_gives_the_same_every_time() -> None:
    """No clock plays a part."""
    first, second = ([item.counterexample for item in check(_many(), max_states=100).decisions] for _ in range(2))
    assert [item and item.schedule for item in first] == [item and item.schedule for item in second]


def test_what_may_be_larger_than_needed_is_noted() -> None:
    """Where the smallest one could not be looked for everywhere."""
    assert not check(_three(), max_states=30).notes
    assert any("all-or-nothing" in note for note in check(_many(), max_states=100).notes)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exhaustive_search_stops_at_the_first_violation(workers: int) -> None:
    """And says why the rest is inconclusive."""
    result = check(_many(), until_violated=True, workers=workers)
    assert not result.exhausted
    assert result.stats.states < 2000
    assert Verdict.VIOLATED in {item.verdict for item in result.decisions}
    assert any("first violation" in item.why for item in result.decisions)


# --- Clients that do not come to an end --------------------------------------------------------------


def _without_end(engine: Engine) -> None:
    for _ in itertools.count():
        add_in_place(engine)


def _with_a_third(run: Any, **options: Any) -> Scenario:
    """Return a scenario in which two clients lose updates, and another one does something else.

    It is the first one in the list, so that a search that goes into the depth begins with the others.
    """
    scenario = bank(read_then_write)
    third = Client("C", partial(run, scenario.database.engine))
    return evolve(scenario, clients=[third, *scenario.clients], **options)


_NOBODY = always("nobody has returned", lambda view: not view.returned(), name="nobody")
_OTHER = at_end("true", lambda _: True, name="other")


@pytest.mark.parametrize("search", ["exhaustive", "random", "pct", "sweep"])
def test_what_was_found_before_a_client_turned_out_to_be_endless_is_kept(search: str) -> None:
    """The violation is confirmed, and the reason for the rest names the client."""
    scenario = _with_a_third(_without_end, max_operations=60)
    clients = scenario.clients if search != "sweep" else scenario.clients[::-1]  # which takes them in order
    result = check(evolve(scenario, clients=clients, properties=[_NOBODY, _OTHER]), search=search)
    assert [Verdict.VIOLATED, Verdict.INCONCLUSIVE] == [item.verdict for item in result.decisions]
    assert "'C'" in result["other"].why
    assert _schedule(result, "nobody")


def test_what_was_found_before_a_client_got_stuck_is_kept() -> None:
    """The same for a client that computes without end, after one operation."""

    def compute(engine: Engine) -> None:
        add_in_place(engine)
        while True:
            pass

    scenario = _with_a_third(compute, max_step_s=0.3)
    result = check(evolve(scenario, properties=[_NOBODY]))
    assert Verdict.VIOLATED is result["nobody"].verdict


def test_a_sequel_without_end_is_inconclusive() -> None:
    """What a property lets run is no client, and is named like one."""
    scenario = bank(read_then_write)
    more = partial(_without_end, scenario.database.engine)
    asking = always("one more ends", lambda view: bool(view.then(more)), name="then")
    options: dict[str, Any]
    for options in ({}, {"workers": 2}, {"search": "random"}):
        result = check(evolve(scenario, properties=[asking], max_operations=60), **options)
        assert Verdict.INCONCLUSIVE is result["then"].verdict
        assert "took 60 operations" in result["then"].why


# --- Memory ------------------------------------------------------------------------------------------


def _read_write_and_return_much(engine: Engine) -> bytes:
    read_then_write(engine)
    return b"x" * (8 * 2**20)


def _require_stopped(result: Result, bound: int) -> None:
    assert (False, bound) == (result.exhausted, result.bounds.max_memory)
    assert [Verdict.VIOLATED, Verdict.INCONCLUSIVE] == [item.verdict for item in result.decisions]
    assert "of memory" in result["other"].why


def test_memory_is_a_bound() -> None:
    """A search that would take more stops, and reports what it found."""
    bound = resident() + 20 * 2**20
    scenario = bank(_read_write_and_return_much, clients=4)
    result = check(evolve(scenario, properties=[_NOBODY, _OTHER]), max_memory=bound)
    _require_stopped(result, bound)


def test_memory_of_several_processes_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they have together counts: here this process says of itself that it has much, once something is found."""
    bound, found = 100 * 2**30, set[bool]()
    monkeypatch.setattr("treadle.parallel.together.resident", lambda: bound if True in found else 0)
    scenario = evolve(bank(read_then_write, clients=5), properties=[_NOBODY, _OTHER])
    result = check(scenario, max_memory=bound, workers=2, progress=lambda now: found.add(now.violated))
    _require_stopped(result, bound)


def test_memory_has_a_bound_by_default() -> None:
    """Less than the machine has; a control group may have less."""
    assert 0 < fair_share() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    assert 0 < resident() <= peak()


def test_a_control_group_bounds_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group that the process is in counts, and so do those that contain it."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("1000000\n")
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    monkeypatch.setattr("treadle.search.memory._CONTROL_GROUPS", tmp_path)
    read = Path.read_text

    def read_text(path: Path, *arguments: Any, **options: Any) -> str:
        return "0::/a/b\n" if path == Path("/proc/self/cgroup") else read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert 500_000 == fair_share()


@pytest.mark.parametrize(
    ("text", "size"),
    [("500M", 500 * 2**20), ("2G", 2 * 2**30), ("1k", 2**10), ("1T", 2**40), ("123", 123)]
    + [(text, None) for text in ("", "0", "0G", "-1", "1.5G", "G", "500MB", "much")],
)
def test_sizes_are_read(text: str, size: int | None) -> None:
    """Units are powers of 1024."""
    assert size == bytes_of(text)


@pytest.mark.parametrize(("size", "text"), [(500 * 2**20, "500M"), (3 * 2**30, "3G"), (1001, "1001 bytes")])
def test_sizes_are_said_as_they_are_written(size: int, text: str) -> None:
    """In the largest unit that fits."""
    assert text == spoken(size)


@pytest.mark.parametrize(
    "options",
    [
        {"max_memory": 0},
        {"max_memory": -1},
        {"max_memory": 1.5},
        {"max_memory": "2G"},
        {"max_memory": True},
        {"max_states": 2.5},
        {"max_seconds": "1"},
        {"max_seconds": float("nan")},
    ],
)
def test_bounds_that_are_no_bounds_are_refused(options: dict[str, Any]) -> None:
    """The error names the option."""
    with pytest.raises(UsageError, match=next(iter(options))):
        check(_three(), **options)


# --- Ctrl-C ------------------------------------------------------------------------------------------

_SCENARIOS = """
from pathlib import Path
from attrs import evolve
from properties.backfill import scenarios
from treadle import always
asked = []
def note(view):
    asked.append(len(asked))
    if len(asked) == 200:
        Path("searching").touch()
    return True
def first():
    long, = scenarios(algorithms="shipped-3.2.2", requests=4, runs=3, locked=2)
    noted = evolve(long, properties=[*long.properties, always("it is noted that a search goes on", note, name="noted")])
    return [noted, *scenarios(algorithms="immediate")]
"""
"""A long search, which makes a file when its properties have been asked 200 times."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """Start Python in a process group of its own, and end what is left of that."""
    (tmp_path / "long_checks.py").write_text(_SCENARIOS)
    left: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        left.append(process)
        return process

    yield start
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _sandboxes(pid: int) -> list[Path]:
    roots = (Path("/dev/shm"), Path("/tmp"))  # noqa: S108  # where sandboxes are made
    return [path for root in roots for path in root.glob(f"treadle-{pid}-*")]


def _wait_for_search(directory: Path) -> None:
    """Wait until a search has been under way for a while."""
    deadline = time.monotonic() + 60
    while not (directory / "searching").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (directory / "searching").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("group", [True, False])
def test_ctrl_c_reports_what_was_found(started: Any, tmp_path: Path, workers: int, group: bool) -> None:
    """The scenario at hand is reported with its counterexamples, the next one is not begun, and the code is 3."""
    process = started("-m", "treadle", "check", "long_checks:first", "--format", "json", "--workers", str(workers))
    _wait_for_search(tmp_path)
    os.killpg(process.pid, signal.SIGINT) if group else process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert 3 == process.returncode, errors
    (result,) = json.loads(out)["results"]
    found = {item["name"]: item["counterexample"] for item in result["properties"] if item["counterexample"]}
    assert not result["exhausted"]
    assert found["one-active-backfill"]["confirmed"]
    assert 3 == found["one-active-backfill"]["choices"]
    assert [] == _sandboxes(process.pid)


def test_a_second_ctrl_c_stops_at_once(started: Any, tmp_path: Path) -> None:
    """Nothing more is made smaller or confirmed, and nothing is left behind."""
    process = started("-m", "treadle", "check", "long_checks:first", "--format", "json")
    _wait_for_search(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    out, errors = process.communicate(timeout=60)
    assert time.monotonic() - before < 20
    assert (3, []) == (process.returncode, json.loads(out)["results"]), errors
    assert [] == _sandboxes(process.pid)


_PYTHON = """
import long_checks
from treadle import CheckInterrupted, check
try:
    check(long_checks.first()[0])
except CheckInterrupted as stop:
    print(stop.result["one-active-backfill"].counterexample.schedule.token)
    raise
"""


def test_ctrl_c_in_python_comes_with_the_result(started: Any, tmp_path: Path) -> None:
    """It is a KeyboardInterrupt all the same, which ends the process."""
    process = started("-c", _PYTHON)
    _wait_for_search(tmp_path)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert out.startswith("t2."), errors
    assert process.returncode
    assert "CheckInterrupted" in errors


def test_who_handles_ctrl_c_otherwise_goes_on_to_do_so() -> None:
    """A handler that is not Python's own is left alone."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        check(_three())
        assert signal.SIG_IGN is signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_ctrl_c_is_put_back() -> None:
    """And one that is interrupted while it searches raises in this process."""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    told: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        told.append(progress)
        if len(told) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(CheckInterrupted) as caught:
        check(scenarios(algorithms="shipped-3.2.2", requests=4, runs=3, locked=2)[0], progress=interrupt)
    assert "was interrupted" in caught.value.result["honest-conflict"].why
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
