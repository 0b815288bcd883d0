"""Rules that verdicts rest on, each with a way to break it and the smallest case that shows that it is broken.

What a check says with a rule broken is compared with what it says with all rules in force, which the tests compare with
real executions. ``python -m tests.truth.challenges`` measures which of them the challenges notice.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from attrs import evolve, frozen

from tests.truth.compared import ends_of, names_of, scenario_of, tables_of
from tests.truth.generator import Case, play
from tests.truth.real import Explored, bench, explore
from treadle import FaultBudget, Scenario, Verdict, View, always, at_end, check, checking
from treadle.client.gate import CursorCalls
from treadle.execution import product, symmetry, system
from treadle.execution.state import State
from treadle.execution.system import Known
from treadle.judge import Judge
from treadle.values.observation import LOCKED
from treadle.values.operation import Kind, Operation
from treadle.values.signals import SignalError
from treadle.world import bookkeeping, content, effects, footprint, known, learned, library, world
from treadle.world.connection import Call, Connection, Done
from treadle.world.content import ContentStore
from treadle.world.holding import NO_LOCKS, Lock, Posture, Stop, StopKind

Break = Callable[[pytest.MonkeyPatch], None]

WRONG = "wrong"
RIGHT = "right"
STARTS_OVER = "starts over"


@frozen
class Rule:
    """A rule, and what shows that it is broken.

    Attributes:
        name: what holds.
        written: a case that shows it.
        broken: breaks it.
        noticed: what comes of a check with the rule broken and without challenges, as ``what_comes_of`` says it.
            Real executions notice what is ``WRONG``.
        alike: clients with the same program are given the same arguments.
        faults: the budget, locked and crash.
        contents: it shows in what is committed, with how clients had ended by then.
        cause: it is one of the causes of false verdicts that were found from outside.
    """

    name: str
    written: str
    broken: Break
    noticed: str = WRONG
    alike: bool = False
    faults: tuple[int, int] = (0, 0)
    contents: bool = False
    cause: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def case(self) -> Case:
        """The case."""
        return Case.parse(self.written)


# Checking a rule's case.


def _play(case: Case, position: int, place: Any) -> str:
    return play(place, case.programs[position], position, case.busy_timeout_ms / 1000)


def _clients(rule: Rule) -> tuple[partial[str], ...]:
    case, first = rule.case, rule.case.programs.index
    positions = [first(program) if rule.alike else place for place, program in enumerate(case.programs)]
    return tuple(partial(_play, case, position) for position in positions)


Seen = tuple[frozenset[Any], frozenset[Any]]
"""All ends, and, where a rule is about them, all contents with how clients had ended by then."""


def _noting(rule: Rule) -> tuple[Scenario, Callable[[], Seen]]:
    """Return the scenario of a rule, and what gives all that its properties saw."""
    case = rule.case
    names = names_of(len(case.programs))
    ends, passed = set(), set()

    def note_end(view: View) -> bool:
        ends.add((ends_of(view, names), tables_of(view.committed)))
        return True

    def note_passed(view: View) -> bool:
        passed.add((tables_of(view.committed), ends_of(view, names)))
        return True

    properties = [at_end("every end is noted", note_end, name="ends")]
    if rule.contents:
        properties.append(always("everything committed is noted", note_passed, name="passed"))
    made = scenario_of(case.schema, _clients(rule), properties, journal=case.journal)
    scenario = evolve(made, faults=FaultBudget(*rule.faults), may_fail=names)
    return scenario, lambda: (frozenset(ends), frozenset(passed))


def _seen_by(rule: Rule) -> tuple[Seen, bool]:
    """Check a rule's case without challenges, and return all that was seen, and whether the search was exhausted."""
    scenario, seen = _noting(rule)
    exhausted = check(scenario, challenge=0, challenges=0).exhausted
    return seen(), exhausted


