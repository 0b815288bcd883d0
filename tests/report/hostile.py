"""A scenario that has something hostile in every text that it can have it in, and what is hostile."""

from __future__ import annotations

import contextlib
import unicodedata
from functools import partial

from attrs import evolve
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from treadle.scenario import Client, Database, Scenario
from treadle.values.property import Breach, always, at_end, sometimes
from treadle.values.view import View

ACTS = {
    "writes the clipboard": "\x1b]52;c;aGk=\x07",
    "is red": "\x1b[31m\x9b31m",
    "goes back": "\r\b\x7f",
    "is another line": "\v\f\x1c\x85\u2028\u2029",
    "ends a text of C": "\0",
    "is read from right to left": "\u202e\u2067\u200f\u061c",
    "is not seen": "\u200b\u200d\u2060\ufeff\u00ad\u034f\u3164\ufe0f\U000e0041\U000e0100",
    "is a blank": "\u00a0\u3000",
    "is markup": "</title></script><img src=x onerror=alert(1)><script>alert(2)</script>&lt;",
}
"""What a terminal, a browser, or a reader, is misled by."""

WORD = "".join(ACTS.values()) + "[red][link=http://x]é漢字🙂[/]"
"""All of it in one word, with what stays as it is."""

TEXT = f"{WORD}\n\t{WORD}"

NAME = "".join(WORD.split())
"""The same, without what is white space to Python: names of properties have none."""

SQL = TEXT.replace("\0", "")
"""The same, without what ends a statement."""

TABLE, COLUMN = f"t{SQL}", f"c{SQL}"

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of what nobody sees, or is misled by (https://www.unicode.org/reports/tr44/#General_Category_Values)."""


def unseen(text: str) -> set[str]:
    """Return what is in a text that must not be shown; an end of line may be."""
    ignorable = {"\u034f", "\u3164", "\U000e0100", "\u00a0", "\u3000"}
    return {one for one in set(text) - {"\n"} if unicodedata.category(one) in UNSEEN or one in ignorable}


class Strange:
    """A value with a text of its own."""

    def __init__(self, text: str = TEXT) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<{self.text}>"


class Refusal(Exception):  # noqa: N818  # its name is changed below
    """An error with a hostile name and a hostile text."""


Refusal.__name__ = Refusal.__qualname__ = f"Refusal{SQL}"


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE TABLE "{TABLE}" (id INTEGER PRIMARY KEY, "{COLUMN}" TEXT, n INTEGER)')
        connection.exec_driver_sql(f'INSERT INTO "{TABLE}" VALUES (1, ?, 0)', (TEXT,))
        connection.exec_driver_sql("CREATE TABLE odd (id INTEGER PRIMARY KEY, x TEXT)")
        connection.exec_driver_sql("INSERT INTO odd VALUES (1, CAST(x'1b5b33316dff' AS TEXT))")


def _count(engine: Engine) -> object:
    """Count in Python: an update may be lost."""
    with engine.begin() as connection:
        query = f'SELECT n, "{COLUMN}" FROM "{TABLE}" WHERE "{COLUMN}" IN (?, \'{SQL}\') OR id = 1'
        n = connection.exec_driver_sql(query, (TEXT,)).all()[0][0]
    with engine.begin() as connection:
        connection.exec_driver_sql(f'UPDATE "{TABLE}" SET n = ?, "{COLUMN}" = ?', (n + 1, f"{TEXT}{n}"))
        with contextlib.suppress(OperationalError):
            connection.exec_driver_sql(f'SELECT * FROM "no such {TABLE}"')
    return [TEXT, {TEXT: Strange()}]


def _refuse(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f'SELECT "{COLUMN}" FROM "{TABLE}"')
    raise Refusal(TEXT)


def _none_lost(view: View) -> list[Breach]:
    (row,), (odd,) = view.rows(TABLE), view.rows("odd")
    lost = row["n"] != len(view.returned())
    return [Breach(f"{TEXT} {end}", [(TABLE, row), ("odd", odd)]) for end in view.outcomes.values()] if lost else []


def hostile(journal: str = "wal") -> Scenario:
    """Return a scenario that is violated, whose every text is hostile."""
    database = Database(_create, journal=journal)
    clients = [Client(f"{name}{TEXT}", partial(_count, database.engine)) for name in "AB"]
    return Scenario(
        f"{TEXT}[{journal}]",
        database,
        [*clients, Client(f"C{TEXT}", partial(_refuse, database.engine))],
        [
            at_end(f"none is lost {TEXT}", _none_lost, name=f"none-lost{NAME}"),
            sometimes(f"all fail {TEXT}", lambda view: len(view.raised()) == len(clients) + 1, name=f"all-fail{NAME}"),
        ],
        may_fail=[clients[0].name, f"C{TEXT}"],
    )


def scenarios() -> list[Scenario]:
    """Return it in two journal modes."""
    return [hostile("wal"), hostile("delete")]


def _ask(view: View) -> bool:
    raise ValueError(f"{TEXT} {len(view.outcomes)}")


def asking() -> Scenario:
    """Return a scenario whose predicate fails."""
    return evolve(hostile(), properties=[always(f"{TEXT}", _ask, name=NAME)])


def unmade() -> Scenario:
    """Fail."""
    raise LookupError(TEXT)
