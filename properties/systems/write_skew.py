"""What must hold when two doctors want to go home."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import write_skew as model
from properties.systems.system import LEGACY, System, Variant
from treadle import Breach, View, always, sometimes


@always("at least one doctor is on call", name="someone-on-call")
def someone_on_call(view: View) -> list[Breach]:
    """Decide in every committed state."""
    doctors = view.rows("doctor")
    if any(doctor["on_call"] for doctor in doctors):
        return []
    return [Breach("no doctor is on call", [("doctor", doctor) for doctor in doctors])]


PROPERTIES = (
    someone_on_call,
    sometimes("a doctor goes home", lambda view: True in view.returned().values(), name="someone-goes"),
    sometimes("a doctor has to stay", lambda view: False in view.returned().values(), name="someone-stays"),
)


def _doctors(run: Callable[..., bool]) -> dict[str, Callable[..., Any]]:
    return {name: partial(run, name=name) for name in model.DOCTORS}


SYSTEM = System(
    name="write-skew",
    metadata=model.Base.metadata,
    seed=model.seed,
    variants=(
        Variant(
            name="buggy",
            clients=_doctors(model.go_home),
            properties=PROPERTIES,
            violated={"someone-on-call": LEGACY},
        ),
        Variant(
            name="fixed-immediate",
            clients=_doctors(model.go_home),
            properties=PROPERTIES,
            mode="immediate",
        ),
        Variant(
            name="fixed-one-statement",
            clients=_doctors(model.go_home_if_others_stay),
            properties=PROPERTIES,
        ),
    ),
)
"""Two read the same rows, and each writes another one."""
