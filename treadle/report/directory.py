"""A directory of reports: a text for each scenario, and the JSON document of all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from treadle.report.document import render_document
from treadle.values.display import prose, quoted, text_of
from treadle.values.errors import UsageError
from treadle.values.verdict import Result

DOCUMENT = "results.json"

_NAME_MAX = 200
"""The longest name of a file, in characters, without a number and a suffix; file systems take 255."""


@define
class Directory:
    """A directory that reports are written to.

    Attributes:
        path: of the directory.
    """

    path: Path
    _taken: set[str] = field(factory=set, init=False)

    def prepare(self) -> None:
        """Create the directory, and make sure that a file can be written there.

        Raises:
            UsageError: it cannot.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except (OSError, ValueError) as error:  # a NUL, or what no name can be made of, is a ValueError
            raise _unwritable(self.path, error) from error

    def write_text(self, scenario: str, text: str) -> Path:
        """Write the report of one scenario, and return where it is.

        Raises:
            UsageError: it cannot be written.
        """
        return self._write(f"{self._free(slug(scenario))}.txt", text)

    def write_document(self, results: Sequence[Result]) -> Path:
        """Write the document of all results, and return where it is.

        Raises:
            UsageError: it cannot be written.
        """
        return self._write(DOCUMENT, render_document(results))

    def _free(self, name: str) -> str:
        """Return the name, with a number if this directory object wrote such a file before."""
        free, number = name, 1
        while free.lower() in self._taken:
            number += 1
            free = f"{name}-{number}"
        self._taken.add(free.lower())
        return free

    def _write(self, name: str, text: str) -> Path:
        path = self.path / name
        try:
            path.write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error
        return path


def slug(name: str) -> str:
    """Return a scenario's name as the name of a file, on any file system; the beginning of a long one."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_NAME_MAX].strip(".-") or "scenario"


def _unwritable(path: Path, error: Exception) -> UsageError:
    why = getattr(error, "strerror", None) or prose(text_of(error))
    return UsageError(
        f"{quoted(str(path))} cannot be written: {why}. Reports need a directory in which "
        "files can be created; choose another one."
    )
