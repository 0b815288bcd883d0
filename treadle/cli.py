"""The command line: ``treadle check``, ``treadle replay``, ``treadle explore`` and ``treadle graph``.

::

    arguments ──> scenarios ──> check, one scenario after the other ──> results ──> text, JSON, exit code
                  (targets)            progress on stderr               (report)
"""

from __future__ import annotations

import functools
import glob
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import define, field, frozen

from treadle.arguments import SECONDS, SEED, WHOLE, by, memory, number, readable, shell_word, workers
from treadle.arguments import challenge as read_challenge
from treadle.arguments import faults as read_faults
from treadle.checking import REDUCTIONS, SEARCHES, broken_by, undecided
from treadle.checking import check as run_check
from treadle.checking import replay as run_replay
from treadle.exploring.mapping import STATES_MAX
from treadle.exploring.session import draw
from treadle.exploring.session import explore as run_explore
from treadle.report import (
    Directory,
    render_document,
    render_examples,
    render_line,
    render_replay,
    render_result,
    render_summary,
    render_totals,
    version,
)
from treadle.report.brief import is_quiet, keepers
from treadle.report.ci import render_summary_of_job, workflow_commands
from treadle.report.directory import append_text
from treadle.report.screen import Screen, screen
from treadle.report.text import exit_code, replay_exit_code
from treadle.report.tokens import Token, find_tokens
from treadle.report.tracefile import Around, cases_in
from treadle.scenario import Scenario
from treadle.shortcuts import doctor, race
from treadle.targets import Found, configured, import_from, keep, only, resolve
from treadle.values.canonical import printable
from treadle.values.display import names, on_one_line, quoted, said
from treadle.values.errors import CheckInterrupted, TargetError, TreadleError, UsageError
from treadle.values.fault import FaultBudget, Placement
from treadle.values.verdict import Result

USAGE = 2
INCONCLUSIVE = 3

_EXIT_CODES = """\b
Exit code:
  0  every verdict is as the scenario expects
  1  some verdict is not
  2  usage error
  3  inconclusive: a search stopped before it was exhausted, failed, or was interrupted (Ctrl-C)"""


# --- Which scenarios ---------------------------------------------------------------------------------


@frozen
class Selection:
    """Which scenarios are meant.

    Attributes:
        targets: TARGETs; none: those of pyproject.toml.
        parameters: values by name, for callable targets.
        globs: patterns of names to keep; none: all.
    """

    targets: tuple[str, ...]
    parameters: dict[str, str]
    globs: tuple[str, ...]

    def find(self) -> tuple[Found, ...]:
        """Return the scenarios.

        Raises:
            TargetError: there are none, or a target cannot be resolved.
        """
        wanted = self.targets
        if not wanted:
            settings = configured(Path.cwd())
            import_from(settings.directory)
            wanted = settings.targets
        import_from(Path.cwd())
        return keep(resolve(wanted, self.parameters), self.globs)

    def replay(self, found: Found, token: str) -> str:
        """Return the command that replays a schedule of a scenario."""
        parameters = [word for name, value in self.parameters.items() for word in ("-p", f"{name}={value}")]
        pattern = glob.escape(found.scenario.name).replace("\0", "?")  # No argument has a NUL in it.
        words = ["treadle", "replay", token, found.target, "-k", pattern, *parameters]
        return " ".join(map(shell_word, words))


