"""The modes in which clients used the database, whatever the scenario says: read from what was learned of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field

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
    used = _Used()
    queue: list[tuple[Node, _Modes]] = [(root, {}) for root in roots]
    while queue:
        node, modes = queue.pop()
        if node.operation is not None:
            modes = used.after(modes, node.operation)
        queue += [(child, modes) for child in node.children.values()]
    return used.named() or declared


def transactions_in(operations: Iterable[Operation]) -> str:
    """Return the transaction mode that connections had in one run; an empty text where it ran no statement."""
    used = _Used()
    modes: _Modes = {}
    for operation in operations:
        modes = used.after(modes, operation)
    return used.named()


@define
class _Used:
    """How statements were run: the modes of their connections, and the ways in which they began transactions."""

    modes: set[str] = field(factory=set)
    begins: set[str] = field(factory=set)

    def after(self, modes: _Modes, operation: Operation) -> _Modes:
        """Note an operation, and return the modes after it."""
        modes = _after(modes, operation)
        if operation.kind in RUNS_SQL:
            self.modes.add(modes.get(operation.connection, "legacy"))
            match = _BEGINS.match(operation.sql or "")
            if match:
                self.begins.add("immediate" if match.group(1) else "begin")
        return modes

    def named(self) -> str:
        """Return what the modes are called."""
        return " and ".join(sorted({_named(mode, self.begins) for mode in self.modes}))


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
