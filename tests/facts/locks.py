"""Who waits for whom in SQLite: the rules of docs/locks.md, and the picture of them.

``python -m tests.facts.locks`` draws it. The tests try each rule on real connections, and compare the picture.
"""

from __future__ import annotations

import html
from pathlib import Path

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "_static" / "locks.svg"
"""What is drawn."""

GOES_ON, WAITS, REFUSED, NEVER = "goes on", "waits", "refused at once", "cannot be"

WANTS = ("reads", "begins to write", "writes after a read", "commits what it wrote")
"""What B does. It has done nothing before but in the last two columns: there it has a snapshot, or RESERVED."""

RULES: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "wal": {
        "is reading": (GOES_ON, GOES_ON, GOES_ON, GOES_ON),
        "has uncommitted rows": (GOES_ON, WAITS, REFUSED, NEVER),
        "has committed since B read": (GOES_ON, GOES_ON, REFUSED, NEVER),
    },
    "delete": {
        "is reading": (GOES_ON, GOES_ON, GOES_ON, WAITS),
        "has uncommitted rows": (GOES_ON, WAITS, REFUSED, NEVER),
        "waits to commit": (WAITS, WAITS, REFUSED, NEVER),
    },
}
"""By journal mode and by what A does: what becomes of each thing that B wants."""

TITLES = {"wal": "Write-ahead log (WAL)", "delete": "Rollback journal (DELETE)"}

_COLOURS = {GOES_ON: "#2a9d8f", WAITS: "#e08e0b", REFUSED: "#c1121f", NEVER: "#8a8a8a"}
_LEFT, _WIDE, _HIGH, _HEAD = 245, 150, 40, 64


def picture() -> str:
    """Return the picture, as SVG: it takes the colour of the text around it, light or dark."""
    width = _LEFT + _WIDE * len(WANTS)
    parts: list[str] = []
    top = 0
    for journal, rows in RULES.items():
        parts.append(_text(0, top + 22, f"{TITLES[journal]}: B …", weight="bold"))
        parts += [_text(_LEFT + _WIDE * (at + 0.5), top + 50, want, "middle") for at, want in enumerate(WANTS)]
        for line, (holds, ends) in enumerate(rows.items()):
            y = top + _HEAD + line * _HIGH
            parts.append(_text(0, y + 25, f"while A {holds}"))
            parts += [_cell(_LEFT + _WIDE * at, y, end) for at, end in enumerate(ends)]
        top += _HEAD + _HIGH * len(rows) + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">\n<title>What waits, and what is refused</title>\n'
        "<style>.out { fill: #333 } .in { fill: #fff } "
        "@media (prefers-color-scheme: dark) { .out { fill: #ddd } }</style>"
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str = "start", *, weight: str = "normal", kind: str = "out") -> str:
    place = f'class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}"'
    return f"<text {place}>{html.escape(text)}</text>"


def _cell(x: int, y: int, end: str) -> str:
    box = f'<rect x="{x + 3}" y="{y + 3}" width="{_WIDE - 6}" height="{_HIGH - 6}" rx="5" fill="{_COLOURS[end]}"/>'
    return box + _text(x + _WIDE / 2, y + 25, end, "middle", weight="bold", kind="in")


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
