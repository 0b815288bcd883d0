"""Several processes find what one finds, also when some of them die."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parallel import examples
from tests.parallel.examples import FINISHED, facts
from tests.sampled import one_in
from treadle import (
    ChallengeError,
    CounterexampleError,
    NondeterminismError,
    Progress,
    PropertyError,
    Scenario,
    TreadleError,
    UsageError,
    Verdict,
    check,
)
from treadle.parallel.processes import Processes
from treadle.values import errors, signals

pytestmark = pytest.mark.usefixtures("few_challenges")

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("make", one_in(2, FINISHED), ids=lambda make: make.__name__)
def test_several_processes_find_what_one_finds(make: Callable[[], Scenario]) -> None:
    """Verdicts, counts, schedules, outcomes and notes are the same."""
    scenario = make()
    expected = facts(check(scenario))
    assert [expected, expected] == [facts(check(scenario, workers=workers)) for workers in (2, 3)]


@pytest.mark.parametrize("without", one_in(2, ["local", "symmetry", "memory", "fork"]))
@pytest.mark.parametrize("make", [examples.witnessed, examples.different_clients], ids=lambda make: make.__name__)
def test_several_processes_find_what_one_finds_without_a_reduction(make: Callable[[], Scenario], without: str) -> None:
    """The same with a reduction switched off."""
    scenario = make()
    assert facts(check(scenario, without=[without])) == facts(check(scenario, without=[without], workers=2))


def test_a_bound_of_states_is_inconclusive() -> None:
    """A search that stops early says so, and what it found by then is confirmed."""
    result = check(examples.create_backfill(), workers=2, max_states=20)
    assert not result.exhausted
    assert "bound of 20 states" in str([item.why for item in result.decisions])
    assert Verdict.HOLDS not in {item.verdict for item in result.decisions if item.property.kind.value == "always"}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_client_without_end_is_inconclusive(workers: int) -> None:
    """The reason names the client."""
    result = check(examples.endless(), workers=workers)
    assert (False, [Verdict.INCONCLUSIVE]) == (result.exhausted, [item.verdict for item in result.decisions])
    assert "client 'C' took 60 operations" in result.decisions[0].why


def test_progress_is_that_of_all() -> None:
    """What is reported grows to what is found."""
    told: list[Progress] = []
    result = check(examples.create_backfill(), workers=2, progress=told.append)
    assert told
    assert sorted(item.states for item in told) == [item.states for item in told]
    assert 0 < told[-1].states <= result.stats.states


# --- Errors ------------------------------------------------------------------------------------------


def test_errors_come_out_as_they_are() -> None:
    """An error that ends a check in another process is of the same type, with the same attributes."""
    with pytest.raises(PropertyError, match="the predicate is broken"):
        check(examples.failing_predicate(), workers=2)


@pytest.mark.parametrize("make", [examples.drifting, examples.leaving], ids=lambda make: make.__name__)
def test_what_clients_do_to_their_processes_is_no_matter_to_others(make: Callable[[], Scenario]) -> None:
    """Neither what they remember from run to run, nor that they end: each has a process of its own."""
    scenario = make()
    assert facts(check(scenario)) == facts(check(scenario, workers=2))


def test_an_error_that_does_not_pickle_comes_out_as_text() -> None:
    """And with the traceback of the process that it is from."""
    # Where the library tblib is in use, as in Dask, it can be pickled, and is what it was.
    with pytest.raises((TreadleError, examples.PickyError), match="this and that") as caught:
        check(examples.failing_seed(), workers=2)
    assert "in seed" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "error",
    [
        *(
            kind("text")
            for kind in vars(errors).values()
            if isinstance(kind, type)
            and kind is not CounterexampleError
            and issubclass(kind, TreadleError)
            and kind not in {ChallengeError, NondeterminismError}
        ),
        *(
            kind("text")
            for kind in vars(signals).values()
            if isinstance(kind, type) and issubclass(kind, Exception) and kind is not signals.HistoryNeededError
        ),
        NondeterminismError("A", 3, "SELECT", "UPDATE"),
        ChallengeError("t1.A1", "these rows", "operation 1", "it waits"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel(error: Exception) -> None:
    """Each comes out of another process as it went in."""
    there = pickle.loads(pickle.dumps(error))  # noqa: S301  # made right here
    assert (type(error), str(error), vars(error)) == (type(there), str(there), vars(there))


@pytest.mark.parametrize("workers", [0, -1, "", "2", "localhost:8786", "tcp://localhost", "http://localhost:1"])
def test_what_is_no_number_and_no_address_is_refused(workers: Any) -> None:
    """One clear error."""
    with pytest.raises(UsageError, match="number of processes, from 1 to 1,000, or the address"):
        check(examples.witnessed(), workers=workers)


@pytest.mark.parametrize("options", [{"search": "random"}, {"live": True}, {"reduction": False}, {"without": "merge"}])
def test_what_several_processes_cannot_do_is_refused(options: dict[str, Any]) -> None:
    """They share an exhaustive search that merges states."""
    with pytest.raises(UsageError, match="exhaustive search that merges"):
        check(examples.witnessed(), workers=2, **options)


# --- Deaths ------------------------------------------------------------------------------------------


def _kill(crew: Processes, part: int) -> None:
    process = crew._processes[part]
    process.kill()
    process.join()


def _kill_before_report(monkeypatch: pytest.MonkeyPatch, part: int, number: int) -> list[int]:
    """Kill the process of a part before some report; return a list that grows by each report."""
    right = Processes.wait
    reports: list[int] = []

    def wait(self: Processes) -> Any:
        reports.append(len(reports))
        if len(reports) == number:
            _kill(self, part)
        return right(self)

    monkeypatch.setattr(Processes, "wait", wait)
    return reports


@pytest.mark.parametrize(("number", "part"), one_in(4, itertools.product([1, 2, 4], [0, 1])))
def test_a_killed_process_loses_nothing(monkeypatch: pytest.MonkeyPatch, part: int, number: int) -> None:
    """Its part begins anew, with all states that had arrived in it."""
    scenario = examples.create_backfill()
    expected = facts(check(scenario))
    reports = _kill_before_report(monkeypatch, part, number)
    assert expected == facts(check(scenario, workers=2))
    assert len(reports) > number


def _kill_at_harvest(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    right = Processes.finish
    killed: list[int] = []

    def finish(self: Processes, asked: int, *given: Any) -> Any:
        if not killed:
            killed.append(part)
            _kill(self, part)
        return right(self, asked, *given)

    monkeypatch.setattr(Processes, "finish", finish)


@pytest.mark.parametrize("part", one_in(2, [0, 1]))
def test_a_process_that_is_killed_at_the_end_loses_nothing(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """Also when all was explored."""
    scenario = examples.create_backfill()
    expected = facts(check(scenario))
    _kill_at_harvest(monkeypatch, part)
    assert expected == facts(check(scenario, workers=2))


@pytest.mark.parametrize("part", [0, 1])
def test_a_process_that_is_killed_at_a_bound_leaves_it_inconclusive(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """What it had answered for is forgotten with it."""
    _kill_at_harvest(monkeypatch, part)
    assert not check(examples.create_backfill(), workers=2, max_states=60).exhausted


def test_processes_that_die_one_after_another_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of three parts dies once."""
    scenario = examples.create_backfill()
    expected = facts(check(scenario))
    right = Processes.wait
    reports: list[int] = []

    def wait(self: Processes) -> Any:
        reports.append(len(reports))
        if len(reports) in {2, 5, 8}:
            _kill(self, len(reports) % 3)
        return right(self)

    monkeypatch.setattr(Processes, "wait", wait)
    assert expected == facts(check(scenario, workers=3))
    assert len(reports) > 8


