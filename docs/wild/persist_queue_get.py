"""Two workers take an item from one queue: ``treadle check persist_queue_get:scenario`` (needs persist-queue)."""

from persistqueue import Empty, SQLiteQueue
from sqlalchemy import create_engine

from treadle import Client, Database, Scenario, at_end

engine = create_engine("sqlite:///jobs/data.db")  # the file that the queue uses


def put(_engine):
    """Make the queue, and put one item in."""
    SQLiteQueue("jobs", auto_commit=True).put("a letter")


def take() -> str:
    """Take an item, as a worker does that runs beside others."""
    try:
        return SQLiteQueue("jobs", auto_commit=True).get(block=False)
    except Empty:
        return "nothing"


@at_end("no two workers take the same item")
def taken_once(view):
    """Compare what they have."""
    return list(view.returned().values()).count("a letter") <= 1


scenario = Scenario(
    "queue",
    Database(lambda engine: None, put, engine=engine, journal="wal"),
    [Client("A", take), Client("B", take)],
    [taken_once],
    expect_violated=["taken-once"],
)
