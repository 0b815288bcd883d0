"""A shop as SQLModel applications are written: one class for the table and for what the interface takes and gives.

Each request comes twice: ``/v1`` reads a number and writes it back, and ``/v2`` lets the database do both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlmodel import Field, Session, SQLModel, col, create_engine, select, update


class ItemBase(SQLModel):
    stock: int


class Item(ItemBase, table=True):
    id: int | None = Field(default=None, primary_key=True)


class ItemPublic(ItemBase):
    id: int


engine = create_engine("sqlite:///shop.db", connect_args={"check_same_thread": False})


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
app = FastAPI()


@app.post("/v1/items/{item_id}/buy", response_model=ItemPublic)
def buy(item_id: int, session: SessionDep) -> Item:
    item = session.exec(select(Item).where(Item.id == item_id)).one()
    if item.stock == 0:
        raise HTTPException(409, "sold out")
    item.stock -= 1
    session.add(item)
    session.commit()
    session.refresh(item)
    return item


@app.post("/v2/items/{item_id}/buy", response_model=ItemPublic)
def buy_safely(item_id: int, session: SessionDep) -> Item:
    taken = update(Item).where(col(Item.id) == item_id, col(Item.stock) > 0).values(stock=Item.stock - 1)
    if session.exec(taken).rowcount == 0:
        raise HTTPException(409, "sold out")
    session.commit()
    return session.get_one(Item, item_id)
