"""The witnesses see what they are asked to see, or nothing that they say would mean anything."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.isolation.application import Kept, own_files
from tests.isolation.witness import Watch, alive, calls_on, can_trace, outlived, traced

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the witnesses are Linux's")


def _in_directory(path: Path) -> None:
    there = os.open(path.parent, os.O_RDONLY)
    os.close(os.open(path.name, os.O_RDONLY, dir_fd=there))
    os.close(there)


def _linked(path: Path) -> None:
    other = path.parent.parent / "other.db"
    other.hardlink_to(path)
    with other.open("rb") as file:
        file.read(1)


def _selected(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM item").fetchall()


def _unlinked(path: Path) -> None:
    there = os.open(path.parent, os.O_RDONLY)
    os.unlink(path.name, dir_fd=there)
    os.close(there)


_DEEDS: dict[str, Callable[[Path], object]] = {
    "read": Path.read_bytes,
    "written": lambda path: path.write_bytes(b""),
    "opened in its directory": _in_directory,
    "linked and read": _linked,
    "removed": Path.unlink,
    "removed in its directory": _unlinked,
    "renamed": lambda path: path.rename(path.with_name("other.db")),
    "truncated": lambda path: os.truncate(path, 0),
    "allowed to others": lambda path: path.chmod(0o600),
    "selected from": _selected,
    "read by a child": lambda path: subprocess.run(["cat", str(path)], check=True, capture_output=True),
}


def _files(folder: Path, kept: Kept) -> list[Path]:
    data = folder / "data"
    data.mkdir()
    for name, content in own_files(kept).items():
        (data / name).write_bytes(content)
    return sorted(data.iterdir())


@pytest.mark.parametrize("deed", _DEEDS)
def test_a_watch_sees_what_is_done(deed: str, tmp_path: Path) -> None:
    """Reading, writing, linking, moving and removing, by this process or another, by any name."""
    files = _files(tmp_path, Kept.ROLLBACK)
    with Watch((files[0].parent, *files)) as watch:
        _DEEDS[deed](files[0])
    assert watch.seen


def test_a_watch_sees_nothing_where_nothing_is_done(tmp_path: Path) -> None:
    """To list a directory, and to ask how large a file is, touches no file."""
    files = _files(tmp_path, Kept.ROLLBACK)
    with Watch((files[0].parent, *files)) as watch:
        assert [files[0]] == [path for path in files[0].parent.iterdir() if path.stat().st_size]
    assert [] == watch.seen


@pytest.mark.parametrize("kept", [Kept.LIVE_WAL, Kept.HOT])
def test_what_was_left_is_changed_by_the_first_that_reads(kept: Kept, tmp_path: Path) -> None:
    """A hot journal is rolled back, and pages of a WAL are moved into the file: the files tell on who only reads."""
    files = _files(tmp_path, kept)
    before = {path.name: path.read_bytes() for path in files}
    _selected(files[0])
    assert before != {path.name: path.read_bytes() for path in files[0].parent.iterdir()}


def test_processes_are_found_by_their_mark() -> None:
    """A process that has left the session, and one that has cleared its environment, are found and ended."""
    mark = f"mark-of-{os.getpid()}"
    command = "import os, time; os.fork() and os.execve('/bin/sleep', ['sleep', '30'], {}); os.setsid(); time.sleep(30)"
    environment = {**os.environ, "TREADLE_TRUTH": mark}
    with subprocess.Popen([sys.executable, "-c", command], env=environment, start_new_session=True) as process:
        while len(alive(mark, process.pid)) < 2 or _is_python(process.pid):
            assert process.poll() is None
        assert 2 == len(outlived(mark, process.pid, 0.1))
        process.kill()
    assert [] == alive(mark, process.pid)


def _is_python(pid: int) -> bool:
    return b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]


@pytest.mark.truth
@pytest.mark.parametrize(
    "deed",
    [
        "open({path!r}).close()",
        "open({path!r}, 'ab').close()",
        "import os; os.chdir(os.path.dirname({path!r})); os.unlink('application.db')",
        "import os; os.truncate({path!r}, 0)",
        "import os; os.rename({path!r}, {path!r} + '.old')",
        "import os; os.unlink('application.db', dir_fd=os.open(os.path.dirname({path!r}), os.O_RDONLY))",
        "import sqlite3; sqlite3.connect({path!r}).execute('SELECT * FROM item').fetchall()",
        "import subprocess; subprocess.run(['cat', {path!r}], stdout=subprocess.DEVNULL)",
    ],
)
def test_a_trace_sees_what_is_done(deed: str, tmp_path: Path) -> None:
    """The same, by system calls."""
    if not can_trace():
        pytest.skip("needs strace, and the permission to trace")
    files = _files(tmp_path, Kept.ROLLBACK)
    trace = tmp_path / "trace"
    subprocess.run(traced([sys.executable, "-c", deed.format(path=str(files[0]))], trace), check=True)
    assert calls_on(trace, files)
    subprocess.run(traced([sys.executable, "-c", "pass"], trace), check=True)
    assert [] == calls_on(trace, files)
