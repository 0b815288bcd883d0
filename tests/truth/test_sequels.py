"""One more client that runs from a state ends as on a plain database with the rows that are committed there."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, note

from tests.truth.checked import Tables, ends_of_one_more
from tests.truth.programs import SCHEMA, Case, Program, Step, cases, play, sized


def _plain_end(rows: Tables, program: Program, case: Case, path: Path) -> str:
    """Return how a program ends that runs alone on a plain database."""
    filler = sqlite3.connect(path, isolation_level=None)
    filler.execute(f"PRAGMA journal_mode = {case.journal}")
    for statement in SCHEMA:
        if statement.startswith("CREATE"):
            filler.execute(statement)
    for table, values in rows:
        filler.executemany(f"INSERT INTO {table} VALUES (?, ?)", values)
    filler.close()
    level: Any = "" if case.transactions == "legacy" else None
    connection = sqlite3.connect(path, isolation_level=level)
    try:
        return f"returned {play(program, len(case.programs), connection)}"
    except sqlite3.Error as error:
        return f"raised {type(error).__name__}: {error}"
    finally:
        connection.close()


def _compare(case: Case) -> None:
    clients, program = evolve(case, programs=case.programs[:-1]), evolve(case.programs[-1], leaves_open=False)
    nobody_stays = not any(other.leaves_open for other in clients.programs)
    found: dict[bool, Collection[tuple[bool, Tables, str]]] = {}
    for memory in (True, False):
        found[memory] = ends_of_one_more(clients, program, without=() if memory else ("memory",))
    assert found[True] == found[False]
    for ended, rows, end in found[True]:
        if ended and nobody_stays:
            with TemporaryDirectory() as directory:
                assert _plain_end(rows, program, clients, Path(directory) / "plain.db") == end


def _program(*verbs: str) -> Program:
    return Program(tuple(Step(verb, "raise") for verb in verbs))


_AFTER = (
    (_program("shift", "commit"), _program("first", "look", "close")),
    (_program("add", "commit"), _program("first", "next", "close")),
    (_program("unique", "commit"), _program("peek", "unique", "rollback", "close")),
    (_program("immediate", "add", "commit"), _program("peek", "add", "rollback", "close")),
    (_program("shift", "commit", "add", "commit"), _program("peek", "unique", "rollback", "close")),
)
"""Clients, each with one more that does something else while rows of a read are still to be fetched."""


@pytest.mark.parametrize("transactions", ["legacy", "begin"])
@pytest.mark.parametrize(("client", "more"), _AFTER)
def test_what_is_done_while_rows_are_fetched_is_not_told_from_these_rows(
    client: Program, more: Program, transactions: str
) -> None:
    """It looks at other tables, or asks for a lock that another client may hold."""
    _compare(Case((client, more), "wal", transactions, 0))


@sized(40)
@given(cases(clients=2, longest=6, alike=False))
def test_one_more_client_ends_as_on_a_plain_database(case: Case) -> None:
    """After one client, and in the middle of it: the same with and without memory, and at the end as without us."""
    note(f"{case}")
    _compare(case)


@pytest.mark.truth
@sized(2000)
@given(cases(clients=3, longest=6))
def test_one_more_client_ends_as_on_a_plain_database_at_length(case: Case) -> None:
    """The same beside two clients."""
    note(f"{case}")
    _compare(case)
