"""Symmetry: clients that run the same code are interchangeable.

Of the states that differ only in which of them is where, one is visited (Clarke, Enders, Filkorn and Jha, "Exploiting
Symmetry in Temporal Logic Model Checking", 1996; Ip and Dill, "Better Verification through Symmetry", 1996). What is
*not* assumed is that properties cannot tell the names apart: the judge asks them under every naming.
docs/soundness.md argues why that is enough.

Clients are interchangeable if they run the same callable, or ``functools.partial`` objects of it with the same
arguments (equal, of the same type, and with the same ``repr``), and consume no randomness, which is seeded by a
client's name (the check starts over without symmetry if one does).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from functools import partial

from treadle.execution.state import State
from treadle.scenario import Client
from treadle.values.schedule import Fail, Schedule, Step

Renaming = tuple[int, ...]
"""For each client the position that it has under another naming."""


def _same(left: object, right: object) -> bool:
    """Tell whether two values are the same to any code: 1, 1.0 and True are equal, and are not."""
    return left is right or (type(left) is type(right) and left == right and repr(left) == repr(right))


def _same_code(left: Client, right: Client) -> bool:
    one, other = left.run, right.run
    if isinstance(one, partial) and isinstance(other, partial):
        return _same((one.func, one.args, one.keywords), (other.func, other.args, other.keywords))
    return _same(one, other)


def groups_of(clients: Sequence[Client], *, symmetry: bool = True) -> tuple[int, ...]:
    """Return for each client the position of the first one that runs the same code; without symmetry, its own."""
    if not symmetry:
        return tuple(range(len(clients)))
    return tuple(
        next(number for number, other in enumerate(clients) if _same_code(client, other)) for client in clients
    )


class Symmetry:
    """The renamings of interchangeable clients.

    Attributes:
        groups: for each client the number of its group.
    """

    def __init__(self, groups: tuple[int, ...]) -> None:
        """Let the clients of each group be interchangeable."""
        self.groups = groups
        members = [tuple(place for place, group in enumerate(groups) if group == one) for one in dict.fromkeys(groups)]
        self._members = tuple(places for places in members if len(places) > 1)
        self._all_alike = len(groups) > 1 and len(set(groups)) == 1
        self._arranged: dict[tuple[int, ...], tuple[Renaming, ...]] = {}

    @property
    def trivial(self) -> bool:
        """Whether there is nothing to rename."""
        return not self._members

    def canonical(self, state: State) -> Hashable:
        """Return what the states that differ only in names have in common, and no other state."""
        if not self._members:
            return state
        numbers = self.sorted([local.number for local in state.locals])
        return (numbers, state.content, state.locked, state.crash)

    def sorted(self, numbers: list[int]) -> tuple[int, ...]:
        """Return numbers, one for each client, sorted among interchangeable clients."""
        if self._all_alike:
            return tuple(sorted(numbers))
        for places in self._members:
            for place, number in zip(places, sorted([numbers[place] for place in places]), strict=True):
                numbers[place] = number
        return tuple(numbers)

    def renaming(self, state: State, other: State) -> Renaming | None:
        """Return how clients are to be renamed to make one state another; None if not at all.

        Args:
            state: a state.
            other: one with the same canonical form.
        """
        if state.locals == other.locals:
            return None
        found = list(range(len(self.groups)))
        for places in self._members:
            one = sorted(places, key=lambda place: state.locals[place].number)
            two = sorted(places, key=lambda place: other.locals[place].number)
            for here, there in zip(one, two, strict=True):
                found[here] = there
        return tuple(found)

    def arrangements(self, values: Sequence[Hashable]) -> tuple[Renaming, ...]:
        """Return renamings that lead to every distinct arrangement of the clients' values, each once.

        Args:
            values: one for each client.
        """
        numbers: dict[Hashable, int] = {}
        pattern = tuple([numbers.setdefault(value, len(numbers)) for value in values])
        found = self._arranged.get(pattern)
        if found is None:
            found = self._arranged[pattern] = tuple(self._arrangements(pattern))
        return found

    def _arrangements(self, values: tuple[int, ...]) -> Iterator[Renaming]:
        seen = set()
        choices = [list(itertools.permutations(places)) for places in self._members]
        for combination in itertools.product(*choices):
            found = list(range(len(self.groups)))
            for places, order in zip(self._members, combination, strict=True):
                for here, there in zip(places, order, strict=True):
                    found[here] = there
            arranged = tuple(values[there] for there in found)
            if arranged not in seen:
                seen.add(arranged)
                yield tuple(found)

    def renamed(self, schedule: Schedule) -> Iterator[Schedule]:
        """Yield a schedule under every naming; first those in which clients appear in alphabetical order."""
        order = list(dict.fromkeys(choice.client for choice in schedule.choices))
        first = list(range(len(self.groups)))
        for places in self._members:
            met = [client for client in order if client in places]
            rest = [client for client in places if client not in met]
            for client, place in zip([*met, *rest], places, strict=True):
                first[client] = place
        for naming in self.arrangements(range(len(self.groups))):
            mapping = [naming[place] for place in first]
            yield Schedule(
                tuple(
                    Step(mapping[choice.client], choice.operations)
                    if isinstance(choice, Step)
                    else Fail(mapping[choice.client], choice.fault)
                    for choice in schedule.choices
                )
            )
