"""A scenario made runnable: sandbox, template, learned clients and a learned world."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from treadle.client.coroutine import Coroutine
from treadle.client.surroundings import Surroundings
from treadle.client.tree import LiveRun, Tree
from treadle.execution.alone import Alone
from treadle.execution.backend import Learned, Live
from treadle.execution.product import Product
from treadle.execution.state import LocalStates, State
from treadle.execution.symmetry import Symmetry, groups_of
from treadle.interning import kept
from treadle.scenario import Scenario
from treadle.values.errors import StuckClientError, UsageError
from treadle.values.fault import Placement
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.view import SerialEnd
from treadle.world.content import Library
from treadle.world.effects import Lexicon
from treadle.world.learned import LearnedWorld
from treadle.world.locality import Natures
from treadle.world.sandbox import Sandbox
from treadle.world.state import Book, WorldState
from treadle.world.world import Template, World


class System:
    """A scenario made runnable; a context manager that leaves nothing behind.

    Attributes:
        scenario: what is run.
        symmetry: which clients are taken for interchangeable.
        local_states: where local states are interned.
        product: what a search walks.
    """

    product: Product

    def __init__(
        self,
        scenario: Scenario,
        *,
        local: bool = True,
        constants: bool = True,
        memory: bool = True,
        symmetry: bool = False,
        fork: bool = True,
        keep_logs: bool = False,
        changed: frozenset[int] = frozenset(),
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            scenario: what is run.
            local: take local operations together, without a scheduling point between them.
            constants: take reads of what no client changes for local.
            memory: tell from memory what a stretch of operations does that was walked from another state.
            symmetry: take clients that run the same code for interchangeable, and learn them once.
            fork: go on from forked copies of live clients, where that is cheaper than a replay.
            keep_logs: never forget how a connection came to hold nothing.
            changed: the root pages of the tables and indexes that some client is known to change.
        """
        self.scenario = scenario
        self._groups = groups_of(scenario.clients)
        self.symmetry = Symmetry(groups_of(scenario.clients, symmetry=symmetry))
        self._local = local
        self._constants = constants
        self._memory = memory
        self._changed = set(changed)
        self._fork = fork
        self._surroundings = Surroundings(scenario.database.engine, scenario.max_step_s)
        self._book = Book(keep_logs=keep_logs)
        self.local_states = LocalStates(self._book)
        self._library = Library()
        self._natures = Natures(scenario.database.journal, Placement(scenario.faults_at))
        self._stack = contextlib.ExitStack()
        self._serial: dict[tuple[str, ...], SerialEnd] = {}
        self._directories = 0
        self._live_runs = 0

    def __enter__(self) -> Self:
        """Make the sandbox and the template, and warm the clients up."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(kept())
            self._sandbox = stack.enter_context(Sandbox())
            with self._surroundings:
                self._template = self._make_template()
                self._lexicon = self._make_lexicon(stack)
                self._warm_up()
            self._surroundings.randomness_used.clear()  # first use of a module may draw; that run is forgotten
            names = [client.name for client in self.scenario.clients]
            own = [
                Tree(client, self._surroundings, kin=names[group], fork=self._fork)
                for client, group in zip(self.scenario.clients, self._groups, strict=True)
            ]
            self._trees = tuple(own[group] for group in self.symmetry.groups)
            self.world = LearnedWorld(self._make_world(), self._book, self._natures)
            stack.callback(self.world.close)
            self._alone = Alone(
                self.world,
                self._surroundings,
                max_operations=self.scenario.max_operations,
                memory=self._memory,
            )
            stack.callback(self._abandon)
            self._learned = Learned(self._trees, self.world, self._book)
            self.product = self._make_product(self._learned)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Unwind clients, close connections, remove the sandbox."""
        self._stack.close()

    def active(self) -> Surroundings:
        """Return what must be entered around anything that may run clients."""
        return self._surroundings

    def _abandon(self) -> None:
        with self._surroundings:
            for tree in dict.fromkeys(self._trees):
                tree.abandon()
            self._alone.abandon()

    def silent_clients(self) -> list[str]:
        """Return the names of the clients of which no statement was observed."""
        return [
            client.name for client, tree in zip(self.scenario.clients, self._trees, strict=True) if not tree.ran_sql()
        ]

    @property
    def live_runs(self) -> int:
        """How often client code was started."""
        return sum(tree.live_runs for tree in dict.fromkeys(self._trees)) + self._alone.live_runs + self._live_runs

    # Worlds.

    def _make_directory(self) -> Path:
        self._directories += 1
        path = self._sandbox.path / f"world-{self._directories}"
        path.mkdir()
        return path

    def _make_world(self, book: Book | None = None, library: Library | None = None) -> World:
        return World(
            self._template, self._make_directory(), book or self._book, library or self._library, self._lexicon
        )

    def _make_template(self) -> Template:
        """Create the application's schema and seed rows in a file of our own."""
        database = self.scenario.database
        path = self._sandbox.path / "template.db"
        first = sqlite3.connect(path, isolation_level=None)
        try:
            first.execute(f"PRAGMA journal_mode = {database.journal}")
        finally:
            first.close()

        def connect(options: dict[str, Any]) -> sqlite3.Connection:
            connection: sqlite3.Connection = sqlite3.connect(path, **options)
            return connection

        with self._surroundings.opening(connect):
            database.create()
        last = sqlite3.connect(path, isolation_level=None)
        try:
            journal = last.execute("PRAGMA journal_mode").fetchone()[0]
            last.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            last.close()
        if journal != database.journal:
            raise UsageError(
                f"the scenario says journal={database.journal!r}, and the application set journal_mode={journal!r} "
                "when the database was created. Make the two agree."
            )
        return Template(path, journal)

    def _make_lexicon(self, stack: contextlib.ExitStack) -> Lexicon:
        """Open a copy of the template on which statements are compiled, once for all worlds."""
        path = self._sandbox.path / "lexicon.db"
        shutil.copyfile(self._template.path, path)
        connections = [sqlite3.connect(path, isolation_level=None, check_same_thread=False) for _ in range(2)]
        for connection in connections:
            stack.callback(connection.close)
        return Lexicon(*connections)

    def _warm_up(self) -> None:
        """Run each client once, alone, and forget it: first use imports modules and fills caches.

        Of those that run the same code, one does. What it does is executed, and next to nothing is kept of it: what is
        kept of a long run would be a part of all processes that are forked later.
        """
        for client in [self.scenario.clients[group] for group in dict.fromkeys(self._groups)]:
            world = self._make_world(Book(keep_logs=self._book.keep_logs), Library())
            run = Coroutine(client, self._surroundings)
            self._live_runs += 1
            try:
                with contextlib.suppress(StuckClientError):  # the search will meet it again
                    self._run_alone(run, world)
            finally:
                run.abandon()
                world.close()

    def _run_alone(self, run: Coroutine, world: World) -> None:
        """Run a client to its end, or for as many operations as it may take."""
        stop = run.resume()
        for _ in range(self.scenario.max_operations):
            if not isinstance(stop, Operation):
                break
            key = (0, stop.connection)
            effects = world.effects(stop, world.content.schema.number)
            self._changed |= self._natures.of(world.holding(key), stop, effects).changes
            stop = run.resume(world.perform(key, stop).observation)  # whom it would wait for is itself

    def _make_product(self, backend: Learned | Live, *, kind: type[Product] = Product, memory: bool = True) -> Product:
        scenario = self.scenario
        return kind(
            backend,
            self.local_states,
            names=tuple(client.name for client in scenario.clients),
            budget=(scenario.faults.locked, scenario.faults.crash),
            natures=self._natures,
            max_operations=scenario.max_operations,
            groups=self._groups,
            local=self._local,
            constants=memory and self._constants,
            memory=memory and self._memory,
            changed=frozenset(self._changed),
        )

    def another_product(self, kind: type[Product]) -> Product:
        """Return a product of another class over the learned clients and world, without memory of its own."""
        return self._make_product(self._learned, kind=kind, memory=False)

    def at(self, state: State) -> WorldState:
        """Return where the world is in a state."""
        return self._learned.at(state)

    # More executions.

    @contextlib.contextmanager
    def fresh_world(self) -> Iterator[World]:
        """Give a world to which nothing has happened."""
        world = self._make_world()
        try:
            yield world
        finally:
            world.close()

    @contextlib.contextmanager
    def live_runs_of_all(self) -> Iterator[tuple[LiveRun, ...]]:
        """Start all clients live, and unwind them in the end."""
        with contextlib.ExitStack() as stack:
            runs = []
            for tree in self._trees:
                runs.append(LiveRun(tree, self._surroundings))
                stack.callback(runs[-1].abandon)
            yield tuple(runs)

    @contextlib.contextmanager
    def live(self) -> Iterator[Product]:
        """Give a product of live clients on a fresh database, for one execution."""
        live = Live(self._trees, self._make_world(), self._surroundings)
        try:
            yield self._make_product(live)
        finally:
            live.close()

    def sequel(self, state: State, run: Callable[[], object]) -> Outcome:
        """Return how one more client ends that runs alone from a state, without faults."""
        return self.product.reaching(state, lambda: self._alone.sequel(self.at(state), run))

    def serial(self, order: tuple[str, ...]) -> SerialEnd:
        """Return how some clients end that run one after another from the start, without faults.

        Args:
            order: their names, in the order in which they run.
        """
        if order not in self._serial:
            names = [client.name for client in self.scenario.clients]
            state = self.world.root
            ends: dict[str, Outcome] = {}
            for name in order:
                position = names.index(name)
                node, state = self._alone.run(state, position, self._trees[position])
                state = self.world.vanish(state, position, only_idle=True)
                assert node.outcome is not None
                ends[name] = node.outcome
            self._serial[order] = SerialEnd(ends, state.content.committed)
        return self._serial[order]
