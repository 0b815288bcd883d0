"""What must hold when one payment is sent twice with the same idempotency key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import idempotency_key as model
from properties.systems.system import EVERY_MODE, System, Variant
from treadle import Breach, View, always, at_end, sometimes

KEY = "order-7"


@always("the provider is called at most once for one key", name="called-once")
def called_once(view: View) -> list[Breach]:
    """Decide in every committed state."""
    calls = view.rows("provider_call")
    if len(calls) <= 1:
        return []
    return [Breach(f"the provider was called {len(calls)} times", [("provider_call", call) for call in calls])]


@at_end("a payment is answered 'paid' only if the provider was called", name="paid-means-called")
def paid_means_called(view: View) -> bool:
    """Decide by what the clients were told."""
    return model.PAID not in view.returned().values() or bool(view.rows("provider_call"))


PROPERTIES = (
    called_once,
    paid_means_called,
    sometimes("a payment is paid", lambda view: model.PAID in view.returned().values(), name="someone-pays"),
    sometimes(
        "a duplicate is noticed",
        lambda view: model.DUPLICATE in view.returned().values(),
        name="duplicate-noticed",
    ),
)


def _requests(run: Callable[..., str]) -> dict[str, Callable[..., Any]]:
    return dict.fromkeys(("request", "repetition"), partial(run, key=KEY))


SYSTEM = System(
    name="idempotency-key",
    metadata=model.Base.metadata,
    variants=(
        Variant(
            name="buggy",
            clients=_requests(model.pay),
            properties=PROPERTIES,
            violated={"called-once": EVERY_MODE},
        ),
        Variant(
            name="fixed-insert-first",
            clients=_requests(model.pay_insert_first),
            properties=PROPERTIES,
        ),
    ),
)
"""Both see 'not yet', and both call the provider. No transaction mode helps: the call is in none."""
