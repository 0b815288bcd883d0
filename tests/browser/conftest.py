"""A real browser, which is started once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

ROOT = Path(__file__).parents[2]

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)

_NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """Shows pages, and tells what they look like.

    Attributes:
        driver: Selenium's.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def show(self, address: str, *, width: int = 1280, dark: bool = False) -> None:
        """Load a page on a screen of this width, in pixels; without what was said of others."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.complaints()
        self.driver.get(address)

    def complaints(self) -> list[str]:
        """Return what the page has complained of since: errors of scripts, and what it could not load."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def ask(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        return self.driver.execute_script(f"return {expression}")

    def texts(self, selector: str) -> list[str]:
        """Return the texts of elements, as they are shown, without blank lines."""
        found = self.ask(f"[...document.querySelectorAll({selector!r})].map(one => one.innerText)")
        return [re.sub(r"\n+", "\n", text) for text in found]

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.driver.find_element("css selector", selector).click()

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    @property
    def overflows(self) -> bool:
        """Whether the page is wider than the screen."""
        return bool(self.ask("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    @property
    def ground(self) -> str:
        """The colour of the background."""
        return str(self.ask("getComputedStyle(document.body).backgroundColor"))

    @property
    def nameless(self) -> list[str]:
        """What can be operated, and has no name that a screen reader could say."""
        return [
            element.tag_name
            for element in self.driver.find_elements("css selector", "a, button, input, [tabindex='0']")
            if not element.accessible_name
        ]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start Chromium; without it, tests are skipped, unless TREADLE_BROWSER says that it is required."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        why = "needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("TREADLE_BROWSER") == "required":
            pytest.fail(f"TREADLE_BROWSER=required: {why}")
        pytest.skip(why)
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(executable_path=driver))
    try:
        yield Browser(chrome)
    finally:
        chrome.quit()


@pytest.fixture(scope="module")
def explored() -> Iterator[Callable[..., str]]:
    """Return what explores a TARGET and returns the address; all of them end with the module."""
    running: list[subprocess.Popen[str]] = []

    def explore(target: str, *options: str) -> str:
        command = [sys.executable, "-m", "treadle", "explore", target, *options]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield explore
    for process in running:
        process.terminate()
    for process in running:
        process.communicate(timeout=20)
