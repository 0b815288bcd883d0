"""A test that fails until a violation is mended."""

from __future__ import annotations

import re
from collections.abc import Mapping

from treadle.report.sql import page
from treadle.report.tracefile import Case
from treadle.values.canonical import printable
from treadle.values.display import name, prose


def render_regression(case: Case, target: str, parameters: Mapping[str, str]) -> str:
    """Return a test for pytest that replays the schedule, and checks the property where the code has changed since.

    Args:
        case: what is tested.
        target: the TARGET that leads to the scenario.
        parameters: by name, for a TARGET that is a function.
    """
    item = case.decision.property
    function = re.sub(r"\W+", "_", f"{case.scenario} {item.name}".lower(), flags=re.ASCII).strip("_") or "property"
    return (
        page(
            [
                f"# {name(case.scenario)} must keep {name(item.name)}: {prose(item.clause)}",
                f"# Broken under {case.trace.schedule.token}",
                "",
                "from treadle import Verdict, check, replay",
                "from treadle.targets import resolve",
                "",
                f"TARGET = {printable(target)!a}",
                f"PARAMETERS = { {printable(key): printable(value) for key, value in parameters.items()}!a}",
                f"SCENARIO = {printable(case.scenario)!a}",
                f"PROPERTY = {printable(item.name)!a}",
                f"TOKEN = {case.trace.schedule.token!a}",
                "",
                "",
                f"def test_{function[:100]}() -> None:",
                "    found = {one.scenario.name: one.scenario for one in resolve([TARGET], PARAMETERS)}",
                "    scenario = found[SCENARIO]",
                "    trace = replay(scenario, TOKEN)",
                "    assert [] == [breach.why for breach in trace.breaches.get(PROPERTY, ())]",
                "    if trace.parting is not None:  # the code has changed: is there another schedule?",
                "        assert Verdict.HOLDS is check(scenario)[PROPERTY].verdict",
            ]
        )
        + "\n"
    )
