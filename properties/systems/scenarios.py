"""The scenarios of all small systems."""

from __future__ import annotations

import fnmatch

from properties.systems import (
    check_then_insert,
    count_then_start,
    idempotency_key,
    job_claim,
    lost_update,
    outbox,
    rollback_to_without_release,
    savepoint_survives,
    upgrade_storm,
    write_skew,
)
from treadle import Scenario, UsageError

SYSTEMS = {
    module.SYSTEM.name: module.SYSTEM
    for module in (
        lost_update,
        write_skew,
        job_claim,
        idempotency_key,
        outbox,
        check_then_insert,
        upgrade_storm,
        savepoint_survives,
        rollback_to_without_release,
        count_then_start,
    )
}
"""The systems by name."""


def scenarios(journal: str = "wal", transactions: str | None = None, system: str = "*") -> list[Scenario]:
    """Return one scenario for each variant of each system that is asked for.

    Args:
        journal: wal or delete.
        transactions: legacy, begin, immediate or autocommit-off. Left out, each system is checked in the mode
            in which its mistake shows. A variant whose repair is a mode keeps it.
        system: a pattern for names, as in ``lost-update`` or ``*-insert``; underscores count as dashes.

    Raises:
        UsageError: a value is not one of those allowed, or the pattern matches no system.
    """
    names = fnmatch.filter(SYSTEMS, system.replace("_", "-"))
    if not names:
        raise UsageError(
            f"system={system!r}: it matches none of {', '.join(SYSTEMS)}. Correct -p system=..., or leave it out."
        )
    return [
        scenario for name in names for scenario in SYSTEMS[name].scenarios(journal=journal, transactions=transactions)
    ]
