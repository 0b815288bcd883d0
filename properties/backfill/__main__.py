"""``python -m properties.backfill``: record what every algorithm violates, and write the page about it anew."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from properties.backfill.expectations import FILE
from properties.backfill.page import page
from properties.backfill.recording import cells, record
from treadle import TreadleError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "which-fix-keeps-what.md"
"""What is written, beside the record."""


def main() -> None:
    """Check, and write the record and the page.

    Raises:
        SystemExit: this Python has not all transaction modes, or something cannot be decided.
    """
    if sys.version_info < (3, 12):
        sys.exit("The record covers the transaction mode 'autocommit-off': run this with Python 3.12 or later.")
    try:
        found = record(cells(), processes=os.cpu_count() or 1)
    except TreadleError as error:
        sys.exit(str(error))
    FILE.write_text(json.dumps(found.document(), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
