"""The guard of the application's files: nothing that Python code does opens them.

Python tells its audit hooks before it opens a file or a database, whatever name the call goes by
(https://docs.python.org/3/library/audit_events.html). What would reach a guarded file is refused there, with an error
that the check ends with. C code that opens files by itself is not seen.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import sys
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from treadle.application.files import BESIDE, file_of
from treadle.client.patching import redirect
from treadle.values.errors import UnsupportedOperationError

try:
    import _posixsubprocess
except ImportError:  # there are no such systems that fork
    _posixsubprocess = None  # type: ignore[assignment]  # likewise

_NAMES_FILES = {
    "open": 1,
    "shutil.rmtree": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.remove": 1,
    "os.rename": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
    "shutil.move": 2,
}
"""Events whose first arguments are names of files."""

_TAKES_DIRECTORIES = frozenset({"os.rename", "shutil.move", "shutil.rmtree"})
"""Events of what moves or removes a directory with all that is in it."""

_IN_DIRECTORIES = frozenset({"os.link", "os.remove", "os.rename"})
"""Events whose next arguments are descriptors of the directories that these names are relative to, or -1."""

_TELLING = frozenset(
    [
        *("arp", "cc", "date", "gcc", "getconf", "git", "hostname", "id", "ifconfig", "ip", "lanscan", "ld"),
        *("ldconfig", "locale", "lsb_release", "netstat", "tput", "uname", "which", "whoami"),
    ]
)
"""Programs that Python's own modules and others ask about the machine, and that open no database."""

