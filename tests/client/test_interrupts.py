"""Ctrl-C is for the checker, and no client is told of it."""

from __future__ import annotations

import os

from attrs import evolve

from tests.checking.bank import add_in_place, bank
from treadle import Returned, View, at_end, check


def test_no_client_is_in_the_process_group_of_the_checker() -> None:
    """Neither one of the scenario, nor one that a property makes up, which is forked from the checker."""
    scenario = bank(add_in_place, clients=1)
    groups: list[object] = []
    own = os.getpgrp()

    @at_end("look", name="look")
    def look(view: View) -> bool:
        made_up = view.then(lambda: (add_in_place(scenario.database.engine), os.getpgrp())[1])
        assert isinstance(made_up, Returned)
        groups.append(made_up.value)
        return True

    check(evolve(scenario, properties=[look]), challenges=0, challenge=0)
    assert groups
    assert own not in groups
