"""A scenario made runnable: sandbox, template, learned clients and a learned world."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from attrs import evolve, frozen

from treadle.application.files import path_of_engine
from treadle.client.forkserver import ForkServer
from treadle.client.guard import Files, Guard, guarded
from treadle.client.inside import Run
from treadle.client.surroundings import Surroundings
from treadle.client.tree import Node, Tree
from treadle.execution.alone import Alone, Noted, run_to_end
from treadle.execution.backend import Learned, Live
from treadle.execution.plain import PlainExecution
from treadle.execution.product import Product
from treadle.execution.state import LocalStates, State
from treadle.execution.symmetry import Symmetry, groups_of
from treadle.interning import kept
from treadle.scenario import Client, Scenario
from treadle.values.errors import ChallengeError, NondeterminismError, UnsupportedOperationError, UsageError
from treadle.values.fault import Placement
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.schedule import Choice
from treadle.values.signals import (
    EndsMatterError,
    HistoryNeededError,
    LogsNeededError,
    NamesMatterError,
    NotLocalError,
    SignalError,
)
from treadle.values.trace import Setting
from treadle.values.view import SerialEnd
from treadle.world.connection import name_of
from treadle.world.content import ContentStore
from treadle.world.effects import Lexicon
from treadle.world.footprint import Footprints
from treadle.world.learned import LearnedWorld
from treadle.world.library import library_of
from treadle.world.sandbox import Sandbox
from treadle.world.state import Book, WorldState
from treadle.world.world import Template, World


@frozen
class Known:
    """What is taken for granted of a scenario, until a check finds out that it is not so and starts over.

    Attributes:
        keep_logs: more than settings outlives what a connection held.
        names_alike: clients that run the same code are interchangeable.
        ends_visible: some property of every committed state looks at how clients have ended.
        locality: operations can be taken for local.
        history: what may depend on the whole execution, or an empty text.
        isolated: nothing of a client outlives its run: every run has a fresh process.
        challenges: how many there must be at least, for one of so many has found something that was not isolated.
    """

    keep_logs: bool = False
    names_alike: bool = True
    ends_visible: bool = False
    locality: bool = True
    history: str = ""
    isolated: bool = False
    challenges: int = 0


Surprise = SignalError | NondeterminismError | ChallengeError
"""What may tell that something was taken for granted wrongly."""


def less_known(known: Known, error: Surprise) -> Known:
    """Return what can still be taken for granted after something was not as it was taken to be.

    Raises:
        Exception: the error itself, where it says nothing of the kind.
    """
    match error:
        case LogsNeededError():
            return evolve(known, keep_logs=True)
        case NamesMatterError():
            return evolve(known, names_alike=False)
        case EndsMatterError():
            return evolve(known, ends_visible=True)
        case NotLocalError() if known.locality:
            return evolve(known, locality=False)
        case NondeterminismError() if not known.isolated:
            return evolve(known, isolated=True)
        case ChallengeError() if not known.isolated:
            return evolve(known, isolated=True, challenges=error.count)
        case HistoryNeededError():
            return evolve(known, history=str(error))
    raise error


_DUMPED_BYTES = 4 * 2**20
"""How large a database may be that reports have the statements of."""


@frozen
class OpensCopy:
    """Opens connections to a copy of a file that a process makes for itself: a way to run a client that pickles.

    Attributes:
        path: of the file.
        driver: the name of the driver's module.
    """

    path: Path
    driver: str

    def __call__(self, run: Run) -> Callable[[dict[str, Any]], Any]:
        """Return what opens connections, in the client's process."""
        own = self.path.with_name(f"warm-{os.getpid()}.db")
        shutil.copyfile(self.path, own)
        opens = OpensTemplate(own, self.driver)(run)
        made: list[Any] = []

        def noted(options: dict[str, Any]) -> Any:
            made.append(opens(options))
            return made[-1]

        def lock_up() -> None:
            for connection in made:
                run.lock_up(connection)

        run.at_end = lock_up
        return noted


