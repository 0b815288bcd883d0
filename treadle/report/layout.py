"""Layouts: entries as lines, in a column for each client or one below the other.

::

    12  | INSERT INTO backfill (…            side by side: a column for each client,
    13                        : SELECT …     with a bar for the lock that it holds

    12  A | INSERT INTO backfill (…          stacked: where there is no room for columns
    13  B : SELECT …
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from treadle.report.entries import Entry
from treadle.report.extra import Extra
from treadle.report.phrases import ENDED, FAILED, PUBLISHED, WAITS, titles
from treadle.report.sql import fit, shorten, wrap
from treadle.values.display import ELLIPSIS
from treadle.values.schedule import letters

BARS = {"write": "|", "read": ":", "waits": WAITS, "none": " "}
"""What stands at the left of a client's column while it holds a lock."""

COLUMN_MIN = 30
"""The narrowest column in which a statement can be read, in characters."""

CLIENTS_MAX = 3
"""The most clients that are shown side by side."""

_GAP = 2


@frozen
class Page:
    """Where things stand on a page.

    Attributes:
        width: of the page, in characters.
        clients: the names of all clients.
        last: the highest number of an entry.
        verbose: whether everything is shown in full.
        dense: whether there are no empty lines, and statements take one line.
    """

    width: int
    clients: tuple[str, ...]
    last: int
    verbose: bool = False
    dense: bool = False

    @property
    def margin(self) -> int:
        """The characters that the numbers take, with the gap after them."""
        return max(len(str(self.last)), 2) + _GAP

    @property
    def column(self) -> int:
        """The characters of one column."""
        room = self.width - self.margin - _GAP * (len(self.clients) - 1)
        return room // len(self.clients)

    @property
    def side_by_side(self) -> bool:
        """Whether there is room for a column for each client."""
        return len(self.clients) <= CLIENTS_MAX and self.column >= COLUMN_MIN


def lines(page: Page, entries: Sequence[Entry]) -> list[str]:
    """Return the heading and the entries as lines."""
    draw = _columns if page.side_by_side else _stacked
    return draw(page, entries)


_IN_FULL = {
    "write": "| holds the write lock",
    "read": ": holds a read lock or a snapshot",
    "waits": f"{WAITS} waits",
    PUBLISHED: f"{PUBLISHED} now visible to everybody, and durable",
    FAILED: f"{FAILED} fails",
    ENDED: f"{ENDED} ends",
    ELLIPSIS: f"{ELLIPSIS} left out",
}
"""What the signs mean."""

_IN_FEW_WORDS = {
    "write": "| write lock",
    "read": ": read lock, snapshot",
    "waits": f"{WAITS} waits",
    PUBLISHED: f"{PUBLISHED} committed",
    FAILED: f"{FAILED} fails",
    ENDED: f"{ENDED} ends",
}


def legend(entries: Sequence[Entry], text: Sequence[str], *, dense: bool = False) -> list[str]:
    """Explain the signs that are used, in few words if there is little room."""
    bars = {bar for entry in entries for bar in entry.held}
    signs = {line.strip(" |:~0123456789")[:1] for line in text}
    used = bars | signs | ({ELLIPSIS} if any(ELLIPSIS in line for line in text) else set())
    return [meaning for sign, meaning in (_IN_FEW_WORDS if dense else _IN_FULL).items() if sign in used]


def _body(page: Page, entry: Entry, width: int) -> list[str]:
    """Return the lines of one entry in a column of this width."""
    indent = "  "
    if page.verbose:
        shown = [extra.render() for extra in entry.extras]
        where = [f"at {entry.source}"] if entry.source else []
        found = wrap(" ".join([entry.statement, *shown, *where]), width, indent=indent)
    elif page.dense:
        found = _dense(entry, width, indent)
        for extra in entry.extras:
            _append(found, extra, width, indent)
    else:
        found = fit(entry.statement, width, indent=indent)
        for extra in entry.extras:
            _append(found, extra, width, indent)
    notes = [line for note in entry.notes for line in wrap(note, width, indent=indent)]
    return [*filter(None, found), *notes]


_STATEMENT_MIN = 18
"""The least room beside a source line in which a statement is shown, in characters."""


def _dense(entry: Entry, width: int, indent: str) -> list[str]:
    """Return the source line and the statement on one line; on two, if there is little room."""
    if not entry.source:
        return [shorten(entry.statement, width)]
    source = _shortened(entry.source, width)
    room = width - len(source) - _GAP
    if len(entry.statement) <= room or room >= _STATEMENT_MIN:
        return [f"{source}{' ' * _GAP}{shorten(entry.statement, room)}".rstrip()]
    return [source, *filter(None, [indent + shorten(entry.statement, width - len(indent))])]


def _append(found: list[str], extra: Extra, width: int, indent: str) -> None:
    """Put an extra behind the last line if it fits there, else on a line of its own."""
    room = width - len(found[-1]) - 1
    text = extra.fit(width - len(indent))
    if len(text) <= room:
        found[-1] += f" {text}"
    else:
        found.append(indent + text)


def _columns(page: Page, entries: Sequence[Entry]) -> list[str]:
    gap, bar_width = " " * _GAP, 2

    def line(number: str, cells: Sequence[str]) -> str:
        padded = gap.join(cell.ljust(page.column) for cell in cells)
        return f"{number.rjust(page.margin - _GAP)}{gap}{padded}".rstrip()

    names = [_shortened(title, page.column - bar_width) for title in titles(page.clients)]
    found = [
        line("", [" " * bar_width + name for name in names]),
        line("", [" " * bar_width + "-" * len(name) for name in names]),
    ]
    last: Entry | None = None
    for entry in entries:
        if last is not None and last.client != entry.client and not page.dense:
            found.append(line("", _between(last, entry)))
        last = entry
        for at, text in enumerate(_body(page, entry, page.column - bar_width)):
            cells = [BARS[held] for held in entry.held]
            cells[entry.client] += f" {text}"
            found.append(line(str(entry.number) if at == 0 else "", cells))
    return found


def _shortened(title: str, room: int) -> str:
    return title if len(title) <= room else f"{title[: room - 1]}{ELLIPSIS}"


def _between(last: Entry, entry: Entry) -> list[str]:
    """Return the bars of the locks that are held from one entry to the next."""
    pairs = zip(last.held, entry.held, strict=True)
    return [BARS[before] if before == after else BARS["none"] for before, after in pairs]


def _stacked(page: Page, entries: Sequence[Entry]) -> list[str]:
    name_width = max(len(letters(at)) for at in range(len(page.clients)))
    margin = page.margin + name_width + 3
    titled = [wrap(title, page.width - page.margin, indent="  ") for title in titles(page.clients)]
    found = [f"{' ' * page.margin}{line}" for title in titled for line in title]
    last: int | None = None
    for entry in entries:
        if entry.client != last and not page.dense:
            found.append("")
        last = entry.client
        bar = BARS[entry.held[entry.client]]
        for at, text in enumerate(_body(page, entry, page.width - margin)):
            number = str(entry.number) if at == 0 else ""
            name = letters(entry.client).ljust(name_width)
            found.append(f"{number.rjust(page.margin - _GAP)}{' ' * _GAP}{name} {bar} {text}".rstrip())
    return found
