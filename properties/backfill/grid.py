"""All algorithms and properties on one screen: a coloured grid, as HTML that Markdown takes as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model.backfill import ALGORITHMS
from properties.backfill.expectations import CIRCUMSTANCES

_COLOURS = {"kept": "#2a9d8f", "partly": "#e08e0b", "broken": "#c1121f"}

_STYLE = (
    "<style>.grid { overflow-x: auto; font-size: 80% } "
    ".grid th { text-align: left; font-weight: normal; padding: 2px 8px } "
    ".grid td { color: #fff; text-align: center; min-width: 4em; padding: 3px; border: 2px solid transparent; "
    "background-clip: padding-box }</style>"
)


def grid(names: Sequence[str], broken: Mapping[tuple[str, str, str], int], modes: int) -> str:
    """Return the grid.

    Args:
        names: the properties.
        broken: in how many modes a property is broken, by circumstances, algorithm and property.
        modes: how many modes there are.
    """
    head = "".join(f"<th scope='col'><code>{algorithm}</code></th>" for algorithm in ALGORITHMS)
    lines = [f"<tr><td></td>{head}</tr>"]
    for name in names:
        cells = []
        for algorithm in ALGORITHMS:
            counts = {each: broken.get((each, algorithm, name), 0) for each in CIRCUMSTANCES}
            told = ", ".join(f"{each}: {count} of {modes}" for each, count in counts.items() if count) or "kept"
            cells.append(_cell(counts, modes, told))
        lines.append(f"<tr><th scope='row'><code>{name}</code></th>{''.join(cells)}</tr>")
    return "\n".join(["<div class='grid'>", _STYLE, "<table>", *lines, "</table>", "</div>", ""])


def _cell(counts: Mapping[str, int], modes: int, told: str) -> str:
    by_default = counts["default"]
    colour = _COLOURS["broken" if by_default == modes else "partly" if any(counts.values()) else "kept"]
    text = "kept" if not any(counts.values()) else f"{by_default} of {modes}" if by_default else "elsewhere"
    return f"<td style='background-color: {colour}' title='{told}'>{text}</td>"


def folded(summary: str, body: str) -> str:
    """Return Markdown that is shown when a reader opens it."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n</details>\n"
