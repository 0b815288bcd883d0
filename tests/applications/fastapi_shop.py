"""A shop as FastAPI applications are written: a session for each request, through ``Depends``.

Each request comes twice: ``/v1`` reads a number and writes it back, and ``/v2`` lets the database do both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("sqlite:///./shop.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine, autoflush=False)


class Base(DeclarativeBase):
    """The tables."""


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    stock: int


def get_session() -> Iterator[Session]:
    session = SessionLocal()
    try:
        yield session
    finally:
        session.close()


Database = Annotated[Session, Depends(get_session)]
app = FastAPI()


def _find(session: Session, item_id: int) -> Item:
    item = session.get(Item, item_id)
    if item is None or item.stock == 0:
        raise HTTPException(409, "sold out")
    return item


def _take(session: Session, item_id: int) -> Item:
    taken = update(Item).where(Item.id == item_id, Item.stock > 0).values(stock=Item.stock - 1).returning(Item)
    item = session.scalars(taken).one_or_none()
    if item is None:
        raise HTTPException(409, "sold out")
    return item


@app.post("/v1/items/{item_id}/buy", response_model=ItemOut)
def buy(item_id: int, session: Database) -> Item:
    item = _find(session, item_id)
    item.stock -= 1
    session.commit()
    return item


@app.post("/v2/items/{item_id}/buy", response_model=ItemOut)
def buy_safely(item_id: int, session: Database) -> Item:
    item = _take(session, item_id)
    session.commit()
    return item


@app.post("/v1/items/{item_id}/buy-async", response_model=ItemOut)
async def buy_async(item_id: int, session: Database) -> Item:
    return buy(item_id, session)


@app.post("/v2/items/{item_id}/buy-async", response_model=ItemOut)
async def buy_async_safely(item_id: int, session: Database) -> Item:
    return buy_safely(item_id, session)


def _ship(item_id: int) -> None:
    with SessionLocal() as session:
        item = session.get_one(Item, item_id)
        item.stock -= 1
        session.commit()


def _ship_safely(item_id: int) -> None:
    with SessionLocal.begin() as session:
        session.execute(update(Item).where(Item.id == item_id).values(stock=Item.stock - 1))


@app.post("/v1/items/{item_id}/order", status_code=202)
def order(item_id: int, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(_ship, item_id)
    return {"status": "accepted"}


@app.post("/v2/items/{item_id}/order", status_code=202)
def order_safely(item_id: int, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(_ship_safely, item_id)
    return {"status": "accepted"}
