"""What tests of several folders ask for."""

from __future__ import annotations

import pytest

from treadle import check


@pytest.fixture
def few_challenges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a check challenge itself only a little, where a test is about something else: it is most of a small one."""
    assert check.__kwdefaults__ is not None
    monkeypatch.setitem(check.__kwdefaults__, "challenges", 3)
