"""Serial equivalence and failures that are serial: what counts as the same, and what as a refusal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound, OperationalError, PendingRollbackError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from treadle import (
    Client,
    Committed,
    Database,
    Property,
    PropertyError,
    Raised,
    Returned,
    Scenario,
    Verdict,
    check,
    serial_equivalence,
    serial_failures,
)
from treadle.serial import different_tables, failure_of, was_refused
from treadle.values.view import Reference, Table


class StoreError(Exception):
    """An error of the application's own."""


def caught(raise_it: Callable[[], object]) -> Exception:
    """Return the exception that something raises."""
    try:
        raise_it()
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error
    raise AssertionError


def from_database() -> None:
    """Raise an error of the database in other clothes."""
    try:
        raise OperationalError("SELECT 1", (), sqlite3.OperationalError("database is locked"))
    except DBAPIError as error:
        raise StoreError from error


def from_driver_in_disguise() -> None:
    """Raise one whose context is hidden."""
    try:
        raise sqlite3.IntegrityError("UNIQUE constraint failed")
    except sqlite3.Error:
        raise StoreError from None


def in_a_group() -> None:
    """Raise a group with one in it."""
    raise ExceptionGroup("several", [ValueError("no"), ExceptionGroup("more", [caught(from_database)])])


def while_handling() -> None:
    """Raise another error in the handler of a handler."""
    try:
        from_database()
    except StoreError:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise RuntimeError from error


class Error(Exception):
    """As the base class of another driver's errors."""

    __module__ = "pysqlite3.dbapi2"


class OtherDriverError(Error):
    """One of these."""


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ValueError("sold out"), True),
        (NoResultFound(), True),
        (ExceptionGroup("several", [ValueError("no")]), True),
        (caught(from_database), False),
        (caught(from_driver_in_disguise), False),
        (caught(in_a_group), False),
        (caught(while_handling), False),
        (sqlite3.OperationalError("database is locked"), False),
        (IntegrityError("INSERT", (), sqlite3.IntegrityError("UNIQUE constraint failed")), False),
        (OtherDriverError("database is locked"), False),
        (StaleDataError(), False),
        (ObjectDeletedError(None, "gone"), False),  # type: ignore[arg-type]  # no state is needed here
        (PendingRollbackError(), False),
    ],
)
def test_what_the_database_had_a_part_in_is_no_refusal(error: Exception, refused: bool) -> None:
    """Whatever it is dressed in. What the application says by itself is one."""
    assert refused is was_refused(Raised(error))


