"""Reports: pure functions from values to text and JSON."""

from treadle.report.brief import render_examples, render_line
from treadle.report.directory import Directory
from treadle.report.document import build_document, render_document, version
from treadle.report.text import render_replay, render_result, render_summary, render_totals
from treadle.report.timeline import render_timeline

__all__ = [
    "Directory",
    "build_document",
    "render_document",
    "render_examples",
    "render_line",
    "render_replay",
    "render_result",
    "render_summary",
    "render_timeline",
    "render_totals",
    "version",
]
