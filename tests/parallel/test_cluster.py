"""The workers of a real Dask cluster find what one process finds."""

from __future__ import annotations

import contextlib
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.parallel import examples
from tests.parallel.examples import facts
from treadle import (
    FaultBudget,
    PropertyError,
    Scenario,
    TargetError,
    UsageError,
    check,
)
from treadle.targets import Origin, resolve

pytestmark = pytest.mark.usefixtures("few_challenges")

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

from treadle.parallel import cluster, host  # noqa: E402  # what they import is optional
from treadle.parallel.cluster import Cluster  # noqa: E402

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def two_workers() -> Iterator[Any]:
    """Provide a cluster of two worker processes."""
    settings = {"distributed.worker.profile.enabled": False}  # it looks into the frames of every thread
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    """Return a cluster whose workers nobody kills: Dask replaces the dead late, and not always."""
    with two_workers() as found:
        yield found


@pytest.fixture
def mortal() -> Iterator[Any]:
    """Return a cluster for one test alone, which may kill workers."""
    with two_workers() as found:
        yield found


def example(make: Callable[[], Scenario]) -> Scenario:
    """Return an example as a target leads to it."""
    return resolve([f"tests.parallel.examples:{make.__name__}"], {})[0].scenario


def homes(crew: Cluster) -> list[str]:
    """Return the addresses of the workers that have parts."""
    return [crew._homes[part].address for part in sorted(crew._homes)]


def kill(workers: Any, address: str) -> None:
    """Kill the process of a worker."""
    (pid,) = [nanny.pid for nanny in workers.workers.values() if nanny.worker_address == address]
    os.kill(pid, signal.SIGKILL)


def parts_alive(workers: Any) -> int:
    """Return how many processes the workers have that serve parts."""
    parents = ",".join(str(nanny.pid) for nanny in workers.workers.values())
    found = subprocess.run(["pgrep", "-P", parents, "-fc", "parallel.host"], capture_output=True, check=False)
    return int(found.stdout)


@pytest.mark.parametrize(
    "make",
    [examples.with_a_fault, examples.create_backfill, examples.witnessed, examples.drawing, examples.rare_branch],
)
def test_finds_what_one_process_finds(workers: Any, make: Callable[[], Scenario]) -> None:
    """Verdicts, counts, schedules and outcomes are the same, and no process stays."""
    scenario = example(make)
    assert facts(check(scenario)) == facts(check(scenario, workers=workers.scheduler_address))
    assert 0 == parts_alive(workers)


def test_what_was_changed_about_a_scenario_travels(workers: Any) -> None:
    """The origin makes it as it was written; faults are given later."""
    scenario = evolve(example(examples.witnessed), faults=FaultBudget(locked=1), faults_at="reachable")
    expected = facts(check(scenario))
    assert expected != facts(check(example(examples.witnessed)))
    assert expected == facts(check(scenario, workers=workers.scheduler_address))