def test_a_cycle_of_causes_ends() -> None:
    """Such as Python lets one make by hand."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert was_refused(Raised(one))


def test_failures_are_told_apart_by_type_and_result_code() -> None:
    """And not by their texts."""
    busy, unique = sqlite3.OperationalError("locked"), sqlite3.OperationalError("no such table: t")
    busy.sqlite_errorcode, unique.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_ERROR
    same = sqlite3.OperationalError("database is locked")
    same.sqlite_errorcode = sqlite3.SQLITE_BUSY
    wrapped = [failure_of(Raised(OperationalError("x", (), error))) for error in (busy, same, unique)]
    assert wrapped[0] == wrapped[1] != wrapped[2]
    assert failure_of(Raised(ValueError(1))) == failure_of(Raised(ValueError(2))) != failure_of(Raised(KeyError(1)))
    assert failure_of(Returned([1])) == failure_of(Returned([1])) != failure_of(Returned([2]))


# --- Rows up to a renaming of keys ------------------------------------------------------------------------

NODE = partial(Table, ("id", "next"), key="id", references=(Reference("next", "node", "id"),), primary_key=("id",))
EMPTY = Committed({"node": NODE(values=())})


def different(one: Committed, other: Committed, initial: Committed, **options: bool) -> list[str]:
    """Compare in both directions."""
    found = different_tables(one, other, initial, **options)
    assert found == different_tables(other, one, initial, **options)
    assert [] == different_tables(one, one, initial, **options)
    return found


def nodes(*rows: tuple[Any, Any]) -> Committed:
    """Return nodes that refer to nodes."""
    return Committed({"node": NODE(values=rows)})


def test_two_rings_of_two_are_no_ring_of_four() -> None:
    """Colour refinement alone takes one for the other."""
    two_rings = nodes((1, 2), (2, 1), (3, 4), (4, 3))
    assert ["node"] == different(two_rings, nodes((1, 2), (2, 3), (3, 4), (4, 1)), EMPTY)
    assert [] == different(two_rings, nodes((1, 3), (2, 4), (3, 1), (4, 2)), EMPTY)


def test_keys_of_new_rows_may_be_others_and_kept_keys_not() -> None:
    """Those that were there are known by their keys."""
    assert [] == different(nodes((1, None), (2, 1)), nodes((5, 7), (7, None)), EMPTY)
    assert ["node"] == different(nodes((1, None), (2, 1)), nodes((1, 2), (2, None)), nodes((1, None), (2, None)))
    assert ["node"] == different(nodes((1, None)), nodes((2, None)), EMPTY, rename_keys=False)


def test_a_reference_that_leads_nowhere_is_a_value() -> None:
    """It is no NULL, no reference to a row, and not any other that leads nowhere."""
    assert ["node"] == different(nodes((1, 9)), nodes((1, None)), EMPTY)
    assert ["node"] == different(nodes((1, 9)), nodes((1, 1)), EMPTY)
    assert ["node"] == different(nodes((1, 9)), nodes((1, 8)), EMPTY)
    assert [] == different(nodes((1, 9)), nodes((2, 9)), EMPTY)


@pytest.mark.parametrize("target", ["code", "CODE"])
def test_a_reference_to_another_column_is_a_value(target: str) -> None:
    """Only an INTEGER PRIMARY KEY has keys that SQLite chose."""

    def content(value: int) -> Committed:
        status = Table(("id", "code"), ((1, 10), (2, 20)), "id", (), ("id",))
        order = Table(("id", "status"), ((1, value),), "id", (Reference("status", "STATUS", target),), ("id",))
        return Committed({"status": status, "order": order})

    assert ["order"] == different(content(10), content(20), Committed({}))


@pytest.mark.parametrize(("table", "column"), [("Parent", "ID"), ("parent", None), ("PARENT", "id")])
def test_names_are_compared_without_their_case(table: str, column: str | None) -> None:
    """A foreign key spells them as it likes."""

    def content(parent: int, child: int, spelling: str) -> Committed:
        reference = Reference("parent_id", table, column)
        return Committed(
            {
                spelling: Table(("Id", "name"), ((parent, "new"),), "Id", (), ("Id",)),
                "child": Table(("id", "Parent_ID"), ((child, parent),), "id", (reference,), ("id",)),
            }
        )

    assert [] == different(content(1, 2, "parent"), content(7, 8, "Parent"), Committed({}))


def test_a_reference_by_way_of_another_table_is_one_to_the_key() -> None:
    """A table whose key is that of another (joined inheritance), or a column that is unique and refers to it."""

    def content(number: int, note: int) -> Committed:
        return Committed(
            {
                "order": Table(("id",), ((number,),), "id", (), ("id",)),
                "express": Table(("id", "hours"), ((number, 4),), "id", (Reference("id", "order"),), ("id",)),
                "bill": Table(("order_id", "sum"), ((number, 9),), None, (Reference("order_id", "order", "id"),)),
                "note": Table(("bill", "express"), ((number, note),), None, (BILL, Reference("express", "express"))),
            }
        )

    assert [] == different(content(3, 3), content(5, 5), Committed({}))
    assert ["note"] == different(content(3, 3), content(5, 3), Committed({}))


BILL = Reference("bill", "bill", "order_id")


def test_numbers_differ_by_their_types_and_tables_by_being_there() -> None:
    """10 is not 10.0, an empty table is not one that is not there, and equal rows are counted."""
    number = partial(Table, ("n",))
    one, real = (Committed({"t": number(values=((value,),))}) for value in (10, 10.0))
    twice = Committed({"t": number(values=((10,), (10,)))})
    assert ["t"] == different(one, real, Committed({}))
    assert ["t"] == different(one, twice, Committed({}))
    assert ["t"] == different(Committed({"t": number(values=())}), Committed({}), Committed({}))
    assert ["t"] == different(one, real, Committed({}), rename_keys=False)


def test_rows_that_are_too_much_alike_are_an_error() -> None:
    """And never taken to be the same."""
    count = 120
    link = Table(
        ("a", "b"),
        [(one, other) for one in range(1, count) for other in range(1, count) if one != other],
        None,
        (Reference("a", "node"), Reference("b", "node")),
    )
    node = Table(("id",), [(number,) for number in range(1, count)], "id", (), ("id",))
    again = Table(link.columns, reversed(link.values), None, link.references)
    with pytest.raises(PropertyError, match="the rows of link, node cannot be compared up to a renaming"):
        different_tables(
            Committed({"node": node, "link": link}), Committed({"node": node, "link": again}), Committed({})
        )


# --- Whole checks ------------------------------------------------------------------------------------------

Run = Callable[[Engine], object]


def decided(
    schema: str,
    *runs: Run,
    properties: Property | None = None,
    connect_args: dict[str, Any] | None = None,
    **options: Any,
) -> Verdict:
    """Check clients on a schema, and return the verdict on one property."""

    def create(engine: Engine) -> None:
        connection = engine.raw_connection()
        connection.driver_connection.executescript(schema)  # type: ignore[union-attr]  # it is sqlite3's
        connection.close()

    database = Database(create, **options)
    asked = properties or serial_equivalence()
    names = "ABC"[: len(runs)]
    clients = [Client(name, partial(run, database.engine)) for name, run in zip(names, runs, strict=True)]
    return check(Scenario("serial", database, clients, [asked]))[asked.name].verdict


STATUS = """
    CREATE TABLE status (id INTEGER PRIMARY KEY, code TEXT UNIQUE);
    CREATE TABLE "order" (id INTEGER PRIMARY KEY, status TEXT REFERENCES status(code));
    INSERT INTO status (code) VALUES ('new'), ('paid'), ('sent');
    INSERT INTO "order" VALUES (1, 'new');
