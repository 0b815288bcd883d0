"""Records: what was done in an execution, as digests that a token has room for.

::

    events    ① A connect   ② A SELECT → 3   ③ B UPDATE   ④ B commit   ⑤ A UPDATE
              └──────── A2 ────────┘         └─────── B2 ──────┘       └── A1 ──┘
    digests            of ① ②                     of ① ② ③ ④            of ① … ⑤

Each is of all that came before it as well, so that the first that differs tells where two executions part, and the
last one whether they do.

What goes in is what was asked (the kind of the operation, its connection and cursor, SQL, parameters) and what came of
it: a wait, the class of an error, rows, how many rows were changed, how the client ended. It must be the same for the
same code in every process, on every Python and with every hash seed, and a token is kept for long. So nothing goes in
whose spelling may differ there: of an object that is no plain value its class, of an error not its text, and of SQL
not how it is broken into lines. SQLAlchemy's versions spell SQL differently; then something else was done indeed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Any

import attrs

from treadle.values.operation import RUNS_SQL, Kind
from treadle.values.outcome import Outcome, Raised, Returned
from treadle.values.schedule import DIGEST_LENGTH, Choice, Schedule, Step, short
from treadle.values.trace import Event, Parting, Trace

_FETCHES = frozenset({Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL})

_SPELLED_ALIKE = (dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID)
"""Classes of the standard library whose values are spelled alike everywhere."""

_DEPTH_MAX = 8
"""How deep a value is looked into."""

_BLANKS = re.compile(r"""('[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\])|\s+""")


def digests(choices: Sequence[Choice], events: Sequence[Event]) -> tuple[str, ...]:
    """Return for each choice a digest of what was done by its end.

    Args:
        choices: what was chosen.
        events: what happened, one event for each operation and each fault.
    """
    found = []
    so_far = blake2b()
    at = 0
    for choice in choices:
        count = choice.operations if isinstance(choice, Step) else 1
        for event in events[at : at + count]:
            so_far.update(_spelled(tuple(_said(event))).encode())
        at += count
        found.append(short(so_far.copy().digest(), DIGEST_LENGTH))
    return tuple(found)


def recorded(schedule: Schedule, events: Sequence[Event]) -> Schedule:
    """Return a schedule with the digests of what was done under it."""
    return Schedule(schedule.choices, digests(schedule.choices, events))


def parting(replayed: Schedule, trace: Trace, misfit: str = "") -> Parting | None:
    """Return where an execution parts from what a token recorded; None if it does not, as far as that is known.

    Args:
        replayed: the schedule of the token.
        trace: what happened under it, as far as it could be followed.
        misfit: why it could be followed no further; empty if it was followed to its end.
    """
    here = trace.schedule.choices
    now = digests(here, trace.events)
    first = 1
    for at, choice in enumerate(replayed.choices):
        after = first + (choice.operations if isinstance(choice, Step) else 1)
        followed = here[at : at + 1] == (choice,)
        if not followed or (replayed.digests and not now[at].startswith(replayed.digests[at])):
            return Parting(at + 1, first, min(after - 1, len(trace.events)), "" if followed else misfit)
        first = after
    return None


def _said(event: Event) -> Iterator[object]:
    """Yield what is told of an event."""
    yield from (event.client, str(event.fault))
    operation, seen = event.operation, event.observation
    if operation is not None:
        yield from (operation.kind.value, operation.connection, operation.cursor, operation.arguments)
        yield None if operation.sql is None else _one_line(operation.sql)
        if seen is None:
            yield "waits"
        elif seen.failure is not None:
            yield (seen.failure.type, None if seen.failure.code is None else seen.failure.code & 0xFF)
        elif operation.kind in _FETCHES:
            yield seen.rows
        elif operation.kind in RUNS_SQL and seen.description is None:
            yield max(seen.rowcount, -1)
    if event.outcome is not None:
        yield _end(event.outcome)


def _end(outcome: Outcome) -> object:
    match outcome:
        case Returned(value):
            return ("returned", value)
        case Raised(exception):
            return ("raised", type(exception).__qualname__)
        case _:
            return "crashed"


def _one_line(sql: str) -> str:
    """Return SQL without what only its layout is; with a comment, a line is more than layout."""
    return sql if "--" in sql else _BLANKS.sub(lambda match: match[1] or " ", sql).strip()


def _spelled(value: Any, depth: int = 0) -> str:
    """Return a text that is the same for the same value everywhere; of what is no plain value, its class."""
    if value is None or isinstance(value, bool):
        return repr(value)
    name = type(value).__qualname__
    if isinstance(value, enum.Enum):
        return f"{name}.{value.name}"
    if isinstance(value, _SPELLED_ALIKE):
        return f"{name}:{value}"
    for plain, spell in _PLAIN.items():
        if isinstance(value, plain):
            return spell(plain(value))
    if depth < _DEPTH_MAX:
        with contextlib.suppress(Exception):  # It may be of any class of the application, and do anything.
            parts = _parts(value, depth + 1)
            return name if parts is None else f"{name}({','.join(parts)})"
    return name


_PLAIN: dict[type, Callable[[Any], str]] = {
    int: hex,
    float: repr,
    str: ascii,
    bytes: lambda value: f"b{blake2b(value).hexdigest()}",
}


def _parts(value: Any, depth: int) -> list[str] | None:
    """Return the parts of a container or record, spelled; None if it is neither."""
    if "_sa_instance_state" in getattr(value, "__dict__", ()):  # to look at it may ask the database
        return None
    if isinstance(value, AbstractSet):
        return sorted(_spelled(item, depth) for item in value)
    if isinstance(value, Mapping):
        return sorted(f"{_spelled(key, depth)}:{_spelled(item, depth)}" for key, item in value.items())
    if isinstance(value, Sequence):
        return [_spelled(item, depth) for item in value]
    if dataclasses.is_dataclass(value):
        return [_spelled(getattr(value, item.name, None), depth) for item in dataclasses.fields(value)]
    if attrs.has(type(value)):
        return [_spelled(getattr(value, item.name, None), depth) for item in attrs.fields(type(value))]
    return None
