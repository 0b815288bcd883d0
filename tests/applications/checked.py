"""What is asked of each sample application: every sale counts, whoever else sells; and its own file stays as it is."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData
from sqlalchemy.orm import Session

from treadle import Client, Database, Result, Returned, Scenario, View, at_end, check, sometimes

FOLDER = Path(tempfile.mkdtemp(prefix="applications-"))
"""The directory that the applications are loaded in."""

FILE = FOLDER / "shop.db"
"""The file that they are configured with."""

atexit.register(shutil.rmtree, FOLDER)

_OK, _ACCEPTED = 200, 202

OWN = b"The rows of the application's users."


def scenario(
    sell: Callable[[], object],
    engine: Engine,
    metadata: MetaData,
    item: Callable[..., object],
    journal: str = "wal",
    *,
    stock: int = 2,
) -> Scenario:
    """Return two clients that sell the same item.

    Args:
        sell: asks the application for it.
        engine: the application's.
        metadata: its tables.
        item: makes the row.
        journal: the journal mode.
        stock: how many there are.
    """

    def seed(engine: Engine) -> None:
        with Session(engine) as session, session.begin():
            session.add(item(id=1, stock=stock))

    def every_sale_counts(view: View) -> bool:
        (row,) = view.rows("item")
        return bool(row["stock"] == stock - _sales(view))

    return Scenario(
        "shop",
        Database(metadata, seed, engine=engine, journal=journal),
        [Client("Ann", sell), Client("Bob", sell)],
        [
            at_end("the stock went down by one for each sale", every_sale_counts, name="every-sale-counts"),
            sometimes("both sell", lambda view: _sales(view) == len(view.outcomes), name="both-sell"),
        ],
    )


def _sales(view: View) -> int:
    """Return how many clients were told that they have sold one."""
    answers = [outcome.value for outcome in view.outcomes.values() if isinstance(outcome, Returned)]
    return sum(getattr(answer, "status_code", _OK) in {_OK, _ACCEPTED} for answer in answers)


def checked(sells: Scenario) -> Result:
    """Return what a check finds, if it decides all there is and leaves the application's own file alone."""
    FILE.write_bytes(OWN)
    before = FILE.stat()
    result = check(sells, challenge=0.01, challenges=5)
    after = FILE.stat()
    assert [FILE] == list(FOLDER.iterdir())
    assert OWN == FILE.read_bytes()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert result.exhausted
    assert () == result.notes
    return result


def verdicts(result: Result) -> dict[str, str]:
    """Return the verdict on each property."""
    return {decision.property.name: decision.verdict.value for decision in result.decisions}


LOST = {"every-sale-counts": "violated", "both-sell": "holds"}
KEPT = {"every-sale-counts": "holds", "both-sell": "holds"}
SOLD_OUT = {"every-sale-counts": "holds", "both-sell": "violated"}


def outcomes(result: Result) -> dict[str, Any]:
    """Return how the clients end where a sale is lost."""
    found = result.decisions[0].counterexample
    assert found is not None
    return dict(found.trace.outcomes)
