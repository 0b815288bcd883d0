"""Measures which broken rules are noticed by the challenges of a check: ``python -m tests.truth.challenges``.

It writes docs/challenges.md; about three minutes.
"""

from __future__ import annotations

import argparse
import platform
import re
import sqlite3
import time
from collections import Counter
from pathlib import Path

from attrs import frozen

from tests.truth.rules import RIGHT, RULES, STARTS_OVER, WRONG, Rule, verdict_of, what_comes_of

PAGE = Path(__file__).parents[2] / "docs" / "challenges.md"

CHECKS = 20
"""How many checks of each rule there are, with the seeds from 0 on."""

_HEAD = """\
# What challenges notice

<!-- Written by `python -m tests.truth.challenges`. Do not edit it: run that again. -->

A finished search is challenged: clients run on plain SQLite, with nothing in between, and must show nothing that the
search did not find ([](how-it-works.md)). To see what that is worth, each rule that verdicts rest on is broken on
purpose, and a small scenario that shows the difference is checked {checks} times with the default budget (at least 20
executions, a tenth of the time of the search, and what a small search leaves of a quarter of a second), with seeds 0 to
{last}. Its property is "this never happens", where "this" is something that happens and that the check does not see
with the rule broken; or, where it misses nothing, something that it invents.

- **Without challenges**: *wrong* verdicts; *starts over* says that the check finds out by itself, takes less for
  granted, and is right; *right* says that nothing goes wrong any more when the rule is broken; otherwise the error that
  the check ends with.
- **Noticed**: how many of the {checks} checks end with an error, or with the right verdict, and not with a wrong one.
- Rules in *italics* stand for causes of false verdicts that were found from outside.

Python {python}, SQLite {sqlite}; {challenged}.

| rule that is broken | scenario | without challenges | noticed, of {checks} | by |
|---|---|---|---:|---|
"""

_TAIL = """
Scenarios are written as `tests/truth/generator.py` reads them: journal mode, busy timeout in milliseconds, and for each
client how it connects and what it does. "1 locked" and "1 crash" are fault budgets.
"""


@frozen
class Row:
    """One row of the table, as it is written.

    Attributes:
        rule: its name.
        scenario: that shows it.
        alone: what comes of a check without challenges.
        noticed: how many checks notice.
        by: what they end with.
    """

    rule: str
    scenario: str
    alone: str
    noticed: str
    by: str


def rows_of(page: str) -> list[Row]:
    """Read the table of a page."""
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| rule")]
    return [Row(*(re.sub(r"^\*|\*$", "", cell.strip()) for cell in line.strip("|").split("|"))) for line in lines]


def _row(rule: Rule) -> str:
    began = time.monotonic()
    verdicts = Counter(verdict_of(rule, seed) for seed in range(CHECKS))
    noticed = CHECKS - verdicts[WRONG] - verdicts["inconclusive"]
    alone = what_comes_of(rule).of_it
    found = [name for name, _ in verdicts.most_common() if name != WRONG]
    by = ", ".join("right verdicts" if name == RIGHT else f"`{name}`" for name in found) or "nobody"
    print(f"{noticed:3} of {CHECKS}  {rule.name} ({time.monotonic() - began:.1f} s)", flush=True)
    name = f"*{rule.name}*" if rule.cause else rule.name
    faults = "".join(f", {count} {kind}" for kind, count in zip(("locked", "crash"), rule.faults, strict=True) if count)
    plain = alone in {RIGHT, STARTS_OVER, WRONG}
    return f"| {name} | `{rule.written}`{faults} | {alone if plain else f'`{alone}`'} | {noticed} | {by} |\n"


def main() -> None:
    """Measure, and write the page."""
    argparse.ArgumentParser(prog="python -m tests.truth.challenges", description=__doc__).parse_args()
    rows = [_row(rule) for rule in RULES]
    head = _HEAD.format(
        checks=CHECKS,
        last=CHECKS - 1,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        challenged=f"{len(RULES)} rules",
    )
    PAGE.write_text(head + "".join(rows) + _TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
