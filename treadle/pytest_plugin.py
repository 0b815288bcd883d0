"""The pytest plugin: ``def test_x(treadle): treadle.check(scenario)``.

pytest imports this file at every start, so it imports nothing that takes time until a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from treadle.scenario import Scenario
    from treadle.values.verdict import Result


# pytest declares this class as a variable, which a type checker cannot subclass.
class CheckFailed(pytest.fail.Exception):  # type: ignore[misc,name-defined]
    """A check that was not as the scenario expects, or inconclusive.

    Attributes:
        result: all that the check decided.
        tokens: the schedules of its counterexamples, for ``treadle.replay(scenario, token)``.
    """

    def __init__(self, text: str, result: Result, tokens: Sequence[str]) -> None:
        super().__init__(text, pytrace=False)
        self.result = result
        self.tokens = tuple(tokens)


class Treadle:
    """What the ``treadle`` fixture offers."""

    def check(self, scenario: Scenario, **options: Any) -> Result:
        """Check a scenario, and fail the test unless every verdict is as the scenario expects.

        Args:
            scenario: what is checked.
            options: as for ``treadle.check``.

        Returns:
            All that was decided.

        Raises:
            CheckFailed: some verdict is not as expected, or is inconclusive. Its text is the report.
        """
        __tracebackhide__ = True
        # Imported when a test asks for it, because pytest loads this file at every start.
        from treadle.checking import check  # noqa: PLC0415

        result = check(scenario, **options)
        if not result.as_expected:
            raise failure(result)
        return result

    def race(self, *functions: Callable[..., object], **options: Any) -> Result:
        """Check functions against each other, and fail the test if they break what needs no author.

        Args:
            functions: as for ``treadle.race``.
            options: as for ``treadle.race``.

        Returns:
            All that was decided.

        Raises:
            CheckFailed: some verdict is not that a property holds. Its text is the report.
        """
        __tracebackhide__ = True
        # Imported when a test asks for it, because pytest loads this file at every start.
        from treadle.racing.race import race, replaying  # noqa: PLC0415

        result = race(*functions, **options)
        if not result.as_expected:
            raise failure(result, replaying(functions, options.get("clients"), options.get("faults")))
        return result


def failure(result: Result, command: Callable[[str], str] = "treadle.replay(scenario, {!r})".format) -> CheckFailed:
    """Return the failure that reports a result.

    Args:
        result: what was decided.
        command: takes a schedule token and returns what the reader can run to replay it.
    """
    # Imported here for the same reason.
    from treadle.report import render_examples, render_line  # noqa: PLC0415
    from treadle.values.display import name  # noqa: PLC0415

    examples = [item.counterexample for item in result.decisions if item.counterexample is not None]
    tokens = list(dict.fromkeys(example.schedule.token for example in examples))
    text = f"{render_line(result)}\n{render_examples(result, command=command)}"
    surprises = [f"{name(item.property.name)} {item.verdict}" for item in result.decisions if not item.as_expected]
    first = f"{name(result.scenario)}: {', '.join(surprises)}" + (f" ({tokens[0]})" if tokens else "")
    return CheckFailed(f"{first}\n\n{text}", result, tokens)


@pytest.fixture(scope="session")
def treadle() -> Treadle:
    """Check a scenario, ``treadle.check(scenario)``, or functions, ``treadle.race(sell, cancel)``."""
    return Treadle()