@functools.cache
def seen_in_force(rule: Rule) -> tuple[Seen, int]:
    """Return all that a check sees with all rules in force, and how often it starts over."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        starts = _counted(monkeypatch)
        seen, exhausted = _seen_by(rule)
    assert exhausted
    return seen, len(starts)


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[SignalError]:
    """Return a list of the signals at which a check starts over."""
    signals: list[SignalError] = []
    right = system.less_known

    def less_known(so_far: Known, error: SignalError) -> Known:
        signals.append(error)
        return right(so_far, error)

    monkeypatch.setattr(checking, "less_known", less_known)
    return signals


@contextlib.contextmanager
def _broken(rule: Rule) -> Iterator[list[SignalError]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        rule.broken(monkeypatch)
        yield _counted(monkeypatch)


@frozen
class Comes:
    """What comes of a check with a rule broken.

    Attributes:
        of_it: ``RIGHT``, ``STARTS_OVER`` (it finds out, takes less for granted, and is right), ``WRONG``,
            "inconclusive" or the name of an error.
        missing: what it did not see and must.
        invented: what it saw and cannot be.
    """

    of_it: str
    missing: Seen = (frozenset(), frozenset())
    invented: Seen = (frozenset(), frozenset())


@functools.cache
def what_comes_of(rule: Rule) -> Comes:
    """Return what comes of a check with a rule broken, and without challenges."""
    expected, usual = seen_in_force(rule)
    with _broken(rule) as signals:
        try:
            seen, exhausted = _seen_by(rule)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is no verdict
            return Comes(type(error).__name__)
    if not exhausted:
        return Comes("inconclusive")
    if seen == expected:
        return Comes(STARTS_OVER if len(signals) > usual else RIGHT)
    missing = (expected[0] - seen[0], expected[1] - seen[1])
    return Comes(WRONG, missing, (seen[0] - expected[0], seen[1] - expected[1]))


def verdict_of(rule: Rule, seed: int) -> str:
    """Return what a check with the rule broken and the default challenges says of one thing that it gets wrong.

    The property is "this never happens", where "this" is something that a check without challenges does not see with
    the rule broken, or, where there is no such thing, something that it invents.

    Args:
        rule: is broken.
        seed: of the challenges.

    Returns:
        ``WRONG`` or ``RIGHT``, for the verdict; "inconclusive"; or the name of an error.
    """
    comes = what_comes_of(rule)
    wanted = Verdict.VIOLATED if any(comes.missing) or not any(comes.invented) else Verdict.HOLDS
    ends, passed = comes.missing if any(comes.missing) else comes.invented
    if not (ends or passed):
        ends, passed = seen_in_force(rule)[0]
    case = rule.case
    names = names_of(len(case.programs))
    if ends:
        this = min(ends, key=repr)
        item = at_end(
            "this never happens", lambda view: (ends_of(view, names), tables_of(view.committed)) != this, name="never"
        )
    else:
        this = min(passed, key=repr)
        item = always(
            "this never happens", lambda view: (tables_of(view.committed), ends_of(view, names)) != this, name="never"
        )
    scenario = evolve(_noting(rule)[0], properties=[item])
    with _broken(rule):
        try:
            verdict = check(scenario, seed=seed, isolate=False).decisions[0].verdict  # else an error is tried again
        except Exception as error:  # noqa: BLE001  # likewise
            return type(error).__name__
    if verdict is Verdict.INCONCLUSIVE:
        return "inconclusive"
    return RIGHT if verdict is wanted else WRONG


def executed(rule: Rule, most: int) -> Explored:
    """Execute a rule's case for real."""
    with bench(rule.case.schema, _clients(rule), journal=rule.case.journal) as place:
        return explore(place, most)


# How rules are broken.


def _constant(target: Any, name: str, value: Any) -> Break:
    """Return what lets a function always return the same."""
    return lambda monkeypatch: monkeypatch.setattr(target, name, lambda *_, **__: value)


def _attribute(target: Any, name: str, value: Any) -> Break:
    return lambda monkeypatch: monkeypatch.setattr(target, name, value)


