"""Replaying a token, after the code has changed and before."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from tests.checking.bank import add_in_place, bank, read_then_write
from tests.sampled import one_in
from treadle import Scenario, ScheduleMismatchError, at_end, check, cli, replay
from treadle.values.schedule import Schedule, Step

pytestmark = pytest.mark.usefixtures("few_challenges")

APPLICATION = """
from functools import partial
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, insert, select, text, update
from treadle import Client, Database, Scenario, always, at_end

METADATA = MetaData()
ACCOUNT = Table("account", METADATA, Column("id", Integer, primary_key=True), Column("balance", Integer))
engine = create_engine("sqlite:///bank.db")

def seed(engine):
    with engine.begin() as connection:
        connection.execute(insert(ACCOUNT).values(id=1, balance=100))

def withdraw(amount):
    with engine.begin() as connection:
        balance = connection.execute(select(ACCOUNT.c.balance)).scalar_one()
        connection.execute(update(ACCOUNT).values(balance=balance - amount))
    return amount

def left(view):
    return list(view.rows("account")[0].values())[1]

@at_end("every withdrawal counts")
def all_count(view):
    return left(view) == 100 - sum(view.returned().values())

@always("there is enough for both")
def enough(view):
    return left(view) >= 95

@always("nobody owes anything")
def solvent(view):
    return left(view) >= 0

