"""The page about cost: a pure function from the recorded figures to Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import BROKEN, Case, cases
from benchmarks.growth import FLAT, LINEAR, Growth, spoken
from benchmarks.results import Rows, Verdict, judged, series
from treadle.checking import REDUCTIONS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cost.md"
"""What is written."""

HEAD = """\
# What a proof costs

<!-- Written by `python -m benchmarks --page`: change benchmarks/, not this file. -->

Every check that comes with Treadle is there to be run again and again, so its cost matters. This page says what it is.
All figures are those of benchmarks/results.json, which `make bench` measures and records; the page is made of it.

## The unit

Seconds say as much about a machine as about a program. So the unit is one **plain run**: the same requests, one after
another, through plain SQLAlchemy on a fresh SQLite file, without Treadle. It is what a test that calls the functions
once would take. A check that costs 100 plain runs is as long as such a test in a loop of 100, and in those 100 it has
seen every interleaving.

A plain run is measured in the same process, before and after each check that it is compared with, and all figures are
medians of several rounds. Making the database file is not counted. Each case runs in a process of its own, so that
its peak of memory is its own, and nothing is left in caches by another case. The code is create-backfill of
[the case study](case-study.md), `{broken}` unless another algorithm is named, in WAL mode and with the driver's
defaults, and the properties are those of the bug report: `all-or-nothing`, `history-kept`, `one-active-backfill` and
`retry-succeeds`. A check is all of it: starting, searching, confirming counterexamples live, and spot-checking.

"Wanted" is what was asked of the checker before it was measured. What is not met says so, and why.

**These figures are older than the processes of clients.** They were recorded when all clients still ran in the process
of the checker, and are to be recorded anew. What was measured since, once, on the same machine with other work beside,
with all properties and 20 challenges, in seconds of processor time:

| case | in one process, before | processes that run again | a fresh process for every run (`--isolate`) |
| --- | --- | --- | --- |
| A | 1.6 | 3.9 | 11.8 |
| C | 9.8 | 16.2 | 41.0 |

    make bench                           measure, compare with the last record, and record: 7 minutes
    make bench BENCH_ARGS=--all          the same with the slow cases: 20 minutes
    make bench BENCH_ARGS='A E/flush'    some: by name, or by what their names start with
    make bench BENCH_ARGS=--no-record    only compare

Measured on {machines}.
"""

GROWTH = """\
## How it grows

![Left: states against runs for each algorithm. Right: time of a fault sweep against runs.](_static/growth.svg)

**With the number of runs, exhaustively** (E): 2 requests x n runs, with 1 `locked` fault. Where a request commits once,
however many runs it has, the number of states is a polynomial in n. That is no fit: from some point on the
differences of the measured numbers vanish, so the polynomial is exact for all n that were measured. Time for each
state counts as flat if at the largest n it is at most {flat:g} times that at the smallest.
"""

SWEEPS = """\
**With the number of runs, one request** (F): a sweep tries a `locked` fault at every savepoint, first write and RELEASE
in turn. Plain runs are of the same size. Time counts as linear if it grows with a power of n of at most {linear:g}.
"""

SAMPLING = """\
## Far more than can be exhausted

5 requests with 1,096 runs each (three years of days) are far out of reach of an exhaustive search. A sampling search
walks executions until one breaks a property (G). The cost of one is the mean of the first five, none of which is
known beforehand. *Whole check* is everything: starting, sampling until the first violation, shrinking it to its
smallest schedule, and confirming that one live.
"""

LIVE = """\
## One live execution

Counterexamples are confirmed, and what holds is spot-checked, by running the real code of all clients on a fresh
database (H). What that costs beyond a plain run is the switching between clients at each operation, comparing what each
sees with what was learned, and reading what is committed. Making the database is not counted, here as there.
"""

WORKERS = """\
## Several processes

`--workers N` divides the states among processes (W).
"""

ABLATION = """\
## What each reduction is worth

