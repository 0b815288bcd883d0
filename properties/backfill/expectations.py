"""Which properties each algorithm is known to violate: what the checker found, never what somebody expects.

``python -m properties.backfill`` checks every algorithm in every journal and transaction mode, under each of
``CIRCUMSTANCES``, and writes what it found to ``expectations.json``, which is read here. A scenario under just these
circumstances expects just that.

For other parameters there is no record, and a scenario expects what is recorded under the nearest circumstances, for
the same algorithm in the same modes. So a property that breaks in a larger scenario only is a surprise, as it should
be; but one that holds in a smaller scenario only is a surprise too, and that says no more than that it is smaller.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve

from properties.backfill.parameters import Parameters

FILE = Path(__file__).with_name("expectations.json")
"""The record: circumstances, journal mode, transaction mode and algorithm, to names of properties."""

CIRCUMSTANCES: dict[str, dict[str, Any]] = {
    "default": {},
    "reachable": {"faults_at": "reachable"},
    "undisturbed": {"locked": 0},
    "alone": {"requests": 1},
    "rerun": {"history": 1, "reprocess": "completed"},
    "crash": {"locked": 0, "crash": 1},
}
"""Name to the parameters that differ from the defaults."""


def expected(parameters: Parameters, algorithm: str, journal: str, mode: str) -> frozenset[str]:
    """Return the names of the properties that a scenario is expected to violate.

    An algorithm or mode that was not recorded is expected to violate nothing.

    Args:
        parameters: of the scenario.
        algorithm: its name.
        journal: the journal mode.
        mode: the transaction mode.
    """
    modes = _record()[nearest(parameters)].get(journal, {})
    return frozenset(modes.get(mode, {}).get(algorithm, ()))


def nearest(parameters: Parameters) -> str:
    """Return the name of the circumstances that parameters mean, or else of those that are most like them."""
    plain = Parameters()
    bare = evolve(parameters, journal=plain.journal, transactions=plain.transactions, algorithms=plain.algorithms)
    for name, given in CIRCUMSTANCES.items():
        if bare == Parameters.of(given):
            return name
    if parameters.requests == 1:
        return "alone"
    if parameters.reprocess != plain.reprocess and parameters.history:
        return "rerun"
    if parameters.locked:
        return "default"
    return "crash" if parameters.crash else "undisturbed"


@cache
def _record() -> dict[str, dict[str, dict[str, dict[str, list[str]]]]]:
    """Read the record; there is none while the very first one is made."""
    empty: dict[str, Any] = {name: {} for name in CIRCUMSTANCES}
    return empty | (json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {})
