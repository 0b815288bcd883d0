"""How a scenario travels to other machines: by its origin, with what was changed about it since."""

from __future__ import annotations

import pickle
from collections.abc import Callable

from attrs import evolve, frozen

from treadle.scenario import Scenario
from treadle.values.display import quoted, said
from treadle.values.errors import UsageError
from treadle.values.fault import FaultBudget, Placement


@frozen
class _Luggage:
    """What travels: plain values, and a callable that pickles."""

    origin: Callable[[], Scenario]
    name: str
    clients: tuple[str, ...]
    properties: tuple[str, ...]
    faults: FaultBudget
    faults_at: Placement
    max_operations: int
    max_step_s: float


def _packed(scenario: Scenario, origin: Callable[[], Scenario]) -> _Luggage:
    return _Luggage(
        origin,
        scenario.name,
        tuple(client.name for client in scenario.clients),
        tuple(item.name for item in scenario.properties),
        scenario.faults,
        scenario.faults_at,
        scenario.max_operations,
        scenario.max_step_s,
    )


def pack(scenario: Scenario) -> bytes:
    """Return what ``unpack`` makes a scenario of.

    Raises:
        UsageError: it has no origin, or one that does not pickle.
    """
    remedy = (
        "Name a target on the command line, as in 'treadle check package.module:scenario', or give "
        "Scenario(..., origin=...) a function at the top of a module that returns the scenario."
    )
    if scenario.origin is None:
        raise UsageError(
            f"scenario {scenario.name!r} cannot travel to other machines: its clients are functions of this process, "
            f"and it does not say how to make them there. {remedy}"
        )
    try:
        return pickle.dumps(_packed(scenario, scenario.origin))
    except Exception as error:  # whatever pickling an object of the application's own raises
        raise UsageError(
            f"scenario {scenario.name!r} cannot travel to other machines: its origin {quoted(scenario.origin)} does "
            f"not pickle ({said(error)}). {remedy}"
        ) from error


def unpack(packed: bytes) -> Scenario:
    """Make a scenario in this process.

    Raises:
        UsageError: that is not possible here.
    """
    try:
        luggage: _Luggage = pickle.loads(packed)  # noqa: S301  # from the process that this one works for
        made = luggage.origin()
        scenario = evolve(
            made,
            faults=luggage.faults,
            faults_at=luggage.faults_at,
            max_operations=luggage.max_operations,
            max_step_s=luggage.max_step_s,
        )
    except UsageError:
        raise
    except Exception as error:  # importing and calling the application's code may raise whatever it likes
        raise UsageError(
            f"a worker cannot make the scenario: {said(error)}. Install there what the scenario "
            "needs, or start the workers in the directory of the checked project."
        ) from error
    if _packed(scenario, luggage.origin) != luggage:
        raise UsageError(
            f"the origin of scenario {luggage.name!r} made another one on a worker: its name, clients or properties "
            "differ. Let it return the same scenario everywhere, from the same code."
        )
    return scenario
