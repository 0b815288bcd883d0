"""Random search: in every state, each choice is as likely as the others."""

from __future__ import annotations

import random

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.judge import Judge
from treadle.search.protocol import Finding, Limits
from treadle.search.sampling import EXECUTIONS, Sampler
from treadle.values.schedule import Choice


class Random:
    """Samples executions by uniform random walks."""

    def __init__(self, seed: int) -> None:
        """Start from a seed; equal seeds walk equal ways."""
        self._random = random.Random(seed)  # for choices, not for secrets

    def _pick(self, state: State, choices: tuple[Choice, ...]) -> Choice:
        del state
        return self._random.choice(choices)

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Sample until a limit is reached."""
        sampler = Sampler(product, judge, limits)
        executions = limits.max_executions or EXECUTIONS
        for _ in range(executions):
            if not sampler.execute(self._pick):
                return sampler.finding
        sampler.finding.why_not = f"{executions} executions were sampled at random, which proves nothing"
        return sampler.finding
