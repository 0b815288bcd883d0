"""A part's home on a Dask worker: a process beside the worker's own, and the actor that talks to it.

A part forks the processes of its clients from its own, which must have one thread for that. A worker's process has an
event loop, heartbeats and threads. So the part is given a process, which lives as long as the other end of its pipe::

    coordinator ──Dask──▶ Host, an actor in the worker ──pipe──▶ a process that serves the part

https://distributed.dask.org/en/stable/actors.html
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import os
import platform
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import sqlalchemy

_PATIENCE_S = 5.0
"""How long the process may take to end by itself, in seconds."""

_PROGRAM = "import sys; sys.path[:] = {path!r}; from treadle.parallel.host import main; main({pipe})"


def versions() -> dict[str, str]:
    """Return the versions that must agree between all who search together."""
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "SQLAlchemy": sqlalchemy.__version__,
        "SQLite": sqlite3.sqlite_version,
        "treadle": importlib.metadata.version("treadle"),
    }


class Host:
    """Starts the process of a part, and carries requests to it. Dask calls its methods from the coordinator."""

    def __init__(self, packed: bytes, number: int) -> None:
        """Start the process.

        Args:
            packed: the scenario, as it travels.
            number: of the part.
        """
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(  # noqa: S603  # this very interpreter
                [sys.executable, "-c", _PROGRAM.format(path=sys.path, pipe=there.fileno())],
                pass_fds=[there.fileno()],
                env={"PYTHONHASHSEED": "0"} | os.environ,  # sets have the same order everywhere
                stdin=subprocess.DEVNULL,
                stdout=2,  # what clients print is no result of the worker's
            )
        self._pipe = Connection(here.detach())
        self._pipe.send((packed, number))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"treadle part {number}")

    def versions(self) -> dict[str, str]:
        """Return the versions that this worker has."""
        return versions()

    async def exchange(self, requests: list[bytes]) -> bytes:
        """Pass on requests of which the last is answered, and return the answer.

        Raises:
            EOFError: the process died.
            OSError: likewise.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, requests)

    def _exchange(self, requests: list[bytes]) -> bytes:
        for request in requests:
            self._pipe.send_bytes(request)
        return self._pipe.recv_bytes()

    async def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._pipe.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)  # unlike to close it, this also wakes who waits for an answer
        await asyncio.get_running_loop().run_in_executor(self._thread, _end, self._pipe, self._process)

    def __del__(self) -> None:
        """End the process, also if the coordinator died and nobody asks for it."""
        with contextlib.suppress(RuntimeError):  # the worker itself ends, and the pipe with it
            self._thread.submit(_end, self._pipe, self._process)


def _end(pipe: Connection, process: subprocess.Popen[bytes]) -> None:
    """Close the pipe of a process, and wait for its end."""
    pipe.close()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(pipe: int) -> None:
    """Serve one part in a process of its own.

    Args:
        pipe: the file descriptor where requests come from.
    """
    # A worker may import this module without the rest, and tell its versions.
    from treadle.parallel.luggage import unpack  # noqa: PLC0415
    from treadle.parallel.serving import serve  # noqa: PLC0415

    with Connection(pipe) as requests:
        try:
            packed, number = requests.recv()
        except (EOFError, ConnectionError):
            return
        serve(requests, functools.cache(lambda: unpack(packed)), number)
