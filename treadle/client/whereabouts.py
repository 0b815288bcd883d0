"""Whereabouts: the line of the application that a client stands at, as its stack shows.

::

    checker, fork server          whoever called check(): where the search for the line ends
      Run.live
        sell()                    shop.py:31                 the application: this one
          Session.execute         sqlalchemy/orm/...         a library
            GateCursor.execute    treadle/client/gate.py     the checker
"""

from __future__ import annotations

import functools
import site
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, CoroutineType, FrameType
from typing import Any

from treadle.values.source import Source

_INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Names of the directories in which packages are installed."""

_BETWEEN = frozenset({"treadle", "sqlalchemy", "aiosqlite", "greenlet", "pysqlite3"})
"""Packages that stand between an application and its database."""


@functools.cache
def _library_roots() -> tuple[str, ...]:
    """Return the directories of Python's own code, and of the checker."""
    paths = sysconfig.get_paths()
    found = {paths["stdlib"], paths["platstdlib"], str(Path(functools.__file__).parent)}
    return tuple(sorted(f"{path}/" for path in (*found, Path(__file__).parents[1])))


@functools.cache
def _package_roots() -> tuple[str, ...]:
    """Return the directories in which packages are installed."""
    paths = sysconfig.get_paths()
    return tuple(sorted({f"{path}/" for path in (paths["purelib"], paths["platlib"], *site.getsitepackages())}))


@functools.cache
def _is_installed(file: str) -> bool:
    """Tell whether a file is of an installed package, but for those that stand in between."""
    parts = Path(file).parts
    at = next((place for place, part in enumerate(parts) if part in _INSTALLED), None)
    return at is not None and parts[at + 1] not in _BETWEEN


@functools.cache
def _is_own(file: str) -> bool:
    """Tell whether a file is the application's, and no package's: what exec() made is in no file."""
    strangers = (*_library_roots(), *_package_roots(), "<")
    return not file.startswith(strangers) and not _INSTALLED & set(Path(file).parts)


def whereabouts(end: CodeType) -> Source | None:
    """Return the innermost line of the application on the stack of this thread.

    A worker thread has none where a library gave it a call. Then the stack of the main thread is looked at, and where
    an event loop runs there, the task that waits, if there is but one. An application may be an installed package, too,
    if there is nothing else. None if there is nothing at all.

    Args:
        end: the code below which there is no application any more.
    """
    threads = [sys._getframe(1)]  # noqa: SLF001  # there is no other way to a stack
    if threading.current_thread() is not threading.main_thread():
        # All the stacks are let go of at once: this one is among them, and a cycle would keep alive what stands on it.
        main = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001  # likewise
        threads += [] if main is None else [main]
    for fits in (_is_own, _is_installed):
        for frame in threads:
            found = _awaited(frame, end, fits) if frame is not threads[0] else None
            found = found or _innermost(frame, end, fits)
            if found is not None:
                return found
    return None


def _awaited(frame: FrameType | None, end: CodeType, fits: Callable[[str], bool]) -> Source | None:
    """Return the line at which the one task of an event loop waits that runs on a stack; None if there are several."""
    asyncio: Any = sys.modules.get("asyncio")  # where nobody imported it, no loop runs
    while asyncio is not None and frame is not None and frame.f_code is not end:
        loop = frame.f_locals.get("self") if frame.f_code.co_name == "run_forever" else None
        if isinstance(loop, asyncio.AbstractEventLoop):
            found = {line for task in asyncio.all_tasks(loop) for line in _waits_at(task.get_coro(), fits)}
            return found.pop() if len(found) == 1 else None
        frame = frame.f_back
    return None


def _waits_at(awaited: object, fits: Callable[[str], bool]) -> Iterator[Source]:
    """Yield the innermost line of the application in what a task waits for, if there is one."""
    found = None
    while isinstance(awaited, CoroutineType):
        frame = awaited.cr_frame
        if frame is not None and fits(frame.f_code.co_filename):
            found = Source(_shown(frame.f_code.co_filename), frame.f_lineno, frame.f_code.co_qualname)
        awaited = awaited.cr_await
    if found is not None:
        yield found


def _innermost(frame: FrameType | None, end: CodeType, fits: Callable[[str], bool]) -> Source | None:
    while frame is not None and frame.f_code is not end:
        code = frame.f_code
        if fits(code.co_filename):
            return Source(_shown(code.co_filename), frame.f_lineno, code.co_qualname)
        frame = frame.f_back
    return None


@functools.cache
def _shown(file: str) -> str:
    """Return a path relative to the working directory, if it is below it."""
    try:
        return str(Path(file).resolve().relative_to(Path.cwd()))
    except (OSError, ValueError, RuntimeError):
        return file
