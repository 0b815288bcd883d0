"""The page about public packages: what it says of SQLAlchemy, and that its scripts are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WILD = ROOT / "docs" / "wild"
PAGE = ROOT / "docs" / "found-in-the-wild.md"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=WILD,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_script_is_named() -> None:
    """And every script that is named is there."""
    named = set(re.findall(r"`(\w+\.py)`", PAGE.read_text(encoding="utf-8")))
    assert {path.name for path in WILD.glob("*.py")} == named


def test_a_retry_commits_both() -> None:
    """The checker says so, and so do real connections."""
    checked = _run("-m", "treadle", "check", "sqlalchemy_pool:scenario")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ordered-once" in checked.stdout
    plain = _run("sqlalchemy_pool_plain.py")
    assert plain.returncode == 1, plain.stderr
    assert "there are 2 books" in plain.stdout
    assert not (WILD / "orders.db").exists()
