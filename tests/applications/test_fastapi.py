"""A FastAPI application, called in the ways in which its own tests call it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.applications.checked import FOLDER, KEPT, LOST, SOLD_OUT, checked, outcomes, scenario, verdicts
from treadle import Scenario
from treadle.values.canonical import meaning

with contextlib.chdir(FOLDER):
    from tests.applications import fastapi_shop as shop

HAS_BUG = {"v1": LOST, "v2": KEPT}


def _as_a_function(path: str) -> object:
    return TestClient(shop.app).post(path)


def _with_lifespan(path: str) -> object:
    with TestClient(shop.app) as client:
        return client.post(path)


def _on_trio(path: str) -> object:
    return TestClient(shop.app, backend="trio").post(path)


def _in_a_loop(path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(shop.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.post(path)

    return asyncio.run(ask())


def _sells(ask: Callable[[str], object], path: str, journal: str = "wal", **options: int) -> Scenario:
    return scenario(lambda: ask(path), shop.engine, shop.Base.metadata, shop.Item, journal, **options)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("ask", "what", "journal"),
    [
        (_as_a_function, "buy", "wal"),
        (_with_lifespan, "buy-async", "delete"),
        (_in_a_loop, "buy", "delete"),
        (_on_trio, "buy-async", "wal"),
        (_in_a_loop, "buy-async", "wal"),
    ],
)
def test_a_sale_is_lost_where_the_application_counts(
    ask: Callable[[str], object], what: str, journal: str, version: str
) -> None:
    """An ordinary or asynchronous endpoint with a session for each request."""
    result = checked(_sells(ask, f"/{version}/items/1/{what}", journal))

    assert HAS_BUG[version] == verdicts(result)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("ask", [_as_a_function, _in_a_loop])
def test_what_is_done_after_the_answer_is_part_of_the_request(ask: Callable[[str], object], version: str) -> None:
    """A background task loses an order, too."""
    result = checked(_sells(ask, f"/{version}/items/1/order"))

    assert HAS_BUG[version] == verdicts(result)


def test_a_response_can_be_read() -> None:
    """Of two who want the last one, the second is told so; properties and reports read the responses."""
    sold_out = checked(_sells(_as_a_function, "/v2/items/1/buy", stock=1))

    assert SOLD_OUT == verdicts(sold_out)
    both = checked(_sells(_as_a_function, "/v1/items/1/buy"))
    meant = [meaning(outcome.value) for outcome in outcomes(both).values()]
    assert {'returned <Response [200 OK]> \'{"id":1,"stock":1}\''} == set(map(str, outcomes(both).values()))
    assert [{"id": 1, "stock": 1}] * 2 == [outcome.value.json() for outcome in outcomes(both).values()]
    assert meant == [meaning(outcome.value) for outcome in outcomes(both).values()]
