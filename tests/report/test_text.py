from __future__ import annotations

import pytest
from attrs import evolve

from tests.report.examples import (
    ALL_OR_NOTHING,
    CLIENTS,
    COMPLETE,
    HISTORY_KEPT,
    NEVER_PARTIAL,
    ONE_SUCCEEDS,
    Script,
    holds,
    inconclusive,
    orphan,
    result,
    violated,
)
from treadle.report.text import exit_code, render_replay, render_result, render_summary, replay_exit_code, standing
from treadle.values.outcome import Returned
from treadle.values.schedule import Schedule
from treadle.values.trace import Parting, Trace
from treadle.values.verdict import Result, Verdict

GOOD = result(violated(ALL_OR_NOTHING, orphan()), holds(HISTORY_KEPT))
BAD = result(violated(ALL_OR_NOTHING, orphan(), Verdict.HOLDS), inconclusive(HISTORY_KEPT, "why"))
OPEN = result(inconclusive(HISTORY_KEPT, "the search stopped"), holds(COMPLETE), exhausted=False)

HEAD = """\
create-backfill/shipped-3.2.2: NOT as expected
==============================================
database  SQLite 3.40.1, journal wal, transactions legacy
clients   A = request-1, B = request-2
bounds    faults locked=1 crash=0, locked at: savepoint
search    exhaustive, NOT exhausted
explored  1,234 states and 2,345 transitions, standing for 12,345,678 schedules; 43 live runs;
          0.51 s, 85 MB

holds, NOT as expected  complete-means-complete  a 201 means that every run was created
violated, as expected   all-or-nothing           a request that fails leaves no rows
violated, as expected   never-partial            no backfill is committed without all its runs
inconclusive            history-kept             no row of an older run changes its owner
                                                 because the search stopped
holds                   one-succeeds             (sometimes) a request succeeds

How create-backfill/shipped-3.2.2 breaks all-or-nothing, never-partial
----------------------------------------------------------------------
schedule  t1.A15.B30.A4.B4.A20
size      5 choices, 0 faults, confirmed live
replay    treadle replay t1.A15.B30.A4.B4.A20
breaks    all-or-nothing: a request that fails leaves no rows
breaks    never-partial: no backfill is committed without all its runs
why       request-2 failed, but left its backfill with 1 of 2 runs.

"""

REPLAYED = Schedule(orphan().schedule.choices, ("0000",) * 5)
TOLD = evolve(orphan(), replayed=REPLAYED, outcomes=dict.fromkeys(CLIENTS, Returned(1)))
INCONCLUSIVE = {
    "other code": evolve(TOLD, parting=Parting(2, 16, 45, "")),
    "does not fit": evolve(TOLD, parting=Parting(2, 16, 15, "why")),
    "not finished": evolve(TOLD, outcomes={"request-1": Returned(1)}),
    "not told": evolve(TOLD, replayed=orphan().schedule),
    "nothing replayed": evolve(TOLD, replayed=None),
}


def short(token: str) -> Script:
    """Return a script whose schedule has this token, with as many events as the token has choices."""
    script = Script()
    for _ in Schedule.parse(token).choices:
        script.run(0, "SAVEPOINT a", inside=True)
    return script


class TestRenderResult:
    def test_says_what_was_decided_before_it_shows_how(self) -> None:
        """The important verdicts stand first; properties that one schedule breaks share its timeline."""
        text = render_result(
            result(
                holds(ONE_SUCCEEDS),
                inconclusive(HISTORY_KEPT, "the search stopped"),
                violated(ALL_OR_NOTHING, orphan()),
                violated(NEVER_PARTIAL, orphan()),
                holds(COMPLETE, Verdict.VIOLATED),
                exhausted=False,
            ),
            command=lambda token: f"treadle replay {token}",
        )
        assert text[: len(HEAD)] == HEAD
        assert text.count("      A = request-1") == 1

    def test_shows_small_counterexamples_first(self) -> None:
        """Surprises come first, then few faults, then few events."""
        tokens = ["t1.A1.B1.A1", "t1.A1-locked".replace("A1-", "A-"), "t1.A2", "t1.A1.B1.A1.B1"]
        items = [ALL_OR_NOTHING, NEVER_PARTIAL, HISTORY_KEPT, COMPLETE]
        expected = [Verdict.VIOLATED, Verdict.VIOLATED, Verdict.VIOLATED, Verdict.HOLDS]
        decisions = [
            violated(item, short(token).trace(token), verdict)
            for item, token, verdict in zip(items, tokens, expected, strict=True)
        ]
        lines = render_result(result(*decisions)).splitlines()
        shown = [line.split()[1] for line in lines if line.startswith("schedule")]
        assert shown == [tokens[3], tokens[2], tokens[0], tokens[1]]

    def test_says_what_a_sometimes_did_not_reach(self) -> None:
        """A sometimes that is violated has no counterexample; its reason stands in its place."""
        decision = evolve(violated(ONE_SUCCEEDS, None), why="no execution ends so")
        assert "because no execution ends so" in render_result(result(decision))

    @pytest.mark.parametrize("width", [60, 80, 100])
    def test_never_exceeds_the_width(self, width: int) -> None:
        """Only what is to be copied may be longer than a line."""
        lines = render_result(BAD, width=width, command=lambda token: "x" * 200).splitlines()
        copied = ("schedule  ", "replay  ")
        assert max(len(line) for line in lines if not line.startswith(copied)) <= width

    def test_says_that_a_counterexample_is_not_confirmed(self) -> None:
        """A counterexample that no live execution has shown says so."""
        decision = violated(ALL_OR_NOTHING, orphan())
        assert decision.counterexample is not None
        unconfirmed = evolve(decision, counterexample=evolve(decision.counterexample, confirmed=False))
        assert "NOT confirmed live" in render_result(result(unconfirmed))