# --- Nothing is left ---------------------------------------------------------------------------------

_LONG = """
from properties.backfill import scenarios
from treadle import check
print("ready", flush=True)
check(scenarios(requests=4, runs=3, locked=2)[0], workers=2, progress=lambda _: print("works", flush=True))
"""


def _long() -> subprocess.Popen[str]:
    """Start a long check in a session of its own, and wait until it works."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LONG],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert ["ready\n", "works\n", "works\n"] == [process.stdout.readline() for _ in range(3)]
    return process


def _is_gone(group: int, patience_s: float) -> bool:
    """Tell whether no process of a group is left after a while at most."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _sandboxes(pids: list[int]) -> list[Path]:
    roots = (Path("/dev/shm"), Path("/tmp"))  # noqa: S108  # where sandboxes are made
    return [path for pid in pids for root in roots for path in root.glob(f"treadle-{pid}-*")]


def _members(group: int) -> list[int]:
    """Return the processes of a group."""
    found = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True, check=True)
    return [int(line) for line in found.stdout.split()]


@pytest.mark.parametrize("group", [True, False])
def test_an_interrupt_leaves_nothing(group: bool) -> None:
    """Ctrl-C, given to all processes or to the first alone: no process and no directory stay."""
    process = _long()
    pids = _members(process.pid)
    assert 3 <= len(pids)
    try:
        os.killpg(process.pid, signal.SIGINT) if group else process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert _is_gone(process.pid, 1)
    finally:
        if not _is_gone(process.pid, 0.1):
            os.killpg(process.pid, signal.SIGKILL)
    assert "CheckInterrupted" in errors
    assert 1 == errors.count("Traceback")
    assert [] == _sandboxes(pids)


def test_the_processes_of_a_killed_check_end() -> None:
    """They notice that nobody asks any more, and clean up."""
    process = _long()
    pids = _members(process.pid)
    process.kill()
    process.communicate(timeout=30)
    try:
        assert _is_gone(process.pid, 10)
    finally:
        if not _is_gone(process.pid, 0.1):
            os.killpg(process.pid, signal.SIGKILL)
    assert [] == _sandboxes([pid for pid in pids if pid != process.pid])
