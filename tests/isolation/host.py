"""A process that has loaded the clients, and lets a copy of itself run one case after the other.

Run as ``python -m tests.isolation.host``. It reads the name of a case from each line of its input, forks, and writes
one line of JSON about what came. The copy has one thread and a session of its own; whatever the case does to the
process that checks, the host lives on and tells of it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import treadle
from tests.isolation.clients import CASES, state_of_the_process

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): orphans of all generations become children of this process."""

AFTER_S = 2.0
"""How long after the end of a check its processes may take to end."""


def _check(name: str) -> dict[str, Any]:
    """Check a case, and return what came; runs in the copy."""
    case = CASES[name]
    before = state_of_the_process()
    try:
        result = treadle.check(case.scenario(), seed=1)
    except treadle.TreadleError as error:
        came = {"word": "error", "why": f"{type(error).__name__}: {error}", "outcomes": []}
    except BaseException as error:  # noqa: BLE001  # whatever else comes is told, and is a mistake
        came = {"word": f"{type(error).__name__}", "why": repr(error), "outcomes": []}
    else:
        decision = result["asked"]
        came = {"word": decision.verdict.value, "why": decision.why, "outcomes": sorted(result.outcomes)}
    atexit._run_exitfuncs()
    after = state_of_the_process()
    came["changed"] = [f"{what}: {before[what]} -> {after[what]}" for what in before if before[what] != after[what]]
    return came


def _answer(reading: int, within_s: float) -> bytes:
    """Return what the copy writes until it ends, or until the time is over."""
    told = b""
    deadline = time.monotonic() + within_s
    while (left := deadline - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            part = os.read(reading, 1 << 16)
            told += part
            if not part:
                break
            if told.endswith(b"\n"):
                break
    return told


def _wait(pid: int, within_s: float) -> tuple[int, int]:
    """Return what waitpid says of a process that is about to end; zeros if it does not."""
    deadline = time.monotonic() + within_s
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    return ended


def _children() -> list[int]:
    found = []
    for directory in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            state, parent = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state not in "ZX":
                found.append(int(directory.name))
    return found


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _left(within_s: float) -> int:
    """Return how many processes are left after a time, and end them."""
    deadline = time.monotonic() + within_s
    while _children() and time.monotonic() < deadline:
        time.sleep(0.01)
        _reap()
    found = _children()
    while left := _children():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        _reap()
    return len(found)


def _run(name: str, within_s: float) -> dict[str, Any]:
    started = time.monotonic()
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (output.fileno(), 1), (output.fileno(), 2)):
                os.dup2(source, target)
            kept = os.dup(writing)  # where a client that closes one descriptor too many does not look first
            os.write(kept, json.dumps(_check(name)).encode() + b"\n")
            os._exit(0)
        os.close(writing)
        told = _answer(reading, within_s)
        os.close(reading)
        if not told.endswith(b"\n"):
            ended, status = _wait(pid, 1.0 if time.monotonic() - started < within_s else 0.0)
            how = f"ended with {os.waitstatus_to_exitcode(status)}" if ended else f"has not answered in {within_s} s"
            told = json.dumps(
                {"word": f"the process that checks {how}", "why": "", "outcomes": [], "changed": []}
            ).encode()
            if not ended:
                os.kill(pid, signal.SIGKILL)
        seconds = time.monotonic() - started
        left = _left(AFTER_S)
        output.seek(0)
        return {
            **json.loads(told),
            "seconds": seconds,
            "left": left,
            "output": output.read()[-3000:].decode(errors="replace"),
        }


def main() -> None:
    """Run the cases that are asked for."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        name, within_s = json.loads(line)
        print(json.dumps(_run(name, within_s)), flush=True)


if __name__ == "__main__":
    main()
