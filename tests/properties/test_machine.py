"""The machines of create-backfill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from properties.backfill import machine
from tests.test_docs import DOCS, fences
from treadle import CounterexampleError
from treadle.hypothesis import close_machines

_ANYWHERE: dict[str, Any] = {"database": None, "derandomize": False, "print_blob": False}
"""Settings that Hypothesis has otherwise where an environment variable says that it is in CI."""


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what machines opened."""
    yield
    close_machines()


def test_the_page_shows_the_example_that_is_found() -> None:
    """From the first line to the last, as Hypothesis prints it."""
    shipped = seed(1)(machine.ShippedMachine)
    with pytest.raises(CounterexampleError) as caught:
        run_state_machine_as_test(shipped, settings=settings(shipped.TestCase.settings, **_ANYWHERE))
    (shown,) = fences(DOCS / "howto" / "hypothesis.md", "text")
    assert shown.strip() == "\n".join(getattr(caught.value, "__notes__", ())).strip()


@pytest.mark.parametrize("fix", [machine.ImmediateMachine, machine.FlushMachine])
def test_fixes_pass(fix: Any) -> None:
    """And the machines ask nothing of them that they are known to break."""
    assert not fix.properties & fix.shared.scenario.expect_violated
    run_state_machine_as_test(fix, settings=settings(fix.TestCase.settings, max_examples=20, **_ANYWHERE))
