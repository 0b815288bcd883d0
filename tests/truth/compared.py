"""What the checker says about a generated case, beside what real executions showed."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import Engine, create_engine

from tests.truth.generator import Case, play, smaller, spoken
from tests.truth.real import Content, Ends, Explored, explore_case
from treadle import (
    Client,
    Committed,
    Crashed,
    Database,
    FaultBudget,
    Property,
    Raised,
    Result,
    Returned,
    Scenario,
    TreadleError,
    Verdict,
    View,
    always,
    at_end,
    check,
)

Tables = tuple[tuple[str, tuple[tuple[Any, ...], ...]], ...]
"""The rows of each table, as both sides tell them."""

CRASHED = "crashed"
"""How a client ended that was killed."""

Shared = tuple[Tables, tuple[int, int] | None]
"""What both sides tell about what is committed: rows, and the header where the case is about it and it can be read."""


@frozen
class _CheckedPlace:
    """Opens connections as an application does."""

    path: str

    def connect(self, **options: Any) -> Any:
        """Open a connection."""
        return sqlite3.connect(self.path, **options)

    def engine(self, **options: Any) -> Engine:
        """Make an engine."""
        return create_engine(f"sqlite:///{self.path}", **options)


def _create(schema: tuple[str, ...], engine: Engine) -> None:
    connection = engine.raw_connection()
    driver: Any = connection.driver_connection
    driver.isolation_level = None
    for statement in schema:
        driver.execute(statement).close()
    connection.close()


def scenario_of(
    schema: tuple[str, ...],
    clients: Sequence[Callable[[Any], object]],
    properties: Sequence[Property],
    *,
    journal: str = "wal",
    faults: FaultBudget | None = None,
) -> Scenario:
    """Return the scenario of clients that are given what opens connections; faults are where SQLite has them."""
    database = Database(partial(_create, schema), journal=journal)
    path = database.engine.url.database
    assert path is not None
    place = _CheckedPlace(path)
    names = names_of(len(clients))
    return Scenario(
        "real",
        database,
        [Client(name, partial(client, place)) for name, client in zip(names, clients, strict=True)],
        properties,
        faults=faults or FaultBudget(),
        faults_at="reachable",
    )


def names_of(count: int) -> tuple[str, ...]:
    """Return the names of so many clients."""
    return tuple("abcdefgh"[:count])


def ends_of(view: View, names: tuple[str, ...]) -> Ends:
    """Return how clients have ended, in the words of the executor."""
    return tuple(_spoken(view.outcomes.get(name)) for name in names)


def _spoken(outcome: object) -> str | None:
    if outcome is None:
        return None
    if isinstance(outcome, Returned):
        return f"returned {outcome.value}"
    if isinstance(outcome, Raised):
        return spoken(outcome.exception)
    assert isinstance(outcome, Crashed)
    return CRASHED


def tables_of(committed: Committed) -> Tables:
    """Return the rows that are committed, as the executor tells them."""
    return tuple(
        (name, tuple(sorted(table.values, key=repr)))
        for name, table in sorted(committed.tables.items())
        if not name.startswith("sqlite_")
    )


def shared(content: Content, case: Case) -> Shared:
    """Return what the checker can tell, too, about what is committed."""
    tables = tuple((name, rows) for name, rows in content.tables if not name.startswith("sqlite_"))
    return tables, content.header if "header" in case.features else None


def _shared_view(view: View, case: Case, scenario: list[Scenario]) -> Shared:
    header = None
    if "header" in case.features:
        outcome = view.then(partial(_read_header, scenario[0].database.engine.url.database))
        header = outcome.value if isinstance(outcome, Returned) else None  # others hold a lock
    return tables_of(view.committed), header


def _read_header(path: str | None) -> tuple[int, int]:
    assert path is not None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    return version, application


@define
class Checked:
    """What a check of one scenario came across.

    Attributes:
        ends: how clients ended, with what was committed in the end.
        passed: what was committed, with how clients had ended by then.
        trouble: why there is no result, or None.
        broken: there is a fault in the checker: an error that is none of its own.
        exhausted: everything was searched.
    """

    ends: set[tuple[Ends, Tables]] = field(factory=set)
    passed: set[tuple[Shared, Ends]] = field(factory=set)
    trouble: str | None = None
    broken: bool = False
    exhausted: bool = False


class SlowError(BaseException):
    """A check did not come back in time."""


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer, where signals can."""

    def ring(_: int, __: FrameType | None) -> None:
        raise SlowError(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _clients(case: Case) -> list[Callable[[Any], str]]:
    return [partial(_play, case, position) for position in range(len(case.programs))]


def _play(case: Case, position: int, place: Any) -> str:
    return play(place, case.programs[position], position, case.busy_timeout_ms / 1000)


def checked(case: Case, *, max_seconds: float, faults: FaultBudget | None = None, **options: Any) -> Checked:
    """Check a case, and return what the search came across.

    Args:
        case: what is checked.
        max_seconds: for the search.
        faults: how many.
        **options: of ``treadle.check``.
    """
    names = names_of(len(case.programs))
    found = Checked()
    made: list[Scenario] = []

    def note_end(view: View) -> bool:
        found.ends.add((ends_of(view, names), tables_of(view.committed)))
        return True

    def note_passed(view: View) -> bool:
        found.passed.add((_shared_view(view, case, made), ends_of(view, names)))
        return True

    properties = [
        at_end("every end is noted", note_end, name="ends"),
        always("everything committed is noted", note_passed, name="passed"),
    ]
    scenario = scenario_of(case.schema, _clients(case), properties, journal=case.journal, faults=faults)
    made.append(scenario)
    result = _checking(found, scenario, max_seconds=max_seconds, **options)
    found.exhausted = result is not None and result.exhausted
    if found.trouble is None and not found.exhausted:
        reasons = {str(decision.why) for decision in result.decisions} if result else set()
        found.trouble = f"inconclusive: {'; '.join(sorted(reasons))}"
    return found


_CHALLENGES = 3
"""A check asks reality itself; here it is asked by somebody else."""


def _checking(found: Checked, scenario: Scenario, *, max_seconds: float, **options: Any) -> Result | None:
    try:
        with alarm(3 * max_seconds + 10):
            return check(scenario, max_seconds=max_seconds, challenges=_CHALLENGES, **options)
    except TreadleError as error:
        found.trouble = f"{type(error).__name__}: {error}"
    except (Exception, SlowError) as error:  # noqa: BLE001  # whatever it is, it is no verdict
        where = traceback.extract_tb(error.__traceback__)[-1]
        found.trouble = f"{type(error).__name__}: {error} ({where.filename.rpartition('/')[2]}:{where.lineno})"
        found.broken = True
    return None


def never_ends_so(case: Case, ends: Ends, tables: Tables, *, max_seconds: float, **options: Any) -> Checked | Verdict:
    """Ask whether a case never ends in a certain way, and return the verdict, or why there is none."""
    names = names_of(len(case.programs))

    def otherwise(view: View) -> bool:
        return (ends_of(view, names), tables_of(view.committed)) != (ends, tables)

    properties = [at_end("it never ends so", otherwise, name="otherwise")]
    found = Checked()
    scenario = scenario_of(case.schema, _clients(case), properties, journal=case.journal)
    result = _checking(found, scenario, max_seconds=max_seconds, **options)
    return found if result is None else result.decisions[0].verdict


# Comparing.


@frozen
class Mismatch:
    """Where checker and reality differ.

    Attributes:
        kind: ``missed end``, ``missed content``, ``missed late`` (it happens, and the search did not find it),
            ``invented end``, ``invented content`` (the other way round), ``not violated`` or ``broken``.
        case: what was executed.
        what: the difference.
        schedule: along which reality shows it, if it does.
    """

    kind: str
    case: Case
    what: str
    schedule: tuple[int, ...] = ()

    def __str__(self) -> str:
        along = f" along {''.join(map(str, self.schedule))}" if self.schedule else ""
        return f"{self.kind}: --case '{self.case}'{along}: {self.what}"


@frozen
class Settings:
    """How much is tried for each case.

    Attributes:
        executions: real ones, at most.
        seed: of the choice among them.
        max_seconds: for a check.
        asked: for how many ends it is asked whether "it never ends so" is violated.
        late: a client need not return as soon as it has made its last call.
        options: of ``treadle.check``.
    """

    executions: int = 200
    seed: int = 0
    max_seconds: float = 20.0
    asked: int = 0
    late: bool = False
    options: dict[str, Any] = field(factory=dict)


def compare(
    case: Case, settings: Settings, tally: Counter[str] | None = None, real: Explored | None = None
) -> list[Mismatch]:
    """Return the first difference of each kind between the checker and real executions.

    Args:
        case: what is executed and checked.
        settings: how much is tried.
        tally: counts what there was.
        real: what real executions showed, if that is known.
    """
    tally = Counter() if tally is None else tally
    real = explore_case(case, settings.executions, settings.seed) if real is None else real
    tally["executions"] += real.executions
    tally["complete"] += real.complete
    found = checked(case, max_seconds=settings.max_seconds, **settings.options)
    if found.trouble is not None:
        tally[_kind_of(found.trouble)] += 1
    if found.broken:
        return [Mismatch("broken", case, str(found.trouble))]
    if not found.exhausted:
        return []
    tally["compared"] += 1
    return [*_differences(case, real, found, late=settings.late), *_asked(case, real, settings, tally)]


def _kind_of(trouble: str) -> str:
    return f"no result: {trouble.partition(':')[0]}"


def _differences(case: Case, real: Explored, found: Checked, *, late: bool) -> Iterator[Mismatch]:
    ends = {(ends, shared(content, case)[0]): schedule for (ends, content), schedule in real.ends.items()}
    prompt = _shared_pairs(real.passed, case)
    tardy = {pair: schedule for pair, schedule in _shared_pairs(real.late, case).items() if pair not in prompt}
    unread = {(tables, by_then) for (tables, header), by_then in found.passed if header is None}

    def is_missed(pair: tuple[Shared, Ends]) -> bool:
        return pair not in found.passed and (pair[0][0], pair[1]) not in unread

    yield from _missed(case, "missed end", {end: along for end, along in ends.items() if end not in found.ends})
    yield from _missed(case, "missed content", {pair: along for pair, along in prompt.items() if is_missed(pair)})
    if late:
        yield from _missed(case, "missed late", {pair: along for pair, along in tardy.items() if is_missed(pair)})
    if real.complete:
        happened = {*prompt, *tardy}
        happened |= {((tables, None), by_then) for (tables, _), by_then in happened}  # where it could not be read
        yield from _invented(case, "invented end", found.ends - ends.keys())
        yield from _invented(case, "invented content", found.passed - happened)


def _shared_pairs(
    pairs: dict[tuple[Content, Ends], tuple[int, ...]], case: Case
) -> dict[tuple[Shared, Ends], tuple[int, ...]]:
    return {(shared(content, case), ends): schedule for (content, ends), schedule in pairs.items()}


def _missed(case: Case, kind: str, missed: dict[Any, tuple[int, ...]]) -> Iterator[Mismatch]:
    if missed:
        pair, schedule = min(missed.items(), key=lambda item: (len(item[1]), item[1]))
        yield Mismatch(kind, case, f"{len(missed)}, as {pair!r}", schedule)


def _invented(case: Case, kind: str, invented: set[Any]) -> Iterator[Mismatch]:
    if invented:
        yield Mismatch(kind, case, f"{len(invented)}, as {min(invented, key=repr)!r}")


def _asked(case: Case, real: Explored, settings: Settings, tally: Counter[str]) -> Iterator[Mismatch]:
    dice = random.Random(f"{settings.seed} {case}")
    ends = sorted(real.ends, key=repr)
    for chosen in dice.sample(ends, min(settings.asked, len(ends))):
        tally["asked"] += 1
        happened, (tables, _) = chosen[0], shared(chosen[1], case)
        verdict = never_ends_so(case, happened, tables, max_seconds=settings.max_seconds, **settings.options)
        if isinstance(verdict, Checked):
            tally[_kind_of(str(verdict.trouble))] += 1
            if verdict.broken:
                yield Mismatch("broken", case, f"asked for an end: {verdict.trouble}", real.ends[chosen])
        elif verdict is Verdict.HOLDS:
            yield Mismatch("not violated", case, f"{verdict} for {(happened, tables)!r}", real.ends[chosen])
        elif verdict is not Verdict.VIOLATED:
            tally["no result: asked"] += 1


def shrunk(mismatch: Mismatch, settings: Settings, most: int = 200) -> Mismatch:
    """Return a mismatch of the same kind of a case to which nothing smaller is like that.

    Args:
        mismatch: the one that was found.
        settings: how much is tried for each case.
        most: how many cases are tried.
    """
    best = mismatch
    tried = {str(best.case)}
    progress = True
    while progress and len(tried) < most:
        progress = False
        for case in smaller(best.case):
            if str(case) in tried or len(tried) >= most:
                continue
            tried.add(str(case))
            same = [one for one in compare(case, settings) if one.kind == best.kind]
            if same:
                best, progress = same[0], True
                break
    return best
