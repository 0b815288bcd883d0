"""The same without Treadle: a COMMIT that a real reader refuses, and the next one."""

import sqlite3
import sys
import tempfile
from pathlib import Path

import sqlalchemy
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session


def order(engine):
    """Order a book."""
    with Session(engine) as session:
        session.execute(text("INSERT INTO orders (book) VALUES ('a book')"))
        session.commit()


def main():
    """Order a book beside a reader, and try again without it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "orders.db"
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.1})
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY, book TEXT)"))
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM orders").fetchall()
        try:
            order(engine)
        except OperationalError as error:
            print("first:", error.orig)
        reader.execute("COMMIT")
        order(engine)
        (count,) = reader.execute("SELECT count(*) FROM orders").fetchone()
        reader.close()
        engine.dispose()
    print(f"SQLAlchemy {sqlalchemy.__version__}: one of two orders was refused, and there are {count} books")
    return int(count > 1)


if __name__ == "__main__":
    sys.exit(main())
