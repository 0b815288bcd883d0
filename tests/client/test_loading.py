"""What may be opened while an application is loaded."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from treadle import UnsupportedOperationError
from treadle.client.loading import loading
from treadle.world.library import library_of


class Own(sqlite3.Connection):
    """A connection of a class of the application's own."""


@pytest.mark.parametrize("factory", [sqlite3.Connection, Own])
def test_a_connection_is_led_elsewhere_and_works(factory: type[sqlite3.Connection], tmp_path: Path) -> None:
    """It is that of a private file, and can attach what is no file."""
    file = tmp_path / "app.db"
    with (
        loading(library_of(sqlite3).refuse_attach) as found,
        contextlib.closing(sqlite3.connect(file, factory=factory)) as connection,
    ):
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY)")
        connection.execute("ATTACH ':memory:' AS other")

    assert [str(file)] == found.files
    assert not file.exists()


@pytest.mark.parametrize("factory", [sqlite3.Connection, Own])
def test_attach_of_a_file_is_refused(factory: type[sqlite3.Connection], tmp_path: Path) -> None:
    """The file is not made, and the error comes whatever the application does about its own."""
    file = tmp_path / "other.db"
    refused = pytest.raises(UnsupportedOperationError, match=r"ATTACH of .*other\.db")
    with (
        refused,
        loading(library_of(sqlite3).refuse_attach),  # the error is raised at the end
        contextlib.closing(sqlite3.connect(tmp_path / "app.db", factory=factory)) as connection,
        pytest.raises(sqlite3.DatabaseError),
    ):
        connection.execute(f"ATTACH '{file}' AS other")

    assert [] == list(tmp_path.iterdir())
