from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.test import Client, TestResponse

from tests.report import bank
from tests.report.hostile import hostile, unseen
from treadle import cli
from treadle.exploring.learned import Learned
from treadle.exploring.serving import Desk, Explorer
from treadle.values.errors import TreadleError

ROOT = Path(__file__).parents[2]


class Here(Desk):
    """Does at once what is asked for."""

    def ask(self, work: Callable[[], str]) -> str:
        return work()


class Site:
    """The pages of a scenario, without a server."""

    def __init__(self, learned: Learned) -> None:
        self.explorer = Explorer(learned, Here(print), lambda token: f"treadle replay {token}")
        self.client = Client(self.explorer)

    def get(self, path: str, **more: object) -> TestResponse:
        """Ask for what is below the secret."""
        return self.client.get(f"/{self.explorer.secret}/{path}", base_url="http://127.0.0.1", **more)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Return the pages of the bank that loses updates."""
    with Learned(bank.surprising()) as learned:
        yield Site(learned)


class TestPages:
    def test_are_for_who_has_the_secret(self, site: Site) -> None:
        """Whoever has not is told nothing."""
        for path in ("/", "/favicon.ico", "/other/", "/other/t1", "/other/t1/A", "/other/t1/find"):
            found = site.client.get(path, base_url="http://127.0.0.1")
            assert (404, b"404 Not Found\n") == (found.status_code, found.data)
        assert 16 <= len(site.explorer.secret)
        assert site.explorer.secret != Explorer(site.explorer.learned, site.explorer.desk, str).secret

    def test_are_for_this_machine(self, site: Site) -> None:
        """A name that somebody else has let lead here does not."""
        assert 400 == site.client.get(f"/{site.explorer.secret}/t1", base_url="http://evil.example").status_code

    def test_are_only_read(self, site: Site) -> None:
        """There is nothing to post."""
        path = f"/{site.explorer.secret}/t1"
        assert 405 == site.client.post(path, base_url="http://127.0.0.1").status_code

    def test_have_headers_that_keep_them_to_themselves(self, site: Site) -> None:
        """No frame, no referrer, nothing from elsewhere."""
        headers = site.get("t1").headers
        assert ("no-store", "no-referrer") == (headers["Cache-Control"], headers["Referrer-Policy"])
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]

    def test_of_the_start(self, site: Site) -> None:
        """All rows, and a choice of each client."""
        assert f"/{site.explorer.secret}/t1" == site.get("").headers["Location"]
        text = site.get("t1").text
        for path in ("t1/A", "t1/A1", "t1/B", "t1/find"):
            assert f'href="/{site.explorer.secret}/{path}"' in text
        assert ">100</td>" in text
        assert 'id="undo"' not in text

    def test_of_choices_lead_to_addresses(self, site: Site) -> None:
        """A step leads to where it leads, and back from there."""
        assert f"/{site.explorer.secret}/t1.A6" == site.get("t1/A").headers["Location"]
        text = site.get("t1.A6.B9").text
        assert f'id="undo" href="/{site.explorer.secret}/t1.A6"' in text
        assert "balance 100 → 88" in text
        assert re.search(r"treadle replay t2\.A6\.B9\.[0-9a-z]+<", text)

    def test_of_a_search_lead_to_what_it_found(self, site: Site) -> None:
        """Where the property is broken."""
        found = re.search(r'no-lost-update: <a href="([^"]+)">', site.get("t1/find").text)
        assert found is not None
        text = site.client.get(found[1], base_url="http://127.0.0.1").text
        assert "no-lost-update is broken" in text
        assert "the balance is 89, and should be 77" in text

    def test_take_a_schedule(self, site: Site) -> None:
        """As a report tells it, with what was done; another one is warned of."""
        token = re.search(r'id="token">([^<]+)<', site.get("t1.A6").text)
        assert token is not None
        assert f"/{site.explorer.secret}/{token[1]}" == site.get(f"t1?at={token[1]}").headers["Location"]
        assert 'role="alert"' not in site.get(token[1]).text
        assert 'role="alert"' in site.get("t1.A90.B1").text

    @pytest.mark.parametrize(
        "path", ["x", "t1.A0", "t1.Z3", "t1/a", "t1/A2", "t1/ABCDE", "t1/A-locked", "t1/C", "t9.A1"]
    )
    def test_say_what_is_not_right(self, site: Site, path: str) -> None:
        """With a way back to the start."""
        found = site.get(path)
        assert (400, True) == (found.status_code, f'href="/{site.explorer.secret}/t1"' in found.text)

    def test_are_harmless(self) -> None:
        """Whatever names and values have in them."""
        with Learned(hostile()) as learned:
            site = Site(learned)
            for path in ("t1", "t1.A90.B90.C90", "t1/find", "%3Cb%3E%1B"):
                text = site.get(path).text
                assert (set(), False) == (unseen(text), "<b>" in text)

    def test_say_what_cannot_be_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the next request fares better."""
        with Learned(bank.surprising()) as learned:
            site = Site(learned)
            monkeypatch.setattr("treadle.exploring.serving.position", fail_with(LookupError("no <b>schema</b>")))
            found = site.get("t1")
            assert (500, True) == (found.status_code, "LookupError: no &lt;b&gt;schema" in found.text)
            monkeypatch.undo()
            assert 200 == site.get("t1").status_code