`treadle check --without NAME` switches a reduction off. None changes a verdict; each is there for what it saves. Here
is what A and C cost without each (R), the others being on. A search that is not done after 60 seconds is stopped.
"""

MISSED = """\
## What misses what was wanted, and why
"""

_SMALL = """\
The requests' own code is more than half of the time: each live run (see that column) is a request that is run from its
beginning to learn what it does after one more history, or to confirm or spot-check. In A there are 62 different
histories of a request, from its start to its end. To run the code for each of them once, and no more than once, with
the database's answers from memory, takes 35 plain runs: all that was wanted of the whole. And a second way on from
somewhere in a history takes the way there again: to copy the process there costs 2 ms and then some 5 for the pages of
memory that are copied when they are written to (3 microseconds each), and to run so short a client again up to there 2
or 3. A fresh process costs 2 ms, and 15 to 35 until an ORM in it has compiled its statements; so processes are used
again as long as nothing speaks against it. The rest is spread over executing SQL, walking the product, and live
executions."""

WHY = {
    "A": _SMALL,
    "B": _SMALL,
    "C": """\
Requests' code, as in A, is more than two fifths of the time. A quarter is finding out what an operation does to the
database where no state before had told it, and somewhat more is walking the product and asking the properties, of which
`retry-succeeds` sends a request again at each end.""",
    "D": """\
What takes time is what does in C, with many more states.""",
    f"E/{BROKEN}": """\
No exact search can meet this. `shipped-3.2.2` commits at every date, and which request was first at which date is
visible in what is committed: in the order of the ids, and in which backfill has the run. Two sequences of n commits
can be merged in C(2n, n) ways, and already without faults executions end with exactly 2 C(2n, n) + 1 different
contents (a test counts them for small n; the column *contents at the end* counts them with a fault). Each has to be
judged, so there are at least as many states, and their number tends to grow fourfold with each run. What can be asked
is that the states do not grow faster than that, and that the time for each stays flat.""",
    "E/": """\
There are few states, and the same number for every n, but each stands for more and longer statements.""",
    "F": """\
After a fault all later dates are still to be done, so each of some 3n executions would cost what remains of a plain
run, were it not for what they share: a copy of the client's process takes each fault, and goes on to the answer.
To make and to end a copy takes milliseconds, most of them for pages of memory that are copied when they are written to,
and each operation in it crosses a pipe. `shipped-3.3.2` takes about ten operations more in each copy than
`shipped-3.2.2`, because it deletes what it wrote before it answers; and what it deleted and committed, all dates up to
there, is put back row by row for the faults that follow. Both take longer the more dates there are, so the whole grows
somewhat faster than n.""",
    "G": """\
An execution that is sampled runs the code of all clients live, and learns from it: each operation becomes a transition
of the world, each content that is committed is read and kept, and the properties are evaluated on it. It is also longer
than a plain run: requests that are interleaved do a part of their work before they fail, while in a plain run all but
the first get a conflict at once. With 100 runs, it has a quarter more operations.""",
    "H": """\
In a plain run an operation takes some 150 microseconds (divide the columns): SQLAlchemy takes most of it, and SQLite,
on a file in memory, very little. A live execution adds two fresh processes, the way over a pipe and back for each
operation, putting together what was asked and seen so that it can be compared, and reading what was committed. In H/2/2
each request also opens a connection of its own, as another process would, and compiles its statements there, where a
plain run goes on with the one that made the tables: that alone is a ninth of a plain run.""",
    "W": """\
