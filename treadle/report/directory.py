"""A directory of reports: a text for each scenario, the JSON document of all, and a directory for each violation.

::

    results.json
    create-backfill-shipped-3.2.2.txt
    create-backfill-shipped-3.2.2/all-or-nothing/
        report.md  reproduce.py  test_regression.py  timeline.html  trace.json  trace.perfetto.json
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, evolve, field

from treadle.report.document import render_document
from treadle.report.markdown import render_markdown
from treadle.report.perfetto import render_perfetto
from treadle.report.regression import render_regression
from treadle.report.reproduction import UnreproducibleError, render_reproduction
from treadle.report.tracefile import Around, Case, render_trace
from treadle.report.webpage import render_webpage
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

    def write_case(
        self, case: Case, around: Around, target: str | None = None, parameters: Mapping[str, str] | None = None
    ) -> Path:
        """Write all that there is about one violated property, and return the directory where it is.

        Args:
            case: the property, and how it is broken.
            around: what the report says besides.
            target: the TARGET that leads to the scenario; None where nothing does.
            parameters: those of the target.

        Raises:
            UsageError: it cannot be written.
        """
        where = self._free(f"{slug(case.scenario)}/{slug(case.decision.property.name)}")
        try:
            (self.path / where).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise _unwritable(self.path / where, error) from error
        try:
            self._write(f"{where}/reproduce.py", render_reproduction(case))
        except UnreproducibleError as why:
            around = evolve(around, script=str(why))
        self._write(f"{where}/trace.json", render_trace(case, around))
        self._write(f"{where}/trace.perfetto.json", render_perfetto(case))
        self._write(f"{where}/report.md", render_markdown(case, around))
        self._write(f"{where}/timeline.html", render_webpage(case, around))
        if target is not None:
            self._write(f"{where}/test_regression.py", render_regression(case, target, parameters or {}))
        return self.path / where

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
        write_text(path, text)
        return path


def write_text(path: Path, text: str) -> None:
    """Write a text to a file of its own.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def append_text(path: Path, text: str) -> None:
    """Write a text at the end of a file that others write, too.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def slug(name: str) -> str:
    """Return a scenario's name as the name of a file, on any file system; the beginning of a long one."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_NAME_MAX].strip(".-") or "scenario"


def _unwritable(path: Path, error: Exception) -> UsageError:
    why = getattr(error, "strerror", None) or prose(text_of(error))
    return UsageError(
        f"{quoted(str(path))} cannot be written: {why}. Reports need a directory in which "
        "files can be created; choose another one."
    )