@frozen
class OpensTemplate:
    """Opens connections of the seed, to the file that every world is a copy of: a way to start it that pickles.

    Attributes:
        path: of the file.
        driver: the name of the driver's module.
    """

    path: Path
    driver: str

    def __call__(self, seed: Run) -> Callable[[dict[str, Any]], Any]:
        """Return what opens connections, in the seed's process."""
        driver = importlib.import_module(self.driver)
        connect = driver.Connection

        def opens(options: dict[str, Any]) -> Any:
            name = name_of(self.path, options)
            options = {key: value for key, value in options.items() if key not in {"uri", "mode"}}
            return seed.opened(lambda: connect(name, uri=True, **options))

        return opens


class System:
    """A scenario made runnable; a context manager that leaves nothing behind.

    Attributes:
        scenario: what is run.
        symmetry: which clients are taken for interchangeable.
        local_states: where local states are interned.
        product: what a search walks.
        shows_ends: all states are met that differ in how clients have ended.
        answers: to give its answer is an operation of a client.
    """

    product: Product

    def __init__(
        self,
        scenario: Scenario,
        known: Known | None = None,
        *,
        local: bool = True,
        memory: bool = True,
        symmetry: bool = False,
        fork: bool = True,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            scenario: what is run.
            known: what is taken for granted.
            local: take local operations together, without a scheduling point between them.
            memory: tell from memory what a stretch of operations does that was walked from another state.
            symmetry: take clients that run the same code for interchangeable, and learn them once.
            fork: go on from copies of the clients' processes.
        """
        known = known or Known()
        self.scenario = scenario
        self._groups = groups_of(scenario.clients)
        self.symmetry = Symmetry(groups_of(scenario.clients, symmetry=symmetry))
        self._local = local and known.locality and not known.history
        self._memory = memory
        self._fork = fork
        self._ends_visible = known.ends_visible
        self._isolates = known.isolated
        self._everything_known = not known.history
        self.shows_ends = known.ends_visible or not self._local
        self.answers = self.shows_ends or scenario.faults.crash > 0  # a client may die before it has answered
        self._book = Book(keep_logs=known.keep_logs or bool(known.history))
        self.local_states = LocalStates(self._book)
        self._contents = ContentStore()
        self._plain_contents = ContentStore()
        placement = Placement(scenario.faults_at)
        self._footprints = Footprints(scenario.database.journal, placement, local=known.locality)
        self._stack = contextlib.ExitStack()
        self._serial: dict[tuple[str, ...], SerialEnd] = {}
        self._setting: Setting | None = None
        self._directories = 0
        self._live_runs = 0

    def __enter__(self) -> Self:
        """Make the sandbox, the fork server and the template."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(kept())
            self._sandbox = stack.enter_context(Sandbox())
            database = self.scenario.database
            self._template_path = self._sandbox.path / "template.db"
            self._refused: list[UnsupportedOperationError] = []
            path = path_of_engine(database.engine)
            stack.enter_context(guarded(Guard(Files([path] if path else []), self._refused.append)))
            surroundings = Surroundings(database.engine, database.driver, library_of(database.driver))
            self._server = ForkServer(
                self.scenario.clients,
                database,
                surroundings,
                self.scenario.max_step_s,
                answers=self.answers,
                isolates=self._isolates,
                warm=OpensCopy(self._template_path, database.driver.__name__) if self.scenario.warm else None,
            )
            stack.callback(self._server.close)
            self._template = self._make_template()
            self._lexicon = self._make_lexicon(stack)
            names = [client.name for client in self.scenario.clients]
            own = [
                Tree(client, self._server, kin=names[group], copies=self._fork)
                for client, group in zip(self.scenario.clients, self._groups, strict=True)
            ]
            self._trees = tuple(own[group] for group in self.symmetry.groups)
            self.world = LearnedWorld(self._make_world(), self._book, self._footprints)
            stack.callback(self.world.close)
            self._alone = Alone(self.world, self._server, max_operations=self.scenario.max_operations)
            stack.callback(self._abandon)
            self._learned = Learned(self._trees, self.world, self._book)
            self.product = self._make_product(self._learned, local=self._local, memory=self._memory)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Unwind clients, close connections, remove the sandbox."""
        self._stack.close()

    @property
    def drew(self) -> frozenset[str]:
        """The names of the clients that drew from a random source, each of which is seeded with a client's name."""
        return frozenset(self._server.drew)

    @property
    def processes(self) -> int:
        """How many processes of clients were started, copies not counted."""
        return self._server.started

    def verify(self) -> None:
        """Let fresh processes do what was learned in processes that had run their client before.

        Raises:
            NondeterminismError: one does something else.
            UnsupportedOperationError: a property would have opened the application's own database, or a function that
                a client gave SQLite could not be called.
        """
        if self._refused:  # a predicate may have made nothing of it
            raise self._refused[0]
        if self._server.lending.lost is not None:  # SQLite made an error of its own of it
            raise self._server.lending.lost
        if not self._isolates:
            for tree in dict.fromkeys(self._trees):
                tree.verify()

    @property
    def roots(self) -> list[Node]:
        """Where what was learned of each client begins."""
        return [root for tree in dict.fromkeys(self._trees) if (root := tree.learned) is not None]

    def _abandon(self) -> None:
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

    def setting(self) -> Setting:
        """Return where executions take place, with the statements that make what is there from the start."""
        if self._setting is None:
            database, template = self.scenario.database, self._template
            reader = template.driver.connect(template.path, isolation_level=None)
            try:
                small = template.path.stat().st_size <= _DUMPED_BYTES
                dump = tuple(reader.iterdump()) if small and hasattr(reader, "iterdump") else ()
            except (template.driver.Error, UnicodeError):  # what no text can say, as a name that is no UTF-8
                dump = ()
            finally:
                reader.close()
            self._setting = Setting(
                template.journal,
                database.transactions,
                template.driver.__name__,
                template.driver.sqlite_version,
                sqlalchemy.__version__,
                platform.python_version(),
                dump,
            )
        return self._setting

    # Worlds.

    def _make_directory(self) -> Path:
        self._directories += 1
        path = self._sandbox.path / f"world-{self._directories}"
        path.mkdir()
        return path

    def _make_world(
        self, book: Book | None = None, contents: ContentStore | None = None, *, everything_known: bool | None = None
    ) -> World:
        return World(
            self._template,
            self._make_directory(),
            book or self._book,
            contents or self._contents,
            lexicon=self._lexicon,
            footprints=self._footprints,
            everything_known=self._everything_known if everything_known is None else everything_known,
        )

    def _make_template(self) -> Template:
        """Create the application's schema and seed rows in a file of our own."""
        database = self.scenario.database
        path = self._template_path
        driver = database.driver
        if database.copy is not None:
            path.write_bytes(database.copy.content)
        first = driver.connect(path, isolation_level=None)
        try:
            first.execute(f"PRAGMA journal_mode = {database.journal}")
        finally:
            first.close()

        self._server.seed(OpensTemplate(path, driver.__name__))
        last = driver.connect(path, isolation_level=None)
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
        return Template(path, journal, driver)

    def _make_lexicon(self, stack: contextlib.ExitStack) -> Lexicon:
        """Open a copy of the template on which statements are compiled, once for all worlds."""
        path = self._sandbox.path / "lexicon.db"
        shutil.copyfile(self._template.path, path)
        driver = self._template.driver
        connection = driver.connect(path, isolation_level=None, check_same_thread=False)
        stack.callback(connection.close)
        return Lexicon(connection, self._template.journal)

    def _run_live(self, client: Client, world: World, position: int) -> Outcome:
        """Run a client's code to its end, with nobody beside it, in a world where others may have been."""
        process = self._server.start(client)
        self._live_runs += 1
        try:
            return run_to_end(process, world, position, self.scenario.max_operations)
        finally:
            self._server.put_back(client, process)

    def _make_product(self, backend: Learned | Live, *, local: bool, memory: bool) -> Product:
        scenario = self.scenario
        return Product(
            backend,
            self.local_states,
            names=tuple(client.name for client in scenario.clients),
            budget=(scenario.faults.locked, scenario.faults.crash),
            footprints=self._footprints,
            max_operations=scenario.max_operations,
            groups=self._groups,
            local=local,
            memory=memory,
            ends_visible=self._ends_visible,
        )

    def unreduced(self) -> Product:
        """Return a product of what was learned in which each operation is a choice, and no choices are left out.

        Its states are those of ``product``.
        """
        return self._make_product(self._learned, local=False, memory=False)

    def at(self, state: State) -> WorldState:
        """Return where the world is in a state."""
        return self._learned.at(state)

    # More executions.

    @contextlib.contextmanager
    def live(self, *, fresh: bool = True, sources: bool = False) -> Iterator[Product]:
        """Give a product of live clients on a fresh database, for one execution: nothing is learned or left out.

        Args:
            fresh: the clients have fresh processes in any case.
            sources: the lines of the application that ask for operations are told.
        """
        live = Live(self._trees, self._make_world(), self._server, fresh=fresh, sources=sources)
        try:
            yield self._make_product(live, local=False, memory=False)
        finally:
            live.close()

    @contextlib.contextmanager
    def plain(self) -> Iterator[PlainExecution]:
        """Give a plain execution on a fresh database, which shares nothing with what was learned."""
        scenario = self.scenario
        path = self._make_directory() / "plain.db"
        shutil.copyfile(self._template.path, path)
        execution = PlainExecution.on(
            path,
            self._template.journal,
            self._template.driver,
            clients=tuple(scenario.clients),
            server=self._server,
            faults=(scenario.faults.locked, scenario.faults.crash),
            outside=scenario.faults_at is Placement.REACHABLE,
            contents=self._plain_contents,
            max_operations=scenario.max_operations,
        )
        self._live_runs += len(scenario.clients)
        try:
            yield execution
        finally:
            execution.close()
            shutil.rmtree(path.parent)

    def live_sequel(self, path: Sequence[Choice], run: Callable[[], object]) -> Outcome:
        """Return how one more client ends that runs alone where choices lead to, all of it live.

        Args:
            path: the choices, from the start.
            run: what the client does.
        """
        world = self._make_world()
        live = Live(self._trees, world, self._server)
        try:
            product = self._make_product(live, local=False, memory=False)
            for _ in product.walk(tuple(path)):
                pass
            return self._run_live(Client("sequel", run), world, len(self.scenario.clients))
        finally:
            live.close()

    def sequel(self, state: State, run: Callable[[], object]) -> Outcome:
        """Return how one more client ends that runs alone from a state, without faults."""
        return self.product.reaching(state, lambda: self._alone.sequel(self.at(state), run))

    def alone(self, client: Client) -> Noted:
        """Return what a client of the scenario does in a fresh process, on a fresh database, with nobody beside it."""
        steps: list[tuple[Operation, Observation]] = []
        world = self._make_world()
        before = world.content
        start = time.perf_counter()
        process = self._server.start(client, fresh=True)
        self._live_runs += 1
        try:
            position = self.scenario.clients.index(client)
            outcome = run_to_end(
                process, world, position, self.scenario.max_operations, lambda *step: steps.append(step)
            )
            seconds = time.perf_counter() - start
            world.vanish(position, only_idle=True)
            return Noted(tuple(steps), outcome, world.read_again().committed != before.committed, seconds)
        finally:
            process.abandon()
            world.close()

    def serial(self, order: tuple[str, ...]) -> SerialEnd:
        """Return how some clients end that run one after another from the start, without faults.

        Args:
            order: their names, in the order in which they run.
        """
        if order not in self._serial:
            clients = {client.name: (place, client) for place, client in enumerate(self.scenario.clients)}
            ends: dict[str, Outcome] = {}
            world = self._make_world()
            try:
                for name in order:
                    position, client = clients[name]
                    ends[name] = self._run_live(client, world, position)
                    world.vanish(position, only_idle=True)
                self._serial[order] = SerialEnd(ends, world.read_again().committed)
            finally:
                world.close()
        return self._serial[order]
