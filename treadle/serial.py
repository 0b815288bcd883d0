"""Serial equivalence: a property that needs no author.

An execution is right if it could have been had without concurrency: the committed rows it leaves, and what its
successful clients were told, are those of some order in which just these clients run one after another
(serializability, as in Papadimitriou, "The Serializability of Concurrent Database Updates", 1979, here decided on
outcomes, not on conflicts). It flags lost updates, write skew, duplicates by check-then-insert, and partial work
of failed clients.

Rows are compared up to a renaming of surrogate keys: the values that SQLite chose for an INTEGER PRIMARY KEY of a
row that was not there in the beginning, and foreign keys that refer to it. Two contents are the same if their rows
get the same colours by colour refinement (Weisfeiler and Leman, 1968): the colour of a row is made of its other
columns, of the colours of the rows it refers to, and of those that refer to it, until nothing more is told apart.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen
from sqlalchemy.exc import DBAPIError

from treadle.values.operation import canonical
from treadle.values.outcome import Outcome, Raised, Returned
from treadle.values.property import Breach, Property, at_end
from treadle.values.view import Committed, Table, View

_CLAUSE = "what is committed, and what successful clients were told, is as if just these had run one after another"


def has_returned(outcome: Outcome) -> bool:
    """Tell whether a client returned: what counts as success where nothing else is said."""
    return isinstance(outcome, Returned)


def was_refused(outcome: Outcome) -> bool:
    """Tell whether a client raised an exception of its own, not one of the database's: a refusal by a rule."""
    return isinstance(outcome, Raised) and not isinstance(outcome.exception, DBAPIError)


def _told(outcome: Outcome) -> object:
    return outcome.value if isinstance(outcome, Returned) else str(outcome)


def serial_equivalence(
    *,
    succeeded: Callable[[Outcome], bool] = has_returned,
    refused: Callable[[Outcome], bool] | None = was_refused,
    result: Callable[[Outcome], object] = _told,
    rename_keys: bool = True,
    name: str = "serial-equivalence",
) -> Property:
    """Build the property that every execution is equivalent to one without concurrency.

    Args:
        succeeded: tells whether a client did what it was asked to do; by default, whether it returned.
        refused: tells whether a client was refused by a rule of the application: it must then be refused at some
            place in the serial order too. None switches this half off. By default, whether it raised an exception
            that is not the database's. A client that neither succeeded nor was refused has failed, and must have
            left nothing.
        result: what a successful client was told, as far as it is compared; by default the value it returned.
        rename_keys: compare rows up to a renaming of surrogate keys; without, exactly.
        name: the property's name.
    """
    rules = _Rules(succeeded, refused, result, rename_keys)
    return at_end(_CLAUSE, rules.breaches, name=name)


@frozen
class _Rules:
    """How outcomes and rows are compared."""

    succeeded: Callable[[Outcome], bool]
    refused: Callable[[Outcome], bool] | None
    result: Callable[[Outcome], object]
    rename_keys: bool

    def breaches(self, view: View) -> list[Breach]:
        """Return why no serial order explains a view; nothing if one does."""
        done = [name for name, outcome in view.outcomes.items() if self.succeeded(outcome)]
        turned_away = [
            name
            for name, outcome in view.outcomes.items()
            if name not in done and self.refused is not None and self.refused(outcome)
        ]
        reasons: list[str] = []
        for order in itertools.permutations(done):
            reason = self._difference(view, order, turned_away)
            if not reason:
                return []
            if reason not in reasons:
                reasons.append(reason)
        return [Breach(f"{self._summary(view, done, turned_away)}, and {'; and '.join(reasons)}")]

    @staticmethod
    def _summary(view: View, done: list[str], turned_away: list[str]) -> str:
        failed = [name for name in view.outcomes if name not in done and name not in turned_away]
        parts = [
            f"{', '.join(names)} {word}"
            for names, word in ((done, "succeeded"), (turned_away, "refused"), (failed, "failed"))
            if names
        ]
        return "; ".join(parts)

    def _difference(self, view: View, order: tuple[str, ...], turned_away: list[str]) -> str:
        """Return how a serial execution differs from a view; empty if it does not."""
        title = f"alone in the order {', '.join(order)}" if order else "without any of them"
        end = view.serially(*order)
        for name in order:
            expected, got = end.outcomes[name], view.outcomes[name]
            if not self.succeeded(expected):
                return f"{title}, {name} {expected}"
            if canonical(self.result(expected)) != canonical(self.result(got)):
                return f"{title}, {name} gets {self.result(expected)!r} and not {self.result(got)!r}"
        mine, other = self._colours(view, view.committed), self._colours(view, end.committed)
        if mine != other:
            tables = sorted(table for table in mine if mine[table] != other.get(table))
            return f"{title}, the rows of {', '.join(tables)} would be others"
        for name in turned_away:
            if not any(self._refuses(view, order[:place], name) for place in range(len(order) + 1)):
                return f"{title}, {name} is refused nowhere"
        return ""

    def _refuses(self, view: View, before: tuple[str, ...], name: str) -> bool:
        assert self.refused is not None
        return self.refused(view.serially(*before, name).outcomes[name])

    def _colours(self, view: View, committed: Committed) -> dict[str, Counter[bytes]]:
        if not self.rename_keys:
            return {name: Counter(canonical(row) for row in table.values) for name, table in committed.tables.items()}
        return colours(committed, view.initial)


