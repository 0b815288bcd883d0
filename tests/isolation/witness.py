"""The operating system as a witness: who touched which file, and which processes live.

Two witnesses, neither of which knows anything of the checker. ``Watch`` asks the kernel's inotify(7): it needs no
privilege, costs nothing, and sees a file by whatever name it is reached. ``traced`` runs a command under strace(1): it
is slower, sees the same by system calls, and tells which process it was.

::

    data/application.db  <── a watch of each file: opened, read, written, linked, removed, by any of its names
    data/                <── a watch of the directory: a name appears, goes, or changes its file
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field

EVENTS = {
    0x001: "read",
    0x002: "written",
    0x004: "given other attributes",
    0x008: "closed after writing",
    0x010: "closed",
    0x020: "opened",
    0x040: "moved away",
    0x080: "moved here",
    0x100: "created",
    0x200: "deleted",
    0x400: "deleted itself",
    0x800: "moved itself",
}
"""What inotify tells, by its bit (``IN_ACCESS`` to ``IN_MOVE_SELF``)."""

_OVERFLOW = 0x4000
_IGNORED = 0x8000
_IS_DIRECTORY = 0x40000000
_LOOKING = 0x001 | 0x010 | 0x020
"""What listing a directory does to the directory itself: no file is touched by it."""

_HEADER = struct.Struct("iIII")


@define
class Watch:
    """A watch of files and of the directories that they are in, from its start to its end.

    Attributes:
        seen: what was done, one text for each thing done, in order.
    """

    paths: tuple[Path, ...]
    seen: list[str] = field(factory=list)
    _descriptor: int = field(default=-1, init=False)
    _names: dict[int, Path] = field(factory=dict, init=False)

    def __enter__(self) -> Self:
        """Start to watch."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for path in self.paths:
            number = libc.inotify_add_watch(self._descriptor, os.fsencode(path), ctypes.c_uint32(sum(EVENTS)))
            if number < 0:
                raise OSError(ctypes.get_errno(), f"inotify_add_watch {path}")
            self._names[number] = path
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hear the rest, and watch no more."""
        self.listen()
        os.close(self._descriptor)

    def listen(self) -> list[str]:
        """Return what was done so far."""
        while True:
            try:
                heard = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return self.seen
            self.seen += self._told(heard)

    def _told(self, heard: bytes) -> Iterator[str]:
        at = 0
        while at < len(heard):
            number, mask, _, length = _HEADER.unpack_from(heard, at)
            at += _HEADER.size + length
            name = heard[at - length : at].rstrip(b"\0").decode()
            if mask & _OVERFLOW:
                yield "more was done than the kernel keeps in mind"
            if mask & _IGNORED or (mask & _IS_DIRECTORY and mask & _LOOKING):
                continue
            path = self._names.get(number, Path("?")) / name
            for bit, word in EVENTS.items():
                if mask & bit:
                    yield f"{path.name} {word}"


# --- Processes ---------------------------------------------------------------------------------------


def alive(mark: str, session: int = -1) -> list[int]:
    """Return the processes that have a text in their environment, or are of a session, and are no zombies."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            state, _, _, belongs = (directory / "stat").read_text().rpartition(")")[2].split()[:4]
            if state in "ZX":
                continue
            if int(belongs) == session or mark.encode() in (directory / "environ").read_bytes():
                found.append(int(directory.name))
    return found


def outlived(mark: str, session: int, within_s: float) -> list[int]:
    """Return the processes that are still alive after a time, and end them."""
    deadline = time.monotonic() + within_s
    while alive(mark, session) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = alive(mark, session)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


# --- System calls ------------------------------------------------------------------------------------

_CALLS = (
    "open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,truncate,ftruncate,link,linkat,"
    "write,pwrite64,writev,pwritev,pwritev2,read,pread64,readv,preadv,preadv2,mmap,fallocate,sendfile,splice,"
    "copy_file_range,chmod,fchmod,fchmodat,chown,fchown,fchownat,utimensat,setxattr"
)
_FAILED = re.compile(r"= -1 E\w+ ")
_MUTATES = re.compile(r"\b(unlink|rename|truncate|link|chmod|chown|utimens|setxattr|creat)")


def can_trace() -> bool:
    """Tell whether strace is here and may trace."""
    if shutil.which("strace") is None:
        return False
    return 0 == subprocess.run(["strace", "-f", "-o", os.devnull, "true"], check=False, capture_output=True).returncode


def traced(command: Sequence[str], output: Path) -> list[str]:
    """Return a command that runs under strace, which follows all processes and writes to a file."""
    return ["strace", "-f", "--seccomp-bpf", "-y", "-s", "4096", "-o", str(output), "-e", f"trace={_CALLS}", *command]


def calls_on(output: Path, paths: Iterable[Path]) -> list[str]:
    """Return the lines of a trace in which a call that did not fail reaches one of the files.

    A descriptor stands in the trace with the path that it leads to, so a file is found by whatever name it was opened.
    """
    found = []
    resolved = [path.resolve() for path in paths]
    through = [f"<{path}{end}" for path in resolved for end in (">", " (deleted)>")]
    by_name = [f'"{name}"' for path in resolved for name in (path, path.name)]
    for line in output.read_text(errors="replace").splitlines():
        if _FAILED.search(line):
            continue
        if any(text in line for text in through) or (_MUTATES.search(line) and any(text in line for text in by_name)):
            found.append(line)
    return found
