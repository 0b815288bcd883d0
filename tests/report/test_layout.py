from __future__ import annotations

import pytest

from treadle.report.entries import Entry
from treadle.report.extra import Extra
from treadle.report.layout import Page, legend, lines

ENTRIES = (
    Entry(4, 0, "INSERT INTO t (a) VALUES (?)", (Extra(rows=((1,),)),), (), ("write", "none")),
    Entry(5, 1, "INSERT INTO t (a) VALUES (?)", (), ("waits for A",), ("write", "waits")),
    Entry(12, 0, "COMMIT", (), ("▶ published 1 row: +1 t",), ("write", "waits")),
)


class TestSideBySide:
    def test_has_a_column_for_each_client(self) -> None:
        """Each event stands in its client's column, behind the bar of its lock."""
        expected = [
            "      A                               B = other",
            "      -                               ---------",
            " 4  | INSERT INTO t (a) VALUES (?)",
            "    |   (1)",
            "    |",
            " 5  |                               ~ INSERT INTO t (a) VALUES (?)",
            "    |                               ~ waits for A",
            "    |                               ~",
            "12  | COMMIT                        ~",
            "    | ▶ published 1 row: +1 t       ~",
        ]
        assert expected == lines(Page(66, ("A", "other"), 12), ENTRIES)

    @pytest.mark.parametrize("width", [64, 80, 100, 140])
    def test_never_exceeds_the_page(self, width: int) -> None:
        """Every line fits."""
        assert all(len(line) <= width for line in lines(Page(width, ("A", "B"), 12), ENTRIES))


class TestStacked:
    def test_names_the_client_in_every_line(self) -> None:
        """Where there is no room for columns, the letter of the client stands before its events."""
        expected = [
            "    A",
            "    B = other",
            "",
            " 4  A | INSERT INTO t (a) VALUES (?) (1)",
            "",
            " 5  B ~ INSERT INTO t (a) VALUES (?)",
            "    B ~ waits for A",
            "",
            "12  A | COMMIT",
            "    A | ▶ published 1 row: +1 t",
        ]
        assert expected == lines(Page(60, ("A", "other"), 12), ENTRIES)

    @pytest.mark.parametrize(
        ("clients", "width", "expected"),
        [(1, 60, True), (2, 66, True), (2, 65, False), (3, 100, True), (3, 97, False), (4, 140, False)],
    )
    def test_is_for_narrow_pages_and_many_clients(self, clients: int, width: int, *, expected: bool) -> None:
        """Columns need 30 characters each, and there are at most three."""
        assert expected == Page(width, tuple("ABCD")[:clients], 99).side_by_side


class TestLegend:
    def test_explains_what_is_used(self) -> None:
        """Only signs that occur are explained."""
        page = Page(100, ("A", "B"), 12)
        text = lines(page, ENTRIES)
        expected = ["| holds the write lock", "~ waits", "▶ now visible to everybody, and durable"]
        assert expected == legend(ENTRIES, text)
