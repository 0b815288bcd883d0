"""A client is a process: it shares the database with the others and nothing else, and ends as a process ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.application import CHECKOUT, Folder, Kept, Way, command_of, environment, witnessed
from tests.isolation.clients import CASES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the witnesses are Linux's")

_LONG_S = 40.0
"""After how long the process that checks is taken to hang."""


class Host:
    """The process in which cases are run."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, name: str) -> dict[str, Any]:
        """Run a case, and return what came."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.isolation.host"],
                cwd=CHECKOUT,
                env=environment("host"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, _LONG_S]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the host has ended: {self._process.wait(5)}"
        came: dict[str, Any] = json.loads(line)
        return came

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process as process:
                process.kill()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A process that has loaded the clients."""
    host = Host()
    yield host
    host.close()


_FAST = {
    "a_counter_for_keys",
    "a_crash_in_c",
    "a_lock_around_a_sale",
    "a_lock_that_is_never_released",
    "a_loop_in_c",
    "a_loop_that_no_signal_reaches",
    "a_row_object",
    "a_scoped_session",
    "a_stack_that_overflows",
    "a_thread_local",
    "a_thread_that_is_left",
    "an_alarm_that_does_not_ring",
    "an_integrity_error",
    "get_or_create_behind_lru_cache",
    "it changes a module that is imported late",
    "it changes an environment variable",
    "it changes stdout",
    "it changes the directory",
    "it kills itself by SIGKILL",
    "it raises KeyboardInterrupt",
    "it raises one whose arguments differ",
    "it raises one with a lock",
    "it raises pytest.fail's",
    "it returns a function, and nobody looks",
    "it returns a local class's object",
    "it returns a sentinel",
    "it returns megabytes",
    "it_becomes_another_program",
    "it_closes_all_descriptors",
    "it_prints_megabytes",
    "it_reads_its_input",
    "it_works_in_a_thread",
    "one_dies_where_the_other_was_first",
    "os_exit_0",
    "process_ids_as_keys",
    "random_that_nobody_seeded",
    "sys_exit_0",
    "uuid1_as_a_key",
    "what_runs_at_its_end",
}
"""The cases that are run every day, one or two of each kind."""


@pytest.mark.parametrize(
    "name", [name if name in _FAST else pytest.param(name, marks=pytest.mark.truth) for name in CASES]
)
def test_what_a_process_does_is_its_own(name: str, host: Host) -> None:
    """The verdict, or the word, is what a user expects, and the process that checks goes on as it was."""
    case, came = CASES[name], host.run(name)
    assert came["word"] in case.wanted, f"{case.why} Wanted: {', '.join(sorted(case.wanted))}. Came: {came}"
    assert (0, []) == (came["left"], came["changed"]), came
    assert came["why"] or came["word"] not in {"inconclusive", "error"}, came
    assert came["seconds"] < case.within_s, came


@pytest.mark.truth
@pytest.mark.parametrize("name", ["process_ids", "uuid1_as_a_key", "uuid4_as_a_key", "secrets_as_a_key"])
def test_what_tells_processes_apart_is_the_same_in_every_check(name: str, host: Host) -> None:
    """Two checks, in processes of their own, come to the same outcomes."""
    one, other = host.run(name), host.run(name)
    assert one["outcomes"]
    assert one["outcomes"] == other["outcomes"]


def test_what_was_printed_before_is_printed_once(tmp_path: Path) -> None:
    """What is left in a buffer when a process is copied is written by one of the two."""
    folder = Folder(tmp_path / "shop")
    way = Way("prints", shop="\nprint('loaded', end='')\nsys.stderr.write('loaded too')\n")
    folder.write(way, Kept.ROLLBACK)
    came = witnessed(folder, command_of(way)[:-2])
    both = came.out + came.err
    assert (2, 1) == (both.count("loaded"), both.count("loaded too")), came.text()


def test_the_cases_of_every_day_are_there() -> None:
    """Each name is that of a case."""
    assert set() == _FAST - set(CASES)
