"""However a check ends, the application's own file is as it was, and no process of the check lives on."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.isolation.application import Came, Folder, Kept, Running, Way, witnessed
from tests.isolation.witness import alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the witnesses are Linux's")

_ENDLESS = """

def sell(opened=sqlite3.connect):
    for number in range(40):
        with contextlib.closing(opened(PATH)) as connection:
            connection.execute("UPDATE item SET stock = stock - 1")
            connection.commit()
    return None


pathlib.Path("loaded").touch()
"""

_FOUR = """
scenario = Scenario(
    "shop",
    scenario.database,
    [Client(name, sell) for name in ("Ann", "Bob", "Cid", "Dan")],
    scenario.properties,
)
"""

_KINDS: dict[str, tuple[str, ...]] = {
    "search": ("--no-reduction",),
    "live": ("--no-reduction", "--live"),
    "workers": ("--workers", "2"),
    "sampling": ("--search", "random", "--max-executions", "1000000"),
}
_MOMENTS = random.Random(7)


def _command(kind: str) -> list[str]:
    return [sys.executable, "-m", "treadle", "check", "checked:scenario", *_KINDS[kind]]


def _ended(root: Path, kind: str, delay_s: float, end: Callable[[Running], object]) -> Came:
    """Return what comes of a check that takes for ever, and is ended some time after its application was loaded."""
    folder = Folder(root)
    folder.write(Way("endless", shop=_ENDLESS, after=_FOUR), Kept.LIVE_WAL)

    def meanwhile(run: Running) -> None:
        while not (folder.code / "loaded").exists():
            assert run.process.poll() is None, (root / "err").read_text()
            time.sleep(0.01)
        time.sleep(delay_s)
        assert run.process.poll() is None, (root / "err").read_text()
        end(run)

    return witnessed(folder, _command(kind), within_s=20, meanwhile=meanwhile)


def _moments(kind: str, number: int) -> list[object]:
    """Return moments, the first of each kind for every day."""
    found = [(kind, 0.6), *((kind, round(_MOMENTS.uniform(0, 3), 2)) for _ in range(number))]
    return [
        pytest.param(*moment, marks=() if at == 0 and kind in {"live", "workers"} else pytest.mark.truth)
        for at, moment in enumerate(found)
    ]


@pytest.mark.parametrize(("kind", "delay_s"), [moment for kind in _KINDS for moment in _moments(kind, 3)])
def test_ctrl_c(kind: str, delay_s: float, tmp_path: Path) -> None:
    """Ctrl-C, which the whole process group gets: exit code 3, and nothing that looks like a crash."""
    came = _ended(tmp_path / "shop", kind, delay_s, Running.interrupt)
    assert [] == came.untouched(), came.text()
    assert (3, False) == (came.code, "Traceback" in came.err), came.text()


@pytest.mark.truth
@pytest.mark.parametrize("kind", _KINDS)
def test_ctrl_c_twice(kind: str, tmp_path: Path) -> None:
    """The second Ctrl-C stops at once."""

    def twice(run: Running) -> None:
        run.interrupt()
        time.sleep(0.1)
        if run.process.poll() is None:
            run.interrupt()

    came = _ended(tmp_path / "shop", kind, 1.0, twice)
    assert [] == came.untouched(), came.text()
    assert (3, False) == (came.code, "Traceback" in came.err), came.text()
    assert came.seconds < 12


@pytest.mark.truth
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_it_is_told_to_end(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    """A supervisor's SIGTERM, a terminal that closes, Ctrl-backslash."""
    came = _ended(tmp_path / "shop", kind, 0.7, lambda run: run.process.send_signal(number))
    assert [] == came.untouched(), came.text()
    assert came.code not in {0, 1, None}, came.text()


@pytest.mark.parametrize(("kind", "delay_s"), [moment for kind in _KINDS for moment in _moments(kind, 6)])
def test_it_is_killed(kind: str, delay_s: float, tmp_path: Path) -> None:
    """``kill -9`` at any moment: nobody can clean up, and there is nothing to clean."""
    came = _ended(tmp_path / "shop", kind, delay_s, lambda run: run.process.kill())
    assert [] == came.untouched(), came.text()
    assert -signal.SIGKILL == came.code


@pytest.mark.truth
@pytest.mark.parametrize(("kind", "delay_s"), [moment for kind in _KINDS for moment in _moments(kind, 3)])
def test_one_of_its_processes_is_killed(kind: str, delay_s: float, tmp_path: Path) -> None:
    """As the kernel does when memory is short: the check ends with a word, and does not wait for ever."""
    found: list[int] = []

    def kill_one(run: Running) -> None:
        deadline = time.monotonic() + 2
        while not found and time.monotonic() < deadline:
            found.extend([pid for pid in alive(run.mark) if pid != run.process.pid][-1:])
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)  # A check that can go on without it may do so.
        if run.process.poll() is None:
            run.interrupt()

    came = _ended(tmp_path / "shop", kind, delay_s, kill_one)
    assert [] == came.untouched(), came.text()
    assert came.code in {2, 3}, came.text()
    assert "Traceback" not in came.err


@pytest.mark.truth
def test_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    """``treadle check ... | true``: the same."""
    folder = Folder(tmp_path / "shop")
    folder.write(Way("plain", shop="\nsell.__defaults__ = ()\n"), Kept.WAL)
    quiet = f"{sys.executable} -m treadle check checked:scenario | true"
    came = witnessed(folder, ["bash", "-c", quiet])
    assert [] == came.untouched(), came.text()
    assert "Traceback" not in came.err
