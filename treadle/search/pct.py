"""Probabilistic concurrency testing: random priorities, changed at a few random points.

Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding
Bugs" (ASPLOS 2010), section 3: the client with the highest priority goes on; at d - 1 random points the one that
goes on is given a lower priority than all others. A bug of depth d is found with probability of at least
1 / (n * k ** (d - 1)) in an execution of n clients and k choices. Faults are placed at random points likewise.
"""

from __future__ import annotations

import math
import random

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.judge import Judge
from treadle.search.protocol import Finding, Limits
from treadle.search.sampling import EXECUTIONS, Sampler
from treadle.values.schedule import Choice, Fail, Step

DEPTH = 3
"""The depth d of the bugs that are looked for: how many ordering constraints they need."""

_GOLDEN = (5**0.5 - 1) / 2


class Priorities:
    """The decisions of one execution.

    Attributes:
        count: how many were made.
    """

    def __init__(self, dice: random.Random, clients: int, length: int, faults: int) -> None:
        order = list(range(DEPTH, DEPTH + clients))
        dice.shuffle(order)
        self._priority = order
        # At the first choice there is nothing to change: the order is random as it is.
        self._changes = {dice.randrange(2, length + 1): rank for rank in range(DEPTH - 1)}
        self._fault_points = {dice.randrange(1, length + 1) for _ in range(dice.randrange(faults + 1))}
        self._fault_due = 0
        self._dice = dice
        self.count = 0

    def pick(self, state: State, choices: tuple[Choice, ...]) -> Choice:
        """Choose among what may happen."""
        del state
        self.count += 1
        self._fault_due += self.count in self._fault_points
        first = self._highest(choices)
        rank = self._changes.get(self.count)
        if rank is not None:
            self._priority[first.client] = rank
            first = self._highest(choices)
        faults = [choice for choice in choices if isinstance(choice, Fail) and choice.client == first.client]
        if faults and self._fault_due:
            self._fault_due -= 1
            return self._dice.choice(faults)
        return first

    def _highest(self, choices: tuple[Choice, ...]) -> Choice:
        steps = [choice for choice in choices if isinstance(choice, Step)]
        return max(steps or choices, key=lambda choice: self._priority[choice.client])


class Pct:
    """Samples executions under random priorities."""

    def __init__(self, seed: int, *, clients: int, faults: int) -> None:
        """Start from a seed; equal seeds walk equal ways.

        Args:
            seed: of the random numbers.
            clients: how many there are.
            faults: the fault budget, all kinds together.
        """
        self._random = random.Random(seed)  # for choices, not for secrets
        self._scale = self._random.random()
        self._clients = clients
        self._faults = faults

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Sample until a limit is reached; the length of executions is learned from those before."""
        sampler = Sampler(product, judge, limits)
        longest = 10 * self._clients
        executions = limits.max_executions or EXECUTIONS
        for _ in range(executions):
            priorities = Priorities(self._random, self._clients, self._length(longest), self._faults)
            if not sampler.execute(priorities.pick):
                return sampler.finding
            longest = max(longest, priorities.count)
        sampler.finding.why_not = f"{executions} executions were sampled by PCT, which proves nothing"
        return sampler.finding

    def _length(self, longest: int) -> int:
        """Return within how many choices from the start priorities are to change in one execution.

        What goes wrong often goes wrong early, however long an execution is: all scales are as likely, and executions
        that follow each other have scales apart (Weyl's sequence of the golden ratio). A place at the very end is met
        less often for that, by a factor of ln k for each point.
        """
        self._scale = (self._scale + _GOLDEN) % 1.0
        return max(2, round(math.pow(longest, self._scale)))
