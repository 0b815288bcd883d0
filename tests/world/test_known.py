"""What is known, beside what the SQLite at hand has: another one brings a failing test, and no false verdict."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from treadle.world import known

_BETWEEN = rb"Savepoint\0AutoCommit\0.*?Abortable\0"
"""Where a library keeps the names of its opcodes; one that ends as another does may be stored as a part of that."""


def _driver(name: str) -> ModuleType:
    driver: ModuleType = pytest.importorskip(name)
    return driver


def _library(driver: ModuleType) -> bytes:
    """Return the bytes of the library that has the opcodes of a driver's SQLite."""
    extension = importlib.import_module("_sqlite3" if driver.__name__ == "sqlite3" else f"{driver.__name__}._sqlite3")
    if extension.__file__ is None:
        pytest.skip("this Python has SQLite in its own program")
    files = [Path(extension.__file__)]
    if sys.platform == "linux":
        linked = subprocess.run(["ldd", extension.__file__], capture_output=True, text=True, check=True).stdout
        files += [Path(path) for path in re.findall(r"=> (\S*libsqlite3\S*)", linked)]
    for file in files:
        found = file.read_bytes()
        if b"AutoCommit\0" in found:
            return found
    pytest.skip("no library with names of opcodes was found")


@pytest.mark.parametrize("name", ["sqlite3", "pysqlite3"])
def test_every_opcode_is_listed(name: str) -> None:
    """Known, or left unknown on purpose."""
    match = re.search(_BETWEEN, _library(_driver(name)), re.DOTALL)
    assert match is not None
    opcodes = {word.decode() for word in match[0].split(b"\0") if re.fullmatch(rb"[A-Z][A-Za-z0-9]+", word)}

    assert set() == opcodes - (known.INTERPRETED | known.INERT | known.UNKNOWN_OPCODES)
    assert 100 < len(opcodes)


@pytest.mark.parametrize("name", ["sqlite3", "pysqlite3"])
def test_every_function_is_listed(name: str) -> None:
    """Known, or left unknown on purpose."""
    listed = known.PURE_FUNCTIONS | known.CLOCK_FUNCTIONS | known.COUNTERS | known.DICE | known.UNKNOWN_FUNCTIONS
    assert set() == _listed(_driver(name), "function_list") - listed


@pytest.mark.parametrize("name", ["sqlite3", "pysqlite3"])
def test_every_module_is_listed(name: str) -> None:
    """Known, or left unknown on purpose."""
    assert set() == _listed(_driver(name), "module_list") - (known.PURE_TABLES | known.UNKNOWN_TABLES)


@pytest.mark.parametrize("name", ["sqlite3", "pysqlite3"])
def test_every_pragma_is_listed(name: str) -> None:
    """Known, or left unknown on purpose."""
    assert set() == _listed(_driver(name), "pragma_list") - (known.PRAGMAS.keys() | known.UNKNOWN_PRAGMAS)


def test_nothing_is_listed_twice() -> None:
    """What is known is not unknown."""
    assert set() == (known.INTERPRETED | known.INERT) & known.UNKNOWN_OPCODES
    assert set() == known.INTERPRETED & known.INERT
    assert set() == known.PRAGMAS.keys() & known.UNKNOWN_PRAGMAS
    assert set() == known.PURE_FUNCTIONS & (known.UNKNOWN_FUNCTIONS | known.COUNTERS | known.DICE)


def _listed(driver: ModuleType, pragma: str) -> set[str]:
    connection = driver.connect(":memory:")
    try:
        return {row[0].lower() for row in connection.execute(f"PRAGMA {pragma}")}
    finally:
        connection.close()
