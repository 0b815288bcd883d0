"""The private directory in which worlds live.

A killed process cannot remove its directory, so the next one does; and it must remove nothing else::

    treadle-4711-k3x0q2mv/      mode 0700
      lock                      locked for as long as the check lives; says what this directory is
      template.db, world-1/, ...

That a process is dead is asked of the kernel, and not told by its number, which means something else in another
container that shares the directory. The lock is a POSIX record lock (``man 2 fcntl``). It belongs to one process: the
kernel drops it when that process ends, however it ends, and no sooner. A forked child does not inherit it, so that
neither the end of a child drops it, nor a child that lives on keeps it; those of ``flock`` belong to whoever has the
file open, and a child has. In return, a process that closes any descriptor of the file loses the lock. Only this
module opens the file, and never its own twice.

The file says what it is after it was locked, so that there is no moment at which a new directory looks left behind.
Whatever leaves a doubt, stays.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import platform
import shutil
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from treadle.values.errors import SandboxError
from treadle.values.lack import Want, lack_of

_PREFIX = "treadle-"
_LOCK = "lock"
_MEMORY = Path("/dev/shm")  # noqa: S108  # the kernel's tmpfs; mkdtemp makes a private directory inside
_ROOM_BYTES = 64 * 1024 * 1024
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MARKER_BYTES = 4096
_OPENED = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_own: set[tuple[int, int, int]] = set()
"""The process, device and inode of each lock that is held here: to open such a file again would drop the lock."""


def roots() -> list[Path]:
    """Return where the directory may be made, memory first."""
    roots = [Path(tempfile.gettempdir())]
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
            roots.insert(0, _MEMORY)
    return roots


def _kernel() -> str:
    """Return what tells the running kernel from others: a lock that another one knows of may not be seen here."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()


def _marker(name: str, directory: os.stat_result) -> bytes:
    """Return what the lock file of a directory says; a copy, or one under another name, is no sandbox."""
    return (
        f"This directory is Treadle's, and is removed when the process that made it is gone.\n"
        f"{name} {directory.st_dev} {directory.st_ino}\n{_kernel()}\n"
    ).encode()


def _identity(file: os.stat_result) -> tuple[int, int, int]:
    return os.getpid(), file.st_dev, file.st_ino


def _empty(directory: int) -> None:
    """Remove what is in a directory, given its descriptor, the lock file last."""
    for name in os.listdir(directory):
        if name == _LOCK:
            continue
        try:
            os.unlink(name, dir_fd=directory)
        except OSError:
            shutil.rmtree(name, ignore_errors=True, dir_fd=directory)
    os.unlink(_LOCK, dir_fd=directory)


def _sweep(root: Path) -> None:
    """Remove the directories of processes that were killed before they could."""
    try:
        names = [path.name for path in root.iterdir() if path.name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            _remove_if_dead(root, name, stack)


def _remove_if_dead(root: Path, name: str, stack: contextlib.ExitStack) -> None:
    """Remove a directory if it is a sandbox of this user, and its process is dead.

    Raises:
        OSError: it is not, or it cannot be told.
    """
    directory = os.open(root / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    stack.callback(os.close, directory)
    there = os.fstat(directory)
    seen = os.stat(_LOCK, dir_fd=directory, follow_symlinks=False)
    mine = there.st_uid == seen.st_uid == os.geteuid()
    private = (
        stat.S_ISREG(seen.st_mode) and there.st_mode & (stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO) == stat.S_IRWXU
    )
    if not (mine and private) or _identity(seen) in _own:
        return
    file = os.open(_LOCK, _OPENED, dir_fd=directory)
    stack.callback(os.close, file)
    if os.pread(file, _MARKER_BYTES, 0) != _marker(name, there):
        return
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # who has it, is the only one who removes the directory
    if os.path.samestat(os.fstat(file), os.stat(_LOCK, dir_fd=directory, follow_symlinks=False)):
        _empty(directory)
        (root / name).rmdir()


class Sandbox:
    """A private temporary directory, in memory where the system offers that; a context manager.

    It is removed on leaving, at the interpreter's exit at the latest; what a killed process left is removed by
    the next one on the same machine.

    Attributes:
        path: the directory.

    Raises:
        SandboxError: no directory could be made.
        ResourceError: this process may open no more files.
    """

    def __init__(self) -> None:
        """Make the directory."""
        errors = []
        for root in roots():
            _sweep(root)
            try:
                self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root))
            except OSError as error:
                errors.append(f"{root}: {error.strerror}")
                continue
            try:
                self._lock()
                break
            except OSError as error:
                shutil.rmtree(self.path, ignore_errors=True)
                if (lack := lack_of(error)) is not None and lack.want is Want.FILES:
                    raise lack.error() from error
                errors.append(f"{root}: {error.strerror}")
        else:
            raise SandboxError(
                f"no private directory can be made ({'; '.join(errors)}): worlds are SQLite files there. "
                "Free some space, or point TMPDIR to a directory that can be written."
            )
        self._pid = os.getpid()
        atexit.register(self.close)

    def _lock(self) -> None:
        """Lock the directory, and then say whose it is; where nothing can be locked, nobody is told to remove it."""
        file = os.open(self.path / _LOCK, _OPENED | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        self._file = file
        self._identity = _identity(os.fstat(file))
        _own.add(self._identity)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a file system without locks
            return
        try:
            os.write(file, _marker(self.path.name, self.path.stat()))
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        _own.discard(self._identity)
        os.close(self._file)

    def close(self) -> None:
        """Remove the directory and all that is in it; in a forked child, do nothing."""
        if self._pid != os.getpid():
            return
        atexit.unregister(self.close)
        self._pid = -1
        with contextlib.suppress(OSError):
            directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _empty(directory)
            finally:
                os.close(directory)
            self.path.rmdir()
        self._unlock()

    def __enter__(self) -> Self:
        """Return the sandbox."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the directory."""
        self.close()
