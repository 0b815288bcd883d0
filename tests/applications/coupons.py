"""Coupons in raw sqlite3: one connection, opened when the module is imported, and all that can be put on one."""

from __future__ import annotations

import os
import sqlite3
from decimal import Decimal

sqlite3.register_adapter(Decimal, str)
sqlite3.register_converter("DECIMAL", lambda text: Decimal(text.decode()))

PATH = os.environ.get("COUPONS_DB", "/var/lib/coupons/coupons.db")

SCHEMA = """
CREATE TABLE IF NOT EXISTS coupon (
    code TEXT PRIMARY KEY COLLATE spoken,
    worth DECIMAL NOT NULL,
    uses INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS redemption (id INTEGER PRIMARY KEY, code TEXT NOT NULL, worth DECIMAL NOT NULL);
INSERT OR IGNORE INTO coupon VALUES ('AUTUMN-10', 10.50, 1);
"""


def spoken(left: str, right: str) -> int:
    """Compare codes as they are said: case and dashes count for nothing."""
    mine, other = (code.replace("-", "").lower() for code in (left, right))
    return (mine > other) - (mine < other)


def halved(worth: str | float) -> str:
    """Return half of an amount."""
    return str(Decimal(str(worth)) / 2)


connection = sqlite3.connect(PATH, detect_types=sqlite3.PARSE_DECLTYPES, timeout=2, check_same_thread=False)
connection.row_factory = sqlite3.Row
connection.create_function("halved", 1, halved, deterministic=True)
connection.create_collation("spoken", spoken)
connection.executescript(SCHEMA)


def redeem() -> Decimal:
    """Redeem a coupon for half of its worth: who reads that it has a use left takes it."""
    row = connection.execute(
        'SELECT code, uses, halved(worth) AS "half [DECIMAL]" FROM coupon WHERE code = ?', ("autumn10",)
    ).fetchone()
    if row["uses"] < 1:
        raise LookupError(row["code"])
    half = Decimal(row[2])
    with connection:
        connection.execute("UPDATE coupon SET uses = ? WHERE code = ?", (row["uses"] - 1, row["code"]))
        connection.execute("INSERT INTO redemption (code, worth) VALUES (?, ?)", (row["code"], half))
    return half


def redeem_at_once() -> Decimal:
    """Redeem a coupon: who takes its last use is the only one."""
    with connection:
        taken = connection.execute(
            "UPDATE coupon SET uses = uses - 1 WHERE code = ? AND uses > 0 RETURNING code, worth, halved(worth)",
            ("autumn10",),
        ).fetchall()
        if not taken:
            raise LookupError("autumn10")
        half = Decimal(taken[0][2])
        connection.execute("INSERT INTO redemption (code, worth) VALUES (?, ?)", (taken[0]["code"], half))
    return half
