from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.browser.conftest import Browser
from treadle import cli


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the addresses of drawings."""
    directory: Path = tmp_path_factory.mktemp("graph")
    targets = {"bank.html": "bank:surprising", "bank.svg": "bank:surprising", "wild.html": "hostile:hostile"}
    for name, target in targets.items():
        done = CliRunner().invoke(cli.cli, ["graph", f"tests.report.{target}", "-o", str(directory / name)])
        assert 0 == done.exit_code, done.output
    return {name: (directory / name).as_uri() for name in targets}


def test_page_shows_every_state(browser: Browser, drawn: dict[str, str]) -> None:
    """Inside of the drawing, none on another; the start is in view, and what is broken is red."""
    browser.show(drawn["bank.html"])
    assert [] == browser.complaints()
    boxes = browser.ask("[...document.querySelectorAll('.state circle:last-of-type')].map(one => one.getBBox())")
    assert 26 == len({(box["x"], box["y"]) for box in boxes})
    width, height = browser.ask(
        "[...['width', 'height']].map(name => document.querySelector('svg')[name].baseVal.value)"
    )
    assert all(0 < box["x"] < width - 26 and 0 < box["y"] < height - 26 for box in boxes)
    assert {"rgb(207, 34, 46)"} == set(
        browser.ask(
            "[...document.querySelectorAll('.broken > circle:not(.ring)')].map(one => getComputedStyle(one).fill)"
        )
    )
    assert 2 == len(browser.texts("li"))


def test_document_stands_alone(browser: Browser, drawn: dict[str, str]) -> None:
    """A browser shows it without complaint."""
    browser.show(drawn["bank.svg"])
    assert (26, []) == (browser.ask("document.querySelectorAll('.state').length"), browser.complaints())


@pytest.mark.parametrize("name", ["bank.html", "wild.html"])
def test_page_fits_a_phone_in_light_and_dark(browser: Browser, drawn: dict[str, str], name: str) -> None:
    """The drawing is scrolled in a frame of its own, which has a name."""
    for dark, ground in ((False, "rgb(255, 255, 255)"), (True, "rgb(13, 17, 23)")):
        browser.show(drawn[name], width=360, dark=dark)
        assert (False, ground, []) == (browser.overflows, browser.ground, browser.nameless)


def test_page_shows_what_is_hostile_as_text(browser: Browser, drawn: dict[str, str]) -> None:
    """It makes no element, and runs nothing."""
    browser.show(drawn["wild.html"])
    assert 1 == browser.ask("document.scripts.length")
    assert 0 == browser.ask("document.querySelectorAll('main b, main img, main iframe, main link, main a').length")
    assert [] == browser.complaints()
