"""A small system: its variants, and the scenarios that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import field, frozen
from sqlalchemy import Engine, MetaData

from treadle import Client, Database, Property, Scenario, View

LEGACY = frozenset({"legacy"})
"""The driver's default transaction mode: no BEGIN before SELECT or SAVEPOINT."""

DEFERRED = frozenset({"begin", "autocommit-off"})
"""The modes in which every transaction is one, and takes the write lock when it first writes."""

EVERY_MODE = LEGACY | DEFERRED | {"immediate"}
"""All transaction modes."""


@frozen(kw_only=True)
class Variant:
    """One way to write the code of a system.

    Attributes:
        name: ``buggy``, or ``fixed-`` and how.
        clients: what each client does with the engine, by the client's name.
        properties: what must hold, each with a ``sometimes`` beside it.
        mode: the transaction mode that is the repair, or that the code is written for; None for code that
            takes any.
        violated: the properties that are known to be violated, and in which transaction modes.
    """

    name: str
    clients: Mapping[str, Callable[[Engine], Any]]
    properties: tuple[Property, ...]
    mode: str | None = None
    violated: Mapping[str, frozenset[str]] = field(factory=dict)


@frozen(kw_only=True)
class System:
    """A system with its variants.

    Attributes:
        name: what goes wrong in it.
        metadata: its tables.
        seed: writes the rows that are there before any client starts.
        variants: the mistake, and its repairs.
        mode: the transaction mode that is checked where none is asked for.
    """

    name: str
    metadata: MetaData
    seed: Callable[[Engine], object] | None = None
    variants: tuple[Variant, ...]
    mode: str = "legacy"

    def scenarios(self, *, journal: str, transactions: str | None) -> list[Scenario]:
        """Return one scenario for each variant.

        Args:
            journal: wal or delete.
            transactions: the transaction mode, or None for the system's own. A variant that has a mode of
                its own keeps it.
        """
        return [
            self._scenario(variant, journal, variant.mode or transactions or self.mode) for variant in self.variants
        ]

    def _scenario(self, variant: Variant, journal: str, mode: str) -> Scenario:
        database = Database(self.metadata, self.seed, journal=journal, transactions=mode)
        # Clients that do the same get the same object: nothing tells them apart.
        bound = {run: partial(run, database.engine) for run in variant.clients.values()}
        return Scenario(
            f"{self.name}/{variant.name}",
            database,
            [Client(name, bound[run]) for name, run in variant.clients.items()],
            variant.properties,
            expect_violated={name for name, modes in variant.violated.items() if mode in modes},
        )


def succeeded(view: View) -> int:
    """Return how many clients returned."""
    return len(view.returned())


def locked_out(view: View) -> dict[str, Exception]:
    """Return the clients that failed with ``database is locked``, and how."""
    return {name: error for name, error in view.raised().items() if "database is locked" in str(error)}