_STARTS = frozenset({"os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "subprocess.Popen"})
"""Events that start another program, which might open a file that its arguments name."""


class Files:
    """Some database files, with those that SQLite puts beside them."""

    def __init__(self, paths: Collection[str]) -> None:
        """Note the files.

        Args:
            paths: absolute; they need not exist.
        """
        self._names = {os.path.realpath(path) + end for path in paths for end in BESIDE} | {
            path + end for path in paths for end in BESIDE
        }
        self._nodes = {node for name in self._names if (node := _node(name)) is not None}

    def has(self, path: Any) -> bool:
        """Tell whether a path leads to one of them, be it by a link."""
        try:
            name = os.fsdecode(path)
        except TypeError:  # a file descriptor
            return False
        if os.path.abspath(name) in self._names:  # noqa: PTH100  # also of what is not there
            return True
        return os.path.realpath(name) in self._names or (bool(self._nodes) and _node(name) in self._nodes)

    def below(self, path: Any) -> bool:
        """Tell whether a path leads to a directory that one of them is in."""
        try:
            place, name = os.path.split(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100  # of a link, the link itself
        except TypeError:
            return False
        name = f"{os.path.realpath(place)}{os.sep}{name}"
        return any(own.startswith(f"{name}{os.sep}") for own in self._names)

    def mentioned(self, thing: Any) -> bool:
        """Tell whether arguments of a command name one of them."""
        if isinstance(thing, (list, tuple)):
            return any(map(self.mentioned, thing))
        try:
            text = os.fsdecode(thing)
        except TypeError:
            return False
        return any(name in text for name in self._names) or any(map(self.has, text.split()))


def _inside(directory: Any, path: Any) -> Any:
    """Return a path that was relative to an open directory."""
    if not isinstance(directory, int) or directory < 0:
        return path
    try:
        return Path(f"/proc/self/fd/{directory}").readlink() / os.fsdecode(path)
    except (OSError, TypeError):
        return path


def _node(name: str) -> tuple[int, int] | None:
    try:
        found = Path(name).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


class Guard:
    """Refuses what would reach the application's files.

    Attributes:
        files: the application's.
    """

    def __init__(
        self,
        files: Files,
        refuse: Callable[[UnsupportedOperationError], None],
        *,
        any_database: bool = False,
        but: Container[str] = (),
        any_program: bool = False,
        disarm: Callable[[Any], None] | None = None,
    ) -> None:
        """Guard files.

        Args:
            files: the application's.
            refuse: told an error before it is raised, so that the check ends with it whatever becomes of it.
            any_database: refuse every file that is opened as a database, and not only those.
            but: these.
            any_program: refuse every program that is started, but those that only tell about the machine.
            disarm: told a connection that is being opened, which shall attach nothing that is guarded.
        """
        self.files = files
        self._but = but
        self._any_program = any_program
        self._disarm = disarm
        self._refuse = refuse
        self._any_database = any_database
        self._lifted = 0

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Let the checker itself open a database."""
        self._lifted += 1
        try:
            yield
        finally:
            self._lifted -= 1

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an audit event, before what it announces."""
        if self._lifted:
            return
        if event == "sqlite3.connect":
            self._see_connect(arguments[0])
        elif event == "sqlite3.connect/handle" and self._disarm is not None:
            self._disarm(arguments[0])
        elif event in _NAMES_FILES:
            count = _NAMES_FILES[event]
            directories = arguments[count : 2 * count] if event in _IN_DIRECTORIES else ()
            for path, directory in itertools.zip_longest(arguments[:count], directories):
                if self.files.has(_inside(directory, path)) or (event in _TAKES_DIRECTORIES and self.files.below(path)):
                    self._stop(f"{event}({path!r})")
        elif event in _STARTS:
            self.see_start(event, arguments[:2])

    def see_start(self, event: str, arguments: Sequence[Any]) -> None:
        """Look at the start of another program: what it is, and with what."""
        if any(map(self.files.mentioned, arguments)):
            self._stop(f"{event}{tuple(arguments)!r}")
        program = _program(arguments[0])
        if self._any_program and program not in _TELLING:
            self._end(
                f"{event} starts {program!r}: what another program opens is not seen, be it the application's own "
                "database. Leave that out of what is checked."
            )

    def _see_connect(self, database: Any) -> None:
        path = file_of(database, uri=True)
        if path and path not in self._but and (self._any_database or self.files.has(path)):
            self._stop(f"connect({os.fsdecode(database)!r})")

    def _stop(self, what: str) -> None:
        self._end(
            f"{what} would open a database file, and not the private copy that is checked: the application's own "
            "files are never opened. Connect through sqlite3.connect or the scenario's engine, to the scenario's "
            "database, and let only clients, schema and seed do so."
        )

    def _end(self, why: str) -> None:
        error = UnsupportedOperationError(why)
        self._refuse(error)
        raise error

    def may_attach(self, file: str | None) -> bool:
        """Tell whether a connection in memory may attach a database; of one that a parameter names, nothing is told."""
        if file is not None and not file_of(file, uri=True):
            return True
        with contextlib.suppress(UnsupportedOperationError):
            self._stop("ATTACH" if file is None else f"ATTACH {file!r}")
        return False

    def lock_up(self, connection: Any, path: str) -> None:
        """Let a connection that was opened before do nothing at all."""

        def allows(*_: object) -> int:
            with contextlib.suppress(UnsupportedOperationError):
                self._stop(f"a connection to {path!r} that was opened before the check")
            return sqlite3.SQLITE_DENY

        with contextlib.suppress(sqlite3.Error):
            connection.set_authorizer(allows)


def _program(command: Any) -> str:
    """Return the name of the program that a command starts."""
    first = command[0] if isinstance(command, (list, tuple)) and command else command
    try:
        words = os.fsdecode(first).split()
    except TypeError:
        return ""
    return os.path.basename(words[0]) if words else ""  # noqa: PTH119  # a text


def note_starts(guard: Guard) -> None:
    """Let a guard see programs that are started without an audit event, as ``multiprocessing`` does."""

    def starts(arguments: Any, executables: Any, *others: Any) -> Any:
        guard.see("subprocess.Popen", (executables[0] if executables else None, arguments))
        return original(arguments, executables, *others)

    if _posixsubprocess is not None:
        original = redirect(_posixsubprocess.fork_exec, starts)


def note_directories(guard: Guard) -> None:
    """Let a guard see files that are opened by a name in an open directory, of which the audit event says nothing."""

    def opens(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            guard.see("open", (_inside(dir_fd, path),))
        return int(original(path, flags, mode, dir_fd=dir_fd))

    original = redirect(os.open, opens)


_guards: list[Guard] = []
_hooked: list[bool] = []


def _see(event: str, arguments: tuple[Any, ...]) -> None:
    if _guards and (event in _NAMES_FILES or event in _STARTS or event.startswith("sqlite3.connect")):
        for guard in tuple(_guards):
            guard.see(event, arguments)


def set_guard(guard: Guard) -> None:
    """Let a guard alone see what this process does, from now on."""
    _guards.clear()
    add_guard(guard)


def add_guard(guard: Guard) -> None:
    """Let a guard, too, see what this process does from now on."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_see)
    _guards.append(guard)


@contextlib.contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Let a guard, too, see what this process does meanwhile."""
    add_guard(guard)
    try:
        yield
    finally:
        _guards.remove(guard)
