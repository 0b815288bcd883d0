"""Two workers pop a message from one queue: ``treadle check litequeue_pop:scenario`` (needs litequeue)."""

from litequeue import LiteQueue
from sqlalchemy import create_engine

from treadle import Client, Database, Scenario, at_end

FILE = "messages.db"
engine = create_engine(f"sqlite:///{FILE}")


def put(_engine):
    """Make the queue, and put one message in."""
    LiteQueue(FILE).put("a letter")


def pop() -> str | None:
    """Pop a message, as a worker does that runs beside others."""
    message = LiteQueue(FILE).pop()
    return message and message.data


@at_end("no two workers pop the same message")
def popped_once(view):
    """Compare what they have."""
    return list(view.returned().values()).count("a letter") <= 1


scenario = Scenario(
    "queue",
    Database(lambda engine: None, put, engine=engine),
    [Client("A", pop), Client("B", pop)],
    [popped_once],
)
