"""Pictures of values in notebooks: drawn by whoever can, for values know no reports."""

from __future__ import annotations

from collections.abc import Callable

_makers: list[Callable[[object], str | None]] = []


def drawn_by(maker: Callable[[object], str | None]) -> None:
    """Let this function make the pictures from now on.

    Args:
        maker: takes a value; returns HTML, or None where the value's ``repr`` must do.
    """
    _makers[:] = [maker]


def picture(value: object) -> str | None:
    """Return a value as HTML; None if nobody can draw it, and then notebooks show its ``repr``."""
    return _makers[0](value) if _makers else None
