"""What must hold when two clients ask for the account of one address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from model.systems import check_then_insert as model
from properties.systems.system import LEGACY, System, Variant, succeeded
from treadle import Breach, Property, View, always, sometimes

EMAIL = "ada@example.org"


def _properties(table: str) -> tuple[Property, ...]:
    def one_account(view: View) -> list[Breach]:
        accounts = view.rows(table)
        if len(accounts) <= 1:
            return []
        return [Breach(f"{len(accounts)} accounts have one address", [(table, account) for account in accounts])]

    return (
        always("an address has at most one account", one_account, name="one-account"),
        sometimes("both clients get an account", lambda view: succeeded(view) == 2, name="both-get-one"),
    )


def _both(run: Callable[..., int]) -> dict[str, Callable[..., Any]]:
    return dict.fromkeys(("first", "second"), partial(run, email=EMAIL))


SYSTEM = System(
    name="check-then-insert",
    metadata=model.Base.metadata,
    variants=(
        Variant(
            name="buggy",
            clients=_both(model.get_or_create),
            properties=_properties("account"),
            violated={"one-account": LEGACY},
        ),
        Variant(
            name="fixed-unique",
            clients=_both(model.get_or_create_unique),
            properties=_properties("unique_account"),
        ),
        Variant(
            name="fixed-on-conflict",
            clients=_both(model.create_or_get),
            properties=_properties("unique_account"),
        ),
    ),
)
"""SELECT, and INSERT if nothing was found."""
