"""Shrinking: from a schedule that shows something to a smaller one that still does.

A shrinker knows a schedule and a predicate, and never how the predicate is decided (compare Zeller and
Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). Smaller means: fewer faults, then fewer
context switches, then fewer choices, then fewer operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from treadle.values.schedule import Choice, Fail, Schedule, Step

Completes = Callable[[Schedule, int], "Schedule | None"]
"""Follows a schedule as far as it can be followed, and on to where it shows what is looked for.

The second argument is how many operations that may take. Returns the whole schedule up to there, or None if it does
not show it.
"""

_LEEWAY = 500
"""How many operations more than twice those of the best schedule another may take: one that needs fewer context
switches and thousands of operations more is no better to read."""


def _operations(schedule: Schedule) -> int:
    return sum(choice.operations for choice in schedule.choices if isinstance(choice, Step))


def size(schedule: Schedule) -> tuple[int, int, int, int]:
    """Return what makes one schedule smaller than another."""
    return (schedule.faults, schedule.switches, len(schedule), _operations(schedule))


class Shrinker:
    """Makes a schedule smaller for as long as that works.

    Attributes:
        best: the smallest schedule so far.
        considered: how many were tried.
    """

    def __init__(self, schedule: Schedule, completes: Completes, *, patience: int = 2000) -> None:
        """Start from a schedule that shows what is looked for.

        Args:
            schedule: the start.
            completes: decides.
            patience: how many schedules may be tried.
        """
        self.best = schedule
        self.considered = 0
        self._completes = completes
        self._patience = patience
        self._tried: set[Schedule] = set()

    def consider(self, choices: list[Choice]) -> bool:
        """Try a schedule, and keep what it completes to if that is smaller than the best."""
        schedule = Schedule(tuple(choices))
        if schedule in self._tried or self.considered >= self._patience:
            return False
        self._tried.add(schedule)
        self.considered += 1
        whole = self._completes(schedule, 2 * _operations(self.best) + _LEEWAY)
        if whole is None or size(whole) >= size(self.best):
            return False
        self.best = whole
        return True

    def run(self) -> Schedule:
        """Repeat all passes until none helps, and return the smallest schedule."""
        while any([self._without_faults(), self._without_tails(), self._without_switches(), self._with_moved_cuts()]):
            pass
        return self.best

    def _each(self, change: Callable[[list[Choice], int], list[Choice] | None]) -> bool:
        helped = False
        place = 0
        while place < len(self.best):
            candidate = change(list(self.best.choices), place)
            if candidate is not None and self.consider(candidate):
                helped = True
            else:
                place += 1
        return helped

    def _without_faults(self) -> bool:
        """Guarantees that no single fault can be left out."""

        def change(choices: list[Choice], place: int) -> list[Choice] | None:
            return choices[:place] + choices[place + 1 :] if isinstance(choices[place], Fail) else None

        return self._each(change)

    def _without_tails(self) -> bool:
        """Guarantees that cutting the schedule anywhere, and running on in order, is not smaller."""
        return self._each(lambda choices, place: choices[:place])

    def _without_switches(self) -> bool:
        """Guarantees that no stretch of one client can be joined to that client's next or previous stretch."""

        def later(choices: list[Choice], place: int) -> list[Choice] | None:
            return self._joined(choices, place, range(place + 1, len(choices)))

        def earlier(choices: list[Choice], place: int) -> list[Choice] | None:
            return self._joined(choices, place, range(place - 1, -1, -1))

        return any([self._each(later), self._each(earlier)])

    @staticmethod
    def _joined(choices: list[Choice], place: int, others: range) -> list[Choice] | None:
        moved = choices[place]
        for other in others:
            if choices[other].client == moved.client:
                without = choices[:place] + choices[place + 1 :]
                target = other - 1 if other > place else other + 1
                return [*without[:target], moved, *without[target:]]
        return None

    def _with_moved_cuts(self) -> bool:
        """Guarantees that no stretch can be halved, or be shorter by 1, 2, 4, ... operations, with the rest run later.

        The larger cuts come first: a stretch of thousands of operations is short after some dozens of them.
        """
        longest = max((choice.operations for choice in self.best.choices if isinstance(choice, Step)), default=0)
        cuts = [None, *(2**power for power in reversed(range(longest.bit_length())))]
        helped = [self._each(partial(self._shortened, cut=cut)) for cut in cuts]
        return any(helped)

    @staticmethod
    def _shortened(choices: list[Choice], place: int, *, cut: int | None) -> list[Choice] | None:
        """Shorten a stretch by a number of operations, or by half of them."""
        choice = choices[place]
        if not isinstance(choice, Step):
            return None
        operations = choice.operations // 2 if cut is None else choice.operations - cut
        if operations < 0:
            return None
        kept: list[Choice] = [Step(choice.client, operations)] if operations else []
        return choices[:place] + kept + choices[place + 1 :]
