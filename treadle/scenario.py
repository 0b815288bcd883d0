"""Scenarios: a database, clients, properties and a fault budget."""

from __future__ import annotations

import os
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Self

from attrs import Attribute, define, evolve, field, frozen
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event

from treadle.application.copying import Copy, copied
from treadle.application.files import file_of, path_of_engine
from treadle.application.metadata import the_metadata
from treadle.values.allowed import above_zero, listed, named, require_one_of, whole
from treadle.values.display import names as enumerated
from treadle.values.display import quoted
from treadle.values.errors import UsageError
from treadle.values.fault import FaultBudget, Placement
from treadle.values.property import Kind, Property

JOURNALS = ("wal", "delete")
"""Journal modes (https://www.sqlite.org/pragma.html#pragma_journal_mode)."""

TRANSACTIONS = ("legacy", "begin", "immediate", "autocommit-off")
"""Driver transaction modes.

``legacy``
    The driver's default: it emits BEGIN before INSERT, UPDATE, DELETE and REPLACE, and at no other place
    (https://docs.python.org/3/library/sqlite3.html#transaction-control-via-the-isolation-level-attribute).
``begin``
    ``isolation_level = None`` and an explicit BEGIN on SQLAlchemy's begin event
    (https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, "Serializable isolation / Savepoints").
``immediate``
    The same with BEGIN IMMEDIATE.
``autocommit-off``
    ``autocommit=False``, Python 3.12 and later (PEP 249 transaction control).
"""

DEFAULT_BUSY_TIMEOUT_MS = 5000
"""The driver's default ``timeout`` of 5 seconds."""


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any, Attribute[Any], str], None]:
    def check(instance: object, attribute: Attribute[Any], value: str) -> None:
        del instance
        require_one_of(attribute.name, value, allowed)

    return check


def set_up_transactions(engine: Engine, transactions: str) -> None:
    """Make an engine begin its transactions in one of the ways in ``TRANSACTIONS``."""
    if transactions not in {"begin", "immediate"}:
        return
    statement = "BEGIN" if transactions == "begin" else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def take_control(connection: sqlite3.Connection, record: object) -> None:
        del record
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def emit_begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)


def synchronous(engine: object) -> object:
    """Return the engine behind an asynchronous one; anything else as it is."""
    inner = getattr(engine, "sync_engine", None)
    return inner if isinstance(inner, Engine) else engine


def require_engine(engine: object) -> Engine:
    """Return an engine that leads to an SQLite file, be it asynchronous.

    Raises:
        UsageError: it is something else.
    """
    engine = synchronous(engine)
    if not isinstance(engine, Engine):
        raise UsageError(
            f"engine={quoted(engine)}: it is no sqlalchemy.Engine. Pass the engine that create_engine or "
            "create_async_engine returned."
        )
    if engine.dialect.name != "sqlite":
        raise UsageError(
            f"engine={quoted(engine)}: its dialect is {quoted(engine.dialect.name)}, and only SQLite "
            "can be checked. Configure the application with an sqlite:/// URL for the check."
        )
    if not path_of_engine(engine):
        raise UsageError(
            f"engine={quoted(engine)}: each connection of an in-memory database has one of its own, and "
            "clients stand for processes that share one. Configure the application with the URL of a file; it "
            "is never written. If its connections come from creator=..., which the URL does not tell, name the file "
            "that they lead to, as Database.copy_of('app.db')."
        )
    return engine


