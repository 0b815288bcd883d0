"""The how-to pages: their files are written, their commands are run in order, and what they show comes out."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_docs import DOCS, ROOT, same

LONG = {"asynchronous", "daemon", "existing-database", "fastapi", "flask", "raw-sqlite3", "too-large"}
"""Pages that take long; what they are about, other tests look at, too."""

PAGES = [
    pytest.param(path, id=path.stem, marks=pytest.mark.truth if path.stem in LONG else ())
    for path in sorted((DOCS / "howto").glob("*.md"))
    if path.stem != "index"
]

_FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# (?P<file>[\w/]+\.\w+)(?P<changed>, changed)?\n")
_SECONDS = re.compile(r"\b[0-9.]+s\b")
"""How pytest tells a time."""

_MODULES = {"python": [], "treadle": ["-m", "treadle"], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"]}
"""The commands that a page may use: what the interpreter of the tests is called with."""


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Return each command of a transcript, with the output that is shown."""
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", "").partition("\n")
        yield command, output


def changed(source: str, block: str) -> str:
    """Return a module with the functions of a block in place of those that had their names."""
    lines = source.splitlines(keepends=True)
    old = {node.name: node for node in ast.parse(source).body if isinstance(node, _FUNCTIONS)}
    new = [node for node in ast.parse(block).body if isinstance(node, _FUNCTIONS)]
    assert new, block
    for node in sorted(new, key=lambda node: -_first(old[node.name])):
        was = old[node.name]
        lines[_first(was) - 1 : was.end_lineno] = block.splitlines(keepends=True)[_first(node) - 1 : node.end_lineno]
    return "".join(lines)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the line where a function begins, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def write(block: str, folder: Path) -> None:
    """Write the file that a block is, or change it."""
    name = _NAME.match(block)
    assert name, f"a block must begin with the name of its file: {block[:60]!r}"
    file, text = folder / name["file"], block[name.end() :]
    if name["changed"]:
        text = changed(file.read_text(encoding="utf-8"), text)
    file.write_text(text, encoding="utf-8")


def assert_shown(output: str, real: str, said: str) -> None:
    """Each line that is shown was printed, in their order; ``[...]`` stands for other lines, or for the rest of one."""
    text, at = _plain(real), 0
    for part in re.split(r"^\[\.\.\.\]\n", output, flags=re.MULTILINE):
        wanted = re.escape(_plain(part)).replace(re.escape("[...]"), "[^\n]*")
        found = re.compile(f"^{wanted}", re.MULTILINE).search(text, at)
        assert found, said
        at = found.end()


def _plain(text: str) -> str:
    """Return a text without what differs between machines."""
    return "".join(f"{_SECONDS.sub('~', same(line))}\n" for line in text.splitlines())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which the commands of a page are those of the checkout."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in _MODULES.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(arguments)} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_"))}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("page", PAGES)
def test_page_does_what_it_shows(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """From top to bottom, in an empty directory."""
    folder = tmp_path / "application"
    folder.mkdir()
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        if match["kind"] == "python":
            write(match["body"], folder)
        elif match["kind"] == "console":
            for command, output in commands(match["body"]):
                done = subprocess.run(
                    ["/bin/sh", "-c", command],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert_shown(output, done.stdout, f"{command}\n{done.stdout}\n{done.stderr}")
