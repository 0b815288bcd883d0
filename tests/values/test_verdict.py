from __future__ import annotations

from attrs import evolve

from tests.report.examples import (
    ALL_OR_NOTHING,
    HISTORY_KEPT,
    NEVER_PARTIAL,
    STATS,
    holds,
    inconclusive,
    orphan,
    violated,
)
from tests.report.examples import result as made
from tests.report.hostile import unseen
from treadle.values.verdict import Verdict

WILD = "\x1b[31m\u202e\n" * 500


class TestRepr:
    def test_of_a_result_says_what_was_decided(self) -> None:
        """How often each verdict, what is a surprise, and what it took."""
        found = made(violated(ALL_OR_NOTHING, orphan(), Verdict.HOLDS), holds(HISTORY_KEPT), holds(NEVER_PARTIAL))
        expected = (
            "Result('create-backfill/shipped-3.2.2': 2 holds, 1 violated; NOT as expected: ['all-or-nothing']; "
            "exhausted, 12345678 schedules, 0.5 s)"
        )
        assert expected == repr(found)

    def test_of_a_decision_says_why(self) -> None:
        """The token of what breaks the property, or the reason."""
        token = orphan().schedule.token
        assert f"Decision('all-or-nothing' violated: {token!r})" == repr(violated(ALL_OR_NOTHING, orphan()))
        assert "Decision('history-kept' holds)" == repr(holds(HISTORY_KEPT))
        expected = "Decision('history-kept' inconclusive, expected holds: 'it stopped')"
        assert expected == repr(inconclusive(HISTORY_KEPT, "it stopped"))

    def test_fits_on_a_screen(self) -> None:
        """Whatever there is in it, and however much."""
        trace = evolve(orphan(), scenario=WILD)
        decision = violated(ALL_OR_NOTHING, trace, Verdict.HOLDS)
        assert decision.counterexample is not None
        example = evolve(decision.counterexample, why=WILD, confirmed=False)
        decision = evolve(decision, counterexample=example)
        whole = made(*[decision] * 1_000, scenario=WILD, stats=evolve(STATS, schedules=10**6_000))
        for value in (trace, decision, example, inconclusive(HISTORY_KEPT, WILD), whole):
            assert len(repr(value)) < 1_200
            assert set() == unseen(repr(value))
