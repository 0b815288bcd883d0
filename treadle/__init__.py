"""Treadle: a deterministic concurrency model checker for SQLAlchemy code on real SQLite."""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

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

try:
    __version__ = _version("treadle")
except _PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0"

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
