"""Patience: how long one call of SQLite may compute, and what is said of one that computes longer."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from treadle.scenario import Scenario
from treadle.values.errors import StuckClientError
from treadle.world.library import PROGRESS, Library

_INSTRUCTIONS = 100_000
"""After how many of its instructions SQLite asks whether to go on: about a millisecond. Most have less."""

_SHOWN = 200
"""How much of a long statement is shown, in characters."""


@frozen
class Patience:
    """How long a call may compute.

    Attributes:
        max_step_s: how long, in seconds.
        names: the clients', by position.
    """

    max_step_s: float = math.inf
    names: tuple[str, ...] = ()

    def stuck(self, client: int, sql: str | None) -> StuckClientError:
        """Return what to raise for a call that computed for too long.

        Args:
            client: the position of the client that made it; of one that the scenario does not have, any other.
            sql: the statement, if it has one of its own.
        """
        name = repr(self.names[client]) if client < len(self.names) else "that runs after the others"
        text = "a statement that was begun before" if sql is None else " ".join(sql.split())
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        return StuckClientError(
            f"client {name}: SQLite computed for more than {self.max_step_s:g} s in one call, and was interrupted: "
            f"{shown}. A recursive query without an end, or a join of everything with everything, does that. Bound "
            "it, or raise the scenario's max_step_s."
        )


_patience = [Patience()]


@contextlib.contextmanager
def patience_of(scenario: Scenario) -> Iterator[None]:
    """Let the worlds that are made meanwhile have the patience of a scenario; one at a time is checked in a process."""
    _patience.append(Patience(scenario.max_step_s, tuple(client.name for client in scenario.clients)))
    try:
        yield
    finally:
        _patience.pop()


def patience() -> Patience:
    """Return the patience that worlds are made with now."""
    return _patience[-1]


class Timer:
    """Interrupts the calls of a connection that compute for too long.

    It costs nothing until SQLite has executed 100,000 instructions in statements of the connection, and a
    microsecond then.

    Attributes:
        expired: the call that runs, or ran last, was interrupted.
    """

    def __init__(self, real: Any, library: Library, max_step_s: float) -> None:
        """Watch a connection, for as long as it is open; the timer must live as long.

        Args:
            real: the driver's connection.
            library: its SQLite.
            max_step_s: how long one call may compute, in seconds.
        """
        self.expired = False
        self._max_step_s = max_step_s
        self._since: float | None = None
        self._raised: BaseException | None = None
        self._callback = PROGRESS(self._on_progress)
        if max_step_s < math.inf:
            library.set_progress_handler(real, _INSTRUCTIONS, self._callback)

    def begin(self) -> None:
        """Note that a call begins, or goes on after it has stopped."""
        self._since = None
        self.expired = False

    def _on_progress(self, _: object) -> int:
        try:
            now = time.perf_counter()
            if self._since is None:
                self._since = now
            self.expired = self.expired or now - self._since > self._max_step_s
        except BaseException as error:  # noqa: BLE001  # Ctrl-C: it cannot pass through SQLite's C code
            self._raised = error
            return 1
        return int(self.expired)

    def end(self) -> None:
        """Raise what came up while the call ran, as Ctrl-C does; SQLite has ended the call for it."""
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error
