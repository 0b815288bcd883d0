"""The private directory in which worlds live."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from treadle.values.errors import SandboxError

_PREFIX = "treadle-"
_MEMORY = Path("/dev/shm")  # noqa: S108  # the kernel's tmpfs; mkdtemp makes a private directory inside
_ROOM_BYTES = 64 * 1024 * 1024


def _roots() -> list[Path]:
    """Return where the directory may be made, memory first."""
    roots = [Path(tempfile.gettempdir())]
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
            roots.insert(0, _MEMORY)
    return roots


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sweep(root: Path) -> None:
    """Remove the directories of processes that were killed before they could."""
    for path in root.glob(f"{_PREFIX}[0-9]*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


class Sandbox:
    """A private temporary directory, in memory where the system offers that; a context manager.

    It is removed on leaving, at the interpreter's exit at the latest; what a killed process left is removed by
    the next one.

    Raises:
        SandboxError: no directory could be made.
    """

    def __init__(self) -> None:
        """Make the directory."""
        errors = []
        for root in _roots():
            try:
                _sweep(root)
                self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root))
                break
            except OSError as error:
                errors.append(f"{root}: {error.strerror}")
        else:
            raise SandboxError(
                f"no private directory can be made ({'; '.join(errors)}): worlds are SQLite files there. "
                "Free some space, or point TMPDIR to a directory that can be written."
            )
        atexit.register(self.close)

    def close(self) -> None:
        """Remove the directory and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        """Return the sandbox."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the directory."""
        self.close()
