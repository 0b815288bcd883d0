"""The page about anomalies: pure functions from what was checked to Markdown."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from attrs import frozen

from properties.anomalies.anomaly import Anomaly
from treadle import Decision, Verdict

HEAD = """\
# Isolation anomalies

<!-- Written by `python -m properties.anomalies`: change properties/anomalies/, not this file. -->

Which anomalies can SQLite {version} show, in which journal mode, and in which transaction mode of the
driver? Each transaction is a client that returns what it read, the anomaly is a property that must never
show, and Treadle takes the clients through every interleaving, without faults.

How to read this: *possible* means that a schedule was found that shows the anomaly, that it was run once
more live on a fresh database, and that it is listed below; *impossible* means that the search was
exhausted, that no schedule shows it, and that some schedule lets every transaction succeed, so that it is
not impossible merely because all fail. A transaction that SQLite refuses with `database is locked` shows
nothing: it has to be sent again. The transactions are those of the test suite Hermitage; the anomalies are
defined in Berenson et al., "A Critique of ANSI SQL Isolation Levels" (1995), Adya, "Weak Consistency"
(1999), and Bailis et al., "Highly Available Transactions" (2013). The transaction modes are `legacy`, the
driver's default, which sends BEGIN only before INSERT, UPDATE and DELETE; `begin`, SQLAlchemy's recipe that
always sends it; `immediate`, the same with BEGIN IMMEDIATE; and `autocommit-off`, the driver's
`autocommit=False` since Python 3.12.

So SQLite itself is serializable, and what takes that away is the driver's default: a transaction in Python
that only reads, or reads before it writes, is there no transaction in SQLite.
"""

REPLAY = """
To see a schedule, step by step:

    treadle replay {token} properties.anomalies:scenarios \\
        -p journal={journal} -p transactions={mode} -k anomalies/{symbol}
"""

WORDS = {Verdict.VIOLATED: "possible", Verdict.HOLDS: "impossible", Verdict.INCONCLUSIVE: "inconclusive"}


@frozen
class Cell:
    """Where an anomaly was looked for."""

    symbol: str
    journal: str
    mode: str


def page(
    anomalies: Sequence[Anomaly],
    journals: Sequence[str],
    modes: Sequence[str],
    decided: Mapping[Cell, Decision],
) -> str:
    """Return the page.

    Args:
        anomalies: in the order in which they are listed.
        journals: the journal modes.
        modes: the transaction modes.
        decided: the decision for each anomaly in each of them.
    """
    parts = [HEAD.format(version=sqlite3.sqlite_version), _table(anomalies, journals, modes, decided)]
    parts += _example(decided)
    parts += [_section(anomaly, journals, modes, decided) for anomaly in anomalies]
    return "\n".join(parts)


def _table(
    anomalies: Sequence[Anomaly],
    journals: Sequence[str],
    modes: Sequence[str],
    decided: Mapping[Cell, Decision],
) -> str:
    columns = [(journal, mode) for journal in journals for mode in modes]
    lines = [
        ["anomaly", *(f"{journal}, {mode}" for journal, mode in columns)],
        ["---"] * (1 + len(columns)),
    ]
    for anomaly in anomalies:
        words = [WORDS[decided[Cell(anomaly.symbol, *column)].verdict] for column in columns]
        lines.append([f"{anomaly.symbol} ({anomaly.title})", *(_strong(word) for word in words)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _strong(word: str) -> str:
    return word if word == WORDS[Verdict.HOLDS] else f"**{word}**"


def _example(decided: Mapping[Cell, Decision]) -> list[str]:
    for cell, decision in decided.items():
        if decision.counterexample is not None:
            token = decision.counterexample.schedule.token
            return [REPLAY.format(token=token, journal=cell.journal, mode=cell.mode, symbol=cell.symbol).lstrip("\n")]
    return []


def _section(anomaly: Anomaly, journals: Sequence[str], modes: Sequence[str], decided: Mapping[Cell, Decision]) -> str:
    lines = [f"## {anomaly.symbol}: {anomaly.title}", "", f"Property: {anomaly.clause}.", "", anomaly.why, ""]
    found = []
    for journal in journals:
        for mode in modes:
            decision = decided[Cell(anomaly.symbol, journal, mode)]
            if decision.counterexample is not None:
                why = decision.counterexample.why
                found.append(f"| {journal}, {mode} | `{decision.counterexample.schedule.token}` | {why} |")
    if found:
        lines += ["| possible in | schedule | what it shows |", "| --- | --- | --- |", *found, ""]
    return "\n".join(lines)
