"""An anomaly: transactions in which it shows if it can, and how to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import frozen
from sqlalchemy import Engine

from model.anomalies import Base, seed
from treadle import Breach, Client, Database, Property, Scenario, View, at_end, sometimes


@frozen(kw_only=True)
class Anomaly:
    """One way in which concurrent transactions differ from any serial order of them.

    Attributes:
        symbol: as in the literature.
        title: in words.
        clause: what is never the case where the anomaly is impossible.
        clients: the transactions, by the name of the client.
        shown: takes a view in which all clients have finished; returns how the anomaly shows, or nothing.
        possible: the transaction modes in which it shows; the same for both journal modes.
        why: one sentence: what makes it possible, and what impossible.
    """

    symbol: str
    title: str
    clause: str
    clients: Mapping[str, Callable[[Engine], Any]]
    shown: Callable[[View], str | None]
    possible: frozenset[str] = frozenset()
    why: str

    @property
    def never(self) -> str:
        """The name of the property that is violated where the anomaly is possible."""
        return f"no-{self.symbol}"

    @property
    def properties(self) -> tuple[Property, ...]:
        """The property that says that the anomaly never shows, and its witness."""
        return (
            at_end(self.clause, self._breaches, name=self.never),
            sometimes(
                "every transaction succeeds",
                lambda view: len(view.returned()) == len(self.clients),
                name="all-succeed",
            ),
        )

    def _breaches(self, view: View) -> list[Breach]:
        why = self.shown(view)
        return [] if why is None else [Breach(why, [("test", row) for row in view.rows("test")])]

    def scenario(self, *, journal: str, transactions: str) -> Scenario:
        """Return the scenario that decides whether the anomaly is possible.

        Args:
            journal: wal or delete.
            transactions: the transaction mode.
        """
        database = Database(Base.metadata, seed, journal=journal, transactions=transactions)
        return Scenario(
            f"anomalies/{self.symbol}",
            database,
            [Client(name, partial(run, database.engine)) for name, run in self.clients.items()],
            self.properties,
            expect_violated={self.never} if transactions in self.possible else (),
        )
