"""Daemons, stores, raw sqlite3 and migrations as people write them: the defect is found, and its repair holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def _checked(target: str, folder: Path) -> dict[str, tuple[str, bool]]:
    """Check a target in a process of its own; return the verdict of each scenario, and whether it is exhausted."""
    files = {
        "MAIL_URL": f"sqlite:///{folder / 'mail.db'}",
        "LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "COUPONS_DB": str(folder / "coupons.db"),
        "NOTES_URL": f"sqlite:///{folder / 'notes.db'}",
    }
    command = [sys.executable, "-m", "treadle", "check", f"tests.applications.checks_of_daemons:{target}"]
    done = subprocess.run(
        [*command, "--format", "json"],
        cwd=CHECKOUT,
        env={**os.environ, **files, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr), done.stderr
    results = json.loads(done.stdout)["results"]
    return {one["scenario"]: (one["properties"][0]["verdict"], one["exhausted"]) for one in results}


@pytest.mark.parametrize(
    ("target", "broken", "mended"),
    [
        ("mail", "mail/hasty", "mail/claimed"),
        ("ledger", "ledger/read", "ledger/atomic"),
        ("coupons", "coupons/read", "coupons/at-once"),
        ("notes", "notes/migrate", "notes/one-by-one"),
    ],
)
def test_the_defect_is_found_and_its_repair_holds(target: str, broken: str, mended: str, tmp_path: Path) -> None:
    """Nothing of the application is changed for it, and its file is not made."""
    verdicts = _checked(target, tmp_path)
    assert {broken: ("violated", True), mended: ("holds", True)} == verdicts
    assert [] == list(tmp_path.iterdir())


def test_the_file_of_the_application_is_not_changed(tmp_path: Path) -> None:
    """What opens its store when it is imported does not open a file that is there, either."""
    file = tmp_path / "ledger.db"
    file.write_bytes(b"not even a database")
    assert "violated" in {verdict for verdict, _ in _checked("ledger", tmp_path).values()}
    assert [file] == list(tmp_path.iterdir())
    assert b"not even a database" == file.read_bytes()
