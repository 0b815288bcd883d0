"""A shop as Flask applications are written: an extension, an application factory, and the session of the request.

Each request comes twice: ``/v1`` reads a number and writes it back, and ``/v2`` lets the database do both.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, abort, jsonify
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables."""


db = SQLAlchemy(model_class=Base)
shop = Blueprint("shop", __name__)


class Item(db.Model):  # type: ignore[name-defined, misc]  # the extension makes it while it runs
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


@shop.post("/v1/items/<int:item_id>/buy")
def buy(item_id: int) -> ResponseReturnValue:
    item = db.get_or_404(Item, item_id)
    if item.stock == 0:
        abort(409)
    item.stock -= 1
    db.session.commit()
    return jsonify(id=item.id, stock=item.stock)


@shop.post("/v2/items/<int:item_id>/buy")
def buy_safely(item_id: int) -> ResponseReturnValue:
    taken = update(Item).where(Item.id == item_id, Item.stock > 0).values(stock=Item.stock - 1).returning(Item.stock)
    left = db.session.execute(taken).scalar_one_or_none()
    if left is None:
        abort(409)
    db.session.commit()
    return jsonify(id=item_id, stock=left)


def create_app(config: dict[str, Any] | None = None) -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    app.config.update(config or {})
    db.init_app(app)
    app.register_blueprint(shop)
    return app
