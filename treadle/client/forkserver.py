"""The fork server: a process that has loaded the application and run nothing, of which every client is a copy.

It is forked from the checker before anything of the application runs, made fit for clients once, and then only forks::

    checker ──fork──▶ fork server ──fork──▶ client
       │                   ├──────fork──▶ client ──fork──▶ copy of a client
       └──fork──▶ client   └──────fork──▶ the database's schema and seed

What one client leaves behind in its process is nothing to the next. Only clients that a property makes up while the
check runs are forked from the checker, which has their callables.

When the checker is gone, whatever became of it, the server ends all of its clients and itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import send_handle
from typing import NoReturn

from attrs import frozen

from treadle.client.carrying import pack_call
from treadle.client.inside import Inside, Way
from treadle.client.patching import copy_of
from treadle.client.process import Again, Lending, Misused, Process, keep_from_forks, received_end
from treadle.client.seeding import create
from treadle.client.surroundings import Surroundings
from treadle.scenario import Client, Database
from treadle.values.errors import TreadleError
from treadle.values.lack import lack_of
from treadle.values.operation import Operation
from treadle.values.outcome import Raised

_PATIENCE_S = 0.5
"""How long clients that nobody needs may take to end by themselves, in seconds."""

_PAUSE_S = 0.001

_real_sleep = copy_of(time.sleep)
"""Where the server sleeps, the clock is the clients' already."""