The search and the spot checks are shared between the processes, and the rest is not: starting, putting the graph
together, counting, and confirming. Each process also learns for itself what clients do, and what the world does, in the
states that it visits: with two processes, a third more live runs. Figures of this case vary with what else the cores
have to do.""",
}
"""Why figures miss what was wanted, by the beginning of the names of their cases."""

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def page(rows: Rows) -> str:
    """Return the page."""
    known = cases()
    growths = list(series(rows))
    parts = [
        HEAD.format(broken=BROKEN, machines=_machines(rows)),
        "## Exhausting all interleavings\n",
        _checks([known[name] for name in "ABCD" if name in rows], rows),
        GROWTH.format(flat=FLAT),
        _polynomials([(growth, wanted) for growth, wanted in growths if growth.name.startswith("E")]),
        _exponential([growth for growth, _ in growths if growth.degree is None and growth.name.startswith("E")]),
        SWEEPS.format(linear=LINEAR),
        _checks([case for name, case in known.items() if name in rows and name.startswith("F/")], rows),
        _list(
            f"`{growth.name.partition('/')[2]}`: seconds grow with the power {growth.power:.2f} of n."
            for growth, _ in growths
            if growth.name.startswith("F")
        ),
        SAMPLING,
        _samples([case for name, case in known.items() if name in rows and name.startswith("G/")], rows),
        LIVE,
        _lives([case for name, case in known.items() if name in rows and name.startswith("H/")], rows),
        WORKERS,
        _workers([case for name, case in known.items() if name in rows and name == "W"], rows),
        ABLATION,
        *(_ablation(of, rows) for of in "AC" if of in rows),
        MISSED,
        _list(_missed(rows)) or "Nothing.\n",
    ]
    return "\n".join(part for part in parts if part)


def missed(rows: Rows) -> dict[str, str]:
    """Return why each figure that misses what was wanted does so, by case or series."""
    known = cases()
    names = [name for name, row in rows.items() if not all(met for _, met in judged(known[name], row))]
    names += [growth.name for growth, wanted in series(rows) if not all(met for _, met in wanted)]
    return {name: _why(name) for name in names}


def _why(name: str) -> str:
    return next((why for start, why in WHY.items() if name.startswith(start)), "Nobody has looked into it yet.")


def _missed(rows: Rows) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, why in missed(rows).items():
        by_reason.setdefault(why, []).append(name)
    return [f"**{', '.join(names)}.** " + " ".join(why.split()) for why, names in by_reason.items()]


def _machines(rows: Rows) -> str:
    by_machine: dict[str, list[str]] = {}
    for name, row in rows.items():
        by_machine.setdefault(row["machine"], []).append(name)
    if len(by_machine) == 1:
        return next(iter(by_machine))
    return "; ".join(f"{machine} ({', '.join(names)})" for machine, names in by_machine.items())


# --- Tables ------------------------------------------------------------------------------------------


def _checks(chosen: Sequence[Case], rows: Rows) -> str:
    columns = ["case", "", "seconds", "states", "schedules", "live runs", "MB", "plain runs", "wanted", "met"]
    return _table(columns, [_check(case, rows[case.name]) for case in chosen])


def _check(case: Case, row: Any) -> list[str]:
    return [
        case.name,
        row["title"],
        number(row["seconds"]),
        large(row["states"]),
        large(row["schedules"]),
        large(row["live_runs"]),
        number(row["peak_rss_mb"]),
        f"**{number(row['ratio'])}**",
        *_wanted(judged(case, row)),
    ]


def _polynomials(found: Sequence[tuple[Growth, list[Verdict]]]) -> str:
    columns = ["algorithm", "n", "states", "degree", "time for each state, µs", "factor", "wanted", "met"]
    return _table(
        columns,
        [
            [
                f"`{growth.name.partition('/')[2]}`",
                f"{growth.sizes[0]} to {growth.sizes[-1]}",
                spoken(growth.polynomial) if growth.polynomial else "exponential",
                "none" if growth.degree is None else str(growth.degree),
                f"{growth.state_us[0]:,.0f} to {growth.state_us[-1]:,.0f}",
                f"{growth.steepening:.2f}",
                *_wanted(wanted),
            ]
            for growth, wanted in found
        ],
    )


def _exponential(found: Sequence[Growth]) -> str:
    parts = []
    for growth in found:
        factors = ("", *(f"{factor:.2f}" for factor in growth.factors))
        lines = zip(growth.sizes, growth.contents, growth.states, factors, growth.seconds, growth.state_us, strict=True)
        parts.append(f"`{growth.name.partition('/')[2]}` is different:\n")
        parts.append(
            _table(
                ["n", "contents at the end", "states", "times as many", "seconds", "time for each state, µs"],
                [
                    [str(n), large(contents), large(states), factor, number(seconds), f"{microseconds:,.0f}"]
                    for n, contents, states, factor, seconds, microseconds in lines
                ],
            )
        )
    return "\n".join(parts)


def _samples(chosen: Sequence[Case], rows: Rows) -> str:
    return _table(
        ["case", "", "found within", "seconds each", "plain runs each", "whole check", "MB", "wanted", "met"],
        [
            [
                case.name,
                row["title"],
                "not found" if row["executions"] is None else _executions(row["executions"]),
                number(row["seconds"]),
                f"**{number(row['ratio'])}**",
                f"{number(row['whole_check_ratio'])} plain runs",
                number(row["peak_rss_mb"]),
                *_wanted(judged(case, row)),
            ]
            for case, row in ((case, rows[case.name]) for case in chosen)
        ],
    )


def _executions(count: int) -> str:
    return "1 execution" if count == 1 else f"{count} executions"


def _lives(chosen: Sequence[Case], rows: Rows) -> str:
    return _table(
        ["case", "", "operations", "ms", "plain run, ms", "plain runs", "wanted", "met"],
        [
            [
                case.name,
                row["title"],
                large(row["operations"]),
                number(row["seconds"] * 1e3),
                number(row["plain_run_s"] * 1e3),
                f"**{number(row['ratio'])}**",
                *_wanted(judged(case, row)),
            ]
            for case, row in ((case, rows[case.name]) for case in chosen)
        ],
    )


def _workers(chosen: Sequence[Case], rows: Rows) -> str:
    return _table(
        ["case", "", "seconds, one process", "seconds, two", "times as fast", "wanted", "met"],
        [
            [
                case.name,
                row["title"],
                number(row["seconds_alone"]),
                number(row["seconds"]),
                f"**{number(row['speedup'])}**",
                *_wanted(judged(case, row)),
            ]
            for case, row in ((case, rows[case.name]) for case in chosen)
        ],
    )


def _ablation(of: str, rows: Rows) -> str:
    measured = [(of, "(all on)"), *((f"R/{of}/{name}", f"`{name}`") for name in REDUCTIONS)]
    return _table(
        [f"{of} without", "seconds", "states", "schedules", "live runs", "MB", "plain runs", "times as long"],
        [
            [
                shown,
                number(row["seconds"]) + ("" if row["exhausted"] else ", stopped"),
                large(row["states"]),
                large(row["schedules"]),
                large(row["live_runs"]),
                number(row["peak_rss_mb"]),
                number(row["ratio"]),
                ("" if row["exhausted"] else "more than ") + f"{row['ratio'] / rows[of]['ratio']:.2f}",
            ]
            for shown, row in ((shown, rows[name]) for name, shown in measured if name in rows)
        ],
    )


def _wanted(verdicts: Sequence[Verdict]) -> list[str]:
    return ["; ".join(words for words, _ in verdicts), "; ".join(_yes(met) for _, met in verdicts)]


def _yes(met: bool) -> str:  # noqa: FBT001  # a word for each of the two
    return "yes" if met else "**no**"


def number(value: float) -> str:
    """Return a measured figure with the digits that count."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def large(value: int) -> str:
    """Return a count, as a power of ten where it is longer than one can read."""
    if value < 10_000_000:
        return f"{value:,}"
    mantissa, _, power = f"{value:.1e}".partition("e+")
    return f"{mantissa} · 10{str(int(power)).translate(_SUPERSCRIPTS)}"


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return "Not measured yet.\n"
    parts = [columns, ["---"] * len(columns), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in parts)


def _list(items: Iterable[str]) -> str:
    return "".join(f"- {item}\n" for item in items)
