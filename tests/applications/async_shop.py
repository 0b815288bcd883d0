"""A shop as asynchronous services are written: AsyncSession on aiosqlite, and an event loop in a thread of its own.

What it does comes twice: ``buy`` reads a number and writes it back, and ``buy_safely`` lets the database do both.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncAttrs, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("sqlite+aiosqlite:///shop.db")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)

T = TypeVar("T")


class Base(AsyncAttrs, DeclarativeBase):
    """The tables."""


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


class SoldOutError(Exception):
    """There is none left."""


async def buy(item_id: int) -> int:
    async with SessionLocal() as session:
        item = await session.get_one(Item, item_id)
        if item.stock == 0:
            raise SoldOutError
        item.stock -= 1
        await session.commit()
        return item.stock


async def buy_safely(item_id: int) -> int:
    taken = update(Item).where(Item.id == item_id, Item.stock > 0).values(stock=Item.stock - 1).returning(Item.stock)
    async with SessionLocal.begin() as session:
        left = (await session.execute(taken)).scalar_one_or_none()
        if left is None:
            raise SoldOutError
        return left


# The loop that synchronous code hands its work to.


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="service-loop", daemon=True).start()
    return loop


def call(work: Coroutine[Any, Any, T]) -> T:
    """Run something in the service's loop, and wait for it."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(timeout=30)
