"""An asynchronous service: AsyncSession, aiosqlite, and an event loop of its own or one for each call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.applications.checked import FOLDER, KEPT, LOST, checked, scenario, verdicts

with contextlib.chdir(FOLDER):
    from tests.applications import async_shop as shop

Sale = Callable[[int], Coroutine[Any, Any, int]]


async def _disposed(sale: Coroutine[Any, Any, int]) -> int:
    try:
        return await sale
    finally:
        await shop.engine.dispose()


def _in_the_loop_of_the_service(sale: Sale) -> int:
    return shop.call(sale(1))


def _in_a_loop_for_each_call(sale: Sale) -> int:
    return asyncio.run(sale(1))


def _with_an_engine_for_each_loop(sale: Sale) -> int:
    return asyncio.run(_disposed(sale(1)))


@pytest.mark.parametrize(("sale", "wanted"), [(shop.buy, LOST), (shop.buy_safely, KEPT)])
@pytest.mark.parametrize(
    ("ask", "journal"),
    [
        (_in_the_loop_of_the_service, "delete"),
        (_in_a_loop_for_each_call, "wal"),
        (_with_an_engine_for_each_loop, "delete"),
    ],
)
def test_a_sale_is_lost_where_the_service_counts(
    ask: Callable[[Sale], int], journal: str, sale: Sale, wanted: dict[str, str]
) -> None:
    """Whatever loop it runs in, and whatever threads are left when it is over."""
    result = checked(scenario(lambda: ask(sale), shop.engine.sync_engine, shop.Base.metadata, shop.Item, journal))

    assert wanted == verdicts(result)
