"""Whether what is learned of a world in one state is what happens in each state that is taken for the same.

Random operations are carried out one after another in a world, and what they do is noted. Then a learned world over
another database, which has executed nothing yet, is asked for each of them in the state in which it was carried out,
in any order. It answers from what it has executed in a state that is the same to the operation, or executes it where
just what decides it was made as it is there.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.truth.test_wait_or_fail import MANY, SCRIPTS, STATEMENTS, make_template
from treadle.interning import intern_operation
from treadle.values.fault import Placement
from treadle.values.operation import Kind, Operation
from treadle.world.content import ContentStore
from treadle.world.effects import Lexicon
from treadle.world.footprint import Footprints
from treadle.world.holding import StopKind
from treadle.world.learned import LearnedWorld
from treadle.world.state import Book, Key, Mode, Transition, WorldState
from treadle.world.world import Template, World

_STATEMENTS = (
    *(sql for sql in STATEMENTS if sql != "nonsense"),
    "SELECT k FROM u",
    "SELECT v FROM t",
    *("SELECT 1 UNION SELECT 2",) * 5,
    "BEGIN",
    "DELETE FROM t WHERE id = 2",
    "UPDATE t SET v = v - 1",
    "INSERT INTO u (k) SELECT count(*) FROM t",
)

_RARE = (
    "CREATE TEMP TABLE IF NOT EXISTS mine (v)",
    "INSERT INTO mine SELECT v FROM t",
    "SELECT v FROM mine",
    "PRAGMA busy_timeout = 7",
    "PRAGMA recursive_triggers = 1",
    "nonsense",
)
"""What a connection keeps, or what fails."""

_ON_CURSORS = (Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL, Kind.CLOSE_CURSOR)
_KINDS = (Kind.EXECUTE, Kind.EXECUTESCRIPT, Kind.EXECUTEMANY, *_ON_CURSORS, Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE)
_WEIGHTS = (14, 0.5, 0.5, 2, 2, 1, 1, 3, 1, 0.3)
"""How often an operation is of each kind."""

_SELDOM = 0.02
"""How often a statement is a rare one, and how often a process outside holds the lock."""

_OVER = 0.3
"""How often the time of a call is over that waits."""

_OPERATIONS = 60
"""How many operations are tried one after another."""


class _Done(NamedTuple):
    """An operation that was carried out."""

    before: WorldState
    key: Key
    operation: Operation
    mode: Mode
    transition: Transition


class Worlds:
    """A world and a learned one with the same states, and what was done in the first."""

    def __init__(self, directory: Path, journal: str, timeout_s: float) -> None:
        path = directory / "template.db"
        make_template(path, journal)
        self._compiler = sqlite3.connect(path, isolation_level=None)
        self._timeout_s = timeout_s
        book, contents, lexicon = Book(keep_logs=False), ContentStore(), Lexicon(self._compiler, journal)
        footprints = Footprints(journal, Placement.REACHABLE)
        worlds = []
        for name in ("one", "two"):
            (directory / name).mkdir()
            worlds.append(
                World(
                    Template(path, journal, sqlite3),
                    directory / name,
                    book,
                    contents,
                    lexicon=lexicon,
                    footprints=footprints,
                )
            )
        self.world, self.other = worlds
        self.learned = LearnedWorld(self.other, book, footprints)
        self.done: list[_Done] = []
        self._pending: dict[Key, Operation] = {}

    def close(self) -> None:
        """Close all connections."""
        self.world.close()
        self.learned.close()
        self._compiler.close()

    def act(self, dice: random.Random) -> None:
        """Carry out an operation in the first world, if it makes sense there."""
        client, cursor, sql = dice.randrange(3), dice.randrange(2), dice.choice(_STATEMENTS)
        kind = dice.choices(_KINDS, _WEIGHTS)[0]
        if kind is Kind.EXECUTE and dice.random() < _SELDOM:
            sql = dice.choice(_RARE)
        key, world = (client, 0), self.world
        if key in self._pending:  # it goes on, or its time is over
            waits = world.state.holding(key).posture.call
            assert waits is not None
            over = waits.kind is StopKind.WAITS and dice.random() < _OVER
            self._do(key, self._pending[key], Mode.EXPIRE if over else Mode.STEP)
            return
        if key not in world.state.holdings:
            level = None if client else ""
            options = {"isolation_level": level, "timeout": self._timeout_s}
            self._do(key, Operation(Kind.CONNECT, 0, arguments=(level, self._timeout_s), payload=options))
        held = world.state.holding(key)
        if kind in _ON_CURSORS and cursor not in held.posture.active:
            return
        if kind in {Kind.EXECUTE, Kind.EXECUTEMANY} and cursor in held.posture.active:  # as the gate does
            self._do(key, Operation(Kind.CLOSE_CURSOR, 0, cursor))
            if key in self._pending:
                return
        if kind is Kind.EXECUTESCRIPT:
            self._do(key, Operation(kind, 0, cursor, dice.choice(SCRIPTS)))
        elif kind is Kind.EXECUTEMANY:
            self._do(key, Operation(kind, 0, cursor, MANY, ((1, 1), (2, 2))))
        elif kind is not Kind.EXECUTE:
            self._do(key, Operation(kind, 0, cursor if kind in _ON_CURSORS else None))
        else:
            operation = intern_operation(Operation(kind, 0, cursor, sql))
            outside = dice.random() < _SELDOM and self._is_free_to_refuse(key, operation)
            self._do(key, operation, Mode.OUTSIDE if outside else Mode.STEP)

    def _is_free_to_refuse(self, key: Key, operation: Operation) -> bool:
        """Tell whether a process outside may hold the lock that an operation asks for."""
        return self.world.footprint(key, operation).refusable and not self.world.state.others_write(key)

    def _do(self, key: Key, operation: Operation, mode: Mode = Mode.STEP) -> None:
        operation = intern_operation(operation)
        before = self.world.state
        transition = self.world.perform(key, operation, mode)
        self._pending.pop(key, None)
        if transition.result.stop is not None:
            self._pending[key] = operation
        self.done.append(_Done(before, key, operation, mode, transition))
        self.learned._remember(before, transition.after, ((key, operation, mode),))

    def compare(self, dice: random.Random, met: Counter[str]) -> None:
        """Ask the learned world for all of it, in any order, and count how it answers."""
        for before, key, operation, mode, expected in dice.sample(self.done, len(self.done)):
            executed, repeated = self.learned.executed, self.learned.repeated
            found = self.learned.perform(before, key, operation, mode)
            assert expected.result == found.result
            assert expected.after is found.after
            assert (expected.holders, expected.held_before) == (found.holders, found.held_before)
            how = "known" if executed == self.learned.executed else "made" if self.other.state is not before else "led"
            met["repeated" if repeated != self.learned.repeated else how] += 1
            self._look()

    def _look(self) -> None:
        """What is believed to be committed is what is there."""
        if self.other._observer.data_version() is not None:
            assert self.other._contents.read(self.other._observer.connection) is self.other.content


def _compare(journal: str, seed: int, met: Counter[str]) -> None:
    """Do random operations in one world, and ask another one."""
    dice = random.Random(f"{journal} {seed}")
    directory = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: S108
    with directory as place:
        worlds = Worlds(Path(place), journal, dice.choice((0.0, 5.0)))
        try:
            for _ in range(_OPERATIONS):
                worlds.act(dice)
            worlds.compare(dice, met)
        finally:
            worlds.close()


def compare_some() -> Counter[str]:
    """Compare in as many cases as it takes to meet every rule often; return how often it was answered how."""
    met: Counter[str] = Counter()
    for seed in range(60):
        _compare("wal", seed, met)
    for seed in range(20):
        _compare("delete", seed, met)
    return met


def test_what_is_learned_in_one_state_happens_in_all_that_are_the_same() -> None:
    """All that an operation did the learned world says, whether it executes the operation or not."""
    met = compare_some()
    assert min(met["known"], met["made"], met["repeated"]) > 100


@pytest.mark.truth
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_what_is_learned_in_one_state_happens_in_all_that_are_the_same_at_length(journal: str) -> None:
    """The same, many more."""
    met: Counter[str] = Counter()
    for seed in range(3000):
        _compare(journal, seed, met)