def _but(target: Any, name: str, wrong: Callable[..., Any]) -> Break:
    """Return what replaces a function by one that is given the right one first."""

    def breaks(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(target, name)

        @functools.wraps(right)
        def replaced(*arguments: Any, **options: Any) -> Any:
            return wrong(right, *arguments, **options)

        monkeypatch.setattr(target, name, replaced)

    return breaks


def _all(*breaks: Break) -> Break:
    def broken(monkeypatch: pytest.MonkeyPatch) -> None:
        for one in breaks:
            one(monkeypatch)

    return broken


def _takes_no(lock: Lock) -> Break:
    return _but(footprint, "_takes", lambda right, context: Lock.NONE if right(context) is lock else right(context))


def _keeps(when: Callable[[footprint.Context], bool]) -> Break:
    """Return what lets operations of a kind let go of nothing."""
    return _but(footprint, "_lets_go", lambda right, context: not when(context) and right(context))


def _compiled(**changes: Any) -> Break:
    """Return what lets all statements have other effects."""
    return _but(
        effects.Lexicon,
        "_compile",
        lambda right, *given: _changed(right(*given), changes),
    )


def _never_refused(when: Callable[[footprint.Context], bool]) -> Break:
    def wrong(right: Callable[..., Any], journal: str, placement: Any, context: footprint.Context) -> Any:
        found = right(journal, placement, context)
        return found._replace(refusable=False, fault_point=False) if when(context) else found

    return _but(footprint, "footprint_of", wrong)


def _changed(found: effects.Effects, changes: dict[str, Any]) -> effects.Effects:
    same = {name: value for name, value in changes.items() if getattr(found, name)}
    return evolve(found, **same) if same else found


def _draws_at_ease(right: Callable[..., Any], self: world.World, operation: Operation, *given: Any) -> Any:
    draws = operation.kind is Kind.EXECUTEMANY and operation.arguments is None
    return effects.LOOKS if draws else right(self, operation, *given)


def _explains_as_read(right: Callable[..., Any], self: Any, sql: str, arguments: Any) -> Any:
    found = right(self, sql, arguments)
    return evolve(found, reads=True) if sql.startswith("EXPLAIN") else found


def _known_pragma(right: Callable[..., Any], self: Any, sql: str, *given: Any) -> Any:
    found = right(self, sql, *given)
    return effects.LOOKS if found.unknown else found


def _content_without(part: Callable[[content.Content], object]) -> Break:
    """Return what takes contents for the same that differ in nothing else than what a function leaves out."""

    def wrong(right: Callable[..., Any], self: ContentStore, *given: Any) -> content.Content:
        found: content.Content = right(self, *given)
        first: dict[object, content.Content] = self.__dict__.setdefault("first", {})
        return first.setdefault((found.schema, part(found)), found)

    return _but(ContentStore, "read", wrong)


def _without_sequence(found: content.Content) -> object:
    layouts = found.schema.layouts
    kept = (rows for layout, rows in zip(layouts, found.tables, strict=True) if layout.name != "sqlite_sequence")
    return tuple(kept)


def _gives_up_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call that waits hold nothing: it fails, and is made again as if nothing had been."""
    right_go, right_perform, right_stopped = Connection._go, Connection._perform, Connection.stopped
    given_up: dict[int, Stop] = {}

    def go(self: Connection, call: Call, answer: object) -> Any:
        end = right_go(self, call, answer)
        if isinstance(end, Stop) and end.kind is StopKind.WAITS and len(self.calls) == 1:
            right_go(self, call, 0)
            given_up[id(self)] = end
        return end

    def perform(self: Connection, operation: Operation, *, stoppable: bool) -> Any:
        if given_up.pop(id(self), None) is not None and not self.patient:
            return Done(error=LOCKED.exception(self.library.driver))
        return right_perform(self, operation, stoppable=stoppable)

    monkeypatch.setattr(Connection, "_go", go)
    monkeypatch.setattr(Connection, "_perform", perform)
    monkeypatch.setattr(Connection, "stopped", lambda self: given_up.get(id(self)) or right_stopped(self))


def _one_script(right: Callable[..., bool], self: Connection) -> bool:
    return self._sql_of_call is not None and right(self)


def _one_executemany(right: Callable[..., bool], self: Connection) -> bool:
    return self._sql_of_call is None and right(self)


def _drawn_beforehand(right: Callable[..., Any], self: CursorCalls, sql: str, rows: Any) -> Any:
    return right(self, sql, list(rows))


def _not_reset(right: Callable[..., Any], self: CursorCalls, *given: Any) -> Any:
    self._gate._unfinished.discard(self._number)
    return right(self, *given)


def _waits_though_timeout_is_zero(right: Callable[..., None], self: Connection) -> None:
    del right
    self.library.set_busy_handler(self.real, self._handler)


def _answer_without(*parts: int) -> Break:
    """Return what leaves parts out of what decides what an operation does."""

    def wrong(right: Callable[..., Any], *given: Any) -> Any:
        found = right(*given)
        return tuple(item for place, item in enumerate(found) if len(found) < 5 or place not in parts)

    return _but(learned.LearnedWorld, "_circumstances", wrong)


def _no_others(right: Callable[..., Any], self: State, client: int, number: int | None = None) -> Any:
    return NO_LOCKS if number is None else right(self, client, number)


def _persistent_with_locks(self: product.Product, state: State, unfinished: list[int]) -> int | None:
    for client in unfinished:
        local = state.locals[client]
        if local.wait is None and local.node.depth and self._is_local(state, client):
            return client
    return None


def _no_savepoint_begins(right: Callable[..., Any], *given: Any) -> tuple[int, bool, bool]:
    savepoints, _, due = right(*given)
    return savepoints, False, due


def _sets_nothing(right: Callable[..., bool], deed: bookkeeping.Deed) -> bool:
    return right(deed) and deed.operation.kind is Kind.CONNECT


def _pending_control(context: footprint.Context) -> bool:
    return context.controls


_UPGRADES = "none: begin, read one, add two?, COMMIT"
_BOTH = "wal 5000 / none: begin, read one, put, COMMIT / none: add"

RULES: Sequence[Rule] = (
    # What an operation is to others (treadle.world.footprint).
    Rule("to take a snapshot is not local", "wal 5000 / none: read one, read one / none: add", _takes_no(Lock.READ)),
    Rule("to take the write lock is not local", _BOTH, _takes_no(Lock.WRITE), STARTS_OVER),
    Rule(
        "a COMMIT lets go",
        "wal 5000 / none: begin, add, COMMIT / none: read one",
        _all(_keeps(lambda context: context.effects.ends)),
        noticed=STARTS_OVER,
    ),
    Rule(
        "a COMMIT of the driver lets go",
        "wal 5000 / legacy: add, commit / none: read one",
        _keeps(lambda context: context.kind is Kind.COMMIT),
        noticed=STARTS_OVER,
    ),
    Rule(
        "the RELEASE of the savepoint that began the transaction lets go",
        "wal 5000 / none: savepoint, add, release / none: read one",
        _constant(footprint, "_releases", value=False),
        noticed=STARTS_OVER,
    ),
    Rule(
        "what ends the transaction by itself lets go",
        f"wal 5000 / legacy: add, or rollback? / {_UPGRADES}",
        _compiled(may_roll_back=False),
        STARTS_OVER,
        cause=True,
    ),
    Rule(
        "to set isolation_level lets go",
        "wal 5000 / legacy: add, level none / none: read one",
        _keeps(_pending_control),
        noticed=STARTS_OVER,
    ),
    Rule(
        "the end of a read lets go in a rollback journal",
        "delete 0 / none: first, close / none: add",
        _keeps(lambda context: context.posture.lock is Lock.READ),
        STARTS_OVER,
    ),
    Rule(
        "the end of an INSERT ... RETURNING outside a transaction lets go",
        "wal 0 / none: returning, rest / none: add",
        _keeps(lambda context: bool(context.posture.active)),
        noticed=STARTS_OVER,
    ),
    Rule(
        "a process outside can refuse a lock",
        "wal 0 / none: read one, add",
        _never_refused(lambda context: context.posture.lock is Lock.NONE),
        faults=(1, 0),
        cause=True,
    ),
    Rule(
        "a reader outside can refuse a COMMIT in a rollback journal",
        "delete 0 / legacy: add, commit?",
        _never_refused(lambda context: context.posture.lock >= Lock.WRITE),
        faults=(1, 0),
        cause=True,
    ),
    Rule(
        "what cannot be compiled beforehand may ask for any lock",
        "wal 0 / legacy: create, add, commit",
        _but(footprint, "footprint_of", lambda right, *given: right(*given)._replace(opaque=False, fault_point=False)),
        faults=(1, 0),
        cause=True,
    ),
    Rule(
        "an executemany that draws its rows may ask for a lock before it does",
        "wal 5000 / none: add / immediate: first, many drawn?",
        _but(world.World, "_effects", _draws_at_ease),
        cause=True,
    ),
    Rule(
        "who has not read the schema reads it",
        "delete 0 / none: explain? / none: begin exclusive, COMMIT",
        _attribute(Posture, "schema_read", property(lambda _: True, lambda *_: None)),
        cause=True,
    ),
    # What a connection holds (treadle.world.bookkeeping, treadle.world.holding).
    Rule(
        "a commit makes the snapshots of others stale",
        "wal 5000 / none: begin, read one, add, COMMIT / none: savepoint, add, rollback to, release",
        _attribute(Posture, "reads_snapshot", value=False),
    ),
    Rule(
        "what a connection did since it held nothing is part of its state",
        _BOTH,
        _constant(bookkeeping.Bookkeeper, "_log_after", 1),
    ),
    Rule(
        "a savepoint outside a transaction begins one",
        "wal 5000 / none: savepoint, add, release / none: read one",
        _but(bookkeeping, "_savepoints_after", _no_savepoint_begins),
        noticed=STARTS_OVER,
    ),
    Rule(
        "settings are part of a connection",
        "wal 5000 / none: query only, read one, add? / none: add?, add?",
        _but(bookkeeping, "_sets", _sets_nothing),
        cause=True,
    ),
    Rule(
        "a temporary table is part of a connection",
        "wal 5000 / none: temp, add, read temp / none: add",
        _compiled(temporary=False),
        cause=True,
    ),
    Rule(
        "what counters tell is part of a connection",
        "wal 5000 / none: or ignore, changes / none: unique",
        _compiled(counters=False),
        cause=True,
    ),
    Rule(
        "lastrowid is the connection's",
        "wal 5000 / none: insert, id of upsert / none: insert",
        _attribute(world, "_COUNTERS", frozenset()),
        cause=True,
    ),
    Rule(
        "the schema that was read is part of a connection",
        "wal 0 / none: read one, unique? / none: drop u, begin immediate, COMMIT",
        _compiled(changes_schema=False, unknown=""),
        cause=True,
    ),
    # What is known (treadle.world.known).
    Rule(
        "an unknown PRAGMA depends on everything",
        "wal 0 / none: add, truncate / none: first, rest",
        _but(effects.Lexicon, "_of_pragma", _known_pragma),
        cause=True,
    ),
    Rule(
        "data_version depends on everything",
        "wal 5000 / none: data version, read one, data version / none: add",
        _but(effects.Lexicon, "_of_pragma", _known_pragma),
        cause=True,
    ),
    Rule(
        "EXPLAIN reads nothing",
        "delete 5000 / none: explain, read / none: add, add two",
        _but(effects.Lexicon, "_compile", _explains_as_read),
        RIGHT,
        cause=True,
    ),
    # What is committed (treadle.world.content).
    Rule(
        "contents with other rows differ",
        "wal 5000 / none: add / none: read one, read one",
        _content_without(lambda _: 0),
    ),
    Rule(
        "contents with another header differ",
        "wal 5000 / none: set application / none: application, read one",
        _content_without(lambda found: found.tables),
        cause=True,
    ),
    Rule(
        "contents with another header differ, in a narrow window",
        "wal 5000 / none: set version, set version six / none: version, version",
        _content_without(lambda found: found.tables),
        cause=True,
    ),
    Rule(
        "contents with another sqlite_sequence differ",
        "wal 5000 / none: insert ai, delete ai / none: insert ai, read sequence",
        _content_without(_without_sequence),
        cause=True,
    ),
    # What is learned (treadle.world.learned).
    Rule(
        "what an operation does depends on the locks of others",
        "wal 0 / none: begin immediate, COMMIT / none: add?",
        _answer_without(3),
    ),
    Rule("what an operation does depends on what is committed", _BOTH, _answer_without(4)),
    Rule(
        "what an operation does depends on a process outside",
        "wal 0 / none: add?, add?",
        _answer_without(2),
        faults=(1, 0),
    ),
    # What the product leaves out (treadle.execution).
    Rule(
        "what a stretch does depends on the locks of others",
        "wal 0 / none: begin immediate, COMMIT / none: add?",
        _but(State, "others", _no_others),
        "UnreachedError",
    ),
    Rule(
        "to return is seen",
        "wal 5000 / none: add / none: read one, put",
        _but(Judge, "__init__", lambda right, *given, **options: right(*given, **{**options, "ends_visible": True})),
        contents=True,
        cause=True,
    ),
    Rule(
        "who may crash and let go of a lock is no persistent set",
        "wal 0 / none leave: begin immediate, add / none: add?",
        _attribute(product.Product, "_persistent", _persistent_with_locks),
        faults=(0, 1),
    ),
    Rule(
        "a client can die before it has answered",
        "wal 0 / none leave: add",
        _but(system, "ForkServer", lambda right, *given, **options: right(*given, **{**options, "answers": False})),
        faults=(0, 1),
        cause=True,
    ),
    Rule(
        "a waiting client goes on when locks have changed",
        f"delete 5000 / {_UPGRADES} / none: add",
        _attribute(product.Product, "_may_step", lambda _, state, client: state.locals[client].wait is None),
    ),
    Rule(
        "what a client leaves open keeps its lock",
        "wal 0 / legacy leave: add / none: read one, unique?",
        _all(
            _constant(product, "holds_something", value=False),
            _constant(world, "holds_something", value=False),
            _constant(learned, "holds_something", value=False),
        ),
        cause=True,
    ),
    Rule(
        "clients with other arguments differ",
        "wal 5000 / none: read one, put / none: add",
        _constant(symmetry, "_same_code", value=True),
    ),
    Rule(
        "clients that are alike end under every naming",
        "wal 5000 / none: read one, put / none: read one, put",
        _but(symmetry.Symmetry, "arrangements", lambda right, self, values: right(self, values)[:1]),
        alike=True,
    ),
    # Judging (treadle.judge).
    Rule(
        "a state is judged by how clients have ended, too",
        "wal 5000 / none: read one / none: add, add two",
        _constant(Judge, "_number", 0),
    ),
    # What the driver and SQLite do (treadle.world.connection, treadle.client.gate).
    Rule(
        "who waits holds what SQLite holds",
        f"delete 5000 / none: begin exclusive, add, COMMIT / {_UPGRADES}",
        _gives_up_and_tries_again,
        cause=True,
    ),
    Rule(
        "others can come between the statements of a script",
        "wal 5000 / none: script / none: read",
        _but(Connection, "_pauses", _one_script),
        cause=True,
    ),
    Rule(
        "others can come between the rows of an executemany in autocommit",
        "wal 5000 / none: many list / none: read",
        _but(Connection, "_pauses", _one_executemany),
        cause=True,
    ),
    Rule(
        "rows of an executemany are drawn while it runs",
        "wal 5000 / legacy: many reader?, commit / none: add two",
        _but(CursorCalls, "executemany", _drawn_beforehand),
        cause=True,
    ),
    Rule(
        "a statement that is over is not under way",
        "wal 5000 / legacy: many left, commit, read one / none: add",
        _but(library.Library, "is_under_way", lambda _, self, cursor: self.keeps_statement(cursor)),
        RIGHT,
        cause=True,
    ),
    Rule(
        "an open cursor keeps its snapshot",
        "delete 0 / none: first, rest / none: add?",
        _constant(Connection, "under_way", frozenset()),
        STARTS_OVER,
    ),
    Rule(
        "a closed connection lives on with its statements",
        "delete 0 / none: first, shut, drop / none: add, read",
        _constant(Connection, "keeping", frozenset()),
        "OperationalError",
    ),
    Rule(
        "a timeout of 0 does not wait",
        "wal 0 / none: begin immediate, COMMIT / none: add?",
        _but(Connection, "_arm", _waits_though_timeout_is_zero),
    ),
    Rule(
        "a busy timeout is the connection's",
        "wal 5000 / none: timeout / none: read one",
        lambda monkeypatch: monkeypatch.setitem(known.PRAGMAS, "busy_timeout", known.Pragma.SETTING),
        cause=True,
    ),
    Rule(
        "the statement that a cursor still has is reset first",
        "delete 0 / none: first, again, rest / none: add?",
        _but(CursorCalls, "_run", _not_reset),
    ),
)
"""All of them."""
