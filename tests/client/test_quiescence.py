from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.client.apart import apart
from treadle.client.patching import copy_of
from treadle.client.quiescence import Census, Member

real_sleep = copy_of(time.sleep)


def _member_of(census: Census, name: str) -> Member:
    while True:
        for member in census._members.values():
            if member.name == name:
                return member
        real_sleep(0.001)


def test_who_wakes_from_a_pause_while_it_is_looked_at_does_not_sleep() -> None:
    """By the time the last read is over, the thread that paused may say no more that it does."""

    def looks() -> list[bool]:
        census = Census()
        census.install()
        over = threading.Lock()
        over.acquire()
        threading.Thread(target=over.acquire, name="pauses").start()
        member = _member_of(census, "pauses")
        while not (looked := member.glance()) or not looked[0]:
            real_sleep(0.001)
        asleep = census.all_sleep(())
        member.pausing = True
        glances, count = Member.glance, 0

        def glance(self: Member) -> Any:
            nonlocal count
            count += 1
            seen = glances(self)
            if count == 2:
                self.pausing = False
            return seen

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Member, "glance", glance)
            pausing = census.all_sleep(())
        over.release()
        return [asleep, pausing]

    assert [True, False] == apart(looks)
