from __future__ import annotations

import textwrap

import pytest
from attrs import evolve

from tests.report.examples import CLIENTS, Script, orphan
from treadle.report.timeline import render_timeline
from treadle.values.observation import LOCKED, Observation
from treadle.values.property import Breach
from treadle.values.schedule import Schedule
from treadle.values.source import Source
from treadle.values.trace import Trace

# What request-2 does from its second date on, and what it leaves behind.
END_OF_ORPHAN = """\
33  |                                                  SAVEPOINT sa_savepoint_2
34  |                                                : SELECT … FROM dag_run WHERE dag_run.dag_id =
    |                                                :   ? AND dag_run.logical_date = ? ORDER BY …
    |                                                :   ('test_dag', '2020-01-02 00:00:00…', 1, 0)
    |                                                :   → no row
37  |                                                : INSERT INTO dag_run (dag_id, run_id, …
    |                                                :   ('test_dag', 'backfill__…', …)
    |                                                : ✗ database is locked [upgrade: at once, a
    |                                                :   longer timeout cannot help; A holds the
    |                                                :   write lock]
38  |                                                : ROLLBACK TO SAVEPOINT sa_savepoint_2
39  |                                                : ROLLBACK
40  |                                                  ■ raised RuntimeError:
    |                                                    (sqlite3.OperationalError) database is
    |                                                    locked
    |
41  | RELEASE SAVEPOINT sa_savepoint_1
    | ▶ published 1 row: +1 backfill_dag_run
42    COMMIT (no transaction is open)
44    ■ returned 201

all-or-nothing is broken: request-2 raised OperationalError, but its backfill 2 is committed, with 1
  of its 2 runs.
  committed in backfill:
    id = 2, dag_id = 'test_dag', from_date = '2020-01-01 00:00:00.000000', to_date = '2020-01-02
      00:00:00.000000', max_active_runs = 1, completed_at = NULL
  committed in backfill_dag_run:
    id  backfill_id  dag_run_id  sort_ordinal
    1   2            1           1
"""


class TestRenderTimeline:
    def test_tells_the_story_of_an_orphan(self) -> None:
        """Two clients stand side by side at 100 columns, and what is left behind stands below."""
        text = render_timeline(orphan())
        assert END_OF_ORPHAN == text[text.index("33  |") :]

    @pytest.mark.parametrize("width", [60, 72, 80, 100, 120, 140])
    @pytest.mark.parametrize("verbose", [False, True])
    def test_never_exceeds_the_width(self, width: int, *, verbose: bool) -> None:
        """Every line fits into the width that is asked for, so that no terminal breaks it."""
        lines = render_timeline(orphan(), width=width, verbose=verbose).splitlines()
        assert max(map(len, lines)) <= width

    def test_shows_the_lines_of_the_application_in_full(self) -> None:
        """Their paths tell files of one name apart; without verbose they are left to the story."""
        script = Script()
        script.run(0, "SAVEPOINT a", inside=True, source=Source("shop/orders.py", 31, "place"))
        trace = script.trace("t1.A1")
        assert "SAVEPOINT a at shop/orders.py:31" in render_timeline(trace, verbose=True)
        assert "orders.py" not in render_timeline(trace)

    def test_has_no_trailing_space(self) -> None:
        """What is pasted into a bug report is clean."""
        assert all(line == line.rstrip() for line in render_timeline(orphan()).splitlines())

    def test_shows_only_the_breaches_asked_for(self) -> None:
        """A report on one property does not mention others."""
        trace = evolve(orphan(), breaches={"one": (Breach("this"),), "two": (Breach("that"),)})
        text = render_timeline(trace, properties=["two"])
        assert "two is broken: that" in text
        assert "one is broken" not in text

    def test_names_clients_that_have_not_finished(self) -> None:
        """A schedule may end before the clients do."""
        script = Script()
        script.run(0, "SAVEPOINT a", inside=True)
        expected = "Here the schedule ends; not finished: A = request-1, B = request-2\n"
        assert render_timeline(script.trace("t1.A1")).endswith(expected)

    def test_shows_an_execution_in_which_nothing_happened(self) -> None:
        """A property may be broken by the rows that are there from the start."""
        trace = Trace("s", CLIENTS, Schedule(), (), {}, {"p": (Breach("wrong from the start"),)})
        expected = textwrap.dedent(
            """\
                  A = request-1                                    B = request-2
                  -------------                                    -------------

            Here the schedule ends; not finished: A = request-1, B = request-2

            p is broken: wrong from the start
            """
        )
        assert expected == textwrap.dedent(render_timeline(trace))

    def test_shows_some_of_many_rows(self) -> None:
        """A thousand rows would bury the first ones; they are counted."""
        rows = [("t", {"id": number}) for number in range(1096)]
        trace = evolve(orphan(), breaches={"p": (Breach("many", rows),)})
        assert "    9\n    and 1,086 more rows\n" in render_timeline(trace)
        assert "    1095\n" in render_timeline(trace, verbose=True)

    def test_shows_both_ends_of_a_long_stretch(self) -> None:
        """Of thousands of statements of one client, the middle is left out, and what failed in it is not."""
        script = Script()
        for number in range(300):
            script.run(0, f"SAVEPOINT a{number}", inside=True)
        script.run(0, "SELECT failing", seen=Observation(failure=LOCKED))
        for number in range(300, 600):
            script.run(0, f"SAVEPOINT a{number}", inside=True)
        trace = script.trace("t1.A601")
        text = render_timeline(trace)

        assert "SAVEPOINT a49\n" in text
        assert "SAVEPOINT a50\n" not in text
        assert " 51    … 200 entries like these left out, up to 250\n" in text
        assert "SAVEPOINT a250\n" in text
        assert "SELECT failing" in text
        assert "… 200 entries like these left out, up to 551\n" in text
        assert "SAVEPOINT a599\n" in text
        assert "left out" not in render_timeline(trace, verbose=True)

    def test_shows_some_of_many_breaches(self) -> None:
        """Many ways to break a property are counted."""
        trace = evolve(orphan(), breaches={"p": tuple(Breach(f"way {number}") for number in range(5))})
        assert "p is broken: way 2\np is broken in 2 more ways.\n" in render_timeline(trace)
