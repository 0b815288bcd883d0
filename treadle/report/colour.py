"""Colours for a report on a terminal; the text itself stays as it is."""

from __future__ import annotations

from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme

THEME = Theme(
    {
        "treadle.bad": "bold red",
        "treadle.good": "green",
        "treadle.open": "yellow",
        "treadle.published": "bold magenta",
        "treadle.token": "bold cyan",
        "treadle.quiet": "dim",
    }
)


class _Report(RegexHighlighter):
    base_style = "treadle."
    highlights = (
        r"(?P<bad>NOT as expected|NOT exhausted|NOT confirmed live)",
        r"(?<!NOT )(?P<good>\bas expected\b)",
        r"(?m)^(?P<bad>violated)\b",
        r"(?m)^(?P<good>holds)\b",
        r"(?P<open>\binconclusive\b)",
        r"(?P<published>▶ published [^\n]*?)(?=   |$|\n)",
        r"(?P<bad>✗ [^\n]*?)(?=   |$|\n)",
        r"(?P<token>\bt[12](?:\.[A-Z]+(?:[0-9]+|-(?:locked|crash)))+(?:\.[0-9a-z]+\b)?)",
        r"(?m)^ *(?P<quiet>[0-9]+)  ",
    )


def coloured(text: str) -> Text:
    """Return a report with colours for those who look at it on a terminal."""
    return _Report()(Text(text))
