"""What must hold when two publish and one polls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import outbox as model
from properties.systems.system import EVERY_MODE, System, Variant
from treadle import Breach, View, always, sometimes


@always("every event up to the poller's position was delivered", name="none-skipped")
def none_skipped(view: View) -> list[Breach]:
    """Decide in every committed state."""
    (position,) = view.rows("position")
    delivered = {delivery["event_id"] for delivery in view.rows("delivery")}
    return [
        Breach(
            f"event {event['id']} is not delivered, and the poller is at {position['event_id']} already",
            [("event", event), ("position", position)],
        )
        for event in view.rows("event")
        if event["id"] <= position["event_id"] and event["id"] not in delivered
    ]


PROPERTIES = (
    none_skipped,
    sometimes("one event is delivered", lambda view: len(view.rows("delivery")) == 1, name="one-delivered"),
    sometimes("both events are delivered", lambda view: len(view.rows("delivery")) == 2, name="both-delivered"),
)


def _clients(publish: Callable[..., int]) -> dict[str, Callable[..., Any]]:
    return {
        "publisher-1": partial(publish, text="one"),
        "publisher-2": partial(publish, text="two"),
        "poller": model.poll,
    }


SYSTEM = System(
    name="outbox",
    metadata=model.Base.metadata,
    seed=model.seed,
    variants=(
        Variant(
            name="buggy",
            clients=_clients(model.publish_with_id_taken_before),
            properties=PROPERTIES,
            violated={"none-skipped": EVERY_MODE},
        ),
        Variant(
            name="fixed-one-transaction",
            clients=_clients(model.publish_in_one_transaction),
            properties=PROPERTIES,
        ),
        Variant(name="fixed-id-by-insert", clients=_clients(model.publish), properties=PROPERTIES),
    ),
)
"""Ids are taken in one order and commit in another, and a poller goes by the ids."""
