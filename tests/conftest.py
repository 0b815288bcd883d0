"""What tests of several folders ask for."""

from __future__ import annotations

import signal

import pytest

from treadle import check

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def few_challenges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a check challenge itself only a little, where a test is about something else: it is most of a small one."""
    assert check.__kwdefaults__ is not None
    monkeypatch.setitem(check.__kwdefaults__, "challenges", 3)
