"""A scenario made runnable: sandbox, template, learned clients and a learned world."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from treadle.client.surroundings import Surroundings
from treadle.client.tree import LiveRun, Node, Tree
from treadle.execution.product import Product, State
from treadle.scenario import Client, Scenario
from treadle.values.errors import StuckClientError, UsageError
from treadle.values.fault import Placement
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.signals import OperationBoundError
from treadle.values.view import SerialEnd
from treadle.world.content import Library
from treadle.world.effects import Effects, Lexicon
from treadle.world.learned import LearnedWorld
from treadle.world.sandbox import Sandbox
from treadle.world.state import Book, Key, Transition, WorldState
from treadle.world.world import Template, World

_SEQUEL = 1_000_000
"""Positions of clients that run after all others, as the world knows them, start here."""


class Learned:
    """The backend that asks what was learned, and learns what was not."""

    def __init__(self, trees: tuple[Tree, ...], world: LearnedWorld) -> None:
        """Join clients and a world."""
        self._trees = trees
        self._world = world
        self.journal = world.journal
        self.perform = world.perform
        self.vanish = world.vanish
        self.effects = world.effects

    def roots(self) -> tuple[Node, ...]:
        """Return where the clients start."""
        return tuple(tree.root() for tree in self._trees)

    def start(self) -> WorldState:
        """Return where the world starts."""
        return self._world.root

    def after(self, client: int, node: Node, observation: Observation) -> Node:
        """Return where a client is after an observation."""
        return self._trees[client].after(node, observation)


class Live:
    """The backend that runs everything: the clients' real code, interleaved, on a fresh real database.

    It goes forward only: an operation can be performed in the present state, and in no other. What the clients
    do is compared with their trees.
    """

    def __init__(self, trees: tuple[Tree, ...], world: World, surroundings: Surroundings) -> None:
        """Start nothing yet."""
        self._trees = trees
        self._world = world
        self._surroundings = surroundings
        self._runs: tuple[LiveRun, ...] = ()
        self.journal = world.journal

    def roots(self) -> tuple[Node, ...]:
        """Start the clients, and return where they are."""
        self._runs = tuple(LiveRun(tree, self._surroundings) for tree in self._trees)
        return tuple(run.node for run in self._runs)

    def start(self) -> WorldState:
        """Return where the world is."""
        return self._world.state

    def after(self, client: int, node: Node, observation: Observation) -> Node:
        """Let a client go on, and return where it is."""
        run = self._runs[client]
        assert run.node is node
        run.resume(observation)
        return run.node

    def effects(self, state: WorldState, operation: Operation) -> Effects:
        """Return what a statement does to locks."""
        return self._world.effects(operation, state.content.schema.number)

    def perform(self, state: WorldState, key: Key, operation: Operation, *, outside: bool = False) -> Transition:
        """Execute an operation."""
        assert state is self._world.state
        return self._world.perform(key, operation, outside=outside)

    def vanish(self, state: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Close connections of a client without its doing."""
        assert state is self._world.state
        return self._world.vanish(client, only_idle=only_idle)

    def close(self) -> None:
        """Unwind the clients, and close the world."""
        for run in self._runs:
            run.abandon()
        self._world.close()


