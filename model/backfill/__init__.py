"""Create-backfill of Apache Airflow: the algorithms that shipped, and the fixes that were proposed."""

from __future__ import annotations

from model.backfill import bulk, flush, immediate, shipped_3_2_2, shipped_3_3_2, staged, unique_index
from model.backfill.actors import (
    cancel,
    scheduler,
    scheduler_complete,
    scheduler_start,
    task_finish,
    task_finish_first,
    work_off,
)
from model.backfill.algorithm import Algorithm
from model.backfill.dates import INTERVAL
from model.backfill.request import NOW, Request
from model.backfill.route import Response, post
from model.backfill.schema import Reprocess, RunState
from model.backfill.seed import seed
from model.backfill.session import enforce_foreign_keys

ALGORITHMS = {
    module.ALGORITHM.name: module.ALGORITHM
    for module in (shipped_3_2_2, shipped_3_3_2, flush, immediate, unique_index, staged, bulk)
}
"""The algorithms by name: what shipped, then what was proposed."""

__all__ = [
    "ALGORITHMS",
    "INTERVAL",
    "NOW",
    "Algorithm",
    "Reprocess",
    "Request",
    "Response",
    "RunState",
    "cancel",
    "enforce_foreign_keys",
    "post",
    "scheduler",
    "scheduler_complete",
    "scheduler_start",
    "seed",
    "task_finish",
    "task_finish_first",
    "work_off",
]
