from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from tests.report.examples import ALL_OR_NOTHING, orphan, result, violated
from treadle.report import render_result
from treadle.report.colour import THEME, coloured
from treadle.report.screen import Screen, screen
from treadle.report.timeline import WIDTH
from treadle.search.protocol import Progress

TEXT = render_result(result(violated(ALL_OR_NOTHING, orphan())))


def terminal(width: int = 80) -> Console:
    """Return a console that believes it is a terminal."""
    return Console(file=io.StringIO(), force_terminal=True, theme=THEME, width=width, color_system="standard")


def written(console: Console) -> str:
    """Return what was written to a console."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class TestReport:
    def test_is_plain_where_no_terminal_is(self) -> None:
        """What is piped has no colours, and 100 columns."""
        shown = Screen.of(io.StringIO(), io.StringIO())
        shown.report(TEXT)
        assert written(shown.out) == TEXT
        assert shown.width == WIDTH

    def test_is_coloured_on_a_terminal(self) -> None:
        """A terminal shows colours, and the same characters."""
        shown = Screen(terminal(), terminal())
        shown.report(TEXT)
        assert "\x1b[" in written(shown.out)
        assert coloured(TEXT).plain == TEXT

    @pytest.mark.parametrize(("columns", "expected"), [(20, 60), (80, 80), (300, 140)])
    def test_is_as_wide_as_the_terminal(self, columns: int, expected: int) -> None:
        """A report uses the terminal's width, within reason."""
        assert expected == Screen(terminal(columns), terminal()).width

    def test_survives_a_terminal_without_unicode(self) -> None:
        """A character that the terminal does not have becomes a question mark."""
        raw = io.BytesIO()
        shown = Screen.of(io.TextIOWrapper(raw, "ascii"), io.StringIO())
        shown.report("▶ published")
        assert raw.getvalue() == b"? published"


class TestProgress:
    def test_is_for_terminals(self) -> None:
        """Nobody sees progress in a file."""
        with Screen.of(io.StringIO(), io.StringIO()).progress("s") as progress:
            assert progress is None

    def test_goes_to_stderr(self) -> None:
        """Progress says how far the search is, and is gone afterwards."""
        shown = Screen(terminal(), terminal(120))
        with shown.progress("bank") as progress:
            assert progress is not None
            progress(Progress(5000, 9000, 12, 2.0))
        assert "bank: 5,000 states, 12 executions ended, 2,500 states/s, 2 s" in written(shown.err)
        assert written(shown.out) == ""

    def test_says_what_was_found_and_how_near_the_bound_is(self) -> None:
        """Where there is one, and where something was."""
        shown = Screen(terminal(), terminal(120))
        with shown.progress("bank") as progress:
            assert progress is not None
            progress(Progress(5000, 9000, 12, 2.0, violated=True, share=0.25))
        assert "2 s, 25% of its bound; something is violated" in written(shown.err)

    def test_is_not_shown_more_often_than_it_can_be_read(self) -> None:
        """Calls within a tenth of a second cost nothing."""
        shown = Screen(terminal(), terminal(120))
        with shown.progress("bank") as progress:
            assert progress is not None
            progress(Progress(1, 1, 0, 0.0))
            progress(Progress(2, 2, 0, 0.05))
            progress(Progress(3, 3, 0, 0.10))
        text = written(shown.err)
        assert ("bank: 1 states" in text, "bank: 2 states" in text, "bank: 3 states" in text) == (
            True,
            False,
            True,
        )

    def test_tells_that_an_interrupt_was_noticed(self) -> None:
        """At once, and that a second one does not wait."""
        shown = Screen(terminal(), terminal(120))
        with shown.progress("bank") as progress:
            assert progress is not None
            progress(Progress(1, 1, 0, 0.0))
            progress(Progress(2, 2, 0, 0.05, interrupted=True))
        assert "Ctrl-C again stops at once" in written(shown.err)


class TestScreen:
    def test_keeps_stdout_clean(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What others print while reports are made goes to stderr."""
        with screen() as shown:
            print("noise")
            shown.report("report\n")
            shown.say("message")
        captured = capsys.readouterr()
        assert captured.out == "report\n"
        assert captured.err == "noise\nmessage\n"
        assert sys.stdout is not sys.stderr
