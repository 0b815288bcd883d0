"""Whether what is learned of a world in one state is what happens in each state that is taken for the same.

Random operations are carried out one after another in a world, and what they do is noted. Then a learned world over
another database, which has executed nothing yet, is asked for each of them in the state in which it was carried out,
in any order. It answers from what it has executed in a state that is the same to the operation, or executes it where
just what decides it was made as it is there.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from tests.truth.brute import make_template
from tests.truth.test_wait_or_fail import STATEMENTS
from treadle.interning import intern_operation
from treadle.values.errors import UnsupportedOperationError
from treadle.values.fault import Placement
from treadle.values.operation import Kind, Operation
from treadle.world.content import Library
from treadle.world.effects import Lexicon
from treadle.world.holding import Lock
from treadle.world.learned import LearnedWorld
from treadle.world.locality import Natures
from treadle.world.state import Book, Key, Transition, WorldState
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
"""What makes a connection one whose past is not told."""

_ON_CURSORS = (Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL, Kind.CLOSE_CURSOR)
_KINDS = (Kind.EXECUTE, *_ON_CURSORS, Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE)
_WEIGHTS = (14, 2, 2, 1, 1, 3, 1, 0.3)
"""How often an operation is of each kind."""

_SELDOM = 0.02
"""How often a statement is a rare one, and how often a process outside holds the lock."""

_OPERATIONS = 60
"""How many operations are tried one after another."""


class _Done(NamedTuple):
    """An operation that was carried out."""

    before: WorldState
    key: Key
    operation: Operation
    outside: bool
    transition: Transition


class Worlds:
    """A world and a learned one with the same states, and what was done in the first."""

    def __init__(self, directory: Path, journal: str, timeout_s: float) -> None:
        path = directory / "template.db"
        make_template(path, journal)
        self._compiler = sqlite3.connect(path, isolation_level=None)
        self._timeout_s = timeout_s
        book, library, lexicon = Book(keep_logs=False), Library(), Lexicon(self._compiler)
        worlds = []
        for name in ("one", "two"):
            (directory / name).mkdir()
            worlds.append(World(Template(path, journal), directory / name, book, library, lexicon))
        self.world, self.other = worlds
        self.learned = LearnedWorld(self.other, book, Natures(journal, Placement.REACHABLE))
        self.done: list[_Done] = []

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
        if key not in world.state.holdings:
            level = None if client else ""
            options = {"isolation_level": level, "timeout": self._timeout_s}
            self._do(key, Operation(Kind.CONNECT, 0, arguments=(level, self._timeout_s), payload=options))
        held = world.state.holding(key)
        if kind in _ON_CURSORS and cursor not in held.posture.active:
            return
        if held.posture.closed and kind is not Kind.CLOSE_CURSOR:
            return
        if kind is Kind.EXECUTE and cursor in held.posture.active:  # as the gate does
            self._do(key, Operation(Kind.CLOSE_CURSOR, 0, cursor))
        if kind is not Kind.EXECUTE:
            self._do(key, Operation(kind, 0, cursor if kind in _ON_CURSORS else None))
            return
        operation = intern_operation(Operation(kind, 0, cursor, sql))
        writes = world.effects(operation, 0).writes and held.lock is not Lock.WRITE
        barred = any(lock is Lock.WRITE for _, lock in world.state.other_locks(key))
        self._do(key, operation, outside=writes and not barred and world.journal == "wal" and dice.random() < _SELDOM)

    def _do(self, key: Key, operation: Operation, *, outside: bool = False) -> None:
        operation = intern_operation(operation)
        before = self.world.state
        transition = self.world.perform(key, operation, outside=outside)
        self.done.append(_Done(before, key, operation, outside, transition))
        self.learned.note(before, transition.after, key, operation, variant=outside)

    def compare(self, dice: random.Random, met: Counter[str]) -> None:
        """Ask the learned world for all of it, in any order, and count how it answers."""
        for before, key, operation, outside, expected in dice.sample(self.done, len(self.done)):
            executed, repeated = self.learned.executed, self.learned.repeated
            found = self.learned.perform(before, key, operation, outside=outside)
            assert expected.result == found.result
            assert expected.after is found.after
            assert (expected.holders, expected.held_before) == (found.holders, found.held_before)
            how = "known" if executed == self.learned.executed else "made" if self.other.state is not before else "led"
            met["repeated" if repeated != self.learned.repeated else how] += 1
            self._look()

    def _look(self) -> None:
        """What is believed to be committed is what is there."""
        if self.other._observer.data_version() is not None:
            assert self.other._library.read(self.other._observer.connection) is self.other.content


def _compare(journal: str, seed: int, met: Counter[str]) -> None:
    """Do random operations in one world, and ask another one."""
    dice = random.Random(f"{journal} {seed}")
    directory = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: S108
    # What lastrowid says after a statement that inserted nothing depends on what is over, of which no log is kept.
    with directory as place, mock.patch.object(World, "_last_rowid", return_value=None):
        worlds = Worlds(Path(place), journal, dice.choice((0.0, 5.0)))
        try:
            with contextlib.suppress(UnsupportedOperationError):  # the commit of a statement that returned rows
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
