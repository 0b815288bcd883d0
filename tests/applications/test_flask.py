"""A Flask application with Flask-SQLAlchemy, called through its test client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.applications import flask_shop as shop
from tests.applications.checked import FILE, KEPT, LOST, SOLD_OUT, checked, outcomes, scenario, verdicts
from treadle import Scenario

HAS_BUG = {"v1": LOST, "v2": KEPT}


@pytest.fixture
def app() -> Flask:
    """Return an application."""
    return shop.create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{FILE}"})


def _engine(app: Flask) -> Engine:
    with app.app_context():
        return shop.db.engine


def _through_the_test_client(app: Flask, path: str) -> object:
    return app.test_client().post(path)


def _inside_a_context(app: Flask, path: str) -> object:
    with app.app_context(), app.test_client() as client:
        return client.post(path).get_json()


def _in_an_application_of_its_own(app: Flask, path: str) -> object:
    return shop.create_app(dict(app.config)).test_client().post(path).text


def _sells(app: Flask, ask: Callable[[Flask, str], object], path: str, journal: str, **options: int) -> Scenario:
    return scenario(lambda: ask(app, path), _engine(app), shop.Base.metadata, shop.Item, journal, **options)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("ask", "journal"),
    [
        (_through_the_test_client, "wal"),
        (_inside_a_context, "delete"),
        (_in_an_application_of_its_own, "wal"),
    ],
)
def test_a_sale_is_lost_where_the_application_counts(
    app: Flask, ask: Callable[[Flask, str], object], journal: str, version: str
) -> None:
    """Each request has the scoped session, in a context of its own or in one that is there already."""
    result = checked(_sells(app, ask, f"/{version}/items/1/buy", journal))

    assert HAS_BUG[version] == verdicts(result)


def test_a_context_may_be_there_before_the_check(app: Flask) -> None:
    """Applications are often tested in a context that a fixture has pushed."""
    with app.app_context():
        result = checked(_sells(app, _through_the_test_client, "/v1/items/1/buy", "wal"))

    assert LOST == verdicts(result)


def test_a_response_can_be_read(app: Flask) -> None:
    """Of two who want the last one, the second is told so; properties and reports read the responses."""
    sold_out = checked(_sells(app, _through_the_test_client, "/v2/items/1/buy", "wal", stock=1))

    assert SOLD_OUT == verdicts(sold_out)
    both = checked(_sells(app, _through_the_test_client, "/v1/items/1/buy", "wal"))
    assert [{"id": 1, "stock": 1}] * 2 == [outcome.value.json for outcome in outcomes(both).values()]
    assert ["200 OK"] * 2 == [outcome.value.status for outcome in outcomes(both).values()]
