from __future__ import annotations

import pytest

from tests.report.examples import Script, appears, orphan
from treadle.report.brief import render_story
from treadle.report.entries import Entry
from treadle.report.story import Story, story_of
from treadle.values.fault import Fault, LockKind
from treadle.values.observation import LOCKED, Observation
from treadle.values.operation import Kind
from treadle.values.outcome import Crashed, Returned
from treadle.values.property import Breach
from treadle.values.source import Source
from treadle.values.trace import Change

STOCK = Change("item", {"id": 1, "stock": 10}, {"id": 1, "stock": 9})

STORY_OF_ORPHAN = """\
      A = request-1                          B = request-2
      -------------                          -------------
 6  : reads backfill → (0)
10  | COMMIT
    | ▶ +backfill 1
16                                         : reads backfill → (0)
20                                         | COMMIT
                                           | ▶ +backfill 2   ◀ this row stays
27                                         | RELEASE SAVEPOINT sa_savepoint_1
                                           | ▶ +dag_run 1, +backfill_dag_run 1
"""


def tell(script: Script, *breaches: Breach) -> Story:
    """Return the story of a script."""
    return story_of(script.trace("t1", {"p": breaches} if breaches else None))


def told(story: Story) -> list[tuple[int, str]]:
    """Return the number and the statement of each entry."""
    return [(entry.number, entry.statement) for entry in story.entries]


def lost_update() -> Script:
    """Return how two clients read the same stock and write the same new one."""
    script = Script()
    script.start(0)
    script.select(0, "SELECT stock FROM item", (), (10,))
    script.select(1, "SELECT name FROM shop", (), ("x",))
    script.select(1, "SELECT stock FROM item", (), (10,))
    for client, changes in ((1, (STOCK,)), (0, ())):
        script.run(client, "UPDATE item SET stock = ?", (9,), 1, held="write")
        script.add(client, Kind.COMMIT, held="none", changes=changes, outcome=Returned(None))
    return script


class TestWhatIsTold:
    def test_reads_of_what_others_write(self) -> None:
        """And no other reads, nor what the driver does; what replaced rows is told, and what came to nothing."""
        story = tell(lost_update())
        expected = [
            (3, "reads item"),
            (9, "reads item"),
            (12, "UPDATE item SET stock = ?"),
            (13, "COMMIT"),
            (14, "UPDATE item SET stock = ?"),
            (15, "COMMIT"),
        ]
        assert expected == told(story)
        assert story.entries[-1].notes[0].startswith("▶ nothing new")

    def test_says_how_much_is_hidden(self) -> None:
        """Operations count, and those of an entry are not hidden."""
        story = tell(lost_update())
        assert story.hidden == 2 + 3  # connect and configure; the SELECT of the other table, its fetch, its close

    def test_inserts_are_told_by_their_commit(self) -> None:
        """Until then, nobody else can see them."""
        script = Script()
        script.run(0, "INSERT INTO item", (1,), 1, held="write")
        script.add(0, Kind.COMMIT, held="none", changes=(appears("item", {"id": 1}),))
        assert told(tell(script)) == [(2, "COMMIT")]

    def test_an_insert_in_the_way_is_told(self) -> None:
        """Where somebody else goes on while the lock is held, both ends of that are told."""
        script = Script()
        script.run(0, "INSERT INTO item", (1,), 1, held="write")
        script.run(1, "INSERT INTO item", (2,), seen=None, holders=("request-1",))
        script.add(0, Kind.COMMIT, held="none", changes=(appears("item", {"id": 1}),))
        story = tell(script)
        assert told(story) == [(1, "INSERT INTO item"), (2, "INSERT INTO item"), (3, "COMMIT")]
        assert story.entries[1].notes == ("waits for A",)

    def test_commits_that_look_the_same_are_one_entry(self) -> None:
        """With the rows of all of them."""
        script = Script()
        for number in (1, 2, 3, 4):
            script.run(0, f"INSERT INTO item {number}", (1,), 1, held="write")
            changes = (appears("item", {"id": number}),)
            script.run(0, f"RELEASE SAVEPOINT sa_{number}", held="none", inside=False, changes=changes)
        (entry,) = tell(script).entries
        assert (entry.number, entry.statement) == (2, "4x RELEASE")
        assert entry.notes == ("▶ 4 rows: +4\u00a0item", "an outermost RELEASE is a commit")

    def test_a_crash_is_told(self) -> None:
        """With what was written and is lost, if others could notice it."""
        script = Script()
        script.run(0, "INSERT INTO item", (1,), 1, held="write")
        script.add(0, None, held="none", fault=Fault.CRASH, outcome=Crashed())
        story = tell(script)
        assert [entry.number for entry in story.entries] == [2]

    def test_a_long_stretch_is_shortened(self) -> None:
        """Of many entries in a row that are all usual, the middle is left out."""
        script = Script()
        for number in range(20):
            script.run(0, f"C{number}", changes=(appears("item", {"id": number}),))
        story = tell(script)
        assert len(story.entries) == 3 + 1 + 3
        assert story.entries[3].notes == ("… 14 entries like these left out, up to 17",)

    def test_a_long_story_is_shortened(self) -> None:
        """Of very many entries, the beginning and the end are shown."""
        script = Script()
        for number in range(100):
            script.run(number % 2, f"C{number}", changes=(appears("item", {"id": number}),))
        numbers = [entry.number for entry in tell(script).entries]
        assert [*range(1, 17), *range(66, 101)] == numbers


