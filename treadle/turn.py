"""Turns: one check runs at a time in a process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from attrs import define

from treadle.values.display import quoted
from treadle.values.errors import UsageError


@define
class _Turn:
    """What is under way in this process.

    Attributes:
        name: of the scenario; None if nothing is.
        owner: the process and the thread in which it is.
        misuse: what a property or a client was told that asked for another check: it may have caught it.
    """

    name: str | None = None
    owner: tuple[int, int] = (0, 0)
    misuse: UsageError | None = None


_turn = _Turn()


@contextlib.contextmanager
def turn(call: str, name: str) -> Iterator[None]:
    """Take the turn of this process.

    Args:
        call: what was called.
        name: of the scenario.

    Raises:
        UsageError: another one has it; or somebody asked for it meanwhile.
    """
    if _turn.name is not None:
        error = UsageError(
            f"{call} of {quoted(name)} was called while {quoted(_turn.name)} is under way: in another thread, or from "
            "one of its clients or properties, or from its schema, seed or progress. One runs at a time in a process. "
            "Call the one after the other, or in a process of its own."
        )
        process, thread = _turn.owner
        if process != os.getpid() or thread == threading.get_ident():  # and it is not a thread beside
            _turn.misuse = error
        raise error
    _turn.name, _turn.owner, _turn.misuse = name, (os.getpid(), threading.get_ident()), None
    try:
        yield
    finally:
        misuse, _turn.name, _turn.misuse = _turn.misuse, None, None
        if misuse is not None:
            raise misuse


def misused_turn() -> UsageError | None:
    """Return what somebody in this process was told who asked for another check."""
    return _turn.misuse