_MOST_IDLE = 8
"""How many processes of one client are kept for another run of it."""

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: orphans become children of the server (https://man7.org/linux/man-pages/man2/prctl.2.html)."""

SEED = "the database's seed"
"""The name of the client that writes what is there before any other starts."""


@frozen
class _Order:
    """What to fork: a client by its number or the seed, and how it runs."""

    client: int | None
    again: Again


def _fork() -> int:
    with warnings.catch_warnings():
        # Other threads (a test runner's) are not in the new process, which starts with nothing under way.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class ForkServer:
    """Starts the clients of a scenario.

    Attributes:
        answers: to give its answer is an operation of a client, its last one.
        isolates: every run of a client has a fresh process, and not one that has run that client before.
        drew: the names of clients that drew from a random source seeded with their name.
        started: how many processes of clients were started.
        lending: what SQL calls back in processes of clients.
    """

    def __init__(
        self,
        clients: tuple[Client, ...],
        database: Database,
        surroundings: Surroundings,
        max_step_s: float,
        *,
        answers: bool = False,
        isolates: bool = False,
        warm: Way | None = None,
    ) -> None:
        """Start the server.

        Args:
            clients: the scenario's.
            database: whose schema and seed there are.
            surroundings: what everything runs in.
            max_step_s: how long a client may compute between two operations, in seconds.
            answers: to give its answer is an operation of a client, its last one.
            isolates: give every run a fresh process.
            warm: how connections are opened in a first run of each process, of which nobody hears; None for no such.
        """
        self.answers = answers
        self.isolates = isolates
        self._warm = warm
        self._idle: dict[int, list[Process]] = defaultdict(list)  # by the identity of the client, 0 for what travels
        self._calls: dict[int, tuple[Client, bytes | None]] = {}  # by the identity of the client
        self.drew: set[str] = set()
        self.started = 0
        self.lending = Lending()
        self._clients = clients
        self._database = database
        self._surroundings = surroundings
        self._max_step_s = max_step_s
        self._forked: list[int] = []  # by the checker itself
        self._control, there = Pipe()
        keep_from_forks(self._control)
        self._pid = _fork()
        if self._pid == 0:
            self._be_server(there)
        there.close()

    # In the checker.

    def start(
        self,
        client: Client,
        way: Way | None = None,
        *,
        answers: bool | None = None,
        fresh: bool = False,
        sources: bool = False,
    ) -> Process:
        """Start a client.

        Args:
            client: of the scenario, or another one.
            way: how its connections are opened; None for those of the gate. It must pickle.
            answers: to give its answer is an operation; by default as the server says.
            fresh: in a fresh process in any case.
            sources: the line of the application that asks is told with each operation.

        Raises:
            TreadleError: no process can be started.
        """
        number = next((place for place, known in enumerate(self._clients) if known is client), None)
        packed = self._packed(client) if number is None else None
        again = Again(client.name, way, self.answers if answers is None else answers, packed, self._warm, sources)
        idle = self._idle_of(client)
        while idle and not fresh:
            process = idle.pop()
            if not process.gone:
                process.run_again(again)
                return process
        process = Process(client.name, self._max_step_s, self.drew.add, self.why_not, self.lending)
        self.started += 1
        with process.there:
            if number is None and packed is None:
                self._fork_here(client, _Order(None, again), process.there)
            else:
                self._send(_Order(number, again), process.there)
        return process

    def _packed(self, client: Client) -> bytes | None:
        known = self._calls.get(id(client))
        if known is None:
            known = self._calls[id(client)] = client, pack_call(client.run, self._surroundings.engines)
        return known[1]

    def _idle_of(self, client: Client) -> list[Process]:
        """Return the processes in which a client may run again; what can be carried runs in any that runs such."""
        if any(client is known for known in self._clients) or self._packed(client) is None:
            return self._idle[id(client)]
        return self._idle[0]

    def why_not(self) -> TreadleError:
        """Return why the server has ended before its time."""
        try:
            if self._control.poll(_PATIENCE_S):
                why: TreadleError = pickle.loads(self._control.recv_bytes())  # noqa: S301  # from a copy of this process
                return why
        except (OSError, EOFError):
            pass
        return TreadleError("the fork server, of which all clients are copies, has ended: somebody has killed it.")

    def put_back(self, client: Client, process: Process) -> None:
        """Take back a process whose run is not needed any more; the client may run there again."""
        idle = self._idle_of(client)
        if self.isolates or process.gone or not process.reusable or len(idle) >= _MOST_IDLE:
            process.abandon()
        else:
            idle.append(process)

    def seed(self, way: Way) -> None:
        """Create the schema and write the seed rows, in a process of their own.

        Args:
            way: how connections to the database are opened.

        Raises:
            Exception: what the application's code raised.
        """
        process = Process(SEED, None, lambda _: None, self.why_not)
        with process.there:
            self._send(_Order(None, Again(SEED, way, answers=False)), process.there)
        outcome = process.first()
        process.kill()
        assert not isinstance(outcome, Operation)
        if isinstance(outcome, Raised):
            raise outcome.exception

    def _send(self, order: _Order, pipe: Connection) -> None:
        try:
            self._control.send_bytes(pickle.dumps(order, pickle.HIGHEST_PROTOCOL))
            send_handle(self._control, pipe.fileno(), None)
        except OSError as error:
            raise _no_process(error) from error

    def _fork_here(self, client: Client, order: _Order, pipe: Connection) -> None:
        try:
            pid = _fork()
        except OSError as error:
            raise _no_process(error) from error
        if pid == 0:
            with contextlib.suppress(OSError):  # the server has ended
                os.setpgid(0, self._pid)  # Ctrl-C is for the checker here, too
            self._surroundings.settle()
            self._be_client(client.run, order, pipe)
        self._forked.append(pid)

    def close(self) -> None:
        """End the server and all clients."""
        for processes in self._idle.values():
            for process in processes:
                process.abandon()
        self.lending.close()
        self._control.close()
        for pid in (self._pid, *self._forked):
            with contextlib.suppress(ChildProcessError):  # somebody else has waited for it
                os.waitpid(pid, 0)

    # In a process that was forked.

    def _be_server(self, control: Connection) -> NoReturn:
        """Fork what is asked for, until nobody asks any more."""
        try:
            os.setpgid(0, 0)  # Ctrl-C is for the checker, and what is left of clients is ended together
            _adopt_orphans()
            self._surroundings.settle()
            self._serve(control)
        except BaseException as error:  # noqa: BLE001  # it is told where it matters
            lack = lack_of(error)
            why = TreadleError(f"the fork server failed: {traceback.format_exc()}") if lack is None else lack.error()
            with contextlib.suppress(OSError):
                control.send_bytes(pickle.dumps(why))
        finally:
            _end_all()
            os._exit(0)

    def _serve(self, control: Connection) -> None:
        while True:
            try:
                order = pickle.loads(control.recv_bytes())  # noqa: S301  # from the process that this one was
            except (OSError, EOFError):
                return
            pipe = received_end(control)
            try:
                pid = os.fork()
            except OSError as error:
                with contextlib.suppress(OSError):
                    pipe.send_bytes(pickle.dumps(Misused(_no_process(error))))
                pid = -1
            if pid == 0:
                control.close()
                if order.client is None:  # a call that travels takes the place of this one
                    self._be_client(functools.partial(create, self._database), order, pipe)
                client = self._clients[order.client]
                self._be_client(client.run, order, pipe)
            pipe.close()
            _reap()

    def _be_client(self, run: Callable[[], object], order: _Order, pipe: Connection) -> NoReturn:
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            inside = Inside(run, pipe, self._surroundings)
            inside.live(order.again)
        finally:
            os._exit(1)


def _no_process(error: OSError) -> TreadleError:
    lack = lack_of(error)
    if lack is not None:
        return lack.error()
    return TreadleError(
        f"no process could be started for a client ({error}): each client has one. Let fewer run at the same time."
    )


def _adopt_orphans() -> None:
    """Become the parent of clients whose own parent, another client, has ended."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _reap() -> bool:
    """Forget clients that have ended; return whether some have not."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_all() -> None:
    """Wait for clients to end, and then make them."""
    pauses = 0
    while _reap():
        pauses += 1
        if pauses > _PATIENCE_S / _PAUSE_S:
            os.killpg(0, signal.SIGKILL)
        _real_sleep(_PAUSE_S)
