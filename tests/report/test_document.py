from __future__ import annotations

import json

from attrs import evolve

from tests.report.examples import (
    ALL_OR_NOTHING,
    HISTORY_KEPT,
    ONE_SUCCEEDS,
    holds,
    inconclusive,
    orphan,
    result,
    violated,
)
from treadle.report.document import build_document, render_document, version
from treadle.values.fault import FaultBudget, Placement
from treadle.values.verdict import Bounds

RESULT = result(
    violated(ALL_OR_NOTHING, orphan()),
    holds(HISTORY_KEPT),
    inconclusive(ONE_SUCCEEDS, "the search stopped"),
    bounds=Bounds(FaultBudget(locked=1, crash=2), Placement.STATEMENT, 1000, 2.5),
)

# Dictionaries keep their order, so the text compares the order of the keys as well.
EXPECTED = {
    "treadle": version(),
    "results": [
        {
            "scenario": "create-backfill/shipped-3.2.2",
            "database": {
                "engine": "sqlite",
                "version": "3.40.1",
                "journal": "wal",
                "transactions": "legacy",
            },
            "clients": ["request-1", "request-2"],
            "bounds": {
                "faults": {"locked": 1, "crash": 2},
                "faults_at": "statement",
                "max_states": 1000,
                "max_seconds": 2.5,
                "max_executions": None,
                "until_violated": False,
                "max_memory": None,
            },
            "search": "exhaustive",
            "exhausted": True,
            "properties": [
                {
                    "name": "all-or-nothing",
                    "clause": "a request that fails leaves no rows",
                    "verdict": "violated",
                    "expected": "violated",
                    "counterexample": {
                        "schedule": "t1.A15.B30.A4.B4.A20",
                        "choices": 5,
                        "faults": 0,
                        "confirmed": True,
                        "why": "request-2 failed, but left its backfill with 1 of 2 runs.",
                    },
                },
                {
                    "name": "history-kept",
                    "clause": "no row of an older run changes its owner",
                    "verdict": "holds",
                    "expected": "holds",
                    "counterexample": None,
                },
                {
                    "name": "one-succeeds",
                    "clause": "a request succeeds",
                    "verdict": "inconclusive",
                    "expected": "holds",
                    "why": "the search stopped",
                    "counterexample": None,
                },
            ],
            "stats": {
                "states": 1234,
                "transitions": 2345,
                "schedules": 12345678,
                "live_runs": 43,
                "seconds": 0.512,
                "peak_rss_bytes": 85000000,
                "challenges": 0,
            },
        }
    ],
}


class TestRenderDocument:
    def test_has_the_documented_shape(self) -> None:
        """Keys, their order and their values are an interface for programs."""
        assert json.dumps(EXPECTED, indent=2) + "\n" == render_document([RESULT])

    def test_keeps_astronomic_numbers_exact(self) -> None:
        """The number of schedules is an integer of any size."""
        stats = evolve(RESULT.stats, schedules=10**40 + 1)
        document = json.loads(render_document([evolve(RESULT, stats=stats)]))
        assert document["results"][0]["stats"]["schedules"] == 10**40 + 1

    def test_of_nothing(self) -> None:
        """Without results the document is still one."""
        assert {"treadle": version(), "results": []} == build_document([])
