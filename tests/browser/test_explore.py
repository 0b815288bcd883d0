from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Browser
from tests.report import bank
from treadle.checking import replay


@pytest.fixture(scope="module")
def site(explored: Callable[..., str]) -> str:
    """Return the address of the bank that loses updates, with a fault of each kind."""
    return explored("tests.report.bank:surprising", "--faults", "locked=1")


@pytest.fixture(scope="module")
def wild(explored: Callable[..., str]) -> str:
    """Return the address of a scenario whose every text is hostile."""
    return explored("tests.report.hostile:hostile")


def here(browser: Browser) -> str:
    """Return the schedule in the address."""
    return browser.driver.current_url.rpartition("/")[2]


def choice(client: str, label: str) -> str:
    """Return what selects a choice of a client."""
    return f".driver a[aria-label='{client}: {label}']"


class TestExploring:
    def test_begins_at_the_start(self, browser: Browser, site: str) -> None:
        """Nobody has started, and the rows of the seed are there."""
        browser.show(site)
        assert ("t1", ["1", "100"]) == (here(browser), browser.texts("#tables td"))
        assert ["A = atm-1\nhas not started\nconnect\nStep a\nOne operation A"] == browser.texts(".driver")[:1]
        assert [] == browser.complaints()

    def test_steps_fails_and_goes_back(self, browser: Browser, site: str) -> None:
        """By clicks; each leads to an address."""
        browser.show(site)
        browser.click(choice("A", "Step"))
        assert "t1.A6" == here(browser)
        assert 1 == len(browser.texts("li.entry"))
        browser.click(choice("A", "Fail: database is locked"))
        assert "t1.A6.A-locked" == here(browser)
        assert "✗ database is locked" in browser.texts("li.entry")[-1]
        browser.click(choice("A", "Step"))
        assert browser.texts(".driver")[0].startswith("A = atm-1\nhas ended\nraised OperationalError")
        browser.click("#undo")
        assert "t1.A6.A-locked" == here(browser)
        browser.driver.back()
        assert browser.texts(".driver")[0].startswith("A = atm-1\nhas ended")
        assert [] == browser.complaints()

    def test_is_driven_by_keys(self, browser: Browser, site: str) -> None:
        """A letter steps its client, a capital letter takes one operation, and Backspace goes back."""
        browser.show(site)
        for key, there in (("a", "t1.A6"), ("b", "t1.A6.B6"), ("B", "t1.A6.B7"), (Keys.BACKSPACE, "t1.A6")):
            browser.press(key)
            assert there == here(browser)

    def test_finds_a_violation_from_here(self, browser: Browser, site: str) -> None:
        """And the way there can be gone, and looked at step by step."""
        browser.show(f"{site}t1.A6")
        browser.click("#find")
        browser.click("#found a")
        assert ["no-lost-update is broken\nthe balance is 89, and should be 77"] == browser.texts("#broken")
        assert "✗ no-lost-update is broken" in browser.texts("li.entry")[-1]
        assert ["8 of 8"] == browser.texts("#where")  # each reads, writes, commits and returns
        for _ in range(5):
            browser.press(Keys.ARROW_LEFT)
        assert (["3 of 8"], "100") == (browser.texts("#where"), browser.texts("#tables td")[-1])

    def test_leads_back_by_its_address_and_replays(self, browser: Browser, site: str) -> None:
        """A schedule in the address, or typed, leads to the same state; so does what the page says to replay."""
        browser.show(f"{site}t1.A6.B9.A3")
        rows, token = browser.texts("#tables td"), browser.texts("#token")[0]
        browser.show(f"{site}")
        field = browser.driver.find_element("css selector", "input[name=at]")
        field.clear()
        field.send_keys("t1.A6.B9.A3", Keys.ENTER)
        assert (rows, [token], "t1.A6.B9.A3") == (browser.texts("#tables td"), browser.texts("#token"), here(browser))
        again = replay(bank.surprising(), token)
        assert (token, None) == (again.schedule.token, again.parting)

    def test_says_what_cannot_be_done(self, browser: Browser, site: str) -> None:
        """With a way back."""
        browser.show(f"{site}t1.A6/C")
        assert "choice C1 is not possible" in browser.texts("[role=alert]")[0]
        browser.click("a")
        assert "t1" == here(browser)

    def test_fits_a_phone_in_light_and_dark(self, browser: Browser, site: str, wild: str) -> None:
        """Whatever is in it."""
        grounds = set()
        for dark in (False, True):
            for address in (f"{site}t1.A6.B9/find", f"{wild}t1.A90.B90.C90"):
                browser.show(address, width=360, dark=dark)
                assert not browser.overflows
                grounds.add((dark, browser.ground))
        assert {(False, "rgb(255, 255, 255)"), (True, "rgb(13, 17, 23)")} == grounds

    def test_can_be_read_aloud(self, browser: Browser, site: str) -> None:
        """Whatever can be operated has a name, and each client's choices say whose they are."""
        browser.show(f"{site}t1.A6/find")
        assert [] == browser.nameless
        assert ["A: Step", "A: One operation", "A: Fail: database is locked"] == browser.ask(
            "[...document.querySelectorAll('.driver:first-child a')].map(one => one.ariaLabel)"
        )

    def test_shows_what_is_hostile_as_text(self, browser: Browser, wild: str) -> None:
        """It makes no element, and runs nothing."""
        browser.show(f"{wild}t1.A90.B90.C90/find")
        assert 2 == browser.ask("document.scripts.length")
        assert 0 == browser.ask("document.querySelectorAll('main b, main img, main iframe, main link').length")
        assert [] == browser.complaints()
