"""The screen: where reports, progress and messages go."""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from attrs import define
from rich.console import Console
from rich.live import Live
from rich.text import Text

from treadle.report.colour import THEME, coloured
from treadle.report.document import in_ascii
from treadle.report.sql import number
from treadle.report.timeline import WIDTH
from treadle.values.display import MARKS, escape, harmless, message, name

if TYPE_CHECKING:
    from treadle.search.protocol import Progress

WIDTH_MIN = 60
WIDTH_MAX = 140

_PROGRESS_S = 0.1
"""How often progress is shown, in seconds."""

_ESCAPES = "treadle.escapes"
"""How a character is written that a terminal does not have: the name of the handler."""


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Return what a terminal shows for characters that it does not have: ? for a sign, an escape for any other."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(["?" if letter in MARKS else escape(letter) for letter in lacking]), error.end


codecs.register_error(_ESCAPES, _spelled)


@define
class Screen:
    """Reports go to stdout; progress and messages go to stderr.

    Whatever is shown, there is nothing in it that a terminal would obey, but for the colours that are made here.

    Attributes:
        out: for reports.
        err: for progress and messages.
    """

    out: Console
    err: Console

    @classmethod
    def of(cls, out: IO[str], err: IO[str]) -> Screen:
        """Return a screen on these files."""
        for file in (out, err):
            if hasattr(file, "reconfigure"):
                file.reconfigure(errors=_ESCAPES)
        return cls(Console(file=out, theme=THEME), Console(file=err, theme=THEME))

    @property
    def width(self) -> int:
        """The width of a report, in characters."""
        return min(max(self.out.width, WIDTH_MIN), WIDTH_MAX) if self.out.is_terminal else WIDTH

    def report(self, text: str) -> None:
        """Show a report, in colours on a terminal."""
        text = harmless(text)
        if self.out.is_terminal:
            self.out.print(coloured(text), soft_wrap=True, end="")
        else:
            self.out.file.write(text)
        self.out.file.flush()

    def document(self, text: str) -> None:
        """Show a JSON document and nothing else, in UTF-8 whatever the encoding of stdout is."""
        utf8 = codecs.lookup(self.out.encoding).name == "utf-8"
        self.out.file.write(text if utf8 else in_ascii(text))
        self.out.file.flush()

    def say(self, text: str) -> None:
        """Show a message."""
        self.err.file.write(f"{message(text)}\n")
        self.err.file.flush()

    @contextlib.contextmanager
    def progress(self, scenario: str) -> Iterator[Callable[[Progress], None] | None]:
        """Show how a search goes while it goes; provide None if nobody can see it."""
        if not self.err.is_terminal:
            yield None
            return
        # No thread refreshes the display: clients run in this process, and must be alone in it.
        with Live(
            console=self.err,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            yield _Meter(name(scenario), live)


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    """Provide the screen; meanwhile, what others print to stdout goes to stderr."""
    found = Screen.of(sys.stdout, sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):
        yield found


@define
class _Meter:
    """Shows progress, not more often than it can be read."""

    scenario: str
    live: Live
    next_s: float = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show how far the search is."""
        if progress.interrupted:
            line = f"{self.scenario}: making smaller and confirming what was found; Ctrl-C again stops at once"
            self._show(line)
            return
        if progress.seconds < self.next_s:
            return
        self.next_s = progress.seconds + _PROGRESS_S
        rate = progress.states / progress.seconds if progress.seconds else 0.0
        line = (
            f"{self.scenario}: {number(progress.states)} states, {number(progress.ends)} executions ended, "
            f"{rate:,.0f} states/s, {progress.seconds:.0f} s"
        )
        if progress.share is not None:
            line += f", {progress.share:.0%} of its bound"
        if progress.violated:
            line += "; something is violated"
        self._show(line)

    def _show(self, line: str) -> None:
        self.live.update(Text(line, style="treadle.quiet", overflow="ellipsis", no_wrap=True), refresh=True)
