"""The scenarios of all anomalies."""

from __future__ import annotations

import fnmatch

from properties.anomalies.catalogue import ANOMALIES
from treadle import Scenario, UsageError


def scenarios(journal: str = "wal", transactions: str = "legacy", anomaly: str = "*") -> list[Scenario]:
    """Return one scenario for each anomaly that is asked for.

    Args:
        journal: wal or delete.
        transactions: legacy, begin, immediate or autocommit-off.
        anomaly: a pattern for symbols, as in ``G1?``.

    Raises:
        UsageError: a value is not one of those allowed, or the pattern matches no anomaly.
    """
    symbols = [symbol for symbol in ANOMALIES if fnmatch.fnmatchcase(symbol, anomaly)]
    if not symbols:
        raise UsageError(
            f"anomaly={anomaly!r}: it matches none of {', '.join(ANOMALIES)}. Correct -p anomaly=..., or leave it out."
        )
    return [ANOMALIES[symbol].scenario(journal=journal, transactions=transactions) for symbol in symbols]
