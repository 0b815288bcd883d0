"""Source lines: where in the application's own code something was asked for."""

from __future__ import annotations

from pathlib import PurePath

from attrs import frozen


@frozen
class Source:
    """A line of the application.

    Attributes:
        file: the path of the file, relative to the working directory where it is below it.
        line: the number of the line, from 1.
        function: the name of the function that the line is in.
    """

    file: str
    line: int
    function: str = ""

    @property
    def name(self) -> str:
        """The name of the file, and the line: ``guard.py:56``."""
        return f"{PurePath(self.file).name}:{self.line}"

    def __str__(self) -> str:
        """Return the path of the file, and the line: ``model/backfill/guard.py:56``."""
        return f"{self.file}:{self.line}"
