"""How many states and schedules there are: exact, and derived."""

from __future__ import annotations

from math import comb

import pytest

from tests.checking.bank import bank, read_times, write_once
from treadle import Verdict, check


@pytest.mark.parametrize(("times", "clients"), [(1, 2), (2, 2), (4, 2), (2, 3)])
def test_reads_in_transactions_of_their_own_interleave_freely(times: int, clients: int) -> None:
    """A read that takes a snapshot of its own is one scheduling point, and what follows it is local.

    So clients * times points are merged in all orders: for two clients comb(2 n, n), and (times + 1) ** clients
    states, since a state is how far each client is. The clients run the same code, so that only how far how many of
    them are is left to tell: as many states as there are multisets of ``clients`` of the ``times + 1`` distances.
    """
    orders, left = 1, clients * times
    for _ in range(clients):
        orders *= comb(left, times)
        left -= times
    named = check(bank(read_times, times, clients=clients), without=["symmetry"])
    assert (orders, (times + 1) ** clients) == (named.stats.schedules, named.stats.states)
    nameless = check(bank(read_times, times, clients=clients))
    assert (orders, comb(times + clients, clients)) == (nameless.stats.schedules, nameless.stats.states)


def test_without_reduction_every_operation_is_a_scheduling_point() -> None:
    """One write through the driver is seven operations, merged in all orders that the lock allows.

    They are connect, two create_function, execute, commit, the pool's rollback, and the answer. Were there no lock,
    that would be comb(14, 7) = 3432 schedules. While one client is between its UPDATE and its COMMIT, the other one's
    UPDATE waits, and is tried again after the COMMIT; ``_schedules`` counts with nothing but this rule.
    """
    result = check(bank(write_once), reduction=False)
    assert _schedules((0, 0), None) == result.stats.schedules
    assert comb(14, 7) > result.stats.schedules


def _schedules(done: tuple[int, int], waiting: int | None) -> int:
    """Count the schedules from a point on: the fourth operation takes the lock or waits, the fifth drops it."""
    if done == (7, 7):
        return 1
    total = 0
    for client in (0, 1):
        mine, other = done[client], done[1 - client]
        if mine == 7 or waiting == client:
            continue
        if mine == 3 and other == 4:
            total += _schedules(done, client)
            continue
        after = (mine + 1, other) if client == 0 else (other, mine + 1)
        total += _schedules(after, None if mine == 4 else waiting)
    return total


def test_a_search_that_stops_at_a_bound_proves_nothing() -> None:
    """What was not violated by then is inconclusive, never holds."""
    result = check(bank(read_times, 4), max_states=5)
    assert (False, {Verdict.INCONCLUSIVE}) == (result.exhausted, {item.verdict for item in result.decisions})