class TestRenderSummary:
    def test_has_one_line_for_each_result(self) -> None:
        """What needs a look stands last, nearest to the prompt."""
        results = [evolve(BAD, scenario="bad"), evolve(GOOD, scenario="good"), evolve(OPEN, scenario="open")]
        expected = (
            "as expected      good  1 violated, 1 holds; exhausted, 12,345,678 schedules, 0.5 s\n"
            "inconclusive     open  1 inconclusive, 1 holds; not exhausted, 12,345,678 schedules, 0.5 s\n"
            "NOT as expected  bad   1 violated, 1 inconclusive; exhausted, 12,345,678 schedules, 0.5 s\n"
            "3 scenarios in 1.5 s: 1 NOT as expected, 1 inconclusive, 1 as expected\n"
        )
        assert expected == render_summary(results)

    def test_of_nothing(self) -> None:
        """Where nothing was decided, that is said."""
        assert render_summary([]) == "0 scenarios in 0.0 s: nothing was decided\n"


class TestStanding:
    @pytest.mark.parametrize(
        ("given", "expected"), [(GOOD, "as expected"), (BAD, "NOT as expected"), (OPEN, "inconclusive")]
    )
    def test_of_a_result(self, given: Result, expected: str) -> None:
        """A surprise outweighs what is inconclusive."""
        assert expected == standing(given)


class TestExitCode:
    @pytest.mark.parametrize(
        ("results", "expected"),
        [([], 0), ([GOOD], 0), ([GOOD, OPEN], 3), ([OPEN, BAD, GOOD], 1), ([BAD, OPEN], 1)],
    )
    def test_of_results(self, results: list[Result], expected: int) -> None:
        """1 outweighs 3, and 3 outweighs 0."""
        assert expected == exit_code(results)


class TestRenderReplay:
    def test_says_what_is_broken_first(self) -> None:
        """The first lines say which properties are broken, and whether that was expected."""
        text = render_replay(orphan(), ["all-or-nothing"], {"all-or-nothing"})
        expected = [
            "create-backfill/example: this schedule breaks all-or-nothing (as expected)",
            "schedule  t1.A15.B30.A4.B4.A20",
            "",
        ]
        assert expected == text.splitlines()[:3]

    def test_says_that_nothing_is_broken(self) -> None:
        """A schedule may be fine, if it is the one that was recorded, and all have finished."""
        text = render_replay(TOLD, [], {"all-or-nothing"})
        assert text.splitlines()[0] == "create-backfill/example: this schedule breaks no property"
        assert "is broken" not in text

    @pytest.mark.parametrize("trace", INCONCLUSIVE.values(), ids=INCONCLUSIVE)
    def test_says_that_nothing_is_decided(self, trace: Trace) -> None:
        """Before all else."""
        assert render_replay(trace, [], ()).startswith("create-backfill/example: inconclusive, ")

    def test_shows_both_tokens_where_it_parts(self) -> None:
        """The one that was replayed, and the one of what is done now."""
        lines = render_replay(INCONCLUSIVE["other code"], [], ()).splitlines()
        assert [f"token     {REPLAYED.token}", "is now    t1.A15.B30.A4.B4.A20"] == lines[1:3]
        assert lines[3].startswith("parts at  choice 2 of 5, B30 (16 to 45 below): ")

    def test_says_who_has_not_finished(self) -> None:
        """With the properties that were not looked at for that."""
        assert "not finished: B = request-2;" in render_replay(INCONCLUSIVE["not finished"], [], ())


class TestReplayExitCode:
    @pytest.mark.parametrize(
        ("broken", "expected", "code"), [([], [], 0), (["a"], ["a"], 0), (["a"], ["b"], 1), (["a", "b"], ["b"], 1)]
    )
    def test_of_what_was_recorded(self, broken: list[str], expected: list[str], code: int) -> None:
        """1 if something is broken that is not expected to be."""
        assert code == replay_exit_code(TOLD, broken, expected)

    @pytest.mark.parametrize("trace", INCONCLUSIVE.values(), ids=INCONCLUSIVE)
    def test_of_what_decides_nothing(self, trace: Trace) -> None:
        """Never 0 when nothing is broken."""
        assert 3 == replay_exit_code(trace, [], [])

    @pytest.mark.parametrize("name", ["not finished", "not told"])
    @pytest.mark.parametrize(("expected", "code"), [(["a"], 0), ([], 1)])
    def test_of_what_breaks_something_all_the_same(self, name: str, expected: list[str], code: int) -> None:
        """What is broken is broken."""
        assert code == replay_exit_code(INCONCLUSIVE[name], ["a"], expected)

    @pytest.mark.parametrize("expected", [["a"], []])
    def test_of_other_code(self, expected: list[str]) -> None:
        """What it breaks is not what was recorded."""
        assert 3 == replay_exit_code(INCONCLUSIVE["other code"], ["a"], expected)
