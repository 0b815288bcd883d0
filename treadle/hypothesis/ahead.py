"""What one client does next if nobody comes between: the places that a rule can name.

::

    ● ──edge──▶ SELECT ──edge──▶ SAVEPOINT 1 of 2 ──edge──▶ SAVEPOINT 2 of 2 ──edge──▶ the end
                                        └──locked──▶              └──locked──▶

A turn takes some of the edges. A fault takes those up to its place, and strikes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import field, frozen

from treadle.execution.state import LocalState, State
from treadle.execution.taken import Edge
from treadle.values.fault import Fault
from treadle.values.operation import Operation
from treadle.values.schedule import Choice, Fail, Step

END = "the end"
"""The place of a client that has finished."""

Edges = tuple[Edge, ...]

Choices = Callable[[State], tuple[Choice, ...]]
"""Returns what may happen in a state."""

Run = Callable[[State, Choice], Edge]
"""Does a choice, and goes on to the client's next scheduling point."""


@frozen
class Ahead:
    """What a client may do next, each by the name of the place that it leads to.

    Attributes:
        turns: where it can go on to, the nearest place first.
        reachable: where a ``locked`` fault may strike that SQLite could really return.
        adversarial: where one may strike that it could not.
        crashes: where its process may die.
    """

    turns: dict[str, Edges] = field(factory=dict)
    reachable: dict[str, Edges] = field(factory=dict)
    adversarial: dict[str, Edges] = field(factory=dict)
    crashes: dict[str, Edges] = field(factory=dict)


def look_ahead(state: State, client: int, choices: Choices, run: Run) -> Ahead:
    """Return what a client may do next.

    Args:
        state: where it stands.
        client: its position.
        choices: tells what may happen.
        run: does it.
    """
    edges = tuple(_undisturbed(state, client, choices, run))
    states = [state, *(edge.after for edge in edges)]
    places = _places([there.locals[client] for there in states])
    found = Ahead()
    for count, (there, place) in enumerate(zip(states, places, strict=True)):
        if count:
            found.turns[place] = edges[:count]
        for choice in choices(there):
            if isinstance(choice, Fail) and choice.client == client and choice != _next(there, client, choices):
                last = run(there, choice)
                _kind(found, choice.fault, last)[place] = (*edges[:count], last)
    return found


def _kind(found: Ahead, fault: Fault, edge: Edge) -> dict[str, Edges]:
    if fault is Fault.CRASH:
        return found.crashes
    return found.adversarial if edge.adversarial else found.reachable


def _next(state: State, client: int, choices: Choices) -> Choice | None:
    """Return what a client does next by itself: it steps, or waits no longer where all wait."""
    possible = choices(state)
    if Step(client) in possible:
        return Step(client)
    return possible[0] if possible and isinstance(possible[0], Fail) and possible[0].client == client else None


def _undisturbed(state: State, client: int, choices: Choices, run: Run) -> Iterator[Edge]:
    """Yield what a client does until it ends, or waits for others."""
    choice = _next(state, client, choices)
    while choice is not None:
        edge = run(state, choice)
        yield edge
        state = edge.after
        choice = _next(state, client, choices)


def _places(standing: list[LocalState]) -> list[str]:
    """Return the names of the places at which a client stands, one after another, each of which differs."""
    words = [_word(node.operation) for node in standing[-1].node.history() if node.operation is not None]
    found: list[str] = []
    for local in standing:
        place = END if local.ended else _numbered(words, local.node.depth)
        if local.wait is not None:
            place += ", waiting"
        again = sum(other == place or other.startswith(f"{place}, again") for other in found)
        found.append(f"{place}, again {again}" if again else place)
    return found


def _numbered(words: list[str], depth: int) -> str:
    """Return which of the operations that read alike is the one at this depth, as "SAVEPOINT 2 of 3"."""
    word = words[depth]
    total = words.count(word)
    return word if total == 1 else f"{word} {words[: depth + 1].count(word)} of {total}"


def _word(operation: Operation) -> str:
    """Return what an operation is called: the first word of its statement, or the name of the call."""
    text = str(operation)
    return text.split(maxsplit=1)[0].rstrip(";").upper() if operation.sql and text.split() else text
