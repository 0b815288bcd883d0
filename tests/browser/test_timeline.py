from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Browser
from tests.report import bank
from tests.report.hostile import hostile
from treadle.checking import check
from treadle.report.tracefile import Around, cases_in
from treadle.report.webpage import render_webpage
from treadle.scenario import Scenario


def _written(scenario: Scenario, path: Path) -> str:
    (case,) = cases_in(check(scenario, challenges=0, challenge=0.0))
    path.write_text(render_webpage(case, Around("treadle replay TOKEN")), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the timeline of a lost update."""
    return _written(bank.surprising(), tmp_path_factory.mktemp("timeline") / "timeline.html")


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of one whose every text is hostile."""
    return _written(hostile(), tmp_path_factory.mktemp("wild") / "timeline.html")


def balance(browser: Browser) -> str:
    """Return the balance that is shown."""
    return browser.texts("#tables td")[-1]


class TestATimeline:
    def test_begins_at_the_end(self, browser: Browser, page: str) -> None:
        """With the rows that are left."""
        browser.show(page)
        assert (["6 of 6"], "89") == (browser.texts("#where"), balance(browser))
        assert [] == browser.complaints()

    def test_is_stepped_through_by_keys(self, browser: Browser, page: str) -> None:
        """Arrows move it to the start and back; the rows are those of each step."""
        browser.show(page)
        seen = []
        for _ in range(7):
            browser.press(Keys.ARROW_LEFT)
            seen.append((browser.texts("#where")[0], balance(browser)))
        before = [f"{step} of 6" for step in (5, 4, 3, 2, 1)]
        assert [
            *zip(before, ["88", "88", "100", "100", "100"], strict=True),
            ("start", "100"),
            ("start", "100"),
        ] == seen
        browser.press(Keys.ARROW_RIGHT)
        assert ["1 of 6"] == browser.texts("#where")
        assert 1 == browser.ask("document.querySelectorAll('li.entry[aria-current=step]').length")
        assert 5 == browser.ask("document.querySelectorAll('li.entry.later').length")

    def test_is_stepped_through_by_the_slider_and_its_buttons(self, browser: Browser, page: str) -> None:
        """The slider takes arrows when it has the focus; each button moves one step, and an entry to itself."""
        browser.show(page)
        browser.ask("document.getElementById('slider').focus()")
        browser.press(Keys.HOME)
        assert ["start"] == browser.texts("#where")
        browser.press(Keys.ARROW_RIGHT)
        assert ["1 of 6"] == browser.texts("#where")
        browser.click("#on")
        assert ["2 of 6"] == browser.texts("#where")
        browser.click("#back")
        assert ["1 of 6"] == browser.texts("#where")
        browser.click("li.entry:nth-of-type(5)")
        assert ["4 of 6"] == browser.texts("#where")
        assert 1 == browser.ask("document.querySelectorAll('#tables tr.new').length")

    def test_fits_a_phone(self, browser: Browser, page: str, wild: str) -> None:
        """Whatever is in it; nothing can be scrolled sideways but what is in a frame of its own."""
        for address in (page, wild):
            browser.show(address, width=360)
            assert not browser.overflows

    def test_is_dark_where_that_is_wanted(self, browser: Browser, page: str) -> None:
        """By what the system says."""
        browser.show(page)
        light = browser.ground
        browser.show(page, dark=True)
        assert ("rgb(255, 255, 255)", "rgb(13, 17, 23)") == (light, browser.ground)

    def test_can_be_read_aloud(self, browser: Browser, page: str) -> None:
        """Whatever can be operated has a name."""
        browser.show(page)
        assert [] == browser.nameless

    def test_shows_what_is_hostile_as_text(self, browser: Browser, wild: str) -> None:
        """It makes no element, and runs nothing; every step can be looked at."""
        browser.show(wild)
        elements = browser.ask("[...new Set([...document.querySelectorAll('*')].map(one => one.localName))].sort()")
        known = (
            "body button code div h1 h2 head html input li main meta ol output p script span strong style table tbody"
        )
        assert set() == set(elements) - {*known.split(), "td", "th", "thead", "title", "tr", "br"}
        assert 2 == browser.ask("document.scripts.length")
        for _ in range(browser.ask("entries.length")):
            browser.press(Keys.ARROW_LEFT)
        assert ["start"] == browser.texts("#where")
        assert [] == browser.complaints()
