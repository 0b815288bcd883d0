"""What a scenario refuses: the value, the rule and the remedy."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine

from treadle import Client, Database, FaultBudget, Scenario, UsageError, always, at_end


def _scenario(**changes: Any) -> Scenario:
    values: dict[str, Any] = {
        "name": "s",
        "database": Database(MetaData()),
        "clients": [Client("A", dict)],
        "properties": [always("true", lambda _: True, name="true")],
    }
    return Scenario(**(values | changes))


_TRUE = always("true", lambda _: True, name="true")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"clients": []}, "has no clients"),
        ({"properties": []}, "has no properties"),
        ({"clients": [Client("A", dict), Client("A", dict)]}, "'A' is taken twice"),
        ({"properties": [_TRUE, _TRUE]}, "'true' is taken twice"),
        ({"clients": ["A"]}, "'A' is no Client"),
        ({"properties": [len]}, "is no Property"),
        ({"database": create_engine("sqlite:///some.db")}, "is no Database"),
        ({"expect_violated": ["false"]}, "names 'false', which is no property"),
    ],
)
def test_a_scenario_says_what_is_wrong(changes: dict[str, Any], text: str) -> None:
    """Nothing is run, and the error names the value."""
    with pytest.raises(UsageError, match=text):
        _scenario(**changes)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"journal": "off"}, "journal='off': it must be one of wal, delete"),
        ({"transactions": "none"}, "transactions='none': it must be one of legacy, begin"),
        ({"engine": "sqlite:///some.db"}, "is no sqlalchemy.Engine"),
        ({"engine": create_engine("sqlite://")}, "in-memory database"),
    ],
)
def test_a_database_says_what_is_wrong(options: dict[str, Any], text: str) -> None:
    """An engine that cannot be checked, and modes that there are not."""
    with pytest.raises(UsageError, match=text):
        Database(MetaData(), **options)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 has it")
def test_autocommit_off_needs_python_3_12() -> None:
    """The driver's autocommit attribute is new in Python 3.12."""
    with pytest.raises(UsageError, match=r"needs Python 3\.12"):
        Database(MetaData(), transactions="autocommit-off")


@pytest.mark.parametrize(("name", "run"), [("", dict), ("A", "no function")])
def test_a_client_says_what_is_wrong(name: str, run: Any) -> None:
    """A client has a name, and can be called."""
    with pytest.raises(UsageError, match=r"is no name for a client|is no callable"):
        Client(name, run)


def test_a_property_has_one_word_for_a_name() -> None:
    """By default it is the predicate's own, or the words of the clause."""

    def no_overdraft(view: object) -> bool:
        return bool(view)

    assert "no-overdraft" == at_end("no account is negative", no_overdraft).name
    assert "no-account-is-negative" == at_end("no account is negative", lambda _: True).name
    with pytest.raises(UsageError, match="a name is one word"):
        at_end("no account is negative", no_overdraft, name="two words")


@pytest.mark.parametrize("locked", [-1, 1.5])
def test_a_budget_is_a_count(locked: Any) -> None:
    """Negative and broken numbers are refused."""
    with pytest.raises(UsageError, match="whole number"):
        FaultBudget(locked=locked)