clients = [Client("A", partial(withdraw, 10)), Client("B", partial(withdraw, 11))]
database = Database(METADATA, seed, engine=engine)
scenario = Scenario("bank", database, clients, [all_count])
expected = Scenario("bank", database, clients, [all_count], expect_violated=["all-count"])
middle = Scenario("bank", database, clients, [enough])
mended = Scenario("bank", database, clients, [solvent])
"""

READ = "        balance = connection.execute(select(ACCOUNT.c.balance)).scalar_one()\n"
WRITE = "        connection.execute(update(ACCOUNT).values(balance=balance - amount))\n"
EXTRA = '        connection.execute(text("SELECT 1")).all()\n'

# The token is A6.B9.A3: A reads, B does all that it does, A writes and commits.
CHANGES = {
    "a statement at the beginning": (READ, EXTRA + READ, 1),
    "a statement in the middle": (READ, READ + EXTRA, 2),
    "a statement after the last": (WRITE, WRITE + EXTRA, 2),
    "a statement of the client that goes last": (
        WRITE,
        WRITE + EXTRA.replace("    con", "    if amount == 10: con"),
        3,
    ),
    "a statement after all was recorded": ("    return amount", "    engine.connect().close()\n    return amount", 2),
    "a statement less": (READ, "        balance = 100\n", 1),
    "no statement": (READ + WRITE, "        pass\n", 1),
    "a column that is called otherwise": ('Column("balance", Integer)', 'Column("money", Integer, key="balance")', 1),
    "another parameter": ("balance - amount", "balance - amount - 1", 2),
    "other rows": ("id=1, balance=100", "id=1, balance=200", 1),
    "another end": ("    return amount", "    return amount * 1.0", 2),
    "an error": (WRITE, WRITE + "        raise ValueError\n", 2),
}


Write = Callable[[str], Scenario]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Give a function that writes the application and returns what its scenario is now."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(text: str) -> Scenario:
        monkeypatch.delitem(sys.modules, "replayed_bank", raising=False)
        (tmp_path / "replayed_bank.py").write_text(text)
        importlib.invalidate_caches()
        found: Scenario = importlib.import_module("replayed_bank").scenario
        return found

    return written


def token_of(scenario: Scenario) -> str:
    """Return the token of the counterexample of the only property."""
    (decision,) = check(scenario).decisions
    assert decision.counterexample is not None
    return decision.counterexample.schedule.token


def exit_code(token: str, scenario: str = "scenario") -> int:
    """Replay on the command line."""
    return CliRunner().invoke(cli.cli, ["replay", token, f"replayed_bank:{scenario}"]).exit_code


class TestOfCodeThatHasNotChanged:
    def test_is_what_was_recorded(self, write: Write) -> None:
        """The token of what is done now is the one that was replayed."""
        token = token_of(write(APPLICATION))
        trace = replay(write(APPLICATION), token)
        assert (token, None, True) == (trace.schedule.token, trace.parting, trace.as_recorded)
        assert ["all-count"] == list(trace.breaches)

    def test_ends_as_the_property_is_expected_to(self, write: Write) -> None:
        """1 if it is not expected to be broken, 0 if it is."""
        token = token_of(write(APPLICATION))
        assert [1, 0] == [exit_code(token, name) for name in ("scenario", "expected")]

    def test_may_break_nothing_if_all_have_finished(self, write: Write) -> None:
        """The property was wrong, say."""
        assert exit_code(token_of(write(APPLICATION)), "mended") == 0

    def test_is_inconclusive_if_it_breaks_nothing_in_the_middle(self, write: Write) -> None:
        """Nobody knows what would be broken later."""
        write(APPLICATION)
        token = token_of(importlib.import_module("replayed_bank").middle)
        assert [1, 3] == [exit_code(token, name) for name in ("middle", "mended")]
        assert ("A", "B") == replay(importlib.import_module("replayed_bank").mended, token).unfinished

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("def withdraw(", "def _another():\n    return 3\n\ndef withdraw("),
            (
                "balance = connection.execute(select(ACCOUNT.c.balance))",
                "balance = connection.execute(  select(ACCOUNT.c.balance)  )",
            ),
            ("return amount\n", "return int(amount)\n"),
        ],
    )
    def test_is_the_same_where_only_the_text_is_another(self, write: Write, before: str, after: str) -> None:
        """What is told is what was done."""
        token = token_of(write(APPLICATION))
        write(APPLICATION.replace(before, after))
        assert exit_code(token) == 1

    def test_is_the_same_up_to_where_a_schedule_ends(self, write: Write) -> None:
        """What is done later is no part of it, and it breaks what it broke."""
        write(APPLICATION)
        token = token_of(importlib.import_module("replayed_bank").middle)
        scenario = write(APPLICATION.replace("    return amount", "    engine.connect().close()\n    return amount"))
        assert replay(scenario, token).as_recorded
        assert exit_code(token, "middle") == 1


class TestOfCodeThatHasChanged:
    @pytest.mark.parametrize(("before", "after", "number"), CHANGES.values(), ids=CHANGES)
    def test_says_where_it_parts(self, write: Write, before: str, after: str, number: int) -> None:
        """At the first choice under which something else is done, or that cannot be made to its end."""
        token = token_of(write(APPLICATION))
        assert token.startswith("t2.A6.B9.A3.")
        trace = replay(write(APPLICATION.replace(before, after)), token)
        assert trace.parting is not None
        assert (number, False) == (trace.parting.number, trace.as_recorded)
        assert trace.schedule.token != token

    @pytest.mark.parametrize(
        ("change", "scenario"), one_in(5, itertools.product(CHANGES, ["scenario", "expected", "mended"]))
    )
    def test_is_inconclusive(self, write: Write, change: str, scenario: str) -> None:
        """Whatever it breaks now, or does not."""
        before, after, _ = CHANGES[change]
        token = token_of(write(APPLICATION))
        write(APPLICATION.replace(before, after))
        assert exit_code(token, scenario) == 3

    def test_says_so_before_all_else(self, write: Write) -> None:
        """With the token that was replayed, the token of what is done now, and the place."""
        token = token_of(write(APPLICATION))
        now = replay(write(APPLICATION.replace(READ, READ + EXTRA)), token).schedule.token
        said = CliRunner().invoke(cli.cli, ["replay", token, "replayed_bank:scenario"]).stdout.splitlines()
        assert [f"token     {token}", f"is now    {now}"] == said[1:3]
        assert said[3].startswith("parts at  choice 2 of 3, B9 (7 to 15 below): ")

    def test_tells_clients_apart_that_run_the_same_code(self) -> None:
        """Interchangeable clients are called in the token as they are when it is replayed."""
        scenario = bank(read_then_write)
        for decision in check(scenario).decisions:
            if decision.counterexample is not None:
                token = decision.counterexample.schedule.token
                assert token == decision.counterexample.trace.schedule.token
                assert replay(scenario, token).as_recorded


class TestOfATokenWithoutDigests:
    def test_tells_what_is_broken(self, write: Write) -> None:
        """As ever."""
        write(APPLICATION)
        assert [1, 0] == [exit_code("t1.A6.B9.A3", name) for name in ("scenario", "expected")]

    @pytest.mark.parametrize("token", ["t1.A6.B9.A3", "t1.A9.B9", "t1.A3", "t1.A6.B9.A2", "t1", "t1.A999", "t1.A9.A1"])
    def test_is_inconclusive_if_nothing_is_broken(self, write: Write, token: str) -> None:
        """Nobody knows whether it is what it was written for, whether or not it is finished, or fits."""
        write(APPLICATION)
        assert exit_code(token, "mended") == 3

    def test_has_the_token_with_digests(self, write: Write) -> None:
        """So a schedule that was written by hand becomes one that is recorded."""
        scenario = write(APPLICATION)
        assert token_of(scenario) == replay(scenario, "t1.A6.B9.A3").schedule.token


class TestOfAScheduleThatDoesNotFit:
    def test_goes_as_far_as_it_can(self) -> None:
        """A client has finished: what was done up to there is shown."""
        trace = replay(bank(add_in_place), "t1.A999")
        assert trace.parting is not None
        assert (1, 1, len(trace.events)) == (trace.parting.number, trace.parting.first, trace.parting.last)
        assert ["A"] == list(trace.outcomes)

    def test_does_not_wait_for_ever(self) -> None:
        """A client that waits goes on only after another has: asking it again and again changes nothing."""
        begun = len(replay(bank(read_then_write), "t1.A7").events)
        trace = replay(bank(read_then_write), f"t1.A{begun}.B999999999")
        assert trace.parting is not None
        assert trace.parting.number == 2
        assert len(trace.events) < 100

    def test_ends_where_a_client_may_take_no_more_operations(self) -> None:
        """With the reason that a check would give."""
        trace = replay(evolve(bank(add_in_place), max_operations=3), "t1.A999999999")
        assert trace.parting is not None
        assert "3 operations" in trace.parting.misfit

    @pytest.mark.parametrize("token", ["t1.C1", "t1.ZZZZ999999999", Schedule((Step(0), Step(2)), ("00", "0000")).token])
    def test_is_refused_where_there_is_no_such_client(self, token: str) -> None:
        """Nothing is run: it belongs to another scenario."""
        with pytest.raises(ScheduleMismatchError):
            replay(bank(add_in_place), token)


def test_properties_of_the_end_are_looked_at_only_there() -> None:
    """A schedule that ends before says nothing about them, and names who has not finished."""
    never = at_end("never", lambda _: False, name="never")
    scenario = evolve(bank(add_in_place), properties=[never])
    whole = check(scenario)["never"].counterexample
    assert whole is not None
    *most, last = whole.schedule.choices
    assert isinstance(last, Step)
    short = replay(scenario, Schedule((*most, Step(last.client, last.operations - 1))).token)
    assert (["never"], ()) == (list(replay(scenario, whole.schedule.token).breaches), whole.trace.unfinished)
    assert ([], (scenario.clients[last.client].name,)) == (list(short.breaches), short.unfinished)


def test_nothing_parts_without_a_token() -> None:
    """The trace of a counterexample was compared with nothing."""
    example = check(bank(read_then_write))["every-increment-counts"].counterexample
    assert example is not None
    assert (None, None, False) == (example.trace.replayed, example.trace.parting, example.trace.as_recorded)
