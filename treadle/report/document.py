"""The JSON document of a check: the values of its results, for programs."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from typing import Any

import cattrs

from treadle.values.verdict import Counterexample, Decision, Result


def version() -> str:
    """Return the version of Treadle that is installed; 0 in a checkout that is not installed."""
    try:
        return importlib.metadata.version("treadle")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def build_document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the document as objects that JSON knows."""
    return {"treadle": version(), "results": [_result(result) for result in results]}


def render_document(results: Sequence[Result]) -> str:
    """Return the document as text."""
    return json.dumps(build_document(results), indent=2, ensure_ascii=False) + "\n"


def _result(result: Result) -> dict[str, Any]:
    return {
        "scenario": result.scenario,
        "database": {
            "engine": "sqlite",
            "version": result.sqlite_version,
            "journal": result.journal,
            "transactions": result.transactions,
        },
        "clients": list(result.clients),
        "bounds": cattrs.unstructure(result.bounds),
        "search": result.search,
        "exhausted": result.exhausted,
        "properties": [_decision(decision) for decision in result.decisions],
        "stats": cattrs.unstructure(result.stats),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    why = {"why": decision.why} if decision.why and decision.counterexample is None else {}
    return {
        "name": decision.property.name,
        "clause": decision.property.clause,
        "verdict": str(decision.verdict),
        "expected": str(decision.expected),
        **why,
        "counterexample": _counterexample(decision.counterexample),
    }


def _counterexample(example: Counterexample | None) -> dict[str, Any] | None:
    if example is None:
        return None
    return {
        "schedule": example.schedule.token,
        "choices": len(example.schedule),
        "faults": example.faults,
        "confirmed": example.confirmed,
        "why": example.why,
    }
