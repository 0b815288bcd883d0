"""Serial equivalence of requests: what counts as success, as refusal, and as the same."""

from __future__ import annotations

from collections.abc import Container

from model.backfill import Response
from properties.backfill.reading import CREATED, Reading
from treadle import Breach, Committed, Returned, View, serial_equivalence
from treadle.values.outcome import Outcome
from treadle.values.view import SerialEnd

REFUSALS = (400, 404, 409, 422)
"""The statuses that say what is wrong with the request, or what is in its way."""

LOG = "log"
"""The table of the audit log. Its rows are about requests that failed, too."""

CREATED_AND_THERE = Returned(Response(CREATED, "a backfill that is there"))
CREATED_AND_GONE = Returned(Response(CREATED, "a backfill that is not there"))


def _status(outcome: Outcome) -> int | None:
    answer = outcome.value if isinstance(outcome, Returned) else None
    return answer.status if isinstance(answer, Response) else None


def _succeeded(outcome: Outcome) -> bool:
    return _status(outcome) == CREATED


def _refused(outcome: Outcome) -> bool:
    return _status(outcome) in REFUSALS


def _told(outcome: Outcome) -> object:
    return outcome.value.detail if isinstance(outcome, Returned) else None


PROPERTY = serial_equivalence(succeeded=_succeeded, refused=_refused, result=_told)
"""For clients that send requests, and nothing else beside them."""


def explain(reading: Reading) -> list[Breach]:
    """Return why no serial order explains what is there; nothing if one does.

    The audit log is no part of it: each entry has a transaction of its own, whatever becomes of the request. A
    client that died counts as what the rows make of it.
    """
    view = reading.view
    ends = {name: _comparable(end, reading.backfills) for name, end in view.outcomes.items()}
    ends |= {name: CREATED_AND_THERE for name in reading.crashed if name in reading.succeeded}

    def serial(order: tuple[str, ...]) -> SerialEnd:
        end = view.serially(*order)
        there = {row["id"] for row in end.committed.rows("backfill")}
        outcomes = {name: _comparable(outcome, there) for name, outcome in end.outcomes.items()}
        return SerialEnd(outcomes, _without_log(end.committed))

    shown = View(_without_log(view.committed), _without_log(view.initial), ends, view.then, serial)
    return list(PROPERTY.breaches(shown))


def _comparable(outcome: Outcome, backfills: Container[int | None]) -> Outcome:
    """Return what a client was told; of the number of its backfill, no more than whether there is one like that.

    The number itself depends on who came first, as that of any new row does.
    """
    if not _succeeded(outcome):
        return outcome
    assert isinstance(outcome, Returned)
    return CREATED_AND_THERE if outcome.value.backfill_id in backfills else CREATED_AND_GONE


def _without_log(committed: Committed) -> Committed:
    return Committed({name: table for name, table in committed.tables.items() if name != LOG})
