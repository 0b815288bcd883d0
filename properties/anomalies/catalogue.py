"""The anomalies, from the weakest level that forbids them to the strongest.

Sources: Berenson et al., "A Critique of ANSI SQL Isolation Levels", SIGMOD 1995 (P4, write skew); Adya, "Weak
Consistency", PhD thesis, MIT 1999 (G0, G1a to G1c, G-single, G2-item, G2); Bailis et al., "Highly Available
Transactions", VLDB 2013 (OTV, PMP); the transactions as in Hermitage.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from model.anomalies import transactions
from properties.anomalies.anomaly import Anomaly
from treadle import View

LEGACY = frozenset({"legacy"})

FIRST = {1: 11, 2: 19}
SECOND = {1: 12, 2: 18}
"""What the two writers of OTV write, by id."""


def _final(view: View) -> dict[int, int]:
    return {row["id"]: row["value"] for row in view.rows("test")}


def _returned(view: View, *names: str) -> list[Any] | None:
    """Return what clients returned, or None if one of them failed."""
    values = view.returned()
    return [values[name] for name in names] if set(names) <= set(values) else None


def _dirty_write(view: View) -> str | None:
    if _returned(view, "T1", "T2") is None:
        return None
    values = _final(view)
    return f"the rows are {values}" if values not in ({1: 11, 2: 21}, {1: 12, 2: 22}) else None


def _seen_101(view: View) -> str | None:
    reads = _returned(view, "T2")
    if reads is None:
        return None
    seen = [rows for rows in reads[0] if (1, 101) in rows]
    return f"T2 read {seen[0]}" if seen else None


def _circular(view: View) -> str | None:
    reads = _returned(view, "T1", "T2")
    return "each read what the other wrote" if reads == [22, 11] else None


def _vanishes(view: View) -> str | None:
    reads = _returned(view, "T3")
    if reads is None:
        return None
    last = FIRST if _final(view)[1] == FIRST[1] else SECOND
    earlier = SECOND if last is FIRST else FIRST
    ages = [2 if last[row_id] == value else int(earlier[row_id] == value) for row_id, value in reads[0]]
    return f"T3 read {reads[0]}, the newer before the older" if ages != sorted(ages) else None


def _phantom(view: View) -> str | None:
    reads = _returned(view, "T1")
    return f"T1 found nothing, then {reads[0][1]}" if reads and reads[0][0] != reads[0][1] else None


def _other_rows_deleted(view: View) -> str | None:
    reads = _returned(view, "T2")
    if reads is None:
        return None
    found, deleted = reads[0]
    return f"T2 found the rows {found} and deleted the rows {deleted}" if found != deleted else None


def _lost_update(view: View) -> str | None:
    reads = _returned(view, "T1", "T2")
    return "both read 10, and both wrote" if reads == [10, 10] else None


def _read_skew(view: View) -> str | None:
    reads = _returned(view, "T1")
    if reads is None or reads[0] in {(10, 20), (12, 18)}:
        return None
    return f"T1 read {reads[0]}"


def _write_after_skew(view: View) -> str | None:
    reads = _returned(view, "T1")
    if reads is None or reads[0] in {(10, 1), (12, 0)}:
        return None
    return f"T1 read {reads[0][0]}, and deleted {reads[0][1]} rows"


def _write_skew(view: View) -> str | None:
    reads = _returned(view, "T1", "T2")
    return "both read (10, 20), and both wrote" if reads == [(10, 20), (10, 20)] else None


def _predicate_skew(view: View) -> str | None:
    reads = _returned(view, "T1", "T2")
    return "both found nothing, and both inserted" if reads == [[], []] else None


ANOMALIES = {
    anomaly.symbol: anomaly
    for anomaly in (
        Anomaly(
            symbol="G0",
            title="dirty write",
            clause="two transactions that write the same rows never leave a mixture",
            clients={
                "T1": partial(transactions.write_both, first=11, second=21),
                "T2": partial(transactions.write_both, first=12, second=22),
            },
            shown=_dirty_write,
            why=(
                "The first write takes the lock on the whole file and COMMIT gives it back, so writers take "
                "turns in every mode."
            ),
        ),
        Anomaly(
            symbol="G1a",
            title="aborted read",
            clause="no transaction ever reads what is rolled back",
            clients={
                "T1": partial(transactions.write_and_roll_back, value=101),
                "T2": transactions.read_all_twice,
            },
            shown=_seen_101,
            why=(
                "A connection reads only what others have committed, in every mode; nothing here turns on a "
                "shared cache."
            ),
        ),
        Anomaly(
            symbol="G1b",
            title="intermediate read",
            clause="no transaction ever reads a value that its writer replaced before it committed",
            clients={
                "T1": partial(transactions.write_twice, first=101, second=11),
                "T2": transactions.read_all_twice,
            },
            shown=_seen_101,
            why="A connection reads only what others have committed, and both writes commit together.",
        ),
        Anomaly(
            symbol="G1c",
            title="circular information flow",
            clause="two transactions never each read what the other wrote",
            clients={
                "T1": partial(transactions.write_one_read_other, write=1, value=11, read=2),
                "T2": partial(transactions.write_one_read_other, write=2, value=22, read=1),
            },
            shown=_circular,
            why=(
                "Both write first, so the second one starts when the first has committed, which therefore "
                "cannot have read what the second writes."
            ),
        ),
        Anomaly(
            symbol="OTV",
            title="observed transaction vanishes",
            clause="a transaction that has read what another one wrote never reads anything older afterwards",
            clients={
                "T1": partial(transactions.write_both, first=FIRST[1], second=FIRST[2]),
                "T2": partial(transactions.write_both, first=SECOND[1], second=SECOND[2]),
                "T3": transactions.read_to_and_fro,
            },
            shown=_vanishes,
            why=(
                "A transaction becomes visible as a whole when it commits, and a later SELECT never sees an "
                "older state than an earlier one, even where each takes a snapshot of its own."
            ),
        ),
        Anomaly(
            symbol="PMP",
            title="predicate-many-preceders",
            clause="a transaction that looks twice never finds a row that came in between",
            clients={
                "T1": transactions.find_thirties_then_multiples_of_three,
                "T2": partial(transactions.insert_row, row_id=3, value=30),
            },
            shown=_phantom,
            possible=LEGACY,
            why=(
                "Without a BEGIN each SELECT has a snapshot of its own, and a commit fits in between; after "
                "a BEGIN both see the same snapshot."
            ),
        ),
        Anomaly(
            symbol="PMP-write",
            title="predicate-many-preceders, with a write",
            clause="a transaction never deletes other rows than it has just found by the same condition",
            clients={"T1": transactions.add_ten, "T2": transactions.find_then_delete_twenties},
            shown=_other_rows_deleted,
            possible=LEGACY,
            why=(
                "The driver sends BEGIN only before the DELETE, which sees what was committed after the "
                "SELECT; after an earlier BEGIN SQLite refuses a write on a snapshot that is out of date "
                "(wal), or nobody can commit while another one reads (delete)."
            ),
        ),
        Anomaly(
            symbol="P4",
            title="lost update",
            clause="two transactions that read and then write one row never both read the first value",
            clients={
                "T1": partial(transactions.read_then_write, value=11),
                "T2": partial(transactions.read_then_write, value=12),
            },
            shown=_lost_update,
            possible=LEGACY,
            why=(
                "The driver sends BEGIN only before the UPDATE, so nothing ties it to what was read; after "
                "an earlier BEGIN one of the two is refused at once, and after BEGIN IMMEDIATE it waits "
                "before it reads."
            ),
        ),
        Anomaly(
            symbol="G-single",
            title="read skew",
            clause="a transaction never reads one row from before another transaction and one from after it",
            clients={
                "T1": transactions.read_one_then_other,
                "T2": partial(transactions.write_both, first=12, second=18),
            },
            shown=_read_skew,
            possible=LEGACY,
            why=("Without a BEGIN each SELECT has a snapshot of its own; after a BEGIN both see the same snapshot."),
        ),
        Anomaly(
            symbol="G-single-write",
            title="read skew, with a write",
            clause="a transaction never reads from before another one and then writes on what that one left",
            clients={
                "T1": transactions.read_one_then_delete_twenties,
                "T2": partial(transactions.write_both, first=12, second=18),
            },
            shown=_write_after_skew,
            possible=LEGACY,
            why=(
                "The driver sends BEGIN only before the DELETE, so it runs on what the other one has "
                "committed since the SELECT; after an earlier BEGIN SQLite refuses that (wal), or the other "
                "one cannot commit (delete)."
            ),
        ),
        Anomaly(
            symbol="G2-item",
            title="write skew on items",
            clause="two transactions that read both rows and write one each never both read the first values",
            clients={
                "T1": partial(transactions.read_both_then_write, write=1, value=11),
                "T2": partial(transactions.read_both_then_write, write=2, value=21),
            },
            shown=_write_skew,
            possible=LEGACY,
            why=(
                "Nothing ties the UPDATE to what was read before its BEGIN; where both are in one "
                "transaction, SQLite refuses a write if anything at all was committed since its snapshot, be"
                " it to another row (wal), or nobody can commit while another one reads (delete)."
            ),
        ),
        Anomaly(
            symbol="G2",
            title="write skew on predicates",
            clause="two transactions that insert what they look for never both find nothing",
            clients={
                "T1": partial(transactions.find_multiples_of_three_then_insert, row_id=3, value=30),
                "T2": partial(transactions.find_multiples_of_three_then_insert, row_id=4, value=42),
            },
            shown=_predicate_skew,
            possible=LEGACY,
            why=(
                "Nothing ties the INSERT to what was looked for before its BEGIN; where both are in one "
                "transaction, the lock on the whole file covers the rows that are not there too."
            ),
        ),
    )
}
"""The anomalies by symbol."""
