"""What ``-p NAME=VALUE`` makes of the scenarios."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest

from model.backfill import ALGORITHMS
from properties.backfill import scenarios
from treadle import Placement, UsageError

PROPERTIES = {
    "all-or-nothing",
    "history-kept",
    "one-active-backfill",
    "honest-conflict",
    "retry-succeeds",
    "complete-means-complete",
    "never-partial",
    "serial-equivalence",
}


def test_the_defaults() -> None:
    """Two requests, two dates, one fault, WAL and the driver's own transactions."""
    found = scenarios()
    assert ["create-backfill/shipped-3.2.2", "create-backfill/flush", "create-backfill/immediate"] == [
        scenario.name for scenario in found
    ]
    for scenario in found:
        assert ("A", "B") == tuple(client.name for client in scenario.clients)
        assert ("wal", "legacy") == (scenario.database.journal, scenario.database.transactions)
        assert (1, 0) == (scenario.faults.locked, scenario.faults.crash)
        names = [item.name for item in scenario.properties]
        assert PROPERTIES == {name for name in names if not name.startswith("some-")}


def test_every_property_has_a_witness_behind_it() -> None:
    """So that none of them holds vacuously."""
    names = [item.name for item in scenarios()[0].properties]
    followers = dict(itertools.pairwise(names))
    assert all(followers[name].startswith("some-") for name in PROPERTIES)


def test_text_and_numbers_mean_the_same() -> None:
    """The command line gives text."""
    for requests in (3, "3"):
        (scenario,) = scenarios(requests=requests, algorithms="flush", locked="0")
        assert ("A", "B", "C") == tuple(client.name for client in scenario.clients)
        assert 0 == scenario.faults.locked


def test_all_makes_one_scenario_for_each() -> None:
    """Only then do their names say which."""
    modes = ["legacy", "begin", "immediate"] + ["autocommit-off"] * (sys.version_info >= (3, 12))
    assert [f"create-backfill/flush[{mode}]" for mode in modes] == [
        scenario.name for scenario in scenarios(algorithms="flush", transactions="all")
    ]
    assert [f"create-backfill/bulk[{journal},{mode}]" for journal in ("wal", "delete") for mode in modes] == [
        scenario.name for scenario in scenarios(algorithms="bulk", journal="all", transactions="all")
    ]
    assert list(ALGORITHMS) == [
        scenario.name.removeprefix("create-backfill/") for scenario in scenarios(algorithms="all")
    ]


def test_other_clients_come_after_the_requests() -> None:
    """In an order of their own, however they are named."""
    for actors, names in [
        ("none", ()),
        ("task", ("task",)),
        ("task, scheduler", ("scheduler", "task")),
        ("all", ("scheduler", "cancel", "task")),
    ]:
        (scenario,) = scenarios(algorithms="flush", actors=actors)
        assert ("A", "B", *names) == tuple(client.name for client in scenario.clients)


def test_other_clients_bring_their_witnesses() -> None:
    """What cannot happen is not asked for: a task finishes only what the scheduler has started."""
    for actors, found in [
        ("none", set()),
        ("task", set()),
        ("cancel", {"some-cancel"}),
        ("scheduler", {"some-start"}),
        ("all", {"some-start", "some-cancel", "some-finish"}),
    ]:
        (scenario,) = scenarios(algorithms="flush", actors=actors)
        names = {item.name for item in scenario.properties}
        assert found == names & {"some-start", "some-cancel", "some-finish"}
        assert (actors == "none") == ("serial-equivalence" in names)


def test_the_busy_timeout_and_the_budget_are_passed_on() -> None:
    """From the command line to the database and to the faults."""
    (scenario,) = scenarios(algorithms="flush", busy_timeout="0", locked="2", crash="1", faults_at="reachable")
    assert Placement.REACHABLE is scenario.faults_at
    assert 0 == scenario.database.busy_timeout_ms
    assert (2, 1) == (scenario.faults.locked, scenario.faults.crash)
    (scenario,) = scenarios(algorithms="flush")
    assert 5000 == scenario.database.busy_timeout_ms


def test_one_request_alone_without_faults_needs_no_failure() -> None:
    """Nothing is there that could make it fail."""
    (scenario,) = scenarios(requests=1, algorithms="flush", locked=0)
    assert not {"some-request-fails", "some-server-error"} & {item.name for item in scenario.properties}


def test_one_request_alone_needs_no_conflict() -> None:
    """It could not get one."""
    (scenario,) = scenarios(requests=1, algorithms="flush")
    assert "some-conflict" not in [item.name for item in scenario.properties]


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ({"request": 2}, "request=2"),
        ({"requests": "two"}, "'two'"),
        ({"requests": 0}, "0"),
        ({"requests": 27}, "27"),
        ({"runs": "-1"}, "'-1'"),
        ({"locked": 1.5}, "1.5"),
        ({"reprocess": "all"}, "'all'"),
        ({"history": 3}, "history=3"),
        ({"journal": "memory"}, "'memory'"),
        ({"transactions": "none"}, "'none'"),
        ({"algorithms": "flush,flash"}, "'flush,flash'"),
        ({"algorithms": ""}, "''"),
        ({"log": "yes"}, "'yes'"),
        ({"busy_timeout": "-1"}, "'-1'"),
        ({"busy_timeout": "5s"}, "'5s'"),
        ({"crash": "all"}, "'all'"),
        ({"faults_at": "everywhere"}, "'everywhere'"),
        ({"actors": "schedulers"}, "'schedulers'"),
        ({"actors": "cancel,none"}, "'cancel,none'"),
        ({"actors": ""}, "''"),
        ({"actors": 1}, "1"),
    ],
)
def test_a_parameter_that_is_wrong(parameters: dict[str, Any], value: str) -> None:
    """The error names it."""
    with pytest.raises(UsageError) as caught:
        scenarios(**parameters)
    assert value in str(caught.value)
