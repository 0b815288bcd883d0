"""The modes in which clients used the database, whatever the scenario says: read from what was learned of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from treadle.client.tree import Node
from treadle.values.operation import RUNS_SQL, Kind, Operation

_SETS_JOURNAL = re.compile(r"\bjournal_mode\s*[=(]\s*[\"']?(\w+)", re.IGNORECASE)
_BEGINS = re.compile(r"\s*BEGIN\b\s*(IMMEDIATE|EXCLUSIVE)?", re.IGNORECASE)

_NO_LEVEL = "isolation_level=None"
_OFF = "autocommit-off"

_Modes = dict[int, str]
"""How each connection begins its transactions."""


def journal_of(roots: Iterable[Node], declared: str) -> str:
    """Return the journal mode, and those that clients set beside it.

    Args:
        roots: where the histories of clients begin.
        declared: what the scenario says.
    """
    texts = [node.operation.sql or "" for root in roots for node in _below(root) if node.operation is not None]
    found = {match.group(1).lower() for match in map(_SETS_JOURNAL.search, texts) if match}
    return ", then ".join([declared, *sorted(found - {declared})])


def transactions_of(roots: Iterable[Node], declared: str) -> str:
    """Return the transaction mode that the clients' connections had when they ran statements.

    Args:
        roots: where the histories of clients begin.
        declared: what the scenario says; so it is where no client ran any.
    """
    found: dict[str, None] = {}
    begins: set[str] = set()
    queue: list[tuple[Node, _Modes]] = [(root, {}) for root in roots]
    while queue:
        node, modes = queue.pop()
        operation = node.operation
        if operation is not None:
            modes = _after(modes, operation)
            if operation.kind in RUNS_SQL:
                found[modes.get(operation.connection, declared)] = None
                match = _BEGINS.match(operation.sql or "")
                if match:
                    begins.add("immediate" if match.group(1) else "begin")
        queue += [(child, modes) for child in node.children.values()]
    return " and ".join(sorted({_named(mode, begins) for mode in found})) or declared


def _below(root: Node) -> Iterator[Node]:
    queue = [root]
    while queue:
        node = queue.pop()
        yield node
        queue += node.children.values()


def _after(modes: _Modes, operation: Operation) -> _Modes:
    """Return the modes after an operation that may set one."""
    if operation.kind is Kind.CONNECT:
        options: dict[str, Any] = dict(operation.arguments)
        mode = _of_level(options.get("isolation_level", ""))
        if "autocommit" in options:
            mode = _of_autocommit(options["autocommit"], mode)
        return {**modes, operation.connection: mode}
    if operation.kind is Kind.CONFIGURE and operation.arguments[0] == "isolation_level":
        return {**modes, operation.connection: _of_level(operation.arguments[1])}
    if operation.kind is Kind.CONFIGURE and operation.arguments[0] == "autocommit":
        mode = _of_autocommit(operation.arguments[1], modes.get(operation.connection, "legacy"))
        return {**modes, operation.connection: mode}
    return modes


def _of_level(level: object) -> str:
    if level is None:
        return _NO_LEVEL
    return "legacy" if str(level).upper() in {"", "DEFERRED"} else f"legacy {str(level).upper()}"


def _of_autocommit(value: object, legacy: str) -> str:
    if isinstance(value, bool):
        return "autocommit=True" if value else _OFF
    return legacy


def _named(mode: str, begins: set[str]) -> str:
    """Return what a mode is called: with no level of the driver's, the statements say how transactions begin."""
    return " and ".join(sorted(begins)) if mode == _NO_LEVEL and begins else mode
