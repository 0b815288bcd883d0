"""What ``-p NAME=VALUE`` makes of the scenarios."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest

from model.backfill import ALGORITHMS
from properties.backfill import EXPECT_VIOLATED, scenarios
from treadle import UsageError

PROPERTIES = {
    "all-or-nothing",
    "history-kept",
    "one-active-backfill",
    "honest-conflict",
    "retry-succeeds",
    "complete-means-complete",
    "never-partial",
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
    ],
)
def test_a_parameter_that_is_wrong(parameters: dict[str, Any], value: str) -> None:
    """The error names it."""
    with pytest.raises(UsageError) as caught:
        scenarios(**parameters)
    assert value in str(caught.value)


def test_what_is_expected_names_algorithms_and_properties_that_are_there() -> None:
    """The table has a line for each algorithm."""
    assert set(ALGORITHMS) == set(EXPECT_VIOLATED)
    assert PROPERTIES >= set().union(*EXPECT_VIOLATED.values())
