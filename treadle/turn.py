"""Turns: where a check may run, and that one runs at a time in a process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from attrs import define

from treadle.values.allowed import seen
from treadle.values.errors import UsageError


@define
class _Turn:
    """What is under way in this process.

    Attributes:
        name: of the scenario; None if nothing is.
        misuse: what a client was told that asked for another check: it may have caught it.
    """

    name: str | None = None
    misuse: UsageError | None = None


_turn = _Turn()


@contextlib.contextmanager
def turn(call: str, name: str) -> Iterator[None]:
    """Take the turn of this process.

    Args:
        call: what was called.
        name: of the scenario.

    Raises:
        UsageError: it cannot be had here or now; or somebody asked for it meanwhile, from inside a client.
    """
    _require_main_thread(call)
    if _turn.name is not None:  # before the loop: a client may run one
        _turn.misuse = UsageError(
            f"{call} of {seen(name)} was called while {seen(_turn.name)} is under way: from one of its clients or "
            "properties, or from its schema, seed or progress. One runs at a time in a process, for it replaces the "
            "clock and the random sources. Call the one after the other."
        )
        raise _turn.misuse
    _require_no_loop(call)
    _turn.name, _turn.misuse = name, None
    try:
        yield
    finally:
        misuse, _turn.name, _turn.misuse = _turn.misuse, None, None
        if misuse is not None:
            raise misuse


def _require_main_thread(call: str) -> None:
    thread = threading.current_thread()
    if thread is not threading.main_thread():
        raise UsageError(
            f"{call} was called in the thread {seen(thread.name)}, and it must run in the main one: it copies its "
            "process, and interrupts clients with signals. Call it in the main thread, or in a process of its own, "
            "as the command 'treadle' is."
        )


def _require_no_loop(call: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        f"{call} was called while an event loop runs in this thread: clients would find it running, which they do not "
        "in production, and it would stand still meanwhile. Call it from code that is not asynchronous, or in a "
        "process of its own, as the command 'treadle' is."
    )
