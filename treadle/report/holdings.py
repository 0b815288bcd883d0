"""Holdings: who holds which lock, and who waits, as the events of a trace go by."""

from __future__ import annotations

from attrs import define, field

from treadle.values.operation import Kind
from treadle.values.trace import Event

HOUSEKEEPING = frozenset({Kind.ANSWER, Kind.END_ROWS, Kind.CONNECT, Kind.CONFIGURE, Kind.CLOSE_CURSOR, Kind.CLOSE})
"""What a driver or a connection pool does on a client's behalf."""

_STRENGTH = {"none": 0, "waits": 1, "read": 2, "write": 3}


@define
class Connection:
    """What is known of one connection of one client.

    Attributes:
        held: its lock.
        in_transaction: whether it is in a transaction.
        last: the last operation that was no housekeeping.
    """

    held: str = "none"
    in_transaction: bool = False
    last: Kind | None = None


@define
class Holdings:
    """What each client holds after the events that have passed.

    Attributes:
        clients: the names of all clients.
    """

    clients: tuple[str, ...]
    _connections: dict[tuple[int, int], Connection] = field(factory=dict, init=False)
    _waiting: dict[int, tuple[str, ...]] = field(factory=dict, init=False)

    def let_pass(self, event: Event) -> None:
        """Take note of an event."""
        self._waiting.pop(event.client, None)
        if event.operation is None:
            self._forget(event.client)
            return
        if event.waits:
            self._waiting[event.client] = event.holders
        state = self.connection(event)
        state.held = event.held_after
        if event.observation is not None:
            state.in_transaction = event.observation.in_transaction
            if event.operation.kind not in HOUSEKEEPING:
                state.last = event.operation.kind

    def _forget(self, crashed: int) -> None:
        for client, number in list(self._connections):
            if client == crashed:
                del self._connections[client, number]

    def connection(self, event: Event) -> Connection:
        """Return the connection that an operation is for."""
        assert event.operation is not None, "only a crash has no operation"
        return self._connections.setdefault((event.client, event.operation.connection), Connection())

    def waits_for(self, client: int) -> tuple[str, ...] | None:
        """Return the names of those for whom a client waits; None if it does not wait."""
        return self._waiting.get(client)

    def during(self, event: Event) -> tuple[str, ...]:
        """Return for each client the strongest of what it holds while an event happens."""
        here = [event.held_before, event.held_after, *(["waits"] if event.waits else [])]
        return tuple(
            self._strongest(client, here if client == event.client else []) for client in range(len(self.clients))
        )

    def of_holders(self, event: Event) -> str:
        """Return what those hold that an event was refused for."""
        held = {self._strongest(self.clients.index(name)) for name in event.holders if name in self.clients}
        if held == {"write"}:
            return "the write lock"
        return "a read lock" if held == {"read"} else "the lock"

    def _strongest(self, client: int, held: list[str] | None = None) -> str:
        own = [state.held for (owner, _), state in self._connections.items() if owner == client]
        waits = ["waits"] if client in self._waiting else []
        return max([*(held or []), *own, *waits], key=_STRENGTH.__getitem__, default="none")
