from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.report import bank
from tests.report.hostile import hostile, unseen
from treadle import cli
from treadle.checking import check
from treadle.exploring.drawing import render_page, render_svg
from treadle.exploring.learned import Learned
from treadle.exploring.mapping import Map, map_of
from treadle.scenario import Scenario

ROOT = Path(__file__).parents[2]
BANK = "tests.report.bank:surprising"
SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli.cli, list(arguments), prog_name="treadle")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Return the bank that loses updates."""
    return bank.surprising()


@pytest.fixture(scope="module")
def found(scenario: Scenario) -> Map:
    """Return its states."""
    with Learned(scenario) as learned:
        return map_of(learned)


class TestAMap:
    def test_has_the_states_that_a_search_visits(self, scenario: Scenario, found: Map) -> None:
        """And what a check finds broken is broken there."""
        result = check(scenario, challenges=0, challenge=0.0)
        assert (result.stats.states, result.stats.transitions) == (len(found.places), len(found.arcs))
        assert {"no-lost-update"} == {name for place in found.places for name in place.broken}

    def test_tells_how_it_ends(self, found: Map) -> None:
        """Nothing can happen any more where both have ended, and there alone."""
        assert [place.final for place in found.places] == [None not in place.outcomes for place in found.places]
        assert {0} == set(range(len(found.places))) - {arc.target for arc in found.arcs}

    def test_tells_who_did_what(self, found: Map) -> None:
        """Each edge has one client, what others could notice of it, and all that was done."""
        firsts = [(arc.client, arc.label, arc.operations[0]) for arc in found.arcs if arc.source == 0]
        assert [(0, "SELECT", "connect"), (1, "SELECT", "connect")] == firsts
        assert {"SELECT", "UPDATE", "UPDATE waits", "COMMIT"} == {arc.label for arc in found.arcs}


class TestADrawing:
    def test_is_a_document_with_every_state_and_edge(self, scenario: Scenario, found: Map) -> None:
        """Those that are broken or final are told apart."""
        root = ET.fromstring(render_svg(scenario, found).encode())  # noqa: S314  # our own
        groups = [group.get("class", "").split() for group in root.iter(f"{SVG}g")]
        states = [kind for kind in groups if kind[0] == "state"]
        assert len(found.places) == len(states)
        assert sum(place.final for place in found.places) == sum("final" in kind for kind in states)
        assert sum(bool(place.broken) for place in found.places) == sum("broken" in kind for kind in states)
        labels = [text.text for group in root.iter(f"{SVG}g") for text in group.iter(f"{SVG}text")]
        assert len(found.places) + len(found.arcs) == len(labels)
        assert "A SELECT" in labels

    def test_is_harmless(self) -> None:
        """Whatever names and values have in them."""
        scenario = hostile()
        with Learned(scenario) as learned:
            found = map_of(learned)
        svg, page = render_svg(scenario, found), render_page(scenario, found)
        ET.fromstring(svg.encode())  # noqa: S314  # our own
        assert (set(), set()) == (unseen(svg), unseen(page))
        assert (1, "<link=" in page) == (page.count("<script"), False)


def shape(document: str) -> dict[str, int]:
    """Return how often each text and each class stands in a drawing, without what is told of it."""
    root = ET.fromstring(document.encode())  # noqa: S314  # our own
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    return Counter([*texts, *(group.get("class", "") for group in root.iter(f"{SVG}g"))])


class TestTheCommand:
    def test_draws_what_the_documentation_shows(self) -> None:
        """The same states and edges."""
        shown = (ROOT / "docs" / "_static" / "states.svg").read_text(encoding="utf-8")
        drawn = run("graph", "properties.systems.scenarios:scenarios", "-k", "lost-update/buggy").stdout
        assert shape(shown) == shape(drawn)

    def test_writes_what_the_file_says(self, tmp_path: Path) -> None:
        """A page, or a document; without a file, the document on stdout."""
        page, document = tmp_path / "bank.html", tmp_path / "bank.svg"
        for path in (page, document):
            done = run("graph", BANK, "-o", str(path))
            assert (0, "") == (done.exit_code, done.stdout)
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert document.read_text(encoding="utf-8") == run("graph", BANK).stdout

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--max-states", "25"], "has more than 25 states"),
            (["--max-states", "0"], "is not a whole number, at least 1"),
            (["-o", "bank.png"], "ends with .svg or .html"),
            (["-o", "no/such/directory/bank.svg"], "cannot be written"),
        ],
    )
    def test_says_what_is_not_right(self, arguments: list[str], said: str) -> None:
        """In one message, with the remedy."""
        done = run("graph", BANK, *arguments)
        assert (2, "") == (done.exit_code, done.stdout)
        assert said in " ".join(done.stderr.split())

    def test_needs_one_scenario(self) -> None:
        """Of several, -k keeps one."""
        assert 2 == run("graph", "tests.report.bank:both").exit_code
        assert 0 == run("graph", "tests.report.bank:both", "-k", "bank/fixed").exit_code
