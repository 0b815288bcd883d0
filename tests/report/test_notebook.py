from __future__ import annotations

import html.parser
import subprocess
import sys

from attrs import evolve

from tests.report.examples import ALL_OR_NOTHING, HISTORY_KEPT, holds, orphan, violated
from tests.report.examples import result as made
from tests.report.hostile import unseen
from treadle.report.notebook import render_picture
from treadle.report.tracefile import Around, cases_in
from treadle.report.webpage import render_webpage

WILD = "</script><script>alert(1)</script>\"'><b>\u202e\x1b[31m"


class Elements(html.parser.HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


class TestPicture:
    def test_of_a_result_has_the_timeline(self) -> None:
        """As the page that --report writes, in a frame of its own that may run its script, and no more."""
        found = made(holds(HISTORY_KEPT), violated(ALL_OR_NOTHING, orphan()))
        text = render_picture(found)
        assert text is not None
        (frame,) = [more for tag, more in Elements(text).found if tag == "iframe"]
        (case,) = cases_in(found)
        assert render_webpage(case, Around()) == frame["srcdoc"]
        assert "allow-scripts" == frame["sandbox"]
        assert "<td>history-kept</td><td>holds</td>" in text

    def test_of_what_holds_is_a_table(self) -> None:
        """There is nothing to draw."""
        text = render_picture(made(holds(HISTORY_KEPT)))
        assert text is not None
        assert "iframe" not in text

    def test_of_a_counterexample_names_what_it_breaks(self) -> None:
        """As far as the trace tells."""
        example = violated(ALL_OR_NOTHING, orphan()).counterexample
        assert "breaks all-or-nothing" in str(render_picture(example))

    def test_of_anything_else_is_none(self) -> None:
        """Its repr must do."""
        assert render_picture(3) is None

    def test_is_harmless(self) -> None:
        """Whatever is in names and reasons is text."""
        decision = violated(ALL_OR_NOTHING, evolve(orphan(), clients=(WILD, WILD)))
        assert decision.counterexample is not None
        example = evolve(decision.counterexample, why=WILD)
        text = render_picture(made(evolve(decision, counterexample=example), scenario=WILD))
        assert text is not None
        assert set() == unseen(text)
        assert {"table", "caption", "tr", "th", "td", "iframe"} == {tag for tag, _ in Elements(text).found}


def test_notebooks_find_it() -> None:
    """Whoever takes something from treadle has pictures, and loads no report for it."""
    code = (
        "import sys, treadle; treadle.Result; from treadle.values.picture import picture; "
        "print('treadle.report' in sys.modules, picture(3), 'treadle.report.notebook' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False None True\n" == done.stdout