"""


def advance(engine: Engine) -> None:
    """Give the order its next status."""
    with engine.begin() as connection:
        status = connection.execute(text('SELECT status FROM "order"')).scalar_one()
    with engine.begin() as connection:
        following = {"new": "paid", "paid": "sent"}[status]
        connection.execute(text('UPDATE "order" SET status = :status'), {"status": following})


def test_a_lost_update_of_a_reference_to_a_code_is_found() -> None:
    """Two clients read 'new' and write 'paid' over each other: one after another, they end with 'sent'."""
    assert Verdict.VIOLATED is decided(STATUS, advance, advance)


INTEGER_STATUS = """
    CREATE TABLE status (id INTEGER PRIMARY KEY, code INTEGER UNIQUE);
    CREATE TABLE "order" (id INTEGER PRIMARY KEY, status INTEGER REFERENCES status(code));
    INSERT INTO "order" VALUES (1, NULL);
"""


def count_up(engine: Engine) -> None:
    """Give the order the next status: a lost update of a column that refers to a UNIQUE one."""
    with engine.begin() as connection:
        status = connection.execute(text('SELECT coalesce(status, 10) FROM "order"')).scalar_one()
    with engine.begin() as connection:
        connection.execute(text("INSERT OR IGNORE INTO status (code) VALUES (11), (12)"))
        connection.execute(text('UPDATE "order" SET status = :status'), {"status": status + 1})


def test_a_lost_update_of_a_reference_to_a_unique_column_is_found() -> None:
    """Alone, the order ends with status 12; together, it may end with 11."""
    assert Verdict.VIOLATED is decided(INTEGER_STATUS, count_up, count_up)


PARENT = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent(id));
    INSERT INTO child VALUES (1, NULL);
"""


def adopt(engine: Engine) -> None:
    """Make a parent, and let the child refer to it if it is there then."""
    with engine.begin() as connection:
        number = connection.execute(text("INSERT INTO parent DEFAULT VALUES RETURNING id")).scalar_one()
    with engine.begin() as connection:
        connection.execute(text("UPDATE child SET parent_id = :number"), {"number": number})


