"""The application's own file is never written and never opened, by any way that leads through Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.isolation.application import Way, checked, is_possible
from tests.isolation.ways import TOUCHES_NOTHING, WAYS, kept_for
from tests.isolation.witness import can_trace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the witnesses are Linux's")


def _parameters(*, fast: bool) -> list[object]:
    marks = () if fast else (pytest.mark.truth,)
    return [pytest.param(way, id=way.name, marks=marks) for way in WAYS if way.fast is fast]


@pytest.mark.parametrize("way", [*_parameters(fast=True), *_parameters(fast=False)])
def test_the_file_is_as_it_was(way: Way, tmp_path: Path) -> None:
    """Whatever the application does: no process of its check opens the file, and the check ends with a clear word."""
    if not is_possible(way):
        pytest.skip(f"needs {', '.join(way.needs)}")
    came = checked(way, kept_for(way), tmp_path / "shop")
    wrong = [*came.untouched(), *came.judged(way)]
    assert [] == wrong, f"{'; '.join(wrong)}\n{came.text()}"


@pytest.mark.truth
@pytest.mark.parametrize("way", [pytest.param(way, id=way.name) for way in WAYS if way.fast])
def test_system_calls_say_the_same(way: Way, tmp_path: Path) -> None:
    """No system call of any process of the check reaches the file, by whatever name."""
    if not can_trace() or not is_possible(way):
        pytest.skip("needs strace, and the permission to trace")
    came = checked(way, kept_for(way), tmp_path / "shop", trace=True)
    wrong = came.untouched()
    assert [] == wrong, f"{'; '.join(wrong)}\n{came.text()}"


def test_names_tell_ways_apart() -> None:
    """A way is named once."""
    names = [way.name for way in WAYS]
    assert sorted(set(names)) == sorted(names)
    assert set(names) >= TOUCHES_NOTHING
