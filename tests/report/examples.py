"""Traces and results written by hand, for the tests of reports."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field

from treadle.values.fault import FaultBudget, LockKind, Placement
from treadle.values.observation import LOCKED, Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Outcome, Raised, Returned
from treadle.values.property import Breach, Property, always, at_end, sometimes
from treadle.values.schedule import Schedule
from treadle.values.trace import Change, Event, Trace
from treadle.values.verdict import Bounds, Counterexample, Decision, Result, Stats, Verdict
from treadle.values.view import Row

CLIENTS = ("request-1", "request-2")


@define
class Script:
    """Writes the events of one execution."""

    clients: tuple[str, ...] = CLIENTS
    events: list[Event] = field(factory=list)
    outcomes: dict[str, Outcome] = field(factory=dict)
    held: dict[int, str] = field(factory=dict)

    def add(self, client: int, kind: Kind | None, sql: str | None = None, arguments: Any = (), **more: Any) -> None:
        """Add an event; ``seen`` is its observation, ``held`` the lock afterwards."""
        before = self.held.get(client, "none")
        after = more.pop("held", before)
        self.held[client] = after
        seen = more.pop("seen", Observation(in_transaction=after != "none"))
        cursor = 0 if kind not in {None, Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE, Kind.CONNECT} else None
        operation = None if kind is None else Operation(kind, 0, cursor, sql, arguments)
        if "outcome" in more:
            self.outcomes[self.clients[client]] = more["outcome"]
        self.events.append(
            Event(
                number=len(self.events) + 1,
                client=client,
                operation=operation,
                observation=seen if kind else None,
                held_before=before,
                held_after=after,
                **more,
            )
        )

    def start(self, client: int) -> None:
        """Connect and configure."""
        self.add(client, Kind.CONNECT)
        self.add(client, Kind.CONFIGURE, arguments=("isolation_level", None))

    def select(self, client: int, sql: str, arguments: Any, *rows: tuple[Any, ...], held: str = "none") -> None:
        """Execute, fetch and close."""
        inside = held != "none"
        self.add(
            client,
            Kind.EXECUTE,
            sql,
            arguments,
            held=held if inside else "read",
            seen=Observation(description=(("x",),), in_transaction=inside),
        )
        self.add(client, Kind.FETCHALL, seen=Observation(rows=list(rows), in_transaction=inside), held=held)
        self.add(client, Kind.CLOSE_CURSOR, seen=Observation(in_transaction=inside))

    def run(self, client: int, sql: str, arguments: Any = (), rowcount: int = -1, **more: Any) -> None:
        """Execute a statement that returns no rows."""
        after = more.get("held", self.held.get(client, "none"))
        inside = more.pop("inside", after != "none")
        more.setdefault("seen", Observation(rowcount=rowcount, in_transaction=inside))
        self.add(client, Kind.EXECUTE, sql, arguments, **more)

    def trace(self, schedule: str, breaches: dict[str, tuple[Breach, ...]] | None = None) -> Trace:
        """Return what was written."""
        return Trace(
            "create-backfill/example",
            self.clients,
            Schedule.parse(schedule),
            tuple(self.events),
            self.outcomes,
            breaches or {},
        )


GUARD = "SELECT count(*) AS count_1 \nFROM backfill \nWHERE backfill.dag_id = ? AND backfill.completed_at IS NULL"
INSERT_BACKFILL = (
    "INSERT INTO backfill (dag_id, from_date, to_date, dag_run_conf, is_paused, reprocess_behavior, "
    "max_active_runs, created_at, completed_at, updated_at, triggering_user_name) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_RUN = (
    "SELECT dag_run.id, dag_run.dag_id, dag_run.run_id, dag_run.logical_date, dag_run.state, "
    "dag_run.run_type, dag_run.backfill_id, dag_run.clear_number \nFROM dag_run \n"
    "WHERE dag_run.dag_id = ? AND dag_run.logical_date = ? ORDER BY dag_run.id DESC\n LIMIT ? OFFSET ?"
)
INSERT_RUN = (
    "INSERT INTO dag_run (dag_id, run_id, logical_date, state, run_type, backfill_id, clear_number) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
INSERT_LINK = (
    "INSERT INTO backfill_dag_run (backfill_id, dag_run_id, exception_reason, logical_date, sort_ordinal) "
    "VALUES (?, ?, ?, ?, ?)"
)
DAY_1 = "2020-01-01 00:00:00.000000"
DAY_2 = "2020-01-02 00:00:00.000000"


def backfill(number: int) -> dict[str, Any]:
    """Return a backfill's row."""
    return {
        "id": number,
        "dag_id": "test_dag",
        "from_date": DAY_1,
        "to_date": DAY_2,
        "max_active_runs": 1,
        "completed_at": None,
    }


def link(number: int, owner: int, ordinal: int) -> dict[str, Any]:
    """Return the row of one run of a backfill."""
    return {"id": number, "backfill_id": owner, "dag_run_id": number, "sort_ordinal": ordinal}


def run(number: int, owner: int) -> dict[str, Any]:
    """Return a run's row."""
    return {"id": number, "dag_id": "test_dag", "state": "queued", "backfill_id": owner}


def appears(table: str, row: dict[str, Any]) -> Change:
    """Return the change that a new row is."""
    return Change(table, None, row)


SELECT_DAG = (
    "SELECT serialized_dag.id, serialized_dag.dag_id, serialized_dag.data \nFROM serialized_dag \n"
    "WHERE serialized_dag.dag_id = ?"
)


