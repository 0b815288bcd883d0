"""Treadle: a deterministic concurrency model checker for SQLAlchemy code on real SQLite.

What is here is imported when it is first asked for: pytest loads this package at every start, and the command line
before it starts anew.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from treadle.checking import check, replay
    from treadle.racing.race import race
    from treadle.scenario import Client, Database, Scenario
    from treadle.search.protocol import Progress
    from treadle.serial import serial_equivalence, serial_failures
    from treadle.values.errors import (
        ChallengeError,
        CheckInterrupted,
        CounterexampleError,
        ForeignThreadError,
        NondeterminismError,
        PropertyError,
        ResourceError,
        SandboxError,
        ScheduleMismatchError,
        StuckClientError,
        TargetError,
        TokenError,
        TreadleError,
        UnsupportedOperationError,
        UsageError,
    )
    from treadle.values.fault import Fault, FaultBudget, LockKind, Placement
    from treadle.values.outcome import Crashed, Raised, Returned
    from treadle.values.property import Breach, Property, always, at_end, sometimes
    from treadle.values.schedule import Schedule
    from treadle.values.trace import Parting, Trace
    from treadle.values.verdict import Counterexample, Decision, Result, Verdict
    from treadle.values.view import Committed, View

    __version__: str

__all__ = [
    "Breach",
    "ChallengeError",
    "CheckInterrupted",
    "Client",
    "Committed",
    "Counterexample",
    "CounterexampleError",
    "Crashed",
    "Database",
    "Decision",
    "Fault",
    "FaultBudget",
    "ForeignThreadError",
    "LockKind",
    "NondeterminismError",
    "Parting",
    "Placement",
    "Progress",
    "Property",
    "PropertyError",
    "Raised",
    "ResourceError",
    "Result",
    "Returned",
    "SandboxError",
    "Scenario",
    "Schedule",
    "ScheduleMismatchError",
    "StuckClientError",
    "TargetError",
    "TokenError",
    "Trace",
    "TreadleError",
    "UnsupportedOperationError",
    "UsageError",
    "Verdict",
    "View",
    "always",
    "at_end",
    "check",
    "race",
    "replay",
    "serial_equivalence",
    "serial_failures",
    "sometimes",
]

_HOMES = {
    "treadle.checking": ("check", "replay"),
    "treadle.racing.race": ("race",),
    "treadle.scenario": ("Client", "Database", "Scenario"),
    "treadle.search.protocol": ("Progress",),
    "treadle.serial": ("serial_equivalence", "serial_failures"),
    "treadle.values.errors": (
        "ChallengeError",
        "CheckInterrupted",
        "CounterexampleError",
        "ForeignThreadError",
        "NondeterminismError",
        "PropertyError",
        "ResourceError",
        "SandboxError",
        "ScheduleMismatchError",
        "StuckClientError",
        "TargetError",
        "TokenError",
        "TreadleError",
        "UnsupportedOperationError",
        "UsageError",
    ),
    "treadle.values.fault": ("Fault", "FaultBudget", "LockKind", "Placement"),
    "treadle.values.outcome": ("Crashed", "Raised", "Returned"),
    "treadle.values.property": ("Breach", "Property", "always", "at_end", "sometimes"),
    "treadle.values.schedule": ("Schedule",),
    "treadle.values.trace": ("Parting", "Trace"),
    "treadle.values.verdict": ("Counterexample", "Decision", "Result", "Verdict"),
    "treadle.values.view": ("Committed", "View"),
}
"""Where the public names are."""


def __getattr__(name: str) -> _Any:
    """Import what is first asked for (PEP 562)."""
    if name == "__version__":
        globals()[name] = _version()
        return globals()[name]
    for home, names in _HOMES.items():
        if name in names:
            _import_module("treadle.values.picture").drawn_by(_drawn)
            globals()[name] = getattr(_import_module(home), name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _drawn(value: object) -> str | None:
    from treadle.report.notebook import render_picture  # noqa: PLC0415  # where no notebook asks, it is not needed

    return render_picture(value)


def __dir__() -> list[str]:
    """Return the public names, and what was imported."""
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # takes as long as all the rest

    try:
        return version("treadle")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0"
