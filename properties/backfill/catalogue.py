"""The properties of create-backfill, by name and in English, each with its witness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from sqlalchemy import Engine

from model.backfill import Algorithm, Request
from properties.backfill import invariants, witnesses
from properties.backfill.reading import Reading
from properties.backfill.sequels import WorkOff
from treadle import Breach, Property, View, always, at_end, sometimes


def properties_of(engine: Engine, algorithm: Algorithm, requests: Mapping[str, Request]) -> list[Property]:
    """Return the properties of a scenario in which each client sends one request.

    Args:
        engine: what the clients send their requests through; sequels use it too.
        algorithm: what the clients use.
        requests: what each client asks for, by its name, which must be the request's user too.
    """

    def told(
        decide: Callable[[Reading], bool | Iterable[Breach]],
    ) -> Callable[[View], bool | Iterable[Breach]]:
        return lambda view: decide(Reading(view, requests))

    work_off = WorkOff(engine, algorithm.heeded)
    properties = [
        at_end(
            "a request that succeeded left a row for every date, and any other left nothing",
            told(invariants.all_or_nothing),
            name="all-or-nothing",
        ),
        sometimes(
            "some request succeeds", told(witnesses.some_request_succeeds), name="some-request-succeeds"
        ),
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
        sometimes(
            "some backfill is active", told(witnesses.some_active_backfill), name="some-active-backfill"
        ),
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
        at_end(
            "a backfill that the scheduler completes has a row for every date, and no unfinished run",
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
    ]
    alone = len(requests) == 1
    return [item for item in properties if not (alone and item.name == "some-conflict")]
