"""The properties of create-backfill, by name and in English, each with its witness."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from sqlalchemy import Engine

from model.backfill import Algorithm, Request
from properties.backfill import equivalence, invariants, witnesses
from properties.backfill.reading import Reading
from properties.backfill.sequels import WorkOff
from treadle import Breach, Property, View, always, at_end, sometimes


def properties_of(
    engine: Engine,
    algorithm: Algorithm,
    clients: Iterable[str],
    request: Request,
    others: Iterable[str] = (),
    *,
    faults: bool = True,
) -> list[Property]:
    """Return the properties of a scenario in which clients send the same request, beside other clients.

    Args:
        engine: what the clients send their requests through; sequels use it too.
        algorithm: what the clients use.
        clients: the names of the clients that send the request.
        request: what each of them asks for.
        others: the names of the clients that send no request. With them, serial equivalence is left out: the
            scheduler and a cancel are several transactions each, and are meant to let others in between.
        faults: whether there are any.
    """
    clients, others = tuple(clients), tuple(others)
    latest: list[Reading] = []

    def read(view: View) -> Reading:
        # All properties look at one view before any looks at the next, so it is read once for all of them.
        if not latest or latest[0].view is not view:
            latest[:] = [Reading(view, clients, request, others)]
        return latest[0]

    def told(
        decide: Callable[[Reading], bool | list[Breach]],
    ) -> Callable[[View], bool | list[Breach]]:
        return lambda view: decide(read(view))

    work_off = WorkOff(engine, algorithm.heeded)
    properties = [
        at_end(
            "a request that succeeded left a row for every date, and any other left nothing",
            told(invariants.all_or_nothing),
            name="all-or-nothing",
        ),
        sometimes("some request succeeds", told(witnesses.some_request_succeeds), name="some-request-succeeds"),
        sometimes("some request fails", told(witnesses.some_request_fails), name="some-request-fails"),
        at_end(
            "a run that had finished before is as it was, unless a request that succeeded may run it again",
            told(invariants.history_kept),
            name="history-kept",
        ),
        sometimes("some run had finished before", told(witnesses.some_history), name="some-history"),
        always(
            "at most one backfill of a workflow is active",
            told(invariants.one_active_backfill),
            name="one-active-backfill",
        ),
        sometimes("some backfill is active", told(witnesses.some_active_backfill), name="some-active-backfill"),
        at_end(
            "a request that failed with a server error succeeds when it is sent again alone, once the "
            "backfills of those that succeeded are over",
            told(partial(invariants.retry_succeeds, engine=engine, algorithm=algorithm)),
            name="retry-succeeds",
        ),
        sometimes(
            "some request fails with a server error",
            told(witnesses.some_server_error),
            name="some-server-error",
        ),
        at_end(
            "a request gets a conflict only if another one succeeds",
            told(invariants.honest_conflict),
            name="honest-conflict",
        ),
        sometimes("some request gets a conflict", told(witnesses.some_conflict), name="some-conflict"),
        always(
            "a backfill that is complete has a row for every date, and no unfinished run but one that was "
            "running when it was cancelled; one that the scheduler completes in the end has a row for every date",
            told(partial(invariants.complete_means_complete, work_off=work_off)),
            name="complete-means-complete",
        ),
        sometimes(
            "the scheduler completes some backfill",
            told(partial(witnesses.some_completion, work_off=work_off)),
            name="some-completion",
        ),
        always(
            "no committed state shows a part of a backfill",
            told(invariants.never_partial),
            name="never-partial",
        ),
        sometimes("some backfill is whole", told(witnesses.some_whole_backfill), name="some-whole-backfill"),
        at_end(equivalence.PROPERTY.clause, told(equivalence.explain), name=equivalence.PROPERTY.name),
        sometimes(
            "some request succeeds, and another one does not",
            told(witnesses.some_rival_loses),
            name="some-rival-loses",
        ),
        sometimes("the scheduler starts some run", told(witnesses.some_start), name="some-start"),
        sometimes("some backfill is cancelled", told(witnesses.some_cancel), name="some-cancel"),
        sometimes("some run finishes", told(witnesses.some_finish), name="some-finish"),
    ]
    impossible = _impossible(len(clients), others, faults=faults)
    return [item for item in properties if item.name not in impossible]


def _impossible(requests: int, others: Collection[str], *, faults: bool) -> set[str]:
    """Return the names of the properties that say nothing, or cannot hold, with these clients."""
    found = {"some-conflict", "some-rival-loses"} if requests == 1 else set()
    if requests == 1 and not faults:
        found |= {"some-request-fails", "some-server-error"}
    if others:
        found |= {"serial-equivalence", "some-rival-loses"}
    if "scheduler" not in others:
        found |= {"some-start", "some-finish"}  # only what was started can finish
    if "task" not in others:
        found.add("some-finish")
    if "cancel" not in others:
        found.add("some-cancel")
    return found
