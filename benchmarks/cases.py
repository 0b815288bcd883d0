"""The cases that are measured, and what is wanted of each.

A case is known by its name, which says all that distinguishes it: a letter, then what varies, with slashes between
(``E/flush/3``). Names of sizes that are not listed by ``cases`` are understood too (``F/shipped-3.2.2/30``).
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from attrs import evolve, field, frozen

from properties.backfill import scenarios
from treadle import FaultBudget, Scenario, UsageError
from treadle.checking import REDUCTIONS

BROKEN = "shipped-3.2.2"
"""The algorithm that is checked where none is named."""

ONE_TRANSACTION = ("immediate", "flush", "unique-index", "bulk")
"""The algorithms in which a request commits once, however many runs it has."""

SWEPT = ("shipped-3.2.2", "shipped-3.3.2")
"""The algorithms that are swept with faults."""

LARGEST = 1096
"""How many runs the largest request has: three years of days."""

SIZES = (137, 274, 548, LARGEST)
"""How many runs a sweep has, to see how it grows."""

EXECUTIONS = 5
"""Within how many executions a sampling search should find a violation."""

_OF_THE_REPORT = ("all-or-nothing", "history-kept", "one-active-backfill", "retry-succeeds")
"""The properties that the bug report is about; the others run further clients after each execution."""


class Kind(enum.StrEnum):
    """What is measured."""

    CHECK = "check"
    """A whole check, again and again."""

    FIRST = "first"
    """How soon a sampling search comes to a violation, and what one of its executions costs."""

    LIVE = "live"
    """One live execution in which nothing is known beforehand, without a search around it."""

    WORKERS = "workers"
    """A whole check by one process, and by two."""


@frozen
class Want:
    """A bound on one figure.

    Attributes:
        figure: its name.
        bound: the value.
        unit: of the value, in words.
        least: the figure should be at least that; otherwise at most.
    """

    figure: str
    bound: float
    unit: str = "plain runs"
    least: bool = False

    def met(self, value: float) -> bool:
        """Tell whether a figure is as wanted."""
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        """Return it in words."""
        return f"{'at least' if self.least else 'at most'} {self.bound:,g} {self.unit}".rstrip()


@frozen(kw_only=True)
class Case:
    """One thing that is measured.

    Attributes:
        name: a letter, and what varies.
        title: what it is.
        algorithm: which create-backfill is checked.
        requests: how many clients send it.
        runs: for how many dates.
        locked: how many faults one execution may contain.
        kind: what is measured.
        search: the search policy.
        without: the reductions that are switched off.
        max_seconds: when the search stops, or None.
        wants: what is wanted.
        rounds: how often it is measured.
        slow: it takes minutes, or is one of many, and runs only when asked for.
    """

    name: str
    title: str
    algorithm: str = BROKEN
    requests: int
    runs: int
    locked: int = 0
    kind: Kind = Kind.CHECK
    search: str = "exhaustive"
    without: tuple[str, ...] = ()
    max_seconds: float | None = None
    wants: tuple[Want, ...] = ()
    rounds: int = 3
    slow: bool = field(default=False)

    @property
    def scenario(self) -> Scenario:
        """What is checked, made anew."""
        return backfill(self.algorithm, requests=self.requests, runs=self.runs, locked=self.locked)


def backfill(algorithm: str, *, requests: int, runs: int, locked: int) -> Scenario:
    """Return the create-backfill scenario of an algorithm, with the properties of the report."""
    scenario = scenarios(algorithms=algorithm, requests=requests, runs=runs, locked=locked)[0]
    kept = [item for item in scenario.properties if item.name in _OF_THE_REPORT]
    return evolve(
        scenario,
        properties=kept,
        faults=FaultBudget(locked=locked),
        expect_violated=scenario.expect_violated & {item.name for item in kept},
        max_operations=1_000_000,
    )


# --- One function for each letter --------------------------------------------------------------------


def _exhausted(
    name: str, requests: int, runs: int, locked: int, wanted: float, *, rounds: int, slow: bool = False
) -> Case:
    return Case(
        name=name,
        title=f"{requests} requests x {_count(runs, 'run')} x {locked} locked, exhausted",
        requests=requests,
        runs=runs,
        locked=locked,
        wants=(Want("ratio", wanted),),
        rounds=rounds,
        slow=slow,
    )


def _case_a() -> Case:
    return _exhausted("A", 2, 2, 1, 35, rounds=7)


def _case_b() -> Case:
    return _exhausted("B", 3, 1, 1, 120, rounds=7)


def _case_c() -> Case:
    return _exhausted("C", 3, 2, 0, 350, rounds=5)


def _case_d() -> Case:
    return _exhausted("D", 5, 1, 0, 3000, rounds=3)


def _case_e(algorithm: str, runs: str) -> Case:
    return Case(
        name=f"E/{algorithm}/{runs}",
        title=f"2 requests x {_count(int(runs), 'run')} x 1 locked, exhausted",
        algorithm=algorithm,
        requests=2,
        runs=int(runs),
        locked=1,
        rounds=1 if _grows(algorithm) and int(runs) > 4 else 3,
        slow=_grows(algorithm) and int(runs) > 4,
    )


def _grows(algorithm: str) -> bool:
    return algorithm not in ONE_TRANSACTION


def _case_f(algorithm: str, runs: str) -> Case:
    return Case(
        name=f"F/{algorithm}/{runs}",
        title=f"1 request x {_count(int(runs), 'run')}, 1 locked at each savepoint in turn",
        algorithm=algorithm,
        requests=1,
        runs=int(runs),
        locked=1,
        search="sweep",
        wants=(Want("ratio", 40), Want("peak_rss_mb", 500, "MB")),
        rounds=1 if int(runs) > 274 else 3,
        slow=int(runs) > 274,
    )


def _case_g(search: str, runs: str) -> Case:
    return Case(
        name=f"G/{search}/{runs}",
        title=f"5 requests x {_count(int(runs), 'run')}, {search}, until a violation",
        requests=5,
        runs=int(runs),
        kind=Kind.FIRST,
        search=search,
        wants=(Want("executions", EXECUTIONS, "executions"), Want("ratio", 1.5, "plain runs each")),
        rounds=1,
        slow=True,
    )


def _case_h(requests: str, runs: str) -> Case:
    return Case(
        name=f"H/{requests}/{runs}",
        title=f"{_count(int(requests), 'request')} x {_count(int(runs), 'run')}, one live execution",
        requests=int(requests),
        runs=int(runs),
        kind=Kind.LIVE,
        wants=(Want("ratio", 1.3),),
        rounds=20,
    )


def _case_r(of: str, reduction: str) -> Case:
    if reduction not in REDUCTIONS:
        raise UsageError(f"{reduction!r}: there is no such reduction; there are {', '.join(REDUCTIONS)}.")
    return evolve(
        find(of),
        name=f"R/{of}/{reduction}",
        title=f"{of}, without {reduction}",
        without=(reduction,),
        max_seconds=60,
        wants=(),
        rounds=1,
        slow=True,
    )


def _case_w() -> Case:
    return evolve(
        _case_d(),
        name="W",
        title="D, by two processes",
        kind=Kind.WORKERS,
        wants=(Want("speedup", 1.6, "times as fast", least=True),),
        rounds=2,
        slow=True,
    )


_LETTERS: dict[str, Callable[..., Case]] = {
    "A": _case_a,
    "B": _case_b,
    "C": _case_c,
    "D": _case_d,
    "E": _case_e,
    "F": _case_f,
    "G": _case_g,
    "H": _case_h,
    "R": _case_r,
    "W": _case_w,
}


def find(name: str) -> Case:
    """Return a case.

    Raises:
        UsageError: there is none of that name.
    """
    letter, *rest = name.split("/")
    try:
        return _LETTERS[letter](*rest)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name!r} is no case; examples are {', '.join(sorted(cases()))}.") from error


def cases() -> dict[str, Case]:
    """Return the cases that are recorded, by name."""
    names = [
        *"ABCD",
        *(f"E/{BROKEN}/{runs}" for runs in range(1, 6)),
        *(f"E/{algorithm}/{runs}" for algorithm in ONE_TRANSACTION for runs in range(1, 9)),
        *(f"F/{algorithm}/{runs}" for algorithm in SWEPT for runs in SIZES),
        *(f"G/{search}/{LARGEST}" for search in ("pct", "random")),
        "H/2/2",
        "H/1/20",
        *(f"R/{of}/{reduction}" for of in "AC" for reduction in REDUCTIONS),
        "W",
    ]
    return {name: find(name) for name in names}


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
