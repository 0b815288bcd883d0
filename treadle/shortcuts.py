"""The commands that need no scenario: ``treadle race`` and ``treadle doctor``.

::

    functions ──> their database, found ──> a scenario ──> check ──> report, and the scenario as a file
    (targets)          (racing)                                          (racing/script)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from attrs import frozen

from treadle.arguments import SECONDS, WHOLE, by, faults, number, shell_word
from treadle.checking import broken_by, check, replay
from treadle.client.loading import protect
from treadle.examining.examination import examine
from treadle.examining.text import render_examination
from treadle.racing.race import Race, race_of
from treadle.racing.script import require_writable, script_of, written
from treadle.report import render_replay, render_result, render_summary
from treadle.report.screen import Screen, screen
from treadle.report.sql import wrap
from treadle.report.text import exit_code, replay_exit_code
from treadle.scenario import Scenario
from treadle.targets import functions, import_from, makes_scenarios, resolve
from treadle.values.display import quoted
from treadle.values.errors import CheckInterrupted
from treadle.values.fault import FaultBudget

INCONCLUSIVE = 3

_EXIT_CODES = """\b
Exit code:
  0  both properties hold
  1  one is violated
  2  usage error
  3  inconclusive: the search stopped before it was exhausted, failed, or was interrupted (Ctrl-C)"""


@click.command(epilog=_EXIT_CODES)
@click.argument("function", nargs=-1, required=True, metavar="FUNCTION...")
@click.option(
    "--clients",
    metavar="N",
    callback=by(number(WHOLE)),
    help="How many run each FUNCTION; by default one, and two of a FUNCTION that is alone.",
)
@click.option(
    "--database",
    metavar="FILE|MODULE:ENGINE",
    help="The application's database, where it is not to be looked for.",
)
@click.option(
    "--faults",
    metavar="locked=N,crash=N",
    callback=by(faults),
    help="How many faults one execution may contain; none by default.",
)
@click.option(
    "--max-seconds", metavar="SECONDS", callback=by(number(SECONDS)), help="Seconds after which the search stops."
)
@click.option("--write", type=Path, metavar="FILE", help="Write the scenario file to this new file.")
@click.option("--replay", "token", metavar="TOKEN", help="Run one schedule again, live, and show what happens.")
@click.pass_context
def race(
    context: click.Context,
    /,
    *,
    function: tuple[str, ...],
    clients: int | None,
    database: str | None,
    faults: dict[str, int] | None,
    max_seconds: float | None,
    write: Path | None,
    token: str | None,
) -> None:
    """Check functions of an application against each other, without a scenario.

    FUNCTION is module:function, called without arguments. One that is named twice races with itself. Its engine is
    found, and the database copied; it is only read.
    """
    if write is not None:
        require_writable(write)
    import_from(Path.cwd())
    with screen() as shown:
        named, there = functions(function, database)
        found = race_of(named, clients=clients, database=there, faults=FaultBudget(**(faults or {})))
        protect({found.source.path} - {""})
        if token is not None:
            code = _replayed(shown, found, token)
        else:
            targets = [function[named.index(racer.function)] for racer in found.racers]

            def script() -> None:
                _show_script(shown, script_of(found, targets), write)

            code = _checked(shown, found, _Again(function, clients, database, faults), max_seconds, script)
    context.exit(code)


_DOCTOR_EXIT_CODES = """\b
Exit code:
  0  each client could be run
  2  usage error
  3  some client could not be run"""


@click.command(epilog=_DOCTOR_EXIT_CODES)
@click.argument("target", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--database",
    metavar="FILE|MODULE:ENGINE",
    help="The application's database, where it is not to be looked for.",
)
@click.pass_context
def doctor(context: click.Context, /, *, target: tuple[str, ...], database: str | None) -> None:
    """Run each client once, alone, and say what it does: nothing is checked.

    TARGET is module:function, as for race, or leads to scenarios, as for check. A function of a module that uses
    Treadle is called for its scenarios; any other is run itself.
    """
    import_from(Path.cwd())
    with screen() as shown:
        scenarios = _scenarios(target, database)
        examinations = []
        for scenario in scenarios:
            examinations.append(examine(scenario))
            shown.report(render_examination(examinations[-1], width=shown.width) + "\n")
    stopped = any(patient.stopped for each in examinations for patient in each.patients)
    context.exit(INCONCLUSIVE if stopped else 0)


def _scenarios(targets: tuple[str, ...], database: str | None) -> list[Scenario]:
    if database is None and any(map(makes_scenarios, targets)):
        return [found.scenario for found in resolve(targets, {})]
    named, there = functions(targets, database)
    found = race_of(named, database=there)
    protect({found.source.path} - {""})
    return [found.scenario]


@frozen
class _Again:
    """What makes a command name the same race."""

    functions: tuple[str, ...]
    clients: int | None
    database: str | None
    faults: dict[str, int] | None

    def replay(self, token: str) -> str:
        """Return the command that replays a schedule."""
        faults = None if self.faults is None else ",".join(f"{kind}={count}" for kind, count in self.faults.items())
        given = (("--clients", self.clients), ("--database", self.database), ("--faults", faults))
        options = [word for name, value in given if value is not None for word in (name, str(value))]
        return " ".join(map(shell_word, ["treadle", "race", *self.functions, *options, "--replay", token]))


def _checked(shown: Screen, found: Race, again: _Again, max_seconds: float | None, script: Callable[[], None]) -> int:
    interrupted = False
    try:
        with shown.progress(found.scenario.name) as progress:
            result = check(found.scenario, max_seconds=max_seconds, progress=progress)
    except CheckInterrupted as stop:
        result, interrupted = stop.result, True
    shown.report(render_result(result, width=shown.width, command=again.replay) + "\n\n")
    shown.report(render_summary([result], width=shown.width) + "\n")
    if found.note:
        shown.report("\n" + "\n".join(wrap(f"Note: {found.note}", shown.width)) + "\n")
    if found.source.path:  # and no Database that only Python can make
        script()
    return exit_code([result]) if not interrupted else INCONCLUSIVE


def _show_script(shown: Screen, script: str, write: Path | None) -> None:
    if write is None:
        lines = "".join(f"    {line}\n" if line else "\n" for line in script.splitlines())
        shown.report(f"\nThe same as a scenario, to grow from (--write FILE writes it):\n\n{lines}")
    else:
        target = written(write, script)
        shown.report(f"\nThe same as a scenario is in {quoted(str(write))}; check it by: treadle check {target}\n")


def _replayed(shown: Screen, found: Race, token: str) -> int:
    trace = replay(found.scenario, token)
    broken = broken_by(trace, found.scenario)
    shown.report(render_replay(trace, broken, (), width=shown.width))
    return replay_exit_code(trace, broken, ())
