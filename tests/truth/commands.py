"""The command line of the comparison: ``python -m tests.truth.real``."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from typing import Any

from attrs import evolve

from tests.truth.compared import Mismatch, Settings, checked, compare, shrunk
from tests.truth.generator import FEATURES, Case, draw
from tests.truth.real import explore_case, rerun


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.truth.real",
        description="Compare what the checker finds with what real executions of generated programs show.",
        epilog="Exits with 1 if there was a mismatch.",
    )
    parser.add_argument("--programs", type=int, default=100, help="how many cases are drawn (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; each next one has the next seed")
    parser.add_argument("--case", help="this case only, as a mismatch prints it")
    parser.add_argument("--features", help=f"what may be in a case, separated by commas: {', '.join(FEATURES)}")
    parser.add_argument("--without", default="", help="what may not be in it, likewise")
    parser.add_argument("--clients", type=int, help="how many (default: two, sometimes three)")
    parser.add_argument("--executions", type=int, default=200, help="real ones for each case (default: %(default)s)")
    parser.add_argument("--asked", type=int, default=0, help="ends of each case to ask 'it never ends so' for")
    parser.add_argument("--late", action="store_true", help="clients may take longer to return after their last call")
    parser.add_argument("--max-seconds", type=float, default=20.0, help="for a check (default: %(default)s)")
    parser.add_argument("--no-shrink", action="store_true", help="print cases as they were drawn")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of treadle.check")
    parser.add_argument("--schedule", help="with --case: execute along this one, and print what happens")
    parser.add_argument("--real-only", action="store_true", help="execute, print all ends, and check nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each case, and why there was no result")
    return parser


def main() -> None:
    """Run the command."""
    arguments = _parser().parse_args()
    options = dict(_option(given) for given in arguments.option)
    settings = Settings(
        arguments.executions, arguments.seed, arguments.max_seconds, arguments.asked, arguments.late, options
    )
    if arguments.schedule:
        _print_run(Case.parse(arguments.case), arguments.schedule)
    elif arguments.real_only:
        for case, _ in _cases(arguments):
            _print_ends(case, settings)
    else:
        sys.exit(_compare_all(arguments, settings))


def _option(given: str) -> tuple[str, Any]:
    name, _, value = given.partition("=")
    return name.replace("-", "_"), {"True": True, "False": False}.get(value, int(value) if value.isdigit() else value)


def _cases(arguments: argparse.Namespace) -> list[tuple[Case, int]]:
    if arguments.case:
        return [(Case.parse(arguments.case), arguments.seed)]
    features = set(_listed(arguments.features) if arguments.features else FEATURES) - set(_listed(arguments.without))
    unknown = features - set(FEATURES)
    if unknown:
        sys.exit(f"{min(unknown)!r} is no feature: there are {', '.join(FEATURES)}.")
    seeds = range(arguments.seed, arguments.seed + arguments.programs)
    return [(draw(random.Random(seed), features, clients=arguments.clients), seed) for seed in seeds]


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _compare_all(arguments: argparse.Namespace, settings: Settings) -> int:
    tally: Counter[str] = Counter()
    examples: dict[str, str] = {}
    began = time.monotonic()
    mismatched = 0
    for case, seed in _cases(arguments):
        if arguments.verbose:
            print(f"{seed}: --case '{case}'", flush=True)
        before = Counter(tally)
        here = evolve(settings, seed=seed)
        mismatches = compare(case, here, tally)
        tally["programs"] += 1
        for name in tally - before:
            examples.setdefault(name, f"--case '{case}'")
        mismatched += bool(mismatches)
        for mismatch in mismatches[:1] if not arguments.verbose else mismatches:
            _print(mismatch if arguments.no_shrink else shrunk(mismatch, here), seed)
            tally[f"mismatch: {mismatch.kind}"] += 1
    print(f"{mismatched} of {tally['programs']} programs differ; {time.monotonic() - began:.0f} s")
    for name in sorted(tally):
        example = examples.get(name, "") if name.startswith("no result") else ""
        print(f"  {tally[name]:7} {name}{'  such as ' + example if example else ''}")
        if example and arguments.verbose:
            print(f"          {checked(Case.parse(example[8:-1]), max_seconds=settings.max_seconds).trouble}")
    return 1 if mismatched else 0


def _print(mismatch: Mismatch, seed: int) -> None:
    print(f"seed {seed}: {mismatch}", flush=True)


def _print_ends(case: Case, settings: Settings) -> None:
    explored = explore_case(case, settings.executions, settings.seed)
    print(f"--case '{case}': {explored.executions} executions{'' if explored.complete else ', not all'}")
    for (ends, content), schedule in sorted(explored.ends.items(), key=repr):
        print(f"  {''.join(map(str, schedule))}: {ends!r} {content!r}")


def _print_run(case: Case, schedule: str) -> None:
    ran = rerun(case, tuple(map(int, schedule)))
    for content, ends in ran.passed:
        print(f"{ends!r} {content!r}")