def _parameters(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read each NAME=VALUE."""
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(
                f"{quoted(value)} is not NAME=VALUE. Write for instance -p requests=2.", context, option
            )
        if name in found:
            raise click.BadParameter(
                f"{quoted(name)} is given twice, and a parameter has one value. Leave one of them away.",
                context,
                option,
            )
        found[name] = text
    return found


_Command = TypeVar("_Command", bound=Callable[..., Any])


def _selecting(command: _Command) -> _Command:
    """Add the options that choose scenarios."""
    parameters = click.option(
        "-p",
        "parameters",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_parameters,
        help="Parameter of a callable TARGET. Repeatable.",
    )
    globs = click.option(
        "-k", "globs", metavar="GLOB", multiple=True, help="Scenario names to keep, as '*/flush'. Repeatable."
    )
    return parameters(globs(command))


# --- Faults ------------------------------------------------------------------------------------------


def _failing(command: _Command) -> _Command:
    """Add the options that say which faults there may be."""
    budget = click.option(
        "--faults",
        metavar="locked=N,crash=N",
        callback=by(read_faults),
        help="How many faults one execution may contain; a kind that is not named stays as the scenario has it.",
    )
    placement = click.option(
        "--faults-at",
        type=click.Choice([placement.value for placement in Placement]),
        help="Where locked faults are injected, in place of where the scenario says.",
    )
    return budget(placement(command))


def _with_faults(scenario: Scenario, faults: dict[str, int] | None, faults_at: str | None) -> Scenario:
    """Return a scenario with what the command line says of faults; the rest stays as it is."""
    if faults is None and faults_at is None:
        return scenario
    own = scenario.faults
    budget = FaultBudget(**{"locked": own.locked, "crash": own.crash, **(faults or {})})
    return scenario.with_faults(budget, Placement(faults_at) if faults_at is not None else scenario.faults_at)


# --- Commands ----------------------------------------------------------------------------------------


class _Group(click.Group):
    """Turns what goes wrong into one clear message and the exit code."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Read the arguments that stand before the command."""
        try:
            return super().make_context(*args, **more)
        except click.ClickException as error:
            raise _harmless(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            return _stop(ctx, f"Error: {error}", USAGE)
        except TreadleError as error:
            return _stop(ctx, f"Error: inconclusive: {type(error).__name__}: {error}", INCONCLUSIVE)
        except KeyboardInterrupt:
            return _stop(ctx, "interrupted", INCONCLUSIVE)
        except click.ClickException as error:
            raise _harmless(error) from None
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        # Python would exit with 1, which means that a verdict was reached.
        except Exception:  # noqa: BLE001
            return _stop(ctx, traceback.format_exc().rstrip(), INCONCLUSIVE)


def _harmless(error: click.ClickException) -> click.ClickException:
    """Return a usage error that quotes arguments as data."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        return error
    text = on_one_line(readable(error.format_message()))
    # What stderr cannot show, click would write in another encoding.
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    return error if shown == error.format_message() else click.UsageError(shown, getattr(error, "ctx", None))


def _stop(context: click.Context, text: str, code: int) -> None:
    with screen() as shown:
        shown.say(text)
    context.exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="treadle")
def cli() -> None:
    """Check concurrent SQLAlchemy code on SQLite under every interleaving."""


@cli.command(epilog=_EXIT_CODES)
@click.argument("target", nargs=-1)
@_selecting
@_failing
@click.option(
    "--search",
    type=click.Choice(SEARCHES),
    default=SEARCHES[0],
    show_default=True,
    help="How to search; only an exhaustive one can prove that a property holds.",
)
@click.option("--max-states", metavar="N", callback=by(number(WHOLE)), help="States at which each search stops.")
@click.option(
    "--max-seconds",
    metavar="SECONDS",
    callback=by(number(SECONDS)),
    help="Seconds after which each search stops.",
)
@click.option(
    "--max-executions", metavar="N", callback=by(number(WHOLE)), help="Executions at which each search stops."
)
@click.option(
    "--max-memory",
    metavar="SIZE",
    callback=by(memory),
    help="Resident memory at which each search stops, as 500M or 2G; by default half of the machine's.",
)
@click.option("--until-violated", is_flag=True, help="Stop each search at its first violation.")
@click.option(
    "--seed",
    metavar="N",
    callback=by(number(SEED)),
    default="0",
    show_default=True,
    help="Of the searches that use chance.",
)
@click.option(
    "--workers",
    metavar="N|ADDRESS",
    default="1",
    show_default=True,
    callback=by(workers),
    help="How many processes search, or the address of a Dask scheduler, as tcp://host:8786.",
)
@click.option(
    "--challenge",
    metavar="SHARE[,N]",
    default="0.1,20",
    show_default=True,
    callback=by(read_challenge),
    help="Share of the search's time for live executions that it must have found, and how many there are at least.",
)
@click.option("--live", is_flag=True, help="Run every schedule live; learn nothing.")
@click.option(
    "--isolate/--no-isolate",
    default=None,
    help="A fresh process for every run of a client. Without either option, as soon as runs depend on one another.",
)
@click.option("--no-reduction", is_flag=True, help="Branch on every operation, merge no states: the slow truth.")
@click.option(
    "--without",
    type=click.Choice(list(REDUCTIONS)),
    multiple=True,
    help="Switch one reduction off. Repeatable.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of what is printed; json is one document and nothing else.",
)
@click.option("--report", type=Path, metavar="DIR", help="Also write reports to this directory.")
@click.option("--only", metavar="PROPERTY", help="Show the counterexample of this property, and no other.")
@click.option("-v", "--verbose", is_flag=True, help="Show all that was decided, and every counterexample step by step.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what is not as expected.")
@click.pass_context
def check(
    context: click.Context,
    /,
    *,
    target: tuple[str, ...],
    parameters: dict[str, str],
    globs: tuple[str, ...],
    faults: dict[str, int] | None,
    faults_at: str | None,
    form: str,
    report: Path | None,
    no_reduction: bool,
    challenge: tuple[float, int],
    only: str | None,
    verbose: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Check scenarios, and say for each property whether it holds.

    TARGET is module:attribute: a Scenario, a list of them, or a callable that returns them. Without a TARGET,
    those are checked that [tool.treadle] scenarios names in the nearest pyproject.toml.
    """
    with screen() as shown:
        selection = Selection(target, parameters, globs)
        found = [Found(one.target, _with_faults(one.scenario, faults, faults_at)) for one in selection.find()]
        directory = None if report is None else Directory(report)
        if directory is not None:
            directory.prepare()
        shows = Shows(only, verbose=verbose, quiet=quiet, document=form == "json")
        shows.require_property([one.scenario for one in found])
        options["reduction"] = not no_reduction
        options["challenge"], options["challenges"] = challenge
        session = Session(shown, selection, directory, options, shows)
        session.check(found)
    context.exit(session.exit_code)


@frozen
class Shows:
    """What is shown of results.

    Attributes:
        only: the name of the one property whose counterexample is shown; None for those that are not as expected.
        verbose: all that was decided, and every counterexample step by step.
        quiet: only what is not as expected.
        document: nothing but the JSON document.
    """

    only: str | None = field(default=None)
    verbose: bool = field(default=False, kw_only=True)
    quiet: bool = field(default=False, kw_only=True)
    document: bool = field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check that the options do not contradict each other."""
        if self.verbose and self.quiet:
            raise UsageError("-v shows all and -q as little as possible, so there is no both. Leave one of them away.")

    def require_property(self, scenarios: Sequence[Scenario]) -> None:
        """Check that some scenario has the property.

        Raises:
            UsageError: none has.
        """
        known = dict.fromkeys(item.name for scenario in scenarios for item in scenario.properties)
        if self.only is not None and self.only not in known:
            raise UsageError(
                f"--only {quoted(self.only)}: no scenario has such a property. Name one of {names(known)}."
            )


@define
class Session:
    """One run of ``treadle check``.

    Attributes:
        screen: where everything is shown.
        selection: which scenarios are meant.
        directory: where reports are written, if anywhere.
        options: what every scenario is checked with.
        shows: what is shown.
        results: what was decided so far.
        interrupted: whether the user stopped it.
    """

    screen: Screen
    selection: Selection
    directory: Directory | None
    options: dict[str, Any]
    shows: Shows
    results: list[Result] = field(factory=list, init=False)
    _examples: list[str] = field(factory=list, init=False)
    _checked: list[Found] = field(factory=list, init=False)
    interrupted: bool = field(default=False, init=False)

    def check(self, scenarios: Sequence[Found]) -> None:
        """Check scenarios one after the other, and report; when interrupted, report what was decided."""
        whole, partly = 0, ""
        try:
            for found in scenarios:
                self._report(found, self._check(found.scenario), single=len(scenarios) == 1)
                whole += 1
        except CheckInterrupted as stop:
            self.interrupted, partly = True, ", and one in part"
            self._report(scenarios[whole], stop.result)
        except KeyboardInterrupt:
            self.interrupted = True
        self._close()
        if self.interrupted:
            self.screen.say(f"interrupted: {whole} of {len(scenarios)} scenarios were checked{partly}")

    def _check(self, scenario: Scenario) -> Result:
        try:
            with self.screen.progress(scenario.name) as progress:
                return run_check(scenario, progress=progress, **self.options)
        except UsageError:
            raise
        except TreadleError as error:
            return self._failed(scenario, error)
        # A schema, a seed or a client's set-up may raise anything; the other scenarios can still be checked.
        except Exception as error:  # noqa: BLE001
            self.screen.say(traceback.format_exc().rstrip())
            return self._failed(scenario, error)

    def _failed(self, scenario: Scenario, error: Exception) -> Result:
        why = said(error)
        self.screen.say(f"Error: scenario {quoted(scenario.name)} is inconclusive: {why}")
        return undecided(scenario, why, self.options)

    def _report(self, found: Found, result: Result, *, single: bool = False) -> None:
        def command(token: str) -> str:
            return self.selection.replay(found, token)

        self.results.append(result)
        self._checked.append(found)
        shows, width = self.shows, self.screen.width
        if shows.verbose and shows.only is None:
            self._show(render_result(result, width=width, command=command) + "\n\n")
        else:
            if not (shows.quiet and is_quiet(result)):
                self._show(render_line(result, width=width))
            expected = single and not shows.quiet
            self._examples.append(
                render_examples(
                    result, only=shows.only, expected=expected, width=width, command=command, verbose=shows.verbose
                )
            )
        if self.directory is not None:
            self.directory.write_text(result.scenario, render_result(result, command=command))

    def _show(self, text: str) -> None:
        if not self.shows.document:
            self.screen.report(text)

    def _close(self) -> None:
        """Report on all scenarios together."""
        if self.shows.document:
            self.screen.document(render_document(self.results))
        elif self.shows.verbose and self.shows.only is None:
            self._show(render_summary(self.results, width=self.screen.width))
        else:
            shown = [text for text in self._examples if text]
            self._show("".join(f"\n{text}" for text in shown) + ("\n" if shown else "") + render_totals(self.results))
        if self.directory is not None:
            self.directory.write_document(self.results)
            self._write_cases(self.directory)
            self.screen.say(f"Reports are in {quoted(str(self.directory.path))}.")
        self._tell_service()

    def _tell_service(self) -> None:
        """Tell a continuous integration service what it asks for."""
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in workflow_commands(self.results):
                self.screen.say(line)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            try:
                append_text(Path(summary), render_summary_of_job(self.results))
            except UsageError as error:  # it is no matter of the verdicts
                self.screen.say(f"no summary was written: {error}")

    def _write_cases(self, directory: Directory) -> None:
        """Write a directory for each violated property."""
        parameters = self.selection.parameters
        for found, result in zip(self._checked, self.results, strict=True):
            for case in cases_in(result):
                command = self.selection.replay(found, case.trace.schedule.token)
                keeps = keepers(self.results, case.decision.property.name)
                directory.write_case(case, Around(command, keeps=keeps), found.target, parameters)

    @property
    def exit_code(self) -> int:
        """The exit code of all results."""
        return INCONCLUSIVE if self.interrupted else exit_code(self.results)


_REPLAY_EXIT_CODES = """\b
Exit code:
  0  the schedule breaks only what the scenario expects, or ran to its end as recorded and breaks nothing
  1  it breaks another property
  2  usage error
  3  inconclusive: something else was done than the token recorded, or nothing is broken and a client has
     not finished, or the token does not tell what was done"""


@cli.command(epilog=_REPLAY_EXIT_CODES)
@click.argument("schedule", metavar="FILE|TOKEN")
@click.argument("target", required=False)
@_selecting
@click.option("-v", "--verbose", is_flag=True, help="Show every operation, value and committed row in full.")
@click.pass_context
def replay(
    context: click.Context,
    /,
    *,
    schedule: str,
    target: str | None,
    parameters: dict[str, str],
    globs: tuple[str, ...],
    verbose: bool,
) -> None:
    """Run one schedule again, live, and show what happens.

    TOKEN is a schedule token; FILE is a file with one in it, such as a report. TARGET, -p and -k must lead to
    the scenario that the schedule was found on.
    """
    with screen() as shown:
        tokens = find_tokens(schedule)
        selection = Selection((target,) if target else (), parameters, globs)
        found, token = _pair(selection.find(), tokens, schedule)
        trace = run_replay(found.scenario, token)
        broken = broken_by(trace, found.scenario)
        expected = found.scenario.expect_violated
        shown.report(render_replay(trace, broken, expected, width=shown.width, verbose=verbose))
    context.exit(replay_exit_code(trace, broken, expected))


def _pair(found: Sequence[Found], tokens: Sequence[Token], source: str) -> tuple[Found, str]:
    """Return a scenario and a token that belong together: the first, where the file tells.

    Raises:
        TargetError: there is none, or the file does not tell and there are several scenarios.
    """
    if tokens[0].scenario is None:
        return only(found), tokens[0].text
    for token in tokens:
        named = [one for one in found if printable(one.scenario.name) == token.scenario]
        if named:
            return only(named), token.text
    there = names(sorted({str(token.scenario) for token in tokens}))
    wanted = names(one.scenario.name for one in found)
    raise TargetError(
        f"{quoted(source)} has schedules of {there}, and none of {wanted}. Name the target that it was written for."
    )


_EXPLORE_EXIT_CODES = """\b
Exit code:
  0  it was ended with Ctrl-C, or what was asked for is drawn
  2  usage error
  3  the scenario cannot be run"""


def _on_one_scenario(command: Callable[..., None]) -> Callable[..., None]:
    """Add what leads to one scenario, with the faults that are asked for.

    Args:
        command: is called with the scenario, what returns the command that replays a token of it, the screen, and its
            own options.
    """

    @click.argument("target")
    @_selecting
    @_failing
    @functools.wraps(command)
    def called(
        *,
        target: str,
        parameters: dict[str, str],
        globs: tuple[str, ...],
        faults: dict[str, int] | None,
        faults_at: str | None,
        **options: Any,
    ) -> None:
        with screen() as shown:
            selection = Selection((target,), parameters, globs)
            found = only(selection.find())
            scenario = _with_faults(found.scenario, faults, faults_at)
            command(scenario, functools.partial(selection.replay, found), shown, **options)

    return called


@cli.command(epilog=_EXPLORE_EXIT_CODES)
@_on_one_scenario
def explore(scenario: Scenario, replay: Callable[[str], str], shown: Screen) -> None:
    """Drive the clients of a scenario by hand, in a browser on this machine.

    TARGET, -p and -k must lead to one scenario.
    """
    run_explore(scenario, replay, shown)


@cli.command(epilog=_EXPLORE_EXIT_CODES)
@_on_one_scenario
@click.option("-o", "output", type=Path, metavar="FILE", help="Write to this file, .svg or .html, and not to stdout.")
@click.option(
    "--max-states",
    metavar="N",
    callback=by(number(WHOLE)),
    default=str(STATES_MAX),
    show_default=True,
    help="How many states there may be at most.",
)
def graph(scenario: Scenario, _: object, shown: Screen, *, output: Path | None, max_states: int) -> None:
    """Draw the states of a small scenario, as SVG or as a page for a browser.

    TARGET, -p and -k must lead to one scenario.
    """
    draw(scenario, output, max_states, shown)


cli.add_command(race)
cli.add_command(doctor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    Args:
        argv: the arguments; None for those of the process.
    """
    try:
        return _run(argv)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCONCLUSIVE


def _run(argv: Sequence[str] | None) -> int:
    try:
        cli.main(args=None if argv is None else list(argv), prog_name="treadle", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