def colours(committed: Committed, initial: Committed) -> dict[str, Counter[bytes]]:
    """Return, for each table, how many rows have which colour.

    Args:
        committed: the rows.
        initial: the rows whose keys are kept: they were there before any client started.
    """
    rows = [(name, number) for name, table in committed.tables.items() for number in range(len(table.values))]
    links = list(_links(committed))
    colour = {(name, number): _digest((name, _plain(committed, initial, name, number))) for name, number in rows}
    kinds = len(set(colour.values()))
    while True:
        around: dict[tuple[str, int], list[tuple[int, str, bytes]]] = defaultdict(list)
        for source, column, target in links:
            around[source].append((0, column, colour[target]))
            around[target].append((1, column, colour[source]))
        # Every content must give the same colour the same name, so it is a digest of what the colour is made of.
        finer = {row: _digest((colour[row], *sorted(around[row]))) for row in rows}
        if len(set(finer.values())) == kinds:
            break
        colour, kinds = finer, len(set(finer.values()))
    found: dict[str, Counter[bytes]] = {name: Counter() for name in committed.tables}
    for (name, _), shade in finer.items():
        found[name][shade] += 1
    return found


def _digest(value: object) -> bytes:
    return hashlib.blake2b(canonical(value), digest_size=16).digest()


def _is_new(initial: Committed, table: str, key: object) -> bool:
    before = initial.tables.get(table)
    if before is None or before.key is None:
        return True
    place = before.columns.index(before.key)
    return all(row[place] != key for row in before.values)


def _plain(committed: Committed, initial: Committed, name: str, number: int) -> tuple[Any, ...]:
    """Return a row's values with what may be renamed left out."""
    table = committed.tables[name]
    row = table.values[number]
    surrogate = {table.key: name} if table.key is not None else {}
    surrogate |= {link.column: link.table for link in table.references if _has_key(committed, link.table)}
    return tuple(
        None if column in surrogate and value is not None and _is_new(initial, surrogate[column], value) else value
        for column, value in zip(table.columns, row, strict=True)
    )


def _has_key(committed: Committed, name: str) -> bool:
    table = committed.tables.get(name)
    return table is not None and table.key is not None


def _links(committed: Committed) -> Iterator[tuple[tuple[str, int], str, tuple[str, int]]]:
    """Yield which row refers by which column to which row."""
    places = {name: _by_key(table) for name, table in committed.tables.items()}
    for name, table in committed.tables.items():
        for link in table.references:
            if not _has_key(committed, link.table):
                continue
            column = table.columns.index(link.column)
            for number, row in enumerate(table.values):
                target = places[link.table].get(row[column])
                if target is not None:
                    yield (name, number), link.column, (link.table, target)


def _by_key(table: Table) -> dict[Any, int]:
    if table.key is None:
        return {}
    place = table.columns.index(table.key)
    return {row[place]: number for number, row in enumerate(table.values)}
