from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from treadle import Client, Database, Scenario, UnsupportedOperationError, check, serial_equivalence

ROOT = Path(__file__).parent.parent.parent

TABLES = """
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from treadle import Database, UsageError

class Base(DeclarativeBase):
    pass

class Nothing(DeclarativeBase):
    pass

engine = create_engine("sqlite:////nowhere/app.db")

def tried():
    try:
        print(Database(engine=engine).schema is Base.metadata)
    except UsageError as error:
        print(error)
"""

MODEL = """
class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
"""

ANOTHER = "other = MetaData(); Table('thing', other, Column('id', Integer))"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (MODEL, ["True"]),
        ("", ["no metadata", "Database(Base.metadata, engine=engine)"]),
        (f"{MODEL}\n{ANOTHER}", ["shop:Base.metadata with item", "shop:other with thing"]),
    ],
)
def test_the_metadata_is_found_if_there_is_one(tmp_path: Path, more: str, says: list[str]) -> None:
    """Only one with tables may be loaded; else the error lists what there is, and what to write."""
    (tmp_path / "shop.py").write_text(f"{TABLES}\n{more}")

    found = subprocess.run(
        [sys.executable, "-c", "import shop; shop.tried()"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert [text for text in says if text in found.stdout] == says


def test_a_client_copies_nothing(tmp_path: Path) -> None:
    """The application's file is read before a check, in the process that checks, and never from a client."""
    path = tmp_path / "app.db"

    def copies() -> None:
        Database.copy_of(path)

    path.write_bytes(b"an application has this file")
    database = Database(lambda _: None, engine=Database.copy_of(_made(tmp_path / "other.db")).engine)
    scenario = Scenario("copies", database, [Client("A", copies)], [serial_equivalence()])
    with pytest.raises(UnsupportedOperationError, match=r"app\.db"):
        check(scenario)


def _made(path: Path) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY)")
    connection.close()
    return path