@define(eq=False)
class Database:
    """The database that clients share.

    Attributes:
        schema: metadata whose tables are created, or a callable that is given the engine and creates them. Without it,
            the metadata that is loaded, if there is just one with tables.
        seed: a callable that is given the engine and writes the rows that are there before any client starts.
        engine: the application's own engine, synchronous or asynchronous. Without one, an engine is made; clients reach
            it as ``database.engine``. Its file is never touched: every connection goes to a private copy. Other
            engines and connections that lead to that file, now or later, lead to the copy too.
        journal: one of ``JOURNALS``.
        transactions: one of ``TRANSACTIONS``; describes (does not change) an engine of the application's own.
        busy_timeout_ms: the ``timeout`` of an engine that is made here, in milliseconds.
        copy: what a file of the application had in it, which is there before the schema is created and the seed runs;
            ``copy_of`` makes one.

    Raises:
        UsageError: a value is not one of those allowed, or this Python cannot do it; or no schema was given, and the
            metadata that is loaded is not just one.
    """

    schema: MetaData | Callable[[Engine], object] | None = None
    seed: Callable[[Engine], object] | None = None
    engine: Engine = field(kw_only=True, default=None)
    journal: str = field(kw_only=True, default="wal", validator=_one_of(JOURNALS))
    transactions: str = field(kw_only=True, default="legacy", validator=_one_of(TRANSACTIONS))
    busy_timeout_ms: int = field(kw_only=True, default=DEFAULT_BUSY_TIMEOUT_MS, validator=whole(least=0))
    copy: Copy | None = field(kw_only=True, default=None)

    def __attrs_post_init__(self) -> None:
        """Check the values, and make an engine where none was given."""
        if self.engine is not None:
            self.engine = require_engine(self.engine)
        elif self.schema is None:
            raise UsageError(
                "Database() was given neither a schema nor an engine: give the metadata, as Database(Base.metadata), "
                "or the application's engine, or copy a file, Database.copy_of('app.db')."
            )
        else:
            self.engine = self._make_engine()
        if self.schema is None and self.copy is None:
            self.schema = the_metadata(self.engine)

    def _make_engine(self) -> Engine:
        arguments: dict[str, Any] = {"timeout": self.busy_timeout_ms / 1000}
        if self.transactions == "autocommit-off":
            if sys.version_info < (3, 12):
                raise UsageError(
                    f"transactions='autocommit-off' needs Python 3.12 or later; this is {sys.version.split()[0]}. "
                    "Choose another transaction mode, or run a newer Python."
                )
            arguments["autocommit"] = False
        engine = create_engine(f"sqlite:////treadle/{uuid.uuid4().hex}.db", connect_args=arguments)
        set_up_transactions(engine, self.transactions)
        return engine

    @classmethod
    def copy_of(
        cls,
        source: Any,
        seed: Callable[[Engine], object] | None = None,
        *,
        journal: str | None = None,
        transactions: str = "legacy",
    ) -> Self:
        """Return a database with the schema and rows of a file, as they are now, which others may be using.

        The file is only read, once, now: by SQLite's online backup, and in a way that neither writes to it nor leaves
        anything beside it. If it is not there, or has no tables, what the application made in its place while it was
        loaded is taken.

        Args:
            source: the application's engine, synchronous or asynchronous; or the path of a file, or its ``file:`` URI,
                for applications that use ``sqlite3`` without an engine.
            seed: as for ``Database``; it runs on the copy.
            journal: one of ``JOURNALS``; by default that of the file.
            transactions: one of ``TRANSACTIONS``; a description, as for ``Database``.

        Raises:
            UsageError: the source leads to no file, or to one that cannot be read or has no tables.
        """
        if isinstance(source, (str, os.PathLike)):
            path = file_of(source, uri=True)
            if not path:
                raise UsageError(f"copy_of({quoted(source)}): this names no file. Write its path, as 'app.db'.")
            source = create_engine(URL.create("sqlite", database=path))
        engine = require_engine(source)
        copy = copied(path_of_engine(engine), _driver_of(engine))
        return cls(
            None, seed, engine=engine, journal=copy.journal if journal is None else journal, transactions=transactions,
            copy=copy,
        )  # fmt: skip

    @property
    def driver(self) -> Any:
        """The driver's module, ``sqlite3`` or one with its interface, as SQLAlchemy's ``module=`` may name."""
        return _driver_of(self.engine)

    def create(self) -> None:
        """Create the schema and write the seed rows through the engine."""
        if isinstance(self.schema, MetaData):
            self.schema.create_all(self.engine)
        elif self.schema is not None:
            self.schema(self.engine)
        if self.seed is not None:
            self.seed(self.engine)


def _driver_of(engine: Engine) -> Any:
    module = engine.dialect.dbapi
    return module if hasattr(module, "Cursor") else sqlite3.dbapi2


