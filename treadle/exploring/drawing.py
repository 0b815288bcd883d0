"""The drawing of all states of a small scenario, as SVG or as a page with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from treadle.exploring.layout import Layout, Point, layered
from treadle.exploring.mapping import Arc, Map, Place
from treadle.report.lanes import template
from treadle.report.phrases import titles
from treadle.report.sql import count, page, shorten
from treadle.scenario import Scenario
from treadle.values.display import name, on_one_line, prose
from treadle.values.schedule import letters

_TEMPLATES = Path(__file__).parent / "templates"

_COLUMN, _LAYER, _MARGIN = 120.0, 96.0, 70.0
"""The distances of columns and of layers, and the margin around everything, in pixels."""

_RADIUS = 13.0
"""Of a state, in pixels."""

_LABEL = 16
"""How long a label on an edge is at most, in characters."""

_HUES = 4
"""How many clients have a colour of their own."""

_LISTED = 100
"""How many broken states are listed."""


def render_svg(scenario: Scenario, found: Map) -> str:
    """Return the drawing as one SVG document; whatever is in a value is shown as text."""
    text = template("graph.svg.jinja", _TEMPLATES).render(**_drawing(scenario, found))
    return page(text.split("\n")) + "\n"


def render_page(scenario: Scenario, found: Map) -> str:
    """Return the drawing as one page, with a legend and a list of what is broken; likewise."""
    broken = [
        {"number": number, "names": [name(item) for item in place.broken], "token": str(place.schedule)}
        for number, place in enumerate(found.places)
        if place.broken
    ]
    text = template("graph.html.jinja", _TEMPLATES).render(
        **_drawing(scenario, found),
        clients=[{"title": title, "hue": at % _HUES} for at, title in enumerate(titles(found.clients))],
        broken=broken[:_LISTED],
        more=max(len(broken) - _LISTED, 0),
    )
    return page(text.split("\n")) + "\n"


def _drawing(scenario: Scenario, found: Map) -> dict[str, Any]:
    beside: dict[tuple[int, int], list[Arc]] = {}
    for arc in found.arcs:
        beside.setdefault((arc.source, arc.target), []).append(arc)
    layout = layered(len(found.places), list(beside))
    final = sum(place.final for place in found.places)
    broken = sum(bool(place.broken) for place in found.places)
    return {
        "title": f"The states of {name(scenario.name)}",
        "summary": (
            f"{count(len(found.places), 'state')}, {count(len(found.arcs), 'edge')}; {final:,} of the states are "
            f"final, and something is broken in {broken:,}."
        ),
        "width": f"{(layout.width - 1) * _COLUMN + 2 * _MARGIN:.0f}",
        "height": f"{(layout.height - 1) * _LAYER + 2 * _MARGIN:.0f}",
        "radius": _RADIUS,
        "lines": [
            _line(pair, arcs, layout, bends) for (pair, arcs), bends in zip(beside.items(), layout.bends, strict=True)
        ],
        "places": [_circle(number, place, layout, found.clients) for number, place in enumerate(found.places)],
    }


def _pixels(point: Point) -> Point:
    return point[0] * _COLUMN + _MARGIN, point[1] * _LAYER + _MARGIN


def _circle(number: int, place: Place, layout: Layout, clients: Sequence[str]) -> dict[str, Any]:
    x, y = _pixels(layout.nodes[number])
    ends = [
        f"{title} {prose(str(outcome))}"
        for title, outcome in zip(titles(clients), place.outcomes, strict=True)
        if outcome is not None
    ]
    told = [f"State {number}", str(place.schedule), *(f"breaks {name(item)}" for item in place.broken), *ends]
    return {
        "number": number,
        "x": f"{x:.1f}",
        "y": f"{y:.1f}",
        "kind": " ".join([*(["final"] if place.final else []), *(["broken"] if place.broken else [])]),
        "final": place.final,
        "told": told,
    }


# --- Edges -------------------------------------------------------------------------------------------


def _line(pair: tuple[int, int], arcs: Sequence[Arc], layout: Layout, bends: Sequence[Point]) -> dict[str, Any]:
    points = [_pixels(point) for point in (layout.nodes[pair[0]], *bends, layout.nodes[pair[1]])]
    (x, y), (on_x, on_y) = points[0], points[1]
    return {
        "path": _path(points),
        "hue": arcs[0].client % _HUES,
        "kind": " ".join(
            [
                *(["broken"] if any(arc.broken for arc in arcs) else []),
                *(["fault"] if all(arc.fault for arc in arcs) else []),
            ]
        ),
        "labels": [_label(arc) for arc in arcs],
        "told": [line for arc in arcs for line in _told(arc)],
        "x": f"{(x + on_x) / 2:.1f}",
        "y": f"{(y + on_y) / 2 - 5.0 * (len(arcs) - 1):.1f}",
    }


def _path(points: Sequence[Point]) -> str:
    """Return a curve through points that leaves each of them downward, and ends above the last one's circle."""
    last_x, last_y = points[-1]
    points = [*points[:-1], (last_x, last_y - _RADIUS - 6)]
    (x, y), *onward = points
    path = f"M{x:.1f},{y + _RADIUS:.1f}"
    y += _RADIUS
    for to_x, to_y in onward:
        middle = (y + to_y) / 2
        path += f" C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"
        x, y = to_x, to_y
    return path


def _label(arc: Arc) -> str:
    """Return the client, and what it does that others can notice."""
    return f"{letters(arc.client)} {shorten(arc.label, _LABEL)}"


def _told(arc: Arc) -> list[str]:
    letter = letters(arc.client)
    fault = [f"{letter}: fault {arc.fault}"] if arc.fault is not None else []
    done = [f"{letter}: {on_one_line(prose(operation))}" for operation in arc.operations]
    return [*fault, *done, *(f"breaks {name(item)}" for item in arc.broken)]