def _create(script: Script, client: int, number: int) -> None:
    script.start(client)
    script.select(client, SELECT_DAG, ("test_dag",), (1, "test_dag", "{}"))
    script.select(client, GUARD, ("test_dag",), (0,))
    arguments = ("test_dag", DAY_1, DAY_2, "{}", 0, "none", 1, DAY_1, None, DAY_1, None)
    script.run(client, INSERT_BACKFILL, arguments, 1, held="write")
    script.add(client, Kind.COMMIT, held="none", changes=(appears("backfill", backfill(number)),))


def _run_arguments(owner: int, day: str) -> tuple[Any, ...]:
    return ("test_dag", f"backfill__{day}", day, "queued", "backfill", owner, 0)


def _day(script: Script, client: int, owner: int, number: int, ordinal: int) -> None:
    day = DAY_1 if ordinal == 1 else DAY_2
    script.run(client, "SAVEPOINT sa_savepoint_1", inside=True)
    script.select(client, SELECT_RUN, ("test_dag", day, 1, 0), held="read")
    script.run(client, INSERT_RUN, _run_arguments(owner, day), 1, held="write")
    script.run(client, INSERT_LINK, (owner, number, None, day, ordinal), 1)
    changes = (
        appears("dag_run", run(number, owner)),
        appears("backfill_dag_run", link(number, owner, ordinal)),
    )
    script.run(client, "RELEASE SAVEPOINT sa_savepoint_1", held="none", inside=False, changes=changes)


def refused() -> Raised:
    """Return how a request ends that SQLite refused."""
    return Raised(RuntimeError("(sqlite3.OperationalError) database is locked"))


ORPHAN_TOKEN = "t1.A15.B30.A4.B4.A20"


def orphan() -> Trace:
    """Return an execution in which request-2 fails and leaves a part of its rows."""
    script = Script()
    _create(script, 0, 1)
    _create(script, 1, 2)
    _day(script, 1, 2, 1, 1)
    script.run(0, "SAVEPOINT sa_savepoint_1", inside=True)
    script.select(0, SELECT_RUN, ("test_dag", DAY_1, 1, 0), (1, "test_dag", "backfill__1", DAY_1), held="read")
    script.run(0, INSERT_LINK, (1, None, "already exists", DAY_1, 1), 1, held="write")
    script.run(1, "SAVEPOINT sa_savepoint_2", inside=True)
    script.select(1, SELECT_RUN, ("test_dag", DAY_2, 1, 0), held="read")
    script.run(
        1,
        INSERT_RUN,
        _run_arguments(2, DAY_2),
        seen=Observation(failure=LOCKED, in_transaction=True),
        lock_kind=LockKind.UPGRADE,
        holders=("request-1",),
    )
    script.run(1, "ROLLBACK TO SAVEPOINT sa_savepoint_2", inside=True)
    script.add(1, Kind.ROLLBACK, held="none", seen=Observation())
    script.add(1, Kind.CLOSE, outcome=refused())
    script.run(
        0,
        "RELEASE SAVEPOINT sa_savepoint_1",
        held="none",
        inside=False,
        changes=(appears("backfill_dag_run", {**link(2, 1, 1), "dag_run_id": None}),),
    )
    script.add(0, Kind.COMMIT)
    script.add(0, Kind.ROLLBACK)
    script.add(0, Kind.CLOSE, outcome=Returned(201))
    why = "request-2 raised OperationalError, but its backfill 2 is committed, with 1 of its 2 runs."
    rows: list[tuple[str, Row]] = [("backfill", backfill(2)), ("backfill_dag_run", link(1, 2, 1))]
    return script.trace(ORPHAN_TOKEN, {"all-or-nothing": (Breach(why, rows),)})


def _holds(view: object) -> bool:
    del view
    return True


ALL_OR_NOTHING = always("a request that fails leaves no rows", _holds, name="all-or-nothing")
NEVER_PARTIAL = always("no backfill is committed without all its runs", _holds, name="never-partial")
HISTORY_KEPT = always("no row of an older run changes its owner", _holds, name="history-kept")
COMPLETE = at_end("a 201 means that every run was created", _holds, name="complete-means-complete")
ONE_SUCCEEDS = sometimes("a request succeeds", _holds, name="one-succeeds")

STATS = Stats(1234, 2345, 12_345_678, 43, 0.512, 85_000_000)
BOUNDS = Bounds(FaultBudget(locked=1), Placement.SAVEPOINT)


def holds(item: Property, expected: Verdict = Verdict.HOLDS) -> Decision:
    """Return the decision that a property holds."""
    return Decision(item, Verdict.HOLDS, expected)


def violated(item: Property, trace: Trace | None, expected: Verdict = Verdict.VIOLATED) -> Decision:
    """Return the decision that a property is violated."""
    why = "request-2 failed, but left its backfill with 1 of 2 runs."
    example = Counterexample(trace.schedule, trace, confirmed=True, why=why) if trace is not None else None
    return Decision(item, Verdict.VIOLATED, expected, counterexample=example)


def inconclusive(item: Property, why: str, expected: Verdict = Verdict.HOLDS) -> Decision:
    """Return the decision that a property could not be decided."""
    return Decision(item, Verdict.INCONCLUSIVE, expected, why=why)


def result(*decisions: Decision, exhausted: bool = True, **more: Any) -> Result:
    """Return a result with these decisions."""
    whole = Result(
        scenario="create-backfill/shipped-3.2.2",
        clients=CLIENTS,
        journal="wal",
        transactions="legacy",
        sqlite_version="3.40.1",
        bounds=BOUNDS,
        search="exhaustive",
        exhausted=exhausted,
        decisions=decisions,
        stats=STATS,
    )
    return evolve(whole, **more)
