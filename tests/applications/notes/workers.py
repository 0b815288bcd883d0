"""The workers of the application."""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

engine = create_engine(os.environ.get("NOTES_URL", "sqlite:////var/lib/notes/notes.db"))


def migrate(*, locked: bool = False) -> None:
    """Bring the database up to date."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    config.attributes["locked"] = locked
    command.upgrade(config, "head")


def start() -> int:
    """Start a worker: two that start on an old database both find it old."""
    migrate()
    return count()


def start_one_by_one() -> int:
    """Start a worker; who migrates has the database to itself from before it looks."""
    migrate(locked=True)
    return count()


def count() -> int:
    """Return how many notes are starred."""
    with engine.begin() as connection:
        return connection.scalar(text("SELECT count(*) FROM note WHERE starred")) or 0
