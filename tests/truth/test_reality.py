"""Reality is predicted: processes on a real file, nothing of the checker among them, end as the search found.

The processes are real, and so are the file, the driver, the busy timeouts and the scheduler of the machine. Each
process keeps an engine for each scenario, as the scenario makes it, and a listener leads its connections to the file.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen
from sqlalchemy import event

from properties.backfill import scenarios as backfill
from properties.systems import scenarios as systems
from treadle import FaultBudget, Raised, Returned, Scenario, View, at_end, check

Outcome = tuple[tuple[str, ...], tuple[tuple[str, tuple[Any, ...]], ...]]
"""How each client ended, and the committed rows of each table.

Nothing is normalised: the clocks and identifiers that clients use are arguments, and keys follow from who came first.
"""

_PROCESSES = 3
_PAUSE_S = 0.003
_HEAD_START_S = 0.004
_PATIENCE_S = 60.0


@frozen
class Case:
    """A scenario that every process can make anew.

    Attributes:
        name: of the scenario.
        journal: wal or delete.
    """

    name: str
    journal: str = "wal"

    def __str__(self) -> str:
        return f"{self.name}[{self.journal}]"

    def scenario(self) -> Scenario:
        """Make the scenario, without faults."""
        system, _, variant = self.name.partition("/")
        if system == "create-backfill":
            found = backfill(journal=self.journal, algorithms=variant, requests=2, runs=1, locked=0)
        else:
            found = systems(journal=self.journal, system=system)
        (scenario,) = [one for one in found if one.name == self.name]
        return evolve(scenario, faults=FaultBudget(), expect_violated=())


def _returned(value: object) -> str:
    return f"returned {value!r}"


def _raised(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}"


# What the search predicts.


def _predicted(case: Case) -> set[Outcome]:
    """Return all outcomes that the exhaustive search reaches."""
    scenario = case.scenario()
    seen: set[Outcome] = set()

    def spoken(outcome: object) -> str:
        if isinstance(outcome, Returned):
            return _returned(outcome.value)
        assert isinstance(outcome, Raised)
        return _raised(outcome.exception)

    def note(view: View) -> bool:
        ends = tuple(spoken(view.outcomes[client.name]) for client in scenario.clients)
        tables = view.committed.tables
        seen.add((ends, tuple((name, tuple(sorted(tables[name].values, key=repr))) for name in sorted(tables))))
        return True

    result = check(evolve(scenario, properties=[at_end("every outcome is noted", note, name="noted")]))
    assert result.exhausted
    return seen


# What happens.


@frozen
class _Task:
    """One run of one client, at a moment of the clock that all processes share."""

    case: Case
    client: int
    path: str
    start: float
    seed: int
    pauses: bool


class _Runner:
    """The clients of one scenario in this process, on any file."""

    def __init__(self, case: Case) -> None:
        self.scenario = case.scenario()
        self.path: str | None = None
        self.dice: random.Random | None = None
        engine = self.scenario.database.engine
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "before_cursor_execute", self._pause)
        event.listen(engine, "commit", self._pause)

    def _connect(self, dialect: Any, record: object, positional: object, options: dict[str, Any]) -> sqlite3.Connection:
        assert self.path is not None
        connection = sqlite3.connect(self.path, **options)
        assert type(connection) is sqlite3.Connection  # the driver's own: nothing of the checker is in between
        return connection

    def _pause(self, *_: object) -> None:
        if self.dice is not None:
            time.sleep(self.dice.uniform(0, _PAUSE_S))

    @contextlib.contextmanager
    def on(self, path: str, dice: random.Random | None = None) -> Iterator[Scenario]:
        """Lead connections to a file, and close them in the end."""
        self.path, self.dice = path, dice
        try:
            yield self.scenario
        finally:
            self.scenario.database.engine.dispose()

    def run(self, task: _Task) -> tuple[str, float]:
        """Run a client when it is time, and return how it ended and how long it took."""
        dice = random.Random(f"{task.seed} {task.client}")
        with self.on(task.path, dice if task.pauses else None) as scenario:
            run = scenario.clients[task.client].run
            time.sleep(max(0.0, task.start + dice.uniform(0, _PAUSE_S) - time.monotonic()))
            began = time.monotonic()
            try:
                end = _returned(run())
            except Exception as error:  # noqa: BLE001  # however it ends
                end = _raised(error)
            return end, time.monotonic() - began


def _serve(pipe: Connection) -> None:
    """Run tasks until the other end of the pipe is closed: the body of a process."""
    runner = functools.cache(_Runner)
    with contextlib.suppress(EOFError):
        while True:
            task = pipe.recv()
            pipe.send(runner(task.case).run(task))


@frozen
class _Crew:
    """Processes that stay alive, and a directory for their files."""

    directory: Path
    pipes: tuple[Connection, ...]
    _runner: Callable[[Case], _Runner] = field(factory=lambda: functools.cache(_Runner))

    def template(self, case: Case) -> Path:
        """Create what is there before any client starts, through plain SQLAlchemy."""
        path = self.directory / f"{str(case).replace('/', '-')}.db"
        if not path.exists():
            with contextlib.closing(sqlite3.connect(path)) as first:
                first.execute(f"PRAGMA journal_mode = {case.journal}")
            with self._runner(case).on(str(path)) as scenario:
                scenario.database.create()
            assert not list(self.directory.glob(f"{path.name}-*"))  # all of it is in the one file
        return path

    def run(self, case: Case, seed: int) -> Outcome | None:
        """Run all clients at the same time on a fresh file.

        Returns:
            The outcome, or None if a busy timeout may have expired.
        """
        scenario = self._runner(case).scenario
        path = self.directory / "run" / "run.db"
        path.parent.mkdir()
        try:
            shutil.copyfile(self.template(case), path)
            start = time.monotonic() + _HEAD_START_S
            busy = self.pipes[: len(scenario.clients)]
            for client, pipe in enumerate(busy):
                pipe.send(_Task(case, client, str(path), start, seed, pauses=seed % 3 > 0))
            ends, durations = zip(*(self._receive(pipe) for pipe in busy), strict=True)
            if max(durations) * 1000 >= scenario.database.busy_timeout_ms:
                return None
            return ends, _rows(path)
        finally:
            shutil.rmtree(path.parent)

    @staticmethod
    def _receive(pipe: Connection) -> tuple[str, float]:
        assert pipe.poll(_PATIENCE_S), "a process does not answer"
        answer: tuple[str, float] = pipe.recv()
        return answer


def _rows(path: Path) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        return tuple(
            (name, tuple(sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr))) for (name,) in names
        )


@contextlib.contextmanager
def _crew() -> Iterator[_Crew]:
    """Start processes, and end them whatever happens."""
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=memory))
        pipes = []
        for _ in range(_PROCESSES):
            near, far = context.Pipe()
            process = context.Process(target=_serve, args=(far,), daemon=True)
            process.start()
            far.close()
            stack.callback(_end, process, near)
            pipes.append(near)
        yield _Crew(Path(directory), tuple(pipes))


def _end(process: Any, pipe: Connection) -> None:
    pipe.close()
    process.join(10)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


@pytest.fixture(scope="module")
def crew() -> Iterator[_Crew]:
    """Processes for the tests of this file."""
    with _crew() as started:
        yield started


# The tests.

_BACKFILLS = [f"create-backfill/{algorithm}" for algorithm in ("shipped-3.2.2", "flush", "immediate")]

_SYSTEMS = (
    "lost-update",
    "write-skew",
    "job-claim",
    "check-then-insert",
    "upgrade-storm",
    "savepoint-survives",
    "count-then-start",
    "idempotency-key",
)

FEW = [Case(f"{system}/buggy") for system in _SYSTEMS] + [Case(_BACKFILLS[0]), Case("lost-update/buggy", "delete")]
"""What is run by default."""

ALL = [
    Case(name, journal)
    for journal in ("wal", "delete")
    for name in [*(one.name for system in _SYSTEMS for one in systems(system=system)), *_BACKFILLS]
]
"""Every variant of every system, in both journal modes."""


def _compare(crew: _Crew, case: Case, runs: int) -> tuple[set[Outcome], set[Outcome]]:
    """Run a case for real as often as asked, and return the real outcomes and the predicted: none is beyond these."""
    predicted = _predicted(case)
    attempts = (crew.run(case, seed) for seed in range(2 * runs))
    real = list(itertools.islice((outcome for outcome in attempts if outcome is not None), runs))
    assert runs == len(real), "most runs took longer than the busy timeout"
    assert set() == set(real) - predicted
    return set(real), predicted


@pytest.mark.parametrize("case", FEW, ids=str)
def test_what_happens_is_predicted(crew: _Crew, case: Case) -> None:
    """A dozen runs of processes end in ways that the search found, and in no other."""
    _compare(crew, case, 12)


@pytest.mark.truth
@pytest.mark.parametrize("case", ALL, ids=str)
def test_what_happens_in_many_runs_is_predicted(crew: _Crew, case: Case) -> None:
    """The same for many runs, all variants and both journal modes; who comes first makes a difference there."""
    real, predicted = _compare(crew, case, 150)
    assert min(2, len(predicted)) <= len(real), "the runs are all alike, and show nothing"
