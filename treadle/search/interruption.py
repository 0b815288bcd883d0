"""Ctrl-C: the first one asks for the end, and the second one is the end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interruption:
    """Lets a search come to a state in which it can be told what it found, instead of ending anywhere in the middle.

    Attributes:
        asked: whether the user has asked for the end.
    """

    def __init__(self) -> None:
        """Find out whether Ctrl-C is left to Python; who handles it otherwise goes on to do so."""
        here = threading.current_thread() is threading.main_thread()
        self.asked = False
        self._may = here and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Note the first Ctrl-C; a second one does what the first would have done before."""
        if not self._may:
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def answer(signum: int, frame: FrameType | None) -> None:
            if self.asked and callable(before):
                before(signum, frame)
            self.asked = True

        signal.signal(signal.SIGINT, answer)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
