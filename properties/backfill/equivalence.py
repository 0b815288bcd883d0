"""Serial equivalence of requests: what counts as success, as refusal, and as the same."""

from __future__ import annotations

from model.backfill import Response
from properties.backfill.reading import CREATED, Reading
from treadle import Breach, Committed, Crashed, Returned, View, serial_equivalence
from treadle.values.outcome import Outcome
from treadle.values.view import SerialEnd

REFUSALS = (400, 404, 409, 422)
"""The statuses that say what is wrong with the request, or what is in its way."""

LOG = "log"
"""The table of the audit log. Its rows are about requests that failed, too."""


def _status(outcome: Outcome) -> int | None:
    answer = outcome.value if isinstance(outcome, Returned) else None
    return answer.status if isinstance(answer, Response) else None


def _succeeded(outcome: Outcome) -> bool:
    return _status(outcome) == CREATED


def _refused(outcome: Outcome) -> bool:
    return _status(outcome) in REFUSALS


PROPERTY = serial_equivalence(succeeded=_succeeded, refused=_refused, result=_status)
"""For clients that send requests, and nothing else beside them."""


def explain(reading: Reading) -> tuple[Breach, ...]:
    """Return why no serial order explains what is there; nothing if one does.

    The audit log is no part of it: each entry has a transaction of its own, whatever becomes of the request. A
    client that died counts as what the rows make of it.
    """
    view = reading.view
    ends = {
        name: Returned(Response(CREATED)) if isinstance(end, Crashed) and reading.has_succeeded(name) else end
        for name, end in view.outcomes.items()
    }

    def serial(order: tuple[str, ...]) -> SerialEnd:
        end = view.serially(*order)
        return SerialEnd(end.outcomes, _without_log(end.committed))

    shown = View(_without_log(view.committed), _without_log(view.initial), ends, view.then, serial)
    return PROPERTY.breaches(shown)


def _without_log(committed: Committed) -> Committed:
    return Committed({name: table for name, table in committed.tables.items() if name != LOG})