class TestMarks:
    def orphan(self) -> Script:
        """Return a client whose second transaction is refused, and whose first one stays."""
        script = Script()
        line = Source("shop/orders.py", 31, "place")
        script.run(1, "INSERT INTO item", (1,), 1, held="write")
        script.add(1, Kind.COMMIT, held="none", changes=(appears("item", {"id": 1, "stock": 5}),), source=line)
        script.run(1, "SAVEPOINT a", inside=True)
        script.select(1, "SELECT x FROM other", (), (1,), held="read")
        script.run(0, "INSERT INTO other", (1,), changes=(appears("other", {"id": 7}),))
        failed = Observation(failure=LOCKED, in_transaction=True)
        script.run(1, "UPDATE other", seen=failed, lock_kind=LockKind.SNAPSHOT)
        script.add(1, Kind.ROLLBACK, held="none", seen=Observation())
        script.add(1, Kind.CLOSE, outcome=Returned(500))
        return script

    def test_name_what_made_a_row_durable(self) -> None:
        """The row stays, and the rollback comes too late."""
        story = tell(self.orphan(), Breach("an item is left", [("item", {"id": 1, "stock": 5})]))
        assert story.entries[0].notes == ("▶ +item\u00a01   ◀\u00a0this\u00a0row\u00a0stays",)
        assert story.entries[0].source == "orders.py:31"
        assert {9: 2} == story.too_late
        assert [("item 1 (stock 5)", 2)] == [(str(left), left.number) for left in story.left]
        assert story.entries[-1].notes == ("takes nothing back: 2 is committed", "■ returned 500")

    def test_say_where_a_snapshot_began_and_became_stale(self) -> None:
        """Both are before the refusal that they explain."""
        notes = {entry.number: entry.notes for entry in tell(self.orphan()).entries}
        assert notes[4] == ("from here on it sees a snapshot",)
        assert notes[7] == ("▶ +other\u00a07", "B's snapshot is stale now")
        assert notes[8][0] == "✗ database is locked: snapshot, refused at once"

    def test_list_what_a_timeout_has_nothing_to_do_with(self) -> None:
        """By the number of the refusal."""
        assert {8: LockKind.SNAPSHOT} == tell(self.orphan()).at_once
        assert {} == tell(lost_update()).at_once

    def test_a_row_that_was_there_before_has_none(self) -> None:
        """Nothing made it durable."""
        story = tell(lost_update(), Breach("x", [("shop", {"id": 1})]))
        assert [None] == [left.number for left in story.left]


WIDE = {"id": 1, "a": 1, "b": 2, "c": 3, "d": 4, "done": None}


class TestColumns:
    @pytest.mark.parametrize(("why", "expected"), [("done is wrong", "t 1 (done NULL)"), ("it is wrong", "t 1")])
    def test_of_a_wide_row_are_those_that_the_reason_names(self, why: str, expected: str) -> None:
        """And the key."""
        (left,) = tell(Script(), Breach(why, [("t", WIDE)])).left
        assert expected == str(left)

    def test_of_a_wide_row_are_those_that_the_application_asks_for(self) -> None:
        """Where a read that matters names few of them."""
        script = Script()
        script.select(0, "SELECT count(*) FROM t WHERE t.done IS NULL", (), (0,))
        script.run(1, "INSERT INTO t", (1,), changes=(appears("t", WIDE),))
        (left,) = tell(script, Breach("it is wrong", [("t", WIDE)])).left
        assert "t 1 (done NULL)" == str(left)


class TestRenderStory:
    @pytest.mark.parametrize("width", [60, 72, 80, 100, 140])
    def test_never_exceeds_the_width(self, width: int) -> None:
        """Every line fits into the width that is asked for."""
        trace = orphan()
        assert max(map(len, render_story(trace, story_of(trace), width))) <= width

    def test_is_short(self) -> None:
        """The story of an orphan has 11 entries, where the trace has 44 events."""
        trace = orphan()
        story = story_of(trace)
        assert (44, 11) == (len(trace.events), len(story.entries))
        text = "\n".join(render_story(trace, story, 80))
        wanted = [line.rstrip() for line in STORY_OF_ORPHAN.splitlines()]
        assert wanted == [line.rstrip() for line in text.splitlines()][: len(wanted)]


def test_entries_have_no_source_where_none_is_known() -> None:
    """Traces written by hand, or learned, have none."""
    assert {""} == {entry.source for entry in tell(lost_update()).entries}
    assert Entry is type(tell(lost_update()).entries[0])