def clear(engine: Engine) -> None:
    """Delete all parents, and with them what refers to them."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM parent"))
        connection.execute(text("UPDATE child SET parent_id = NULL"))


def test_a_dangling_reference_is_no_null() -> None:
    """Foreign keys are not enforced: the parent is deleted between its making and the reference to it."""
    assert Verdict.VIOLATED is decided(PARENT, adopt, clear)


def look_twice(engine: Engine) -> dict[str, int]:
    """Return one dict, filled in another order if something was committed between two looks."""
    with engine.connect() as connection:
        before = connection.execute(text("SELECT count(*) FROM child")).scalar_one()
    with engine.connect() as connection:
        after = connection.execute(text("SELECT count(*) FROM child")).scalar_one()
    return {"a": 1, "b": 2} if before == after else {"b": 2, "a": 1}


def bear(engine: Engine) -> None:
    """Add a child."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO child (parent_id) VALUES (NULL)"))


def test_equal_dicts_are_equal_in_whatever_order_they_were_filled() -> None:
    """Alone, a client fills it in one order only."""
    assert Verdict.HOLDS is decided(PARENT, look_twice, bear)


UNIQUE = "CREATE TABLE account (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)"


def register(engine: Engine) -> str:
    """Check, then insert; the check and the insert are in two transactions."""
    with engine.connect() as connection:
        there = connection.execute(text("SELECT 1 FROM account WHERE mail = 'a'")).first()
    if there is not None:
        raise ValueError("already registered")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO account (mail) VALUES ('a')"))
    return "registered"


def register_in_clothes(engine: Engine) -> str:
    """Do the same, and hide the error of the database."""
    try:
        return register(engine)
    except DBAPIError as error:
        raise StoreError from error


def first_use(engine: Engine) -> None:
    """Make a table when it is first used, if it is not there."""
    with engine.connect() as connection:
        there = connection.execute(text("SELECT 1 FROM sqlite_schema WHERE name = 'cache'")).first()
    with engine.begin() as connection:
        if there is None:
            connection.execute(text("CREATE TABLE cache (n)"))
        connection.execute(text("INSERT INTO cache VALUES (1)"))


def insert(engine: Engine) -> None:
    """Write one row."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO account (mail) VALUES (NULL)"))


@pytest.mark.parametrize(
    ("run", "options"),
    [(register, {}), (register_in_clothes, {}), (first_use, {}), (insert, {"busy_timeout_ms": 0})],
)
def test_failures_that_no_serial_execution_has_are_found_by_their_property_alone(
    run: Run, options: dict[str, Any]
) -> None:
    """A check-then-insert that a unique index stops, a table that is made at first use, no busy timeout."""
    assert Verdict.VIOLATED is decided(UNIQUE, run, run, properties=serial_failures(), **options)
    assert Verdict.HOLDS is decided(UNIQUE, run, run, **options)


def register_at_once(engine: Engine) -> str:
    """Insert, and say it in the application's words if the address is taken."""
    with engine.begin() as connection:
        found = connection.execute(text("INSERT OR IGNORE INTO account (mail) VALUES ('a') RETURNING id")).first()
    if found is None:
        raise ValueError("already registered")
    return "registered"


def test_failures_that_a_serial_execution_has_are_none_of_its() -> None:
    """Whoever comes second is refused, with or without concurrency."""
    assert Verdict.HOLDS is decided(UNIQUE, register_at_once, register_at_once, properties=serial_failures())
    assert Verdict.HOLDS is decided(UNIQUE, register_at_once, register_at_once)


def test_what_is_a_failure_can_be_said() -> None:
    """Here none is: the property then holds of anything."""
    nothing = serial_failures(failed=lambda outcome: False, name="nothing")
    assert Verdict.HOLDS is decided(UNIQUE, register, register, properties=nothing)


def test_an_author_may_take_an_error_in_clothes_for_a_refusal() -> None:
    """It must then be refused in a serial order, too, and by that rule it never is."""
    rule = serial_equivalence(refused=lambda end: isinstance(end, Raised) and isinstance(end.exception, StoreError))
    assert Verdict.VIOLATED is decided(UNIQUE, register_in_clothes, register_in_clothes, properties=rule)


def test_a_raw_error_of_the_driver_is_no_refusal() -> None:
    """A client that uses sqlite3 itself, without a busy timeout."""

    def raw(engine: Engine) -> None:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("INSERT INTO account (mail) VALUES (NULL)")
            connection.commit()
        finally:
            connection.close()

    assert Verdict.HOLDS is decided(UNIQUE, raw, raw, busy_timeout_ms=0)
