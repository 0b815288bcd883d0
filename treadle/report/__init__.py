"""Reports: pure functions from values to text and JSON."""

from treadle.report.directory import Directory
from treadle.report.document import build_document, render_document, version
from treadle.report.text import render_replay, render_result, render_summary
from treadle.report.timeline import render_timeline

__all__ = [
    "Directory",
    "build_document",
    "render_document",
    "render_replay",
    "render_result",
    "render_summary",
    "render_timeline",
    "version",
]
