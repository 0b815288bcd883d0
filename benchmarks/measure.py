"""Measure one case in this process, and print its figures as JSON: ``python -m benchmarks.measure NAME``."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import sqlalchemy
from attrs import evolve

from benchmarks.cases import EXECUTIONS, Case, Kind, find
from benchmarks.plain import again_and_again, plain_runs_s
from treadle import Result, Scenario, check
from treadle.execution.confirmation import run_live
from treadle.execution.product import Product
from treadle.execution.system import System
from treadle.judge import Judge
from treadle.search.pct import Pct
from treadle.search.protocol import Limits
from treadle.search.random import Random
from treadle.values.schedule import Choice, Schedule

Figures = dict[str, Any]
"""What was measured, by name."""

Timed = Callable[[], float]
"""Does something, and returns how many seconds of it count."""


def measure(case: Case) -> Figures:
    """Return the figures of one case: medians over its rounds, and the ratio to plain runs of this process."""
    figures = {Kind.CHECK: _check, Kind.FIRST: _first, Kind.LIVE: _live, Kind.WORKERS: _workers}[case.kind](case)
    return {"title": case.title, **figures, "machine": machine()}


def machine() -> str:
    """Return what the figures are measured on."""
    return (
        f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, SQLAlchemy {sqlalchemy.__version__}"
    )


def _check(case: Case) -> Figures:
    results: list[Result] = []
    scenario = case.scenario

    def once() -> float:
        start = time.perf_counter()
        result = check(scenario, search=case.search, without=case.without, max_seconds=case.max_seconds)
        seconds = time.perf_counter() - start
        results[:] = [result]
        return seconds

    seconds, plain = _alternate(scenario, case.rounds, once)
    return {**_compared(seconds, plain), **_sizes(results[0])}


def _first(case: Case) -> Figures:
    scenario = case.scenario
    start = time.perf_counter()
    result = check(scenario, search=case.search, until_violated=True, max_executions=EXECUTIONS)
    whole = time.perf_counter() - start

    def once() -> float:
        with System(scenario) as system:
            judge = Judge(scenario, system.sequel, system.serial)
            policy = Random(0) if case.search == "random" else Pct(0, clients=case.requests, faults=case.locked)
            start = time.perf_counter()
            finding = policy.explore(system.product, judge, Limits(max_executions=EXECUTIONS))
            return (time.perf_counter() - start) / finding.schedules

    seconds, plain = _alternate(scenario, case.rounds, once)
    violated = any(decision.counterexample is not None for decision in result.decisions)
    return {
        **_compared(seconds, plain),
        "whole_check_ratio": _rounded(whole / statistics.median(plain)),
        # The last one may not have ended.
        "executions": min(result.stats.schedules + 1, EXECUTIONS) if violated else None,
        **_sizes(result),
    }


def _live(case: Case) -> Figures:
    scenario = case.scenario
    with System(scenario) as system:
        schedule = Schedule(tuple(_serial(system.product)))
        script = list(system.product.walk(schedule.choices))

        def play_once() -> float:
            start = time.perf_counter()
            run_live(system, schedule)
            return time.perf_counter() - start

        def once() -> float:
            return statistics.median(again_and_again(play_once))

        seconds, plain = _alternate(scenario, case.rounds, once)
    return {**_compared(seconds, plain), "operations": len(script)}


def _serial(product: Product) -> list[Choice]:
    """Return the choices that take the clients to their ends one after another, one for each operation."""
    path: list[Choice] = []
    state = product.root()
    while choices := product.choices(state):
        edge = product.run(state, choices[0])
        path += edge.choices()
        state = edge.after
    return path


def _workers(case: Case) -> Figures:
    results: list[Result] = []
    alone: list[float] = []
    scenario = case.scenario

    def once() -> float:
        one, _ = _apart(case, 1)
        two, result = _apart(case, 2)
        alone.append(one)
        results[:] = [result]
        return two

    seconds, plain = _alternate(scenario, case.rounds, once)
    one = statistics.median(alone)
    return {
        **_compared(seconds, plain),
        "seconds_alone": _rounded(one),
        "speedup": _rounded(one / statistics.median(seconds)),
        **_sizes(results[0]),
    }


def _apart(case: Case, workers: int) -> tuple[float, Result]:
    """Check a scenario in a fresh process: memory that an earlier check has left slows down forked ones."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_checked, case, workers).result()


def _checked(case: Case, workers: int) -> tuple[float, Result]:
    scenario = case.scenario
    start = time.perf_counter()
    result = check(scenario, workers=workers)
    seconds = time.perf_counter() - start
    return seconds, evolve(result, decisions=())  # of which not all can travel


def _alternate(scenario: Scenario, rounds: int, once: Timed) -> tuple[list[float], list[float]]:
    """Return the seconds of each round, and those of plain runs before, between and after them."""
    seconds: list[float] = []
    plain = plain_runs_s(scenario)
    for _ in range(rounds):
        gc.collect()  # what one round leaves is not collected at the expense of the next
        seconds.append(once())
        gc.collect()
        plain += plain_runs_s(scenario)
    return seconds, plain


def _compared(seconds: list[float], plain: list[float]) -> Figures:
    """Return the medians, and how they compare."""
    median, unit = statistics.median(seconds), statistics.median(plain)
    return {
        "rounds": len(seconds),
        "seconds": _rounded(median),
        "plain_run_s": _rounded(unit),
        "ratio": _rounded(median / unit),
    }


def _sizes(result: Result) -> Figures:
    """Return what a check says about its own cost."""
    stats = result.stats
    return {
        "exhausted": result.exhausted,
        "states": stats.states,
        "transitions": stats.transitions,
        "schedules": stats.schedules,
        "live_runs": stats.live_runs,
        "peak_rss_mb": _rounded(stats.peak_rss_bytes / 1e6),
        "contents": final_contents(result),
    }


def final_contents(result: Result) -> int:
    """Return how many different database contents executions end with, whoever of the clients ended how."""
    return len({outcome.rpartition(" | ")[2] for outcome in result.outcomes})


def _rounded(value: float) -> float:
    """Return a figure with four digits that count."""
    return float(f"{value:.4g}")


if __name__ == "__main__":
    json.dump(measure(find(sys.argv[1])), sys.stdout)
