"""A small bank: withdrawals that lose updates, and the same done right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, update

from treadle.scenario import Client, Database, Scenario
from treadle.values.property import Breach, Property, at_end, sometimes
from treadle.values.view import View

METADATA = MetaData()
ACCOUNT = Table("account", METADATA, Column("id", Integer, primary_key=True), Column("balance", Integer))
START = 100


def _seed(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(ACCOUNT).values(id=1, balance=START))


def read_then_write(engine: Engine, amount: int) -> int:
    """Withdraw with a balance that may be old by the time it is written."""
    with engine.begin() as connection:
        balance = connection.execute(select(ACCOUNT.c.balance)).scalar_one()
        connection.execute(update(ACCOUNT).values(balance=balance - amount))
    return amount


def one_statement(engine: Engine, amount: int) -> int:
    """Withdraw in the database."""
    with engine.begin() as connection:
        connection.execute(update(ACCOUNT).values(balance=ACCOUNT.c.balance - amount))
    return amount


def printing(engine: Engine, amount: int) -> int:
    """Withdraw, and say so."""
    print(f"withdrawing {amount}")
    return one_statement(engine, amount)


@at_end("every withdrawal counts", name="no-lost-update")
def no_lost_update(view: View) -> list[Breach]:
    """Compare the balance with what was withdrawn."""
    (row,) = view.rows("account")
    expected = START - sum(view.returned().values())
    if row["balance"] == expected:
        return []
    return [Breach(f"the balance is {row['balance']}, and should be {expected}", [("account", row)])]


ALL_WITHDRAW: Property = sometimes(
    "all withdraw", lambda view: len(view.returned()) == len(view.outcomes), name="all-withdraw"
)


def bank(
    name: str,
    withdraw: Callable[[Engine, int], int],
    *,
    clients: int = 2,
    transactions: str = "legacy",
    expect_violated: Iterable[str] = (),
) -> Scenario:
    """Return a scenario in which each client withdraws another amount."""
    database = Database(METADATA, _seed, transactions=transactions)
    return Scenario(
        f"bank/{name}",
        database,
        [Client(f"atm-{number}", partial(withdraw, database.engine, 10 + number)) for number in range(1, clients + 1)],
        [no_lost_update, ALL_WITHDRAW],
        expect_violated=frozenset(expect_violated),
    )


def scenarios(clients: int = 2, transactions: str = "legacy") -> list[Scenario]:
    """Return the buggy and the fixed scenario; both go as expected."""
    return [
        bank(
            "read-then-write",
            read_then_write,
            clients=clients,
            transactions=transactions,
            expect_violated=["no-lost-update"],
        ),
        bank("one-statement", one_statement, clients=clients, transactions=transactions),
    ]


def surprising() -> Scenario:
    """Return the buggy scenario, and expect that it holds."""
    return bank("surprising", read_then_write)


def noisy() -> Scenario:
    """Return a scenario whose clients print."""
    return bank("noisy", printing)


fixed = bank("fixed", one_statement)
both = [fixed, bank("also-fixed", one_statement)]
number = 3
nothing: list[Scenario] = []


def failing(clients: int = 2) -> Scenario:
    """Fail."""
    raise LookupError(f"no scenario\nfor {clients}")


def wrong() -> int:
    """Return no scenario."""
    return 3
