"""Fault sweep: the clients one after another, with a fault at every place in turn."""

from __future__ import annotations

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.judge import Judge
from treadle.search.protocol import Finding, Limits
from treadle.search.sampling import Execution, Sampler
from treadle.values.errors import StuckClientError
from treadle.values.schedule import Choice, Fail, Step
from treadle.values.signals import OperationBoundError


def _first_step(state: State, choices: tuple[Choice, ...]) -> Choice:
    del state
    return next((choice for choice in choices if isinstance(choice, Step)), choices[0])


class Sweep:
    """Follows one schedule without faults, and at each place on it tries each fault before it goes on.

    So the client that stands at that place is there for both (see ``treadle.client.process``). With one client and one
    fault this is everything, and the search is exhausted.
    """

    def __init__(self, *, clients: int, faults: int) -> None:
        """Note how many clients and faults there are: they decide whether a sweep is everything."""
        self._everything = clients == 1 and faults <= 1

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Sweep until done, or until a limit is reached."""
        sampler = Sampler(product, judge, limits, smallest=True)
        try:
            self._sweep(product, sampler)
        except (OperationBoundError, StuckClientError) as error:
            sampler.finding.why_not = str(error)
        return sampler.finding

    def _sweep(self, product: Product, sampler: Sampler) -> None:
        finding = sampler.finding
        execution = sampler.begin()
        while choices := product.choices(execution.state):
            onward = _first_step(execution.state, choices)
            for choice in choices:
                if isinstance(choice, Fail) and choice != onward:
                    product.stay(execution.state, choice.client)
                    if not self._try(sampler, execution.branch(), choice):
                        return
            if sampler.must_stop():
                return
            sampler.take(execution, onward)
        finding.schedules += 1
        finding.exhausted = self._everything
        finding.minimal = set(finding.examples) if self._everything else set()
        if not self._everything:
            finding.why_not = "a sweep tries each fault with the clients one after another, not interleaved"

    @staticmethod
    def _try(sampler: Sampler, execution: Execution, fault: Fail) -> bool:
        forced: list[Choice] = [fault]

        def pick(here: State, choices: tuple[Choice, ...]) -> Choice:
            return forced.pop() if forced else _first_step(here, choices)

        return sampler.execute(pick, execution)
