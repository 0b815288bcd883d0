"""What the commands do: serve the page of a scenario until Ctrl-C, or draw its states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from treadle.exploring.drawing import render_page, render_svg
from treadle.exploring.learned import Learned
from treadle.exploring.mapping import map_of
from treadle.exploring.stepping import position
from treadle.report.directory import write_text
from treadle.report.screen import Screen
from treadle.scenario import Scenario
from treadle.turn import turn
from treadle.values.display import name, quoted
from treadle.values.errors import UsageError
from treadle.values.schedule import Schedule


def explore(scenario: Scenario, replay: Callable[[str], str], shown: Screen) -> None:
    """Serve the page of a scenario, and say where it is; returns after Ctrl-C, with nothing left behind.

    Args:
        scenario: what is explored.
        replay: returns the command that replays a token.
        shown: where the address is shown.

    Raises:
        UsageError: Werkzeug is not installed.
        TreadleError: the scenario cannot be run.
    """
    try:
        from treadle.exploring.serving import Desk, Explorer, served  # noqa: PLC0415  # it is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "werkzeug":
            raise
        raise UsageError(
            "treadle explore serves a page with Werkzeug, which is not installed. Install it with: "
            "pip install 'treadle[explore]'"
        ) from error
    try:
        with turn("explore", scenario.name), Learned(scenario) as learned:
            position(learned, Schedule())  # what cannot be run says so here
            desk = Desk(shown.say)
            with served(Explorer(learned, desk, replay)) as address:
                shown.report(f"{address}\n")
                shown.say(f"Exploring {name(scenario.name)} at this address, on this machine only. Ctrl-C ends it.")
                desk.serve()
    except KeyboardInterrupt:
        shown.say("ended")


_DRAWINGS = {".svg": render_svg, ".html": render_page}
"""How states are drawn, by the suffix of the file."""


def draw(scenario: Scenario, output: Path | None, max_states: int, shown: Screen) -> None:
    """Draw the states of a scenario.

    Args:
        scenario: what is drawn.
        output: the file; None for SVG on stdout.
        max_states: how many states there may be.
        shown: where the drawing, or where it is, is shown.

    Raises:
        UsageError: there are more states, or the file cannot be written.
        TreadleError: the scenario cannot be run.
    """
    render = render_svg if output is None else _DRAWINGS.get(output.suffix.lower())
    if render is None:
        raise UsageError(
            f"-o {quoted(str(output))}: a drawing is an SVG document or a page. Give the file a name that ends with "
            ".svg or .html."
        )
    with turn("graph", scenario.name), Learned(scenario) as learned:
        found = map_of(learned, max_states)
    text = render(scenario, found)
    if output is None:
        shown.document(text)
    else:
        write_text(output, text)
        shown.say(f"{len(found.places):,} states are drawn in {quoted(str(output))}.")
