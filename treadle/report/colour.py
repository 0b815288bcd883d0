"""Colours for a report on a terminal; the text itself stays as it is. Red is what is not as expected."""

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
        "treadle.refused": "yellow",
        "treadle.source": "blue",
        "treadle.token": "bold cyan",
        "treadle.quiet": "dim",
    }
)


class _Report(RegexHighlighter):
    base_style = "treadle."
    highlights = (
        r"(?P<bad>NOT as expected|NOT exhausted|NOT confirmed live)",
        r"(?<!NOT )(?P<good>\bas expected\b)",
        r"(?m)^(?P<bad>violated, NOT as expected)\b",
        r"(?m)^(?P<good>holds)\b",
        r"(?P<open>\binconclusive\b)",
        r"(?P<published>[▶◀] [^\n]*?)(?=   |$|\n)",
        r"(?P<refused>✗ [^\n]*?)(?=   |$|\n)",
        r"(?m)^(?P<bad>✗ [^\n]*)$",
        r"(?m)^  (?P<bad>✗ [^\n]*NOT as expected)$",
        r"(?P<source>(?<![\w./-])[\w./-]+\.py:[0-9]+\b)",
        r"(?P<token>\bt[12](?:\.[A-Z]+(?:[0-9]+|-(?:locked|crash)))+(?:\.[0-9a-z]+\b)?)",
        r"(?m)^ *(?P<quiet>[0-9]+)  ",
    )


def coloured(text: str) -> Text:
    """Return a report with colours for those who look at it on a terminal."""
    return _Report()(Text(text))