@pytest.mark.parametrize("number", [1, 3])
def test_a_killed_worker_loses_nothing(mortal: Any, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its part begins anew on a living one, together with another part if need be."""
    scenario = example(examples.create_backfill)
    expected = facts(check(scenario))
    right, reports = Cluster.wait, []

    def wait(self: Cluster) -> Any:
        reports.append(homes(self))
        if len(reports) == number:
            kill(mortal, homes(self)[0])
        return right(self)

    monkeypatch.setattr(Cluster, "wait", wait)
    assert expected == facts(check(scenario, workers=mortal.scheduler_address))
    assert reports[0][0] != reports[-1][0]


def test_a_worker_that_is_killed_at_the_end_loses_nothing(mortal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when all was explored."""
    scenario = example(examples.with_a_fault)
    expected = facts(check(scenario))
    right, harvests = Cluster.finish, []

    def finish(self: Cluster, part: int, *given: Any) -> Any:
        harvests.append(part)
        if len(harvests) == 1:
            kill(mortal, homes(self)[part])
        return right(self, part, *given)

    monkeypatch.setattr(Cluster, "finish", finish)
    assert expected == facts(check(scenario, workers=mortal.scheduler_address))
    assert len(harvests) > 2


def test_more_parts_than_workers(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has a process of its own, so that a worker can have several."""
    right = Cluster._probe
    monkeypatch.setattr(Cluster, "_probe", lambda self: right(self) + 1)
    scenario = example(examples.create_backfill)
    assert facts(check(scenario)) == facts(check(scenario, workers=workers.scheduler_address))


def test_errors_come_out_as_they_are(workers: Any) -> None:
    """As from processes of this machine."""
    with pytest.raises(PropertyError, match="the predicate is broken"):
        check(example(examples.failing_predicate), workers=workers.scheduler_address)
    assert 0 == parts_alive(workers)


def test_an_interrupt_ends_the_parts(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waits leaves no process on the workers."""
    right = Cluster.wait

    def wait(self: Cluster) -> Any:
        right(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Cluster, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        check(example(examples.create_backfill), workers=workers.scheduler_address)
    assert 0 == parts_alive(workers)


_CHECK = """
from treadle.targets import resolve
from treadle import check
(found,) = resolve(["properties.backfill:scenarios"], {{"requests": "3", "runs": "3", "algorithms": "shipped-3.2.2"}})
check(found.scenario, workers={address!r}, progress=lambda _: print("works", flush=True))
"""


def _see_alive(workers: Any, count: int) -> None:
    """See so many parts alive, if not now then soon."""
    until = time.monotonic() + 15
    while count != parts_alive(workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert count == parts_alive(workers)


def test_the_parts_of_a_killed_check_end(workers: Any) -> None:
    """The scheduler notices that nobody wants them any more."""
    command = [sys.executable, "-c", _CHECK.format(address=workers.scheduler_address)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "works\n"
        _see_alive(workers, 2)  # one part may work before the other has begun
    finally:
        process.kill()
        process.communicate()
    _see_alive(workers, 0)


# --- Usage errors ------------------------------------------------------------------------------------


def test_a_scenario_without_an_origin_is_refused() -> None:
    """Before anybody is asked for."""
    with pytest.raises(UsageError, match=r"(?s)cannot travel.*Name a target.*origin="):
        check(examples.witnessed(), workers="tcp://127.0.0.1:1")


def test_an_origin_that_does_not_pickle_is_refused() -> None:
    """A function inside another one stays where it is."""
    scenario = examples.witnessed()
    with pytest.raises(UsageError, match="does not pickle"):
        check(evolve(scenario, origin=lambda: scenario), workers="tcp://127.0.0.1:1")


def test_an_origin_that_makes_something_else_is_refused(workers: Any) -> None:
    """Or what was searched there would be no answer here."""
    scenario = evolve(examples.witnessed(), origin=examples.with_a_fault)
    with pytest.raises(UsageError, match="made another one"):
        check(scenario, workers=workers.scheduler_address)


def test_a_target_that_is_not_there_is_refused(workers: Any) -> None:
    """A worker says what is missing, as the command line does."""
    scenario = example(examples.witnessed)
    elsewhere = Origin("no_such_module:scenario", {}, scenario.name, "/no/such/directory")
    with pytest.raises(TargetError, match="no_such_module"):
        check(evolve(scenario, origin=elsewhere), workers=workers.scheduler_address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tls://127.0.0.1:1"])
def test_an_address_where_nobody_answers_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon, and once."""
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.2)
    with pytest.raises(UsageError, match="no Dask scheduler answers there"):
        check(example(examples.witnessed), workers=address)


def test_somebody_else_at_the_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is no scheduler."""
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.5)

    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with pytest.raises(UsageError, match="no Dask scheduler answers there"):
                check(example(examples.witnessed), workers=f"tcp://127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join()


def test_a_scheduler_without_workers_is_refused() -> None:
    """It says how to start one."""
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1") as empty,
        pytest.raises(UsageError, match="has no workers"),
    ):
        check(example(examples.witnessed), workers=empty.scheduler_address)


def test_other_versions_are_refused(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another SQLite could answer differently."""
    monkeypatch.setattr(cluster, "versions", lambda: {**host.versions(), "SQLite": "3.0.0"})
    with pytest.raises(UsageError, match=r"has SQLite .* and this process has 3\.0\.0"):
        check(example(examples.witnessed), workers=workers.scheduler_address)


def test_dask_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says how to get it."""
    monkeypatch.delitem(sys.modules, "treadle.parallel.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'treadle\[distributed\]'"):
        check(example(examples.witnessed), workers="tcp://127.0.0.1:1")
