"""The plot on the page about cost."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from benchmarks.cases import SWEPT
from benchmarks.growth import Growth, spoken
from benchmarks.results import Rows, series

PLOT = Path(__file__).resolve().parents[1] / "docs" / "_static" / "growth.svg"
"""What is drawn."""

BENEATH: dict[str, Any] = {
    "loc": "upper center",
    "bbox_to_anchor": (0.5, -0.14),
    "ncols": 2,
    "fontsize": 8,
    "frameon": False,
}
"""Where a legend stands, so as to cover nothing."""

COLOURS = {
    "shipped-3.2.2": "#c1121f",
    "shipped-3.3.2": "#555555",
    "immediate": "#1d4e89",
    "flush": "#2a9d8f",
    "unique-index": "#8f5fbf",
    "bulk": "#e08e0b",
}
"""One for each algorithm."""


def digest(rows: Rows) -> str:
    """Return a short text that stands for all that is drawn."""
    drawn: list[object] = [(growth.name, growth.sizes, growth.states, growth.contents) for growth, _ in series(rows)]
    drawn += [(growth.seconds, growth.plain_run_s) for growth, _ in series(rows) if growth.name.startswith("F")]
    return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16]


def draw(rows: Rows, path: Path = PLOT) -> None:
    """Draw how cost grows.

    Args:
        rows: the recorded figures.
        path: where to; the suffix says in which format.
    """
    import matplotlib as mpl  # noqa: PLC0415  # slow, and not needed to compare a page with its figures
    from matplotlib.figure import Figure  # noqa: PLC0415

    growths = [growth for growth, _ in series(rows)]
    with mpl.rc_context({"svg.hashsalt": "growth", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(10, 5), layout="constrained")
        left, right = figure.subplots(1, 2)
        _states(left, [growth for growth in growths if growth.name.startswith("E")])
        _sweeps(right, [growth for growth in growths if growth.name.startswith("F")])
        for axes in (left, right):
            axes.grid(visible=True, alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        path.parent.mkdir(exist_ok=True)
        svg = path.suffix == ".svg"
        metadata = {"Date": None, "Description": digest(rows)} if svg else {}
        figure.savefig(path, dpi=150, metadata=metadata)
    if svg:
        text = path.read_text(encoding="utf-8")
        path.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), encoding="utf-8")


def _states(axes: Any, growths: list[Growth]) -> None:
    """Draw states against n, with the polynomial through them or the bound below them."""
    for growth in growths:
        name = growth.name.partition("/")[2]
        colour = COLOURS[name]
        through = growth.polynomial
        label = f"{name}: {spoken(through)}" if through else f"{name}: exponential"
        axes.plot(growth.sizes, growth.states, "o", color=colour, label=label, markersize=5)
        if through:
            fine = [growth.sizes[0] + step / 20 * (growth.sizes[-1] - growth.sizes[0]) for step in range(21)]
            values = [sum(float(c) * n**power for power, c in enumerate(through)) for n in fine]
            axes.plot(fine, values, "-", color=colour, linewidth=1)
        else:
            axes.plot(growth.sizes, growth.states, "-", color=colour, linewidth=1)
            contents = f"{name}: contents at the end"
            axes.plot(growth.sizes, growth.contents, "s", color=colour, fillstyle="none", zorder=3, label=contents)
            sizes = range(growth.sizes[0], max(growth.sizes[-1] for growth in growths) + 1)
            bound = [2 * math.comb(2 * n, n) + 1 for n in sizes]
            axes.plot(sizes, bound, "--", color=colour, linewidth=1, label="2 C(2n, n) + 1: fewer is impossible")
    axes.set_yscale("log")
    axes.set(title="2 requests x n runs x 1 locked, exhausted", xlabel="runs n", ylabel="states")
    axes.legend(**BENEATH)


def _sweeps(axes: Any, growths: list[Growth]) -> None:
    """Draw seconds against n."""
    for growth in growths:
        name = growth.name.partition("/")[2]
        axes.plot(growth.sizes, growth.seconds, "o-", color=COLOURS[name], label=name, linewidth=1, markersize=5)
    for growth in growths[:1]:
        forty = [40 * seconds for seconds in growth.plain_run_s]
        axes.plot(growth.sizes, forty, "--", color="grey", linewidth=1, label="40 plain runs")
    axes.set(title="1 request x n runs, 1 locked at each savepoint", xlabel="runs n", ylabel="seconds")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    if growths:
        axes.legend(**BENEATH)
    else:
        axes.text(0.5, 0.5, f"{' and '.join(SWEPT)}: not measured yet", transform=axes.transAxes, ha="center")
