"""The documentation: its examples run, its outputs are real, and it leaves nothing out."""

from __future__ import annotations

import contextlib
import doctest
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import treadle
from model.backfill import ALGORITHMS
from properties.backfill import scenarios
from properties.backfill.parameters import PARSERS
from treadle import cli, pytest_plugin
from treadle.hypothesis import close_machines
from treadle.report import build_document, render_timeline
from treadle.scenario import JOURNALS, TRANSACTIONS
from treadle.testing.settings import SETTINGS
from treadle.values import errors
from treadle.values.property import Kind

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
REFERENCE = DOCS / "reference.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("**/*.md"))]

_FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
_VARIES = re.compile(r"SQLite [0-9.]+|[0-9.,]+ (s|MB)\b|(?<=; )[0-9,]+ live runs")
"""What differs between machines, or changes when nothing of interest does."""

LABELS = sqlalchemy.__version__.startswith("2.0.")
"""Whether SELECTs of the ORM read ``item.id AS item_id``."""

_DIGESTS = re.compile(r"\b(t2\.[\w.-]*)\.[0-9a-z]{8,}(?!\w)")
"""What was done, in a token."""


def fences(path: Path, kind: str) -> list[str]:
    """Return the fenced blocks of one kind."""
    return [match["body"] for match in _FENCE.finditer(path.read_text(encoding="utf-8")) if match["kind"] == kind]


# --- What is shown is real ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run the tutorial from top to bottom, and return the names that it leaves."""
    path, flags = TUTORIAL, doctest.REPORT_UDIFF
    if LABELS:  # Something else is done then, and the tokens say so.
        path, flags = tmp_path_factory.mktemp("docs") / TUTORIAL.name, flags | doctest.ELLIPSIS
        text = re.sub(rf"^'{_DIGESTS.pattern}'$", r"'\1...'", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
    document = Sybil([PythonCodeBlockParser(doctest_optionflags=flags)]).parse(path)
    examples = list(document.examples())
    assert len(examples) > 10
    for example in examples:
        example.evaluate()
    yield document.namespace
    close_machines()


def test_tutorial_leaves_no_database(tutorial: dict[str, Any]) -> None:
    """The application's own file is never made."""
    assert not Path(tutorial["engine"].url.database).exists()


@pytest.mark.skipif(LABELS, reason="SQLAlchemy 2.0 labels the columns of a SELECT, and the pages show 2.1")
def test_tutorial_shows_the_real_timeline(tutorial: dict[str, Any]) -> None:
    """What the page shows is what ``render_timeline`` returns."""
    (shown,) = fences(TUTORIAL, "text")

    assert render_timeline(tutorial["trace"]).startswith(shown)


def test_tutorial_test_passes(tutorial: dict[str, Any], treadle: pytest_plugin.Treadle) -> None:
    """The test for pytest that the page shows passes."""
    tutorial["test_every_sale_counts"](treadle)


def test_tutorial_machine_passes(tutorial: dict[str, Any]) -> None:
    """The Hypothesis machine of the fixed function finds nothing."""
    tutorial["TestSelling"]().runTest()


def transcripts() -> list[Any]:
    """Return each command that a page shows with its output."""
    found = []
    for path in (ROOT / "README.md", *(DOCS / f"{page}.md" for page in ("index", "case-study", "race"))):
        for body in fences(path, "console"):
            for session in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, output = session.replace("\\\n", "").partition("\n")
                if output.strip():
                    found.append(pytest.param(path, command, output, id=f"{path.stem}: {command[:60]}"))
    return found


def shop(workplace: Path) -> str:
    """Return the shop of the tutorial; its database is at the workplace, with ten items in stock."""
    with contextlib.closing(sqlite3.connect(workplace / "shop.db")) as connection:
        connection.executescript(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL); INSERT INTO item VALUES (1, 10)"
        )
    return fences(TUTORIAL, "python")[0].replace("/srv/shop/shop.db", str(workplace / "shop.db"))


def same(line: str) -> str:
    """Return a line without what differs between machines."""
    return _VARIES.sub("~", _DIGESTS.sub(r"\1", line) if LABELS else line).rstrip()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty current directory, from which the checkout's packages can be imported."""
    own = ("shop", "shop_checks")
    for name in own:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    yield tmp_path
    for name in own:  # or other tests would find this shop
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("path", "command", "output"), transcripts())
def test_transcripts_are_real(
    path: Path, command: str, output: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command prints the lines that a page shows, in their order; ``[...]`` stands for any others."""
    if LABELS and " AS " not in output and "SELECT item.id" in output:
        pytest.skip("SQLAlchemy 2.0 labels the columns of a SELECT, and the pages show 2.1")
    (workplace / "shop.py").write_text(shop(workplace), encoding="utf-8")
    (workplace / "shop_checks.py").write_text("\n".join(fences(path, "python")), encoding="utf-8")
    program, *arguments = shlex.split(command)
    assert "treadle" == program

    cli.main(arguments)

    said = capsys.readouterr()
    real = "".join(f"{same(line)}\n" for line in said.out.splitlines())
    at = 0
    for part in re.split(r"^ *\[\.\.\.\]\n", output, flags=re.MULTILINE):
        wanted = "".join(f"{same(line)}\n" for line in part.splitlines())
        assert wanted in real[at:], said.err
        at = real.index(wanted, at) + len(wanted)


# --- Nothing is left out -----------------------------------------------------------------------------


def parameters() -> list[str]:
    """Return every command, and every option by each of its names."""
    found = []
    context = click.Context(cli.cli)
    for name, command in cli.cli.commands.items():
        found.append(f"treadle {name}")
        for parameter in (*command.get_params(context), *cli.cli.get_params(context)):
            if isinstance(parameter, click.Option):
                found += [*parameter.opts, *parameter.secondary_opts]
                if isinstance(parameter.type, click.Choice):
                    found += [str(choice) for choice in parameter.type.choices]
    return list(dict.fromkeys(found))


def names_of_errors() -> list[str]:
    """Return every error class."""
    return [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]


def keys(document: object) -> Iterator[str]:
    """Return every key in a JSON document."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from keys(value)


@pytest.mark.parametrize("name", [*names_of_errors(), "CheckFailed"])
def test_reference_has_every_error(name: str) -> None:
    """Each error says what it means and what to do, under its own name."""
    assert re.search(rf"^`{name}`\n: \S", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in treadle.__all__ if name not in names_of_errors()])
def test_reference_has_every_public_name(name: str) -> None:
    """Each public name has an entry made from its docstring."""
    text = REFERENCE.read_text(encoding="utf-8")

    assert re.search(rf"^\.\. auto(class|function|data):: treadle\.{name}$", text, re.MULTILINE)


def test_reference_has_every_setting() -> None:
    """What can be set about the checks of tests stands in the reference, by each of its names."""
    names = {name for one in SETTINGS for name in (f"`{one.option}", f"`{one.key}`", f"`{one.name}`")}
    text = REFERENCE.read_text(encoding="utf-8")
    assert set() == {name for name in names if name not in text}


@pytest.mark.parametrize("name", parameters())
def test_reference_has_every_option(name: str) -> None:
    """Each command, option and choice is there, as one types it."""
    assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(name)}(?![\w-])[^`\n]*`", REFERENCE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PARSERS)
def test_reference_has_every_parameter_of_the_backfill(name: str) -> None:
    """Each parameter of the scenarios in the checkout is there."""
    assert f"| `{name}` |" in REFERENCE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*JOURNALS, *TRANSACTIONS, *(str(kind) for kind in treadle.LockKind)])
def test_pages_have_every_mode(name: str) -> None:
    """Each journal mode, transaction mode and kind of refusal stands in some table."""
    text = REFERENCE.read_text(encoding="utf-8") + (DOCS / "how-it-works.md").read_text(encoding="utf-8")

    assert f"| `{name}` |" in text


def test_case_study_has_every_property() -> None:
    """The table of the case study lists what is checked."""
    (scenario,) = scenarios(algorithms="shipped-3.2.2")
    shown = re.findall(r"^\| `([\w-]+)` \|", (DOCS / "case-study.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert {item.name for item in scenario.properties if item.kind is not Kind.SOMETIMES} <= set(shown)


def test_case_study_has_every_algorithm() -> None:
    """So does the table of fixes; what they mend is the first one."""
    text = (DOCS / "case-study.md").read_text(encoding="utf-8")

    assert [] == [name for name in list(ALGORITHMS)[1:] if f"| `{name}` |" not in text]


def test_reference_has_every_key_of_the_document(tutorial: dict[str, Any]) -> None:
    """The example document has the keys of a real one, in their order."""
    (shown,) = [body for body in fences(REFERENCE, "json") if '"results"' in body]
    real = list(dict.fromkeys(keys(build_document([tutorial["result"]]))))

    assert real == list(dict.fromkeys(re.findall(r'"(\w+)":', shown)))


# --- Links -------------------------------------------------------------------------------------------


def anchor(title: str) -> str:
    """Return the anchor of a heading, as Sphinx and code hosts make it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def links() -> list[Any]:
    """Return every link that leads to a file of the checkout."""
    return [
        pytest.param(path, match["target"], id=f"{path.stem}: {match['target']}")
        for path in PAGES
        for match in _LINK.finditer(_BLOCK.sub("", path.read_text(encoding="utf-8")))
        if "://" not in match["target"]
    ]


@pytest.mark.parametrize(("path", "target"), links())
def test_links_lead_somewhere(path: Path, target: str) -> None:
    """The file is there, and so is the heading."""
    name, _, heading = target.partition("#")
    file = path.parent / name if name else path

    assert file.exists()
    if heading:
        assert heading in [anchor(match["title"]) for match in _HEADING.finditer(file.read_text(encoding="utf-8"))]