@frozen
class Client:
    """One concurrent actor.

    Attributes:
        name: unique in its scenario.
        run: a callable without arguments: what one request, job or process does. It is run many times.

    Raises:
        UsageError: the name is empty, or ``run`` cannot be called.
    """

    name: str
    run: Callable[[], object] = field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the values."""
        if not isinstance(self.name, str) or not self.name.strip():
            raise UsageError(f"{quoted(self.name)} is no name for a client: a name is a text that is not empty.")
        if not callable(self.run):
            raise UsageError(
                f"client {quoted(self.name)}: {quoted(self.run)} is no callable. Pass a function without arguments; "
                "bind arguments with functools.partial."
            )


def _clients(values: Iterable[Any]) -> tuple[Any, ...]:
    return listed("clients", values)


def _properties(values: Iterable[Any]) -> tuple[Any, ...]:
    return listed("properties", values)


def _expect_violated(values: Iterable[str]) -> frozenset[str]:
    return frozenset(named("expect_violated", values))


def _may_fail(values: Iterable[str]) -> frozenset[str]:
    return frozenset(named("may_fail", values))


def _placement(value: str) -> Placement:
    require_one_of("faults_at", value, [placement.value for placement in Placement])
    return Placement(value)


@frozen
class Scenario:
    """What is checked: a database, the clients that share it, what must hold, and which faults may happen.

    Attributes:
        name: how the scenario is called on the command line and in reports.
        database: what the clients share.
        clients: at least one; each has a name of its own.
        properties: at least one; each has a name of its own.
        faults: how many faults one execution may contain.
        faults_at: where ``locked`` faults are injected; by default, wherever SQLite itself could refuse a lock.
        expect_violated: names of the properties that are known to be violated. As with a strict xfail, the
            check is as expected when just these are violated.
        may_fail: names of the clients that need not succeed. Of any other, at least one execution must show that it
            returns, be it alone: a client that fails in all of them has not done what was asked of it, and nothing
            holds then.
        warm: each client's process has served a request before: it has run its client once, alone, on a database of
            its own. By default it is a fresh process, which has loaded the application and run nothing.
        max_operations: how many operations one client may take; a client that never ends stops there, and the
            run is inconclusive.
        max_step_s: how many seconds a client may compute between two operations; one that takes longer is
            stuck, and the run is inconclusive.
        origin: makes the scenario anew in another process; must pickle. Scenarios that a target of the command
            line names have one; workers on other machines need it.

    Raises:
        UsageError: there are no clients or properties, a name is taken twice, or a property that is expected
            to be violated, or a client that may fail, is not there.
    """

    name: str
    database: Database
    clients: tuple[Client, ...] = field(converter=_clients)
    properties: tuple[Property, ...] = field(converter=_properties)
    faults: FaultBudget = field(kw_only=True, factory=FaultBudget)
    faults_at: Placement = field(kw_only=True, default=Placement.REACHABLE, converter=_placement)
    expect_violated: frozenset[str] = field(kw_only=True, default=frozenset(), converter=_expect_violated)
    may_fail: frozenset[str] = field(kw_only=True, default=frozenset(), converter=_may_fail)
    warm: bool = field(kw_only=True, default=False)
    max_operations: int = field(kw_only=True, default=20_000, validator=whole(least=1))
    max_step_s: float = field(kw_only=True, default=10.0, validator=above_zero())
    origin: Callable[[], Scenario] | None = field(kw_only=True, default=None, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the values."""
        self._require_kinds()
        if not self.clients:
            raise UsageError(f"scenario {quoted(self.name)} has no clients: a scenario needs at least one Client.")
        if not self.properties:
            raise UsageError(
                f"scenario {quoted(self.name)} has no properties, so nothing could be decided: give it at least one of "
                "always(...), at_end(...), sometimes(...)."
            )
        for things, kind in ((self.clients, Client), (self.properties, Property)):
            for thing in things:
                if not isinstance(thing, kind):
                    raise UsageError(
                        f"scenario {quoted(self.name)}: {quoted(thing)} is no {kind.__name__}. Wrap it in one."
                    )
            names = [thing.name for thing in things]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise UsageError(
                    f"scenario {quoted(self.name)}: {kind.__name__} name {quoted(twice[0])} is taken twice. "
                    "Rename one of them."
                )
        for option, sort, given, there in (
            ("expect_violated", "property", self.expect_violated, [item.name for item in self.properties]),
            ("may_fail", "client", self.may_fail, [client.name for client in self.clients]),
        ):
            unknown = sorted(given - set(there))
            if unknown:
                raise UsageError(
                    f"scenario {quoted(self.name)}: {option} names {quoted(unknown[0])}, which is no {sort} of it; it "
                    f"has {enumerated(sorted(there))}. Correct the name."
                )

    def _require_kinds(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise UsageError(f"{quoted(self.name)} is no name for a scenario: a name is a text that is not empty.")
        if not isinstance(self.database, Database):
            raise UsageError(f"scenario {self.name!r}: {quoted(self.database)} is no Database. Wrap it in one.")
        if not isinstance(self.faults, FaultBudget):
            raise UsageError(
                f"scenario {self.name!r}: faults={quoted(self.faults)} is no fault budget. Write FaultBudget(locked=1)."
            )

    def with_faults(self, faults: FaultBudget, faults_at: Placement) -> Scenario:
        """Return this scenario with another fault budget and placement."""
        return evolve(self, faults=faults, faults_at=faults_at)

    @property
    def ends(self) -> tuple[Property, ...]:
        """The properties that are decided when all clients have finished."""
        return tuple(item for item in self.properties if item.kind is not Kind.ALWAYS)

    @property
    def invariants(self) -> tuple[Property, ...]:
        """The properties that are decided in every committed state."""
        return tuple(item for item in self.properties if item.kind is Kind.ALWAYS)
