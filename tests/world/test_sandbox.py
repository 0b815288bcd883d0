"""Sandboxes are removed when they are left behind, and nothing else is."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from treadle.values.errors import ResourceError
from treadle.world import sandbox
from treadle.world.sandbox import Sandbox

_HERE = Path(__file__).parents[2]

_LIVING = """
import os, sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
from treadle.world import sandbox
sandbox._MEMORY = Path("/nowhere")
own = sandbox.Sandbox()
(own.path / "world-1").mkdir()
(own.path / "world-1" / "world.db").write_text("rows")
{more}
sys.stdout.write(f"{{own.path}}\\n")
sys.stdout.flush()
time.sleep(600)
"""
"""A process that has a sandbox, and lives until it is killed."""

_LINGERING = """
if os.fork() == 0:
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let sandboxes be made in a directory of the test's own."""
    monkeypatch.setattr(sandbox, "_MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


class Living:
    """Processes with sandboxes."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(
        self, *, more: str = "", before: tuple[str, ...] = (), lines: int = 1
    ) -> tuple[subprocess.Popen[str], list[str]]:
        """Start a process, and return it with the lines that it says: the last one is where its sandbox is."""
        command = [*before, sys.executable, "-c", _LIVING.format(here=str(_HERE), more=more)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._started.append(process)
        assert process.stdout is not None
        return process, [process.stdout.readline().strip() for _ in range(lines)]

    @staticmethod
    def kill(process: subprocess.Popen[str]) -> None:
        """Kill a process, as the kernel does that has no memory left."""
        process.kill()
        process.wait()

    def end(self) -> None:
        """Kill all of them."""
        for process in self._started:
            self.kill(process)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def living() -> Iterator[Living]:
    """Give processes with sandboxes."""
    started = Living()
    yield started
    started.end()


def _sweep() -> None:
    with Sandbox():
        pass


def test_what_a_killed_process_left_is_removed(living: Living) -> None:
    """Its lock ends with it."""
    process, [left] = living.start()
    living.kill(process)
    assert (Path(left) / "world-1" / "world.db").exists()
    _sweep()
    assert not Path(left).exists()


def test_a_living_process_keeps_its_directory(living: Living) -> None:
    """It has the lock."""
    _, [kept] = living.start()
    _sweep()
    assert (Path(kept) / "world-1" / "world.db").exists()


def test_a_process_of_another_pid_namespace_keeps_its_directory(living: Living) -> None:
    """There its number is that of nobody here, or of somebody else."""
    container = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    if shutil.which("unshare") is None or subprocess.run([*container, "true"], check=False).returncode:
        pytest.skip("no namespaces may be made here")
    process, [kept] = living.start(before=container)
    assert Path(kept).name.startswith("treadle-1-")
    _sweep()
    assert (Path(kept) / "world-1" / "world.db").exists()
    living.kill(process)
    _wait_for_end_of(Path(kept))
    _sweep()
    assert not Path(kept).exists()


def _wait_for_end_of(directory: Path) -> None:
    """Wait until nobody holds the lock of a directory: the kernel kills what is in a namespace when its first ends."""
    with (directory / "lock").open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)


def test_a_child_that_lives_on_does_not_keep_a_dead_ones_directory(living: Living) -> None:
    """It has the file open, and not the lock."""
    process, [child, left] = sorted_by_digits(living.start(more=_LINGERING, lines=2))
    living.kill(process)
    try:
        _sweep()
        assert not Path(left).exists()
    finally:
        os.kill(int(child), signal.SIGKILL)


def sorted_by_digits(started: tuple[subprocess.Popen[str], list[str]]) -> tuple[subprocess.Popen[str], list[str]]:
    """Return what a process said with the number first: parent and child speak in any order."""
    process, lines = started
    return process, sorted(lines, key=lambda line: not line.isdigit())


@pytest.mark.parametrize(
    "how", ["os._exit(0)", "sys.exit(0)", "own.close(); os._exit(0)", "os.close(own._file); os._exit(0)"]
)
def test_the_end_of_a_child_changes_nothing(living: Living, how: str) -> None:
    """Neither the lock goes with it, nor the directory, also where it comes to the interpreter's exit."""
    _, [kept] = living.start(more=f"pid = os.fork()\nif pid == 0:\n    {how}\nos.waitpid(pid, 0)")
    _sweep()
    assert (Path(kept) / "world-1" / "world.db").exists()


def test_two_in_one_process_keep_their_directories(living: Living) -> None:
    """To open a lock file of one's own, and close it, would drop the lock."""
    with Sandbox() as outer:
        with Sandbox():
            assert outer.path.exists()
        _, [_] = living.start()  # which sweeps, too
        assert outer.path.exists()
    assert not outer.path.exists()


def test_directories_of_others_stay(root: Path) -> None:
    """What only looks like one is no sandbox: without the mark, with another's, or a copy under another name."""
    diary = root / "treadle-2026-11-25"
    diary.mkdir(mode=0o700)
    (diary / "notes.txt").write_text("mine")
    with Sandbox() as made:
        copied = root / "treadle-1-copied"
        shutil.copytree(made.path, copied)
        copied.chmod(0o700)
        renamed = root / made.path.name.replace("treadle", "treadle-of")
        shutil.copytree(made.path, renamed)
        renamed.chmod(0o700)
    _sweep()
    assert {diary, copied, renamed} == set(root.glob("treadle-*"))
    assert "mine" == (diary / "notes.txt").read_text()


def _of_another_kernel(left: Path) -> None:
    text = (left / "lock").read_text().splitlines()
    (left / "lock").write_text("\n".join([*text[:2], "another-boot", ""]))


def _through_a_link(left: Path) -> None:
    moved = left.with_name("elsewhere")
    left.rename(moved)
    left.symlink_to(moved)


def _with_a_link_as_lock(left: Path) -> None:
    moved = left.with_name("lock-elsewhere")
    (left / "lock").rename(moved)
    (left / "lock").symlink_to(moved)


def _with_a_pipe_as_lock(left: Path) -> None:
    (left / "lock").unlink()
    os.mkfifo(left / "lock")


def _of_another_user(left: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(left, 12345, 12345)


def _for_all_to_write(left: Path) -> None:
    left.chmod(0o777)


@pytest.mark.parametrize(
    "change",
    [
        _of_another_kernel,
        _through_a_link,
        _with_a_link_as_lock,
        _with_a_pipe_as_lock,
        _of_another_user,
        _for_all_to_write,
    ],
)
def test_what_leaves_a_doubt_stays(living: Living, change: Any) -> None:
    """Each of these could be somebody else's, though its process is dead."""
    process, [left] = living.start()
    living.kill(process)
    change(Path(left))
    _sweep()
    assert (Path(left) / "world-1" / "world.db").exists()


def test_where_nothing_can_be_locked_nothing_is_removed(living: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS without its lock daemon a sandbox works, and neither says that it may be removed, nor removes others."""
    process, [left] = living.start()
    living.kill(process)

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    with Sandbox() as made:
        assert b"" == (made.path / "lock").read_bytes()
    assert Path(left).exists()
    assert not made.path.exists()


def test_a_new_directory_never_looks_left_behind(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that sweeps between any two steps of its making leaves it alone."""
    script = f"import sys; sys.path.insert(0, {str(_HERE)!r}); from treadle.world.sandbox import _sweep; "
    script += f"from pathlib import Path; _sweep(Path({str(root)!r}))"

    def swept(act: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            subprocess.run([sys.executable, "-c", script], check=True)
            return act(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkdtemp", swept(__import__("tempfile").mkdtemp))
        patch.setattr("fcntl.lockf", swept(fcntl.lockf))
        patch.setattr("os.write", swept(os.write))
        made = Sandbox()
    subprocess.run([sys.executable, "-c", script], check=True)
    assert made.path.exists()
    made.close()


def test_two_that_sweep_at_once_do_not_disturb_each_other(living: Living, root: Path) -> None:
    """One of them removes; the other one finds nothing, or the lock taken."""
    for _ in range(3):
        process, [_] = living.start()
        living.kill(process)
    script = f"import sys; sys.path.insert(0, {str(_HERE)!r}); from treadle.world.sandbox import _sweep; "
    script += f"from pathlib import Path; [_sweep(Path({str(root)!r})) for _ in range(50)]"
    sweeps = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [0, 0, 0] == [sweep.wait() for sweep in sweeps]
    assert [] == list(root.glob("treadle-*"))


def test_a_lack_of_files_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other directory would help."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(sandbox.Sandbox, "_lock", refuse)
    with pytest.raises(ResourceError, match="ulimit -n"):
        Sandbox()
