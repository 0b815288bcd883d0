"""Create-backfill as Hypothesis state machines: what Hypothesis finds, and shrinks, in what shipped and in fixes.

    pytest properties/backfill/machine.py -k Fix                        passes
    pytest properties/backfill/machine.py -k Shipped                    fails, as it should: it shows the orphan
    pytest properties/backfill/machine.py --hypothesis-show-statistics  tells at which savepoint it was locked how often

A rule is a turn of one request (``turn``), or a lock that it meets (``locked_at``); docs/howto/hypothesis.md has the
example that comes out. Rules of your own go into a subclass of the machine.
"""

from __future__ import annotations

from properties.backfill.scenarios import scenarios
from treadle.hypothesis import state_machine

ShippedMachine = state_machine(scenarios(algorithms="shipped-3.2.2", requests=1)[0], properties=["all-or-nothing"])
"""One request, as in 3.2.2, and one ``database is locked``: a backfill stays that nobody was promised."""

RaceMachine = state_machine(scenarios(algorithms="shipped-3.2.2")[0], properties=["all-or-nothing"])
"""Two requests of it at the same time."""

ImmediateMachine = state_machine(scenarios(algorithms="immediate")[0])
"""A fix that takes the write lock before it reads: it keeps every property."""

FlushMachine = state_machine(scenarios(algorithms="flush")[0], properties=["never-partial", "all-or-nothing"])
"""A fix that flushes the backfill instead of committing it first."""

TestShipped = ShippedMachine.TestCase
TestShippedRace = RaceMachine.TestCase
TestFixImmediate = ImmediateMachine.TestCase
TestFixFlush = FlushMachine.TestCase