def fail_with(error: Exception) -> Callable[..., str]:
    """Return a function that raises."""

    def fail(*_: object) -> str:
        raise error

    return fail


class TestTheDesk:
    def test_lets_one_thread_do_what_others_ask_for(self) -> None:
        """Whoever asks gets what came of it; what nobody had thought of is told, and Ctrl-C ends it for all."""
        told: list[str] = []
        got: list[object] = []
        desk = Desk(told.append)

        def ask() -> None:
            for work in (lambda: threading.current_thread().name, fail_with(LookupError("odd")), interrupted):
                try:
                    got.append(desk.ask(work))
                except Exception as error:  # noqa: BLE001  # what it is, is compared
                    got.append(error)

        def interrupted() -> str:
            raise KeyboardInterrupt

        thread = threading.Thread(target=ask)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            desk.serve()
        thread.join()
        assert ("MainThread", [str, LookupError, TreadleError]) == (got[0], [type(one) for one in got])
        assert [True] == ["LookupError: odd" in text for text in told]


class TestTheCommand:
    def test_ends_with_ctrl_c_and_leaves_nothing(self, tmp_path: Path) -> None:
        """It serves on this machine only, and is gone then, with its processes and files."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-m", "treadle", "explore", "tests.report.bank:surprising"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/[\w-]{16,}/", address)
                with urllib.request.urlopen(f"{address}t1") as page:  # noqa: S310  # our own
                    assert 200 == page.status
                family = children(process.pid)
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
            finally:
                process.kill()
        assert family
        assert (0, True) == (process.returncode, said.endswith("ended\n"))
        assert "Traceback" not in said
        ended = time.monotonic() + 5
        while any(map(alive, family)) and time.monotonic() < ended:
            time.sleep(0.02)
        assert [] == [pid for pid in family if alive(pid)]
        assert [] == [*tmp_path.iterdir(), *sandboxes(process.pid)]

    def test_names_the_extra_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In one message."""
        monkeypatch.setitem(sys.modules, "werkzeug.exceptions", None)
        monkeypatch.setitem(sys.modules, "werkzeug", None)
        monkeypatch.delitem(sys.modules, "treadle.exploring.serving", raising=False)
        done = CliRunner().invoke(cli.cli, ["explore", "tests.report.bank:surprising"], prog_name="treadle")
        assert (2, "") == (done.exit_code, done.stdout)
        assert "pip install 'treadle[explore]'" in done.stderr

    def test_says_what_cannot_be_run(self) -> None:
        """Before anything is served."""
        done = CliRunner().invoke(cli.cli, ["explore", "tests.report.hostile:unmade"], prog_name="treadle")
        assert (2, "") == (done.exit_code, done.stdout)


def children(pid: int) -> list[int]:
    """Return the processes below one: main threads start them, and other threads come and go."""
    try:
        found = list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:  # it has ended by now
        return []
    return [*found, *(one for child in found for one in children(child))]


def alive(pid: int) -> bool:
    """Tell whether a process is there, and does not only wait to be counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def sandboxes(pid: int) -> list[Path]:
    """Return the private directories of a process."""
    return list(Path("/dev/shm").glob(f"treadle-{pid}-*"))  # noqa: S108  # where they are
