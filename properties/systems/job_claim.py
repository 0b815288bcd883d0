"""What must hold when two workers claim jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import job_claim as model
from properties.systems.system import LEGACY, System, Variant
from treadle import Breach, View, at_end, sometimes


def _claimed(view: View) -> list[int]:
    return [job_id for job_id in view.returned().values() if job_id is not None]


@at_end("no job is claimed by two workers", name="claimed-once")
def claimed_once(view: View) -> list[Breach]:
    """Decide by what the workers were told."""
    claimed = _claimed(view)
    return [
        Breach(f"job {job['id']} was given to {claimed.count(job['id'])} workers", [("job", job)])
        for job in view.rows("job")
        if claimed.count(job["id"]) > 1
    ]


PROPERTIES = (
    claimed_once,
    sometimes("both workers get a job", lambda view: len(_claimed(view)) == 2, name="both-get-a-job"),
)


def _workers(run: Callable[..., int | None]) -> dict[str, Callable[..., Any]]:
    return {name: partial(run, worker=name) for name in ("worker-1", "worker-2")}


SYSTEM = System(
    name="job-claim",
    metadata=model.Base.metadata,
    seed=model.seed,
    variants=(
        Variant(
            name="buggy",
            clients=_workers(model.claim),
            properties=PROPERTIES,
            violated={"claimed-once": LEGACY},
        ),
        Variant(name="fixed-rowcount", clients=_workers(model.claim_and_look), properties=PROPERTIES),
        Variant(name="fixed-returning", clients=_workers(model.claim_at_once), properties=PROPERTIES),
        Variant(name="fixed-immediate", clients=_workers(model.claim), properties=PROPERTIES, mode="immediate"),
    ),
)
"""SELECT a free job, then UPDATE it."""
