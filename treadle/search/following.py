"""Following a schedule through what may happen, and on from there: what a shrinker asks for."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.judge import Judge
from treadle.search.graph import Label, label_of
from treadle.search.smallest import schedule_of
from treadle.values.errors import StuckClientError
from treadle.values.schedule import Choice, Fail, Schedule, Step
from treadle.values.signals import OperationBoundError


class Follower:
    """Follows schedules as far as that is possible, and runs on in order.

    A schedule that was changed does not fit any more: a client waits that went on before, or has ended, or a fault
    has no place left. So it is only a wish. What is done are choices that there are in the state that was reached.
    """

    def __init__(self, product: Product, judge: Judge, name: str) -> None:
        """Follow schedules through a product, up to where a property is broken.

        Args:
            product: what is walked.
            judge: tells what is broken; it has been started.
            name: of the property.
        """
        self._product = product
        self._judge = judge
        self._name = name

    def complete(self, schedule: Schedule, most: int) -> Schedule | None:
        """Follow a schedule, run on in order, and return the choices up to where the property is broken.

        Args:
            schedule: the choices to begin with.
            most: how many operations the whole may have.

        Returns:
            The choices, or None if the property is not broken, or a client does not come to an end.
        """
        try:
            execution = _Execution(self._product, self._judge, self._name, self._product.root(), most)
            for choice in schedule.choices:
                execution.follow(choice)
            execution.run_on()
        except (OperationBoundError, StuckClientError):
            return None
        return schedule_of(execution.path) if execution.broken else None


@define
class _Execution:
    """One execution under way.

    Attributes:
        state: where it is.
        path: for each edge who moved, and what that stands for.
        operations: how many there were.
        due: how many operations of each client are still to be taken; less than 0 if it is ahead, since it always goes
            on to its next scheduling point.
        broken: whether the property is broken.
    """

    _product: Product
    _judge: Judge
    _name: str
    state: State
    _most: int
    path: list[tuple[int, Label]] = field(factory=list, init=False)
    operations: int = field(default=0, init=False)
    due: Counter[int] = field(factory=Counter, init=False)
    broken: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Look at the start."""
        self.broken = self._name in self._judge.broken(self.state)

    def _choices(self) -> tuple[Choice, ...]:
        """Return what may happen; nothing if it is over."""
        return () if self.broken or self.operations >= self._most else self._product.choices(self.state)

    def follow(self, wanted: Choice) -> None:
        """Do what a choice wants, as far as that may happen."""
        client, fails = wanted.client, isinstance(wanted, Fail)
        single = wanted if isinstance(wanted, Fail) else Step(client)
        if isinstance(wanted, Step):
            self.due[client] += wanted.operations
        while (fails or self.due[client] > 0) and (choices := self._choices()):
            if single in choices:
                self._take(single)
                fails = False
            elif self._is_held_up(client, choices):
                self._take(choices[0])
            else:
                break
        self.due[client] = min(self.due[client], 0)

    def _is_held_up(self, client: int, choices: tuple[Choice, ...]) -> bool:
        """Tell whether a client could go on, and another one only comes first that nobody can notice."""
        local = self.state.locals[client]
        others = {choice.client for choice in choices}
        return not local.ended and local.wait is None and client not in others and len(others) == 1

    def run_on(self) -> None:
        """Go on to the end with as few switches as possible, and with steps rather than faults."""
        while choices := self._choices():
            last = self.path[-1][0] if self.path else 0
            self._take(min(choices, key=lambda choice: (isinstance(choice, Fail), choice.client != last)))

    def _take(self, choice: Choice) -> None:
        """Go on with a choice, to the next scheduling point or to where the property is broken."""
        edge = self._product.run(self.state, choice)
        client = choice.client
        for count, there in edge.moments:
            if self._name in self._judge.broken(there):
                self.broken = True
                self.path.append((client, label_of(edge, count)))
                return
        count = edge.moments[-1].operations
        self.path.append((client, label_of(edge, count)))
        self.operations += count
        self.due[client] -= count - isinstance(choice, Fail)
        self.state = edge.after
