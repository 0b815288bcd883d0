"""``python -m properties.anomalies``: check every anomaly in every mode, and write docs/anomalies.md anew."""

from __future__ import annotations

import sys
from pathlib import Path

from properties.anomalies.catalogue import ANOMALIES
from properties.anomalies.document import Cell, page
from treadle import Decision, TreadleError, UsageError, check

PAGE = Path(__file__).resolve().parents[2] / "docs" / "anomalies.md"
"""What is written."""

JOURNALS = ("wal", "delete")
MODES = ("legacy", "begin", "immediate", "autocommit-off")


def decide(symbol: str, journal: str, mode: str) -> Decision:
    """Return whether an anomaly never shows.

    Raises:
        UsageError: no schedule lets every transaction succeed, so the verdict would say nothing.
    """
    anomaly = ANOMALIES[symbol]
    result = check(anomaly.scenario(journal=journal, transactions=mode))
    if not result["all-succeed"].as_expected:
        raise UsageError(
            f"anomaly={symbol!r} in {journal}, {mode}: no schedule lets every transaction succeed, so "
            "the verdict would say nothing. Write transactions that can."
        )
    return result[anomaly.never]


def main() -> None:
    """Check, and write the page.

    Raises:
        SystemExit: this Python has not all transaction modes, or something cannot be checked.
    """
    if sys.version_info < (3, 12):
        sys.exit("The page covers the transaction mode 'autocommit-off': run this with Python 3.12 or later.")
    try:
        decided = {
            Cell(symbol, journal, mode): decide(symbol, journal, mode)
            for symbol in ANOMALIES
            for journal in JOURNALS
            for mode in MODES
        }
    except TreadleError as error:
        sys.exit(str(error))
    PAGE.write_text(page(tuple(ANOMALIES.values()), JOURNALS, MODES, decided), encoding="utf-8")


if __name__ == "__main__":
    main()