class System:
    """A scenario made runnable; a context manager that leaves nothing behind.

    Attributes:
        scenario: what is run.
        product: what a search walks.
    """

    product: Product

    def __init__(self, scenario: Scenario, *, local: bool = True, keep_logs: bool = False) -> None:
        """Prepare; nothing runs yet.

        Args:
            scenario: what is run.
            local: take local operations together, without a scheduling point between them.
            keep_logs: never forget how a connection came to hold nothing.
        """
        self.scenario = scenario
        self._local = local
        self._surroundings = Surroundings(scenario.database.engine, scenario.max_step_s)
        self._book = Book(keep_logs=keep_logs)
        self._library = Library()
        self._stack = contextlib.ExitStack()
        self._sequels: dict[Callable[[], object], tuple[int, Tree]] = {}
        self._serial: dict[tuple[str, ...], SerialEnd] = {}
        self._directories = 0
        self._live_runs = 0

    def __enter__(self) -> Self:
        """Make the sandbox and the template, and warm the clients up."""
        with contextlib.ExitStack() as stack:
            self._sandbox = stack.enter_context(Sandbox())
            with self._surroundings:
                self._template = self._make_template()
                self._lexicon = self._make_lexicon(stack)
                self._warm_up()
            self._surroundings.randomness_used.clear()  # first use of a module may draw; that run is forgotten
            self._trees = tuple(Tree(client, self._surroundings) for client in self.scenario.clients)
            self.world = LearnedWorld(self._make_world(), self._book)
            stack.callback(self.world.close)
            stack.callback(self._abandon)
            self.product = self._make_product(Learned(self._trees, self.world))
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
            for tree in (*self._trees, *(tree for _, tree in self._sequels.values())):
                tree.abandon()

    def silent_clients(self) -> list[str]:
        """Return the names of the clients of which no statement was observed."""
        return [tree.client.name for tree in self._trees if not tree.ran_sql()]

    @property
    def live_runs(self) -> int:
        """How often client code was started."""
        return (
            sum(tree.live_runs for tree in self._trees)
            + sum(tree.live_runs for _, tree in self._sequels.values())
            + self._live_runs
        )

    # Worlds.

    def _make_directory(self) -> Path:
        self._directories += 1
        path = self._sandbox.path / f"world-{self._directories}"
        path.mkdir()
        return path

    def _make_world(self) -> World:
        return World(self._template, self._make_directory(), self._book, self._library, self._lexicon)

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
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        stack.callback(connection.close)
        return Lexicon(connection)

    def _warm_up(self) -> None:
        """Run each client once, alone, and forget it: first use imports modules and fills caches."""
        for client in self.scenario.clients:
            world = self._make_world()
            tree = Tree(client, self._surroundings)
            live = Live((tree,), world, self._surroundings)
            try:
                with contextlib.suppress(OperationBoundError, StuckClientError):  # the search will meet it again
                    run_alone(self._make_product(live, names=(client.name,), budget=(0, 0)))
            finally:
                live.close()
                tree.abandon()
                self._live_runs += tree.live_runs

    def _make_product(
        self,
        backend: Learned | Live,
        *,
        names: tuple[str, ...] | None = None,
        budget: tuple[int, int] | None = None,
        offset: int = 0,
        kind: type[Product] = Product,
    ) -> Product:
        scenario = self.scenario
        return kind(
            backend,
            names=tuple(client.name for client in scenario.clients) if names is None else names,
            budget=(scenario.faults.locked, scenario.faults.crash) if budget is None else budget,
            placement=Placement(scenario.faults_at),
            max_operations=scenario.max_operations,
            local=self._local,
            offset=offset,
        )

    def another_product(self, kind: type[Product]) -> Product:
        """Return a product of another class over the learned clients and world."""
        return self._make_product(Learned(self._trees, self.world), kind=kind)

    # More executions.

    @contextlib.contextmanager
    def live(self) -> Iterator[Product]:
        """Give a product of live clients on a fresh database, for one execution."""
        live = Live(self._trees, self._make_world(), self._surroundings)
        try:
            yield self._make_product(live)
        finally:
            live.close()

    def sequel(self, world: WorldState, run: Callable[[], object]) -> Outcome:
        """Return how one more client ends that runs alone from a state of the world, without faults."""
        if run not in self._sequels:
            client = Client(f"sequel {len(self._sequels) + 1}", run)
            self._sequels[run] = (_SEQUEL + len(self._sequels), Tree(client, self._surroundings))
        offset, tree = self._sequels[run]
        product = self._make_product(
            Learned((tree,), self.world), names=(tree.client.name,), budget=(0, 0), offset=offset
        )
        end = run_alone(product, world)
        outcome = end.nodes[0].outcome
        assert outcome is not None
        return outcome

    def serial(self, order: tuple[str, ...]) -> SerialEnd:
        """Return how some clients end that run one after another from the start, without faults.

        Args:
            order: their names, in the order in which they run.
        """
        if order not in self._serial:
            names = [client.name for client in self.scenario.clients]
            product = self._make_product(Learned(self._trees, self.world), budget=(0, 0))
            state = product.root()
            for name in order:
                client = names.index(name)
                while own := [choice for choice in product.choices(state) if choice.client == client]:
                    state = product.run(state, own[0]).after
            ends = {name: state.nodes[names.index(name)].outcome for name in order}
            self._serial[order] = SerialEnd(
                {name: outcome for name, outcome in ends.items() if outcome is not None},
                state.world.content.committed,
            )
        return self._serial[order]


def run_alone(product: Product, world: WorldState | None = None) -> State:
    """Follow the first choice everywhere, to the end."""
    state = product.root(world)
    while choices := product.choices(state):
        state = product.run(state, choices[0]).after
    return state
