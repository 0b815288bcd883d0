"""The JSON document of a check: the values of its results, for programs."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import cattrs

from treadle.values.canonical import printable
from treadle.values.display import beginning, replaced
from treadle.values.verdict import Counterexample, Decision, Result


def version() -> str:
    """Return the version of Treadle that is installed; 0 in a checkout that is not installed."""
    try:
        return importlib.metadata.version("treadle")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def build_document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the document as objects that JSON knows."""
    return {"treadle": version(), "results": [_carried(_result(result)) for result in results]}


def render_document(results: Sequence[Result]) -> str:
    """Return the document as text: valid JSON in characters that any UTF-8 has, none of which a terminal would obey."""
    with _numbers_of_any_size():
        text = json.dumps(build_document(results), indent=2, ensure_ascii=False, allow_nan=False)
    return without_signs(text)


def without_signs(text: str) -> str:
    """Return a JSON text, on lines, with an escape for each character that a terminal would obey."""
    return "\n".join([replaced(line, _escape) for line in text.split("\n")]) + "\n"


def in_ascii(document: str) -> str:
    """Return the same document in ASCII, which is UTF-8, too."""
    return re.sub(r"[^\x00-\x7f]", lambda match: _escape(match[0]), document)


def _escape(letter: str) -> str:
    """Return what stands for a character in a JSON text: an escape for each of its UTF-16 code units (RFC 8259, 7)."""
    return json.dumps(letter)[1:-1] if letter != "\x7f" else "\\u007f"


@contextlib.contextmanager
def _numbers_of_any_size() -> Iterator[None]:
    """Let Python write whole numbers of more than 4,300 digits: the number of schedules may be one."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def _carried(value: Any) -> Any:
    """Return a part of the document as JSON in UTF-8 can carry it.

    A lone surrogate is no text: its escape stands for it. A number without end is no number: null stands for it.
    """
    match value:
        case dict():
            return {key: _carried(part) for key, part in value.items()}
        case list() | tuple():
            return [_carried(part) for part in value]
        case str():
            return printable(value)
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


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
    why = {"why": beginning(decision.why)} if decision.why and decision.counterexample is None else {}
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
        "why": beginning(example.why),
    }
