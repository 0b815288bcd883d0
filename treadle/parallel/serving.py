"""Serving one part: what a worker process does, whoever started it.

Requests come over a pipe, as ``(name, arguments, options)``, and answers go back, as ``(True, answer)`` or
``(False, error)``. To begin a part is not answered: if it fails, its error is the answer to what is asked next. So
parts begin at the same time.
"""

from __future__ import annotations

import contextlib
import gc
import pickle
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from treadle.parallel.part import Part
from treadle.scenario import Scenario
from treadle.values.display import said
from treadle.values.errors import TreadleError


def serve(pipe: Connection, make: Callable[[], Scenario], number: int) -> None:
    """Serve one part, until the pipe is closed.

    Args:
        pipe: where requests come from.
        make: returns the scenario.
        number: of the part.
    """
    gc.disable()  # as in a search in one process; on again between two rounds, it would go through all that is known
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is interrupted, and closes the pipe
    with contextlib.ExitStack() as stack:
        part: Part | None = None
        failure: Exception | None = None
        while True:
            try:
                name, arguments, options = pipe.recv()
            except (EOFError, ConnectionError):
                return
            try:
                if name == "begin":
                    stack.close()
                    failure = None
                    part = Part(make(), number, *arguments)
                    stack.callback(part.close)
                    continue
                if failure is not None:
                    raise failure
                reply: tuple[bool, Any] = True, getattr(part, name)(*arguments, **options)
            except Exception as error:  # noqa: BLE001  # raised again where it was asked for
                if name == "begin":
                    failure = error
                    continue
                reply = False, _portable(error)
            try:
                pipe.send(reply)
            except (BrokenPipeError, ConnectionError):
                return


def _portable(error: Exception) -> Exception:
    """Return an error as another process can raise it; the traceback of one that nobody foresaw comes along."""
    if not isinstance(error, TreadleError):
        error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301  # made right here
            return error
    except Exception:  # noqa: BLE001, S110  # an error of the application's own, which may do whatever it likes then
        pass
    other = TreadleError(said(error))
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other
