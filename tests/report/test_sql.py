from __future__ import annotations

import re

import pytest

from treadle.report import sql

COLUMNS = "SELECT run.id, run.dag_id, run.state, run.kind"


class TestShorten:
    def test_leaves_a_short_statement_whole(self) -> None:
        """What fits is shown whole, on one line."""
        assert sql.shorten("SELECT 1\n  FROM t", 20) == "SELECT 1 FROM t"

    def test_leaves_out_columns_and_keeps_the_tables(self) -> None:
        """Of a SELECT, the end is shown from FROM on."""
        text = f"{COLUMNS} FROM run WHERE run.id = ?"
        assert sql.shorten(text, 50) == "SELECT run.id, … FROM run WHERE run.id = ?"

    def test_keeps_the_condition_of_an_update(self) -> None:
        """Of an UPDATE, the end is shown from WHERE on."""
        text = "UPDATE run SET state=?, kind=?, owner=?, clear_number=? WHERE run.id = ?"
        assert sql.shorten(text, 48) == "UPDATE run SET state=?, … WHERE run.id = ?"

    def test_keeps_what_an_insert_does_on_conflict(self) -> None:
        """Of an INSERT, the end is shown where it is more than values."""
        text = "INSERT INTO run (dag_id, state, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        assert sql.shorten(text, 50) == "INSERT INTO run (dag_id, … ON CONFLICT DO NOTHING"

    @pytest.mark.parametrize("limit", [20, 30, 45, 60, 80, 200])
    @pytest.mark.parametrize(
        "text",
        [
            f"{COLUMNS} FROM run JOIN backfill ON run.backfill_id = backfill.id WHERE backfill.dag_id = ?",
            "INSERT INTO run (dag_id, state, kind, owner, clear_number) VALUES (?, ?, ?, ?, ?)",
            "SELECT ' FROM ' || x FROM t WHERE y = 'SELECT 1 FROM'",
            "PRAGMA " + "x" * 100,
        ],
    )
    def test_shows_only_pieces_of_the_statement(self, text: str, limit: int) -> None:
        """Whatever is shown between ellipses stands in the statement, in that order, from its beginning."""
        shown = sql.shorten(text, limit)
        at = 0
        for piece in shown.split("…") if shown != text else [text]:
            found = text.find(piece.strip(), at)
            assert found >= 0
            at = found + len(piece.strip())
        assert text.startswith(shown[:6])
        assert len(shown) <= limit


class TestFit:
    def test_gives_a_statement_two_lines(self) -> None:
        """A long statement takes two lines, and no more."""
        text = f"{COLUMNS} FROM run WHERE run.dag_id = ? AND run.state = ?"
        expected = ["SELECT run.id, run.dag_id, … FROM run", "  WHERE run.dag_id = ? AND run.state = ?"]
        assert expected == sql.fit(text, 40)

    def test_gives_an_insert_one_line(self) -> None:
        """The columns of an INSERT that do not fit are left out."""
        text = "INSERT INTO run (dag_id, state, kind, owner) VALUES (?, ?, ?, ?)"
        assert sql.fit(text, 40) == ["INSERT INTO run (dag_id, state, kind, …"]

    @pytest.mark.parametrize("width", [28, 40, 44, 90])
    def test_never_exceeds_the_width(self, width: int) -> None:
        """No line is wider than the column, even if a word is."""
        text = f"SELECT {'very_long_name.' * 8}x FROM {'another_long_name' * 5} WHERE x = ?"
        assert all(len(line) <= width for line in sql.fit(text, width))


class TestLiteral:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, "NULL"),
            (1, "1"),
            (1.5, "1.5"),
            ("a", "'a'"),
            ("a\nb", "'a\\nb'"),
            (b"\x00\xff", "x'00ff'"),
            ("abcdefghij", "'abcde…'"),
        ],
    )
    def test_looks_like_sql(self, value: object, expected: str) -> None:
        """Values look as in SQL; long ones show their beginning."""
        assert expected == sql.literal(value, limit=6)


class TestRow:
    def test_shows_positional_and_named_values(self) -> None:
        """Named parameters keep their names."""
        assert sql.row((1, None)) == "(1, NULL)"
        assert sql.row({"a": 1}) == "(a=1)"
        assert sql.row(7) == "(7)"


class TestNumber:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(0, "0"), (72_910, "72,910"), (10**15, "1,000,000,000,000,000"), (234 * 10**40, "2.3e42")],
    )
    def test_gives_the_magnitude_of_astronomic_numbers(self, value: int, expected: str) -> None:
        """A number of schedules may have a thousand digits."""
        assert expected == sql.number(value)


class TestCount:
    def test_has_a_plural(self) -> None:
        """One row, two rows."""
        assert [sql.count(number, "row") for number in (0, 1, 1096)] == ["0 rows", "1 row", "1,096 rows"]


class TestTogether:
    def test_breaks_no_item_over_two_lines(self) -> None:
        """Items move to the next line as a whole."""
        assert sql.together(["a b", "c d", "e f"], 10) == ["a b   c d", "e f"]


class TestWrap:
    @pytest.mark.parametrize("width", [11, 12, 13, 17, 30])
    def test_breaks_no_escape(self, width: int) -> None:
        """Half of one would read like something else."""
        text = "a\\x1b\\u202e" * 20 + " b " + "\\U000e0041" * 5
        lines = sql.wrap(text, width)
        assert "".join(text.split()) == "".join("".join(lines).split())
        assert all(len(line) <= width for line in lines)
        assert all("" == re.sub(r"\\x1b|\\u202e|\\U000e0041|[ab ]", "", line) for line in lines)
