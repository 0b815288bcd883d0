"""Without a checker each way leads to the application's own file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.isolation.application import Way, is_possible, plainly_run
from tests.isolation.ways import TOUCHES_NOTHING, WAYS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the witnesses are Linux's")

_WITHOUT_A_SCRIPT = [way for way in WAYS if way.script is None and way.name not in TOUCHES_NOTHING]


@pytest.mark.truth
@pytest.mark.parametrize("way", _WITHOUT_A_SCRIPT, ids=lambda way: way.name)
def test_a_way_leads_to_the_file(way: Way, tmp_path: Path) -> None:
    """It is touched: so that it is not touched in a check says something."""
    if not is_possible(way):
        pytest.skip(f"needs {', '.join(way.needs)}")
    came = plainly_run(way, tmp_path / "shop")
    assert came.touched, came.text()
