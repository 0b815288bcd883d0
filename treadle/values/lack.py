"""Lacks: which errors mean that the check itself has not enough of something.

A database that is full, a file that cannot be opened or memory that is used up say something of the machine that
checks. A client that was told so would be blamed for it; so they end the check. SQLite's codes are those of
https://www.sqlite.org/rescode.html.
"""

from __future__ import annotations

import errno
from enum import Enum

from attrs import frozen

from treadle.values.errors import ResourceError


class Want(Enum):
    """What there is not enough of."""

    ROOM = "room"
    FILES = "files"
    MEMORY = "memory"
    PROCESSES = "processes"
    ACCESS = "access"


FULL = 13
"""Primary result code SQLITE_FULL, which also says that a limit of the client's own was met."""

_CODES = {
    7: Want.MEMORY,  # SQLITE_NOMEM
    10: Want.ACCESS,  # SQLITE_IOERR, with all its extended codes
    FULL: Want.ROOM,
    14: Want.ACCESS,  # SQLITE_CANTOPEN: no client can name another file
    15: Want.ACCESS,  # SQLITE_PROTOCOL: the locks of the file system do not work
    22: Want.ROOM,  # SQLITE_NOLFS: a file may not be that large
}
"""By primary code. SQLITE_TOOBIG and SQLITE_ERROR are not here: what a client asked for breaks a rule of SQLite's."""

_READONLY = 8
"""SQLITE_READONLY is the client's own PRAGMA query_only; with an extended code it is the file system's."""

_PRIMARY = 0xFF

_NUMBERS = {
    errno.EMFILE: Want.FILES,
    errno.ENFILE: Want.FILES,
    errno.ENOSPC: Want.ROOM,
    errno.EDQUOT: Want.ROOM,
    errno.EFBIG: Want.ROOM,
    errno.ENOMEM: Want.MEMORY,
    errno.EAGAIN: Want.PROCESSES,  # of fork; nothing else that a check does may block
    errno.EIO: Want.ACCESS,
    errno.EROFS: Want.ACCESS,
    errno.ESTALE: Want.ACCESS,
}

_NO_THREAD = "can't start new thread"
"""How Python says that there are too many threads: it has no class for it."""

_SAID = {
    Want.ROOM: ("no room is left{place}", "Free some space there, or make that file system larger"),
    Want.FILES: (
        "this process, or the whole machine, may open no more files",
        "Allow more with 'ulimit -n', or close some that the application keeps open",
    ),
    Want.MEMORY: (
        "memory is used up",
        "Free some, allow more with 'ulimit -v', or check something smaller; --max-memory stops a search in time",
    ),
    Want.PROCESSES: (
        "this user may start no more processes or threads",
        "Allow more with 'ulimit -u', end some, or search with fewer --workers",
    ),
    Want.ACCESS: (
        "SQLite cannot open, read or write its files{place}",
        "See whether they can be written and locked there, whether somebody cleans up, and what 'ulimit -n' says",
    ),
}


@frozen
class Lack:
    """What the check has not enough of.

    Attributes:
        want: of what.
        what: the error that says so, with its code.
    """

    want: Want
    what: str

    def error(self, place: str = "") -> ResourceError:
        """Return what the check ends with.

        Args:
            place: where: a directory, and how large its file system is.
        """
        says, remedy = _SAID[self.want]
        says = says.format(place=f" in {place}" if place else "")
        return ResourceError(
            f"{self.what}: {says}. It is the check that needs it, and no client is told so or blamed for it: nothing "
            f"was decided. {remedy}."
        )


def lack_of(error: BaseException) -> Lack | None:
    """Return what an error says the check has not enough of; None if it says something else.

    Args:
        error: any. Of SQLAlchemy's, that of the driver counts.
    """
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):
        error = original
    if isinstance(error, MemoryError):
        return Lack(Want.MEMORY, _text("MemoryError", error))
    if isinstance(error, OSError):
        want = None if error.errno is None else _NUMBERS.get(error.errno)
        return None if want is None else Lack(want, _text(errno.errorcode[error.errno or 0], error))
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return Lack(Want.PROCESSES, _text("RuntimeError", error))
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return None
    want = _CODES.get(code & _PRIMARY)
    if code & _PRIMARY == _READONLY and code != _READONLY:
        want = Want.ACCESS
    return None if want is None else Lack(want, _text(getattr(error, "sqlite_errorname", f"SQLite {code}"), error))


def _text(name: str, error: BaseException) -> str:
    return f"{name} ({error})" if str(error) else name
