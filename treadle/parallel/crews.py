"""Which crew is meant by ``workers``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from treadle.parallel.crew import Crew
from treadle.parallel.processes import Processes
from treadle.scenario import Scenario

ADDRESS = re.compile(r"(tcp|tls)://[!-~]{1,255}:[0-9]{1,5}")
"""The address of a Dask scheduler."""

WORKERS_MAX = 1000
"""How many processes may be asked for. Each takes memory before it does anything."""


@contextlib.contextmanager
def crew_of(scenario: Scenario, workers: int | str) -> Iterator[Crew]:
    """Give the workers for a scenario, and end them on leaving.

    Args:
        scenario: what is searched.
        workers: how many processes of this machine, or the address of a Dask scheduler.

    Raises:
        UsageError: the scenario cannot travel to other machines, Dask is not installed, or nobody answers there.
    """
    crew: Crew
    if isinstance(workers, int):
        crew = Processes(scenario, workers)
    else:
        from treadle.parallel.cluster import Cluster  # noqa: PLC0415  # Dask is optional, and slow to import

        crew = Cluster(scenario, workers)
    try:
        yield crew
    finally:
        crew.close()
