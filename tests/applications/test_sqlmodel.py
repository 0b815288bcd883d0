"""A SQLModel application."""

from __future__ import annotations

import contextlib

import pytest
from fastapi.testclient import TestClient
from sqlmodel import SQLModel

from tests.applications.checked import FOLDER, KEPT, LOST, checked, scenario, verdicts

with contextlib.chdir(FOLDER):
    from tests.applications import sqlmodel_shop as shop

HAS_BUG = {"v1": LOST, "v2": KEPT}


@pytest.mark.parametrize(("version", "journal"), [("v1", "delete"), ("v2", "wal")])
def test_a_sale_is_lost_where_the_application_counts(version: str, journal: str) -> None:
    """One class is the table and what the interface gives."""

    def sell() -> object:
        return TestClient(shop.app).post(f"/{version}/items/1/buy").json()

    result = checked(scenario(sell, shop.engine, SQLModel.metadata, shop.Item, journal))

    assert HAS_BUG[version] == verdicts(result)
