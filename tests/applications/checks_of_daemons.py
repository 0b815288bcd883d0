"""What is asked of the applications: two of each function, and what must hold of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine

from treadle import Client, Database, Property, Scenario, View, at_end


def twice(name: str, database: Database, run: Callable[[], object], holds: Property, **options: Any) -> Scenario:
    """Two processes that do the same."""
    return Scenario(name, database, [Client("one", run), Client("other", run)], [holds], **options)


def mail() -> list[Scenario]:
    """Two daemons, one message."""
    from tests.applications import mail_daemon

    def filled(engine: Engine) -> None:
        mail_daemon.queue_one()

    @at_end("each message was delivered once", name="once")
    def once(view: View) -> bool:
        return len(view.rows("delivery")) == 1

    database = Database(filled, engine=mail_daemon.engine)
    return [
        twice("mail/hasty", database, mail_daemon.send_next, once, expect_violated=["once"]),
        twice("mail/claimed", database, mail_daemon.send_next_claimed, once),
    ]


def ledger() -> list[Scenario]:
    """Two who pay in."""
    from tests.applications import ledger_store

    def filled(engine: Engine) -> None:
        ledger_store.Store(engine.url.render_as_string(hide_password=False))

    @at_end("the balance is the sum of the entries", name="balanced")
    def balanced(view: View) -> bool:
        return bool(view.rows("account")[0]["balance"] == sum(row["amount"] for row in view.rows("entry")))

    database = Database(filled, engine=ledger_store.store.engine)
    return [
        twice("ledger/read", database, ledger_store.pay_in, balanced, expect_violated=["balanced"]),
        twice("ledger/atomic", database, ledger_store.pay_in_atomically, balanced),
    ]


def coupons() -> list[Scenario]:
    """Two who redeem the same coupon."""
    from tests.applications import coupons as application

    def filled(engine: Engine) -> None:
        application.connection.executescript(application.SCHEMA)

    @at_end("a coupon is redeemed once", name="once")
    def once(view: View) -> bool:
        return len(view.rows("redemption")) == 1

    database = Database(filled, engine=create_engine(f"sqlite:///{application.PATH}"))
    return [
        twice("coupons/read", database, application.redeem, once, expect_violated=["once"]),
        twice("coupons/at-once", database, application.redeem_at_once, once),
    ]


def notes() -> list[Scenario]:
    """Two workers that start at the same time."""
    from tests.applications.notes import workers

    def empty(engine: Engine) -> None:
        """Leave the database empty."""

    @at_end("each worker starts", name="starts")
    def starts(view: View) -> bool:
        return not view.raised()

    database = Database(empty, engine=workers.engine)
    return [
        twice("notes/migrate", database, workers.start, starts, expect_violated=["starts"]),
        twice("notes/one-by-one", database, workers.start_one_by_one, starts),
    ]
