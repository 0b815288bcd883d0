"""How a check fails its test: the line that asked for it, the story, and the command that shows it again."""

from __future__ import annotations

import linecache
import os
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from attrs import frozen

from treadle.arguments import shell_word
from treadle.report import Directory, render_examples, render_line, render_result
from treadle.report.directory import slug
from treadle.report.sql import page
from treadle.report.tracefile import Around, cases_in
from treadle.values.display import name
from treadle.values.verdict import Result


@frozen
class Asker:
    """The test that asks for a check.

    Attributes:
        test: its name; empty where pytest runs none.
        node: its name as the command line takes it, from the working directory.
        path: of its file.
        frame: of the code that asked.
    """

    test: str
    node: str
    path: str
    frame: FrameType

    def replay(self, token: str) -> str:
        """Return the command that shows a schedule again."""
        if not self.test:
            return f"treadle.replay(scenario, {token!r})"
        return f"pytest {shell_word(self.node)} --treadle-replay {token}"

    def lines(self) -> list[str]:
        """Return the lines that led to the check, as pytest shows them: the test's own, and the one that asked."""
        found: list[FrameType] = []
        frame: FrameType | None = self.frame
        while frame is not None:
            if frame is self.frame or frame.f_code.co_filename == self.path:
                found.append(frame)
            frame = frame.f_back
        return [line for frame in reversed(found) for line in _shown(frame)]


def _shown(frame: FrameType) -> tuple[str, str]:
    file, number = frame.f_code.co_filename, frame.f_lineno
    where = f"{_from_here(file)}:{number}: in {frame.f_code.co_name}"
    return where, f"    {linecache.getline(file, number).strip()}"


def _from_here(path: str) -> str:
    """Return a path from the working directory, if it is below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def tokens_of(result: Result, *, surprising: bool = False) -> tuple[str, ...]:
    """Return the tokens of a result's counterexamples, each once.

    Args:
        result: what was decided.
        surprising: only of those that are not expected.
    """
    examples = [
        item.counterexample
        for item in result.decisions
        if item.counterexample is not None and not (surprising and item.as_expected)
    ]
    return tuple(dict.fromkeys(example.schedule.token for example in examples))


def text_of_failure(result: Result, asker: Asker, note: str, reports: Path | None) -> str:
    """Return what is shown of a check that fails its test.

    Args:
        result: what was decided.
        asker: the test.
        note: how it was found, where nothing was searched.
        reports: where reports were written, if they were.
    """
    surprising = [f"{name(item.property.name)} {item.verdict}" for item in result.decisions if not item.as_expected]
    if note:  # what was not searched is no surprise
        surprising = [f"{name(item.property.name)} {item.verdict}" for item in result.decisions if item.counterexample]
    tokens = tokens_of(result)
    first = f"{name(result.scenario)}: {', '.join(surprising)}" + (f" ({tokens[0]})" if tokens else "")
    said = page([note]) + "\n" if note else render_line(result)
    text = f"{page([first, '', *asker.lines(), ''])}\n{said}\n{render_examples(result, command=asker.replay)}"
    more = "" if reports is None else page([f"  Report  {_from_here(str(reports))}"])
    return (text + more).rstrip("\n")


def write_reports(folder: Path, results: Sequence[Result], asker: Asker) -> Path:
    """Write what ``treadle check --report`` writes to a directory of the test, and return where it is.

    Args:
        folder: where the directories of all tests are.
        results: of the test's checks that failed.
        asker: the test.

    Raises:
        UsageError: it cannot be written.
    """
    directory = Directory(folder / slug(asker.test))
    directory.prepare()
    for result in results:
        directory.write_text(result.scenario, render_result(result, command=asker.replay))
        for case in cases_in(result):
            directory.write_case(case, Around(asker.replay(case.trace.schedule.token)))
    directory.write_document(results)
    return directory.path
