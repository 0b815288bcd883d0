"""Targets: the scenarios that ``module:attribute`` names."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import sqlite3
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_type_hints

from attrs import evolve, frozen

from treadle.application.files import path_of_engine
from treadle.client.loading import Loading, loading, protect
from treadle.scenario import Scenario
from treadle.values.display import names, prose, quoted, said, text_of
from treadle.values.errors import TargetError, UnsupportedOperationError, UsageError
from treadle.world.library import library_of

_CONVERTED = (int, float, bool)
"""The annotations for which a parameter's text is converted; any other parameter gets the text."""

_LONGEST = 1000
"""How many characters a target or a pattern may have, and how many of the names there are an error shows."""

_MOST = 10_000
"""How many scenarios a target may lead to; one that never ends leads to more."""

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _loading() -> AbstractContextManager[Loading]:
    """Let what is loaded meanwhile connect to private files only; the library is known before: it connects, too."""
    return loading(library_of(sqlite3.dbapi2).refuse_attach)


@frozen
class Found:
    """A scenario, and the target that led to it."""

    target: str
    scenario: Scenario


@frozen
class Origin:
    """Where a scenario comes from: makes it anew, also in another process.

    Attributes:
        target: leads to it, perhaps among others.
        parameters: values by name, for a callable target.
        name: the scenario's.
        directory: where the target's modules were found; no matter if that is not there.
    """

    target: str
    parameters: Mapping[str, str]
    name: str
    directory: str

    def __call__(self) -> Scenario:
        """Return the scenario.

        Raises:
            TargetError: it cannot be found here.
        """
        if self.directory not in sys.path and Path(self.directory).is_dir():
            sys.path.append(self.directory)
        found = resolve([self.target], self.parameters)
        for one in found:
            if one.scenario.name == self.name:
                return one.scenario
        raise TargetError(
            f"Target {quoted(self.target)} leads to {_names(found)} in another process, and not to "
            f"{quoted(self.name)}. Let it lead to the same scenarios everywhere."
        )


@frozen
class Configured:
    """What the nearest ``pyproject.toml`` says.

    Attributes:
        directory: where that file is: modules are imported from there as well.
        targets: its targets.
    """

    directory: Path
    targets: tuple[str, ...]


def configured(start: Path) -> Configured:
    """Return the targets that the nearest ``pyproject.toml`` names, from this directory upward.

    Raises:
        TargetError: there is no such file, or it names no scenarios.
    """
    remedy = (
        "Name a target, as in 'treadle check package.module:scenarios', or add to pyproject.toml: "
        '[tool.treadle] with scenarios = ["package.module:scenarios"].'
    )
    for directory in (start, *start.parents):
        path = directory / "pyproject.toml"
        if path.is_file():
            named = _scenarios_of(path)
            if not named:
                raise TargetError(
                    f"No target was given, and {quoted(str(path))} has no [tool.treadle] scenarios. {remedy}"
                )
            return Configured(directory, named)
    raise TargetError(f"No target was given, and no pyproject.toml is in {quoted(str(start))} or above. {remedy}")


def _scenarios_of(path: Path) -> tuple[str, ...]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(
            f"{quoted(str(path))} cannot be read: {prose(text_of(error))}. Correct the file, or name a target."
        ) from error
    tool = settings.get("tool", {})
    section = tool.get("treadle", {}) if isinstance(tool, dict) else {}
    named = section.get("scenarios", []) if isinstance(section, dict) else section
    if not isinstance(named, list) or not all(isinstance(target, str) for target in named):
        raise TargetError(
            f"[tool.treadle] scenarios = {quoted(named)} in {quoted(str(path))}: it must be a list of targets. "
            'Write scenarios = ["package.module:attribute"].'
        )
    return tuple(named)


def resolve(targets: Iterable[str], parameters: Mapping[str, str]) -> tuple[Found, ...]:
    """Return the scenarios that targets name.

    Args:
        targets: each ``module:attribute``; the attribute is a Scenario, a list of them, or a callable that
            returns either.
        parameters: passed to callables by name. A parameter that is annotated ``int``, ``float`` or ``bool``
            (or has no annotation, and such a default) gets its value converted; any other gets the text.

    Raises:
        TargetError: a target cannot be resolved.
    """
    with _loading() as loaded:
        found = tuple(
            Found(target, evolve(scenario, origin=Origin(target, dict(parameters), scenario.name, _home(target))))
            for target in targets
            for scenario in _scenarios(target, parameters, loaded)
        )
    protect({path_of_engine(one.scenario.database.engine) for one in found} - {""})
    return found


def functions(targets: Iterable[str], database: str | None = None) -> tuple[tuple[Callable[..., Any], ...], Any]:
    """Return the functions that targets name, and the database of theirs that is meant.

    Args:
        targets: each ``module:function``.
        database: the path of a file, or ``module:attribute`` of an engine or a Database; None for none.

    Raises:
        TargetError: one cannot be found, or is no function.
    """
    with _loading():
        found = tuple(_function(target) for target in targets)
        if database is None or not all(map(_dotted, database.partition(":")[::2])):
            return found, database
        return found, _attribute(database)


def makes_scenarios(target: str) -> bool:
    """Tell whether a target leads to scenarios, and is no function of the application itself.

    Raises:
        TargetError: it cannot be found.
    """
    with _loading():
        named = _attribute(target)
    if not callable(named) or isinstance(named, Scenario):
        return True
    return any(thing is Scenario for thing in getattr(named, "__globals__", {}).values())


def _function(target: str) -> Callable[..., Any]:
    try:
        named = _attribute(target)
    except UnsupportedOperationError as error:
        raise TargetError(f"Target {quoted(target)}: {error}") from error
    if isinstance(named, Scenario) or not callable(named):
        raise TargetError(
            f"Target {quoted(target)} is {quoted(named)}, and no function: a race is between what requests or jobs "
            "call. Name a function; scenarios are for 'treadle check'."
        )
    return named  # type: ignore[no-any-return]  # whatever the application has


def keep(found: Sequence[Found], globs: Sequence[str]) -> tuple[Found, ...]:
    """Return the scenarios whose names match one of the patterns; all of them without a pattern.

    Raises:
        TargetError: a pattern matches none.
    """
    for glob in globs:
        if len(glob) > _LONGEST:
            raise TargetError(
                f"-k {quoted(glob)} is no pattern: it has more than {_LONGEST:,} characters. Write a shorter one, as "
                "in -k '*/flush'."
            )
        if not any(fnmatch.fnmatchcase(one.scenario.name, glob) for one in found):
            raise TargetError(
                f"-k {quoted(glob)} matches no scenario. The names are: {_names(found)}. "
                "A pattern must match a whole name; '*' stands for any text, as in -k '*/flush'."
            )
    if not globs:
        return tuple(found)
    return tuple(one for one in found if any(fnmatch.fnmatchcase(one.scenario.name, glob) for glob in globs))


def only(found: Sequence[Found]) -> Found:
    """Return the one scenario.

    Raises:
        TargetError: there are several.
    """
    if len(found) > 1:
        raise TargetError(
            f"{len(found)} scenarios are named, and a schedule belongs to one of them: {_names(found)}. "
            f"Choose with -k, as in -k {quoted(found[0].scenario.name)}."
        )
    return found[0]


def _names(found: Sequence[Found]) -> str:
    return names(one.scenario.name for one in found)


# --- One target --------------------------------------------------------------------------------------


def _scenarios(target: str, parameters: Mapping[str, str], loaded: Loading) -> tuple[Scenario, ...]:
    try:
        return _loaded(target, parameters, loaded)
    except UnsupportedOperationError as error:
        raise TargetError(f"Target {quoted(target)}: {error}") from error


def _loaded(target: str, parameters: Mapping[str, str], loaded: Loading) -> tuple[Scenario, ...]:
    named = _attribute(target)
    imported = len(loaded.files)
    if isinstance(named, Scenario) or not callable(named):
        if parameters:
            raise TargetError(
                f"-p {quoted(next(iter(parameters)))} was given, but target {quoted(target)} is no callable, so "
                "nothing takes parameters. Leave -p away, or name a function that returns the scenarios."
            )
    else:
        try:
            named = _call(target, named, parameters)
        except TargetError:
            _require_no_client(target, loaded.files[imported:])
            raise
    if isinstance(named, Scenario):
        return (named,)
    if isinstance(named, Iterable) and not isinstance(named, (str, bytes, Mapping)):
        members = _members(target, named)
        if members and isinstance(members[-1], Scenario):
            return members
        got = f"holds {quoted(members[-1])}" if members else "is empty"
    else:
        got = f"is {quoted(named)}"
    _require_no_client(target, loaded.files[imported:])
    raise TargetError(
        f"Target {quoted(target)} {got}: a target is a Scenario, a list of at least one, or a callable that "
        "returns one of these. Name another attribute."
    )


def _members(target: str, named: Iterable[Any]) -> tuple[Any, ...]:
    """Return what a target leads to, up to the first thing that is no scenario.

    Raises:
        TargetError: it fails, or does not come to an end.
    """
    members: list[Any] = []
    try:
        for member in named:
            members.append(member)
            if not isinstance(member, Scenario) or len(members) > _MOST:
                break
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(target, "going through what it leads to failed", error) from error
    if len(members) > _MOST:
        raise TargetError(
            f"Target {target!r} leads to more than {_MOST:,} scenarios: it may have no end. Let it return a list."
        )
    return tuple(members)


def _require_no_client(target: str, files: Sequence[str]) -> None:
    """Say so if a function was named that works with a database, and makes no scenario."""
    if files:
        raise TargetError(
            f"Target {quoted(target)} connected to {quoted(files[0])} when it was called (and was given an empty "
            "database instead): a target makes scenarios, and lets only clients, schema and seed connect. Name the "
            "scenario in which this function is a client."
        )


def _home(target: str) -> str:
    """Return the directory in which the package of an imported target was found."""
    top = sys.modules[target.partition(":")[0].partition(".")[0]]
    places = list(getattr(top, "__path__", ()))
    found = Path(places[0]) if places else Path(getattr(top, "__file__", None) or "built-in")
    return str(found.absolute().parent)


def _attribute(target: str) -> Any:
    """Import a target's module and return the attribute."""
    module_name, colon, path = target.partition(":")
    written = colon and len(target) <= _LONGEST and not module_name.endswith(".py")
    if not written or not all(map(_dotted, (module_name, path))):
        raise TargetError(
            f"{quoted(target)} is no target: a target is written module:attribute. "
            "Write for instance 'package.module:scenarios', with dots and without '.py'."
        )
    found: Any = _import(target, module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            likely = _likely(found, module_name)
            there = f" It has: {names(likely)}." if likely else ""
            raise TargetError(
                f"Target {quoted(target)}: {quoted(module_name)} has no attribute {quoted(path)}.{there} "
                "Correct the name."
            ) from None
        except Exception as error:
            raise _broken(target, f"asking for {path!r} failed", error) from error
    return found


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _likely(thing: object, module: str) -> list[str]:
    """Return the names of the attributes that may be meant: scenarios, and functions of the module's own."""
    return sorted(
        name
        for name, value in getattr(thing, "__dict__", {}).items()
        if not name.startswith("_")
        and (
            isinstance(value, Scenario)
            or (isinstance(value, (list, tuple)) and any(isinstance(member, Scenario) for member in value))
            or (inspect.isfunction(value) and value.__module__.startswith(module))
        )
    )


def _import(target: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(
                f"Target {quoted(target)}: there is no module {quoted(error.name)}. Modules are looked for in the "
                f"current directory first, {quoted(str(Path.cwd()))}. Correct the name, or change the directory."
            ) from None
        raise _broken(target, f"module {quoted(name)} cannot be imported", error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(target, f"module {quoted(name)} cannot be imported", error) from error


def _broken(target: str, what: str, error: BaseException) -> TargetError:
    """Return an error that has another error's type, text and place on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    place = f" ({prose(inside[-1].filename)}:{inside[-1].lineno})" if inside else ""
    return TargetError(f"Target {quoted(target)}: {what}: {said(error)}{place}. Correct that first.")


# --- A callable's parameters -------------------------------------------------------------------------


def _call(target: str, function: Callable[..., Any], parameters: Mapping[str, str]) -> Any:
    arguments = _arguments(target, function, parameters)
    try:
        return function(**arguments)
    except (UsageError, KeyboardInterrupt):
        raise
    except BaseException as error:
        given = ", ".join(f"{name}={quoted(value)}" for name, value in arguments.items())
        raise _broken(target, f"calling it with ({given}) failed", error) from error


def _arguments(target: str, function: Callable[..., Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what a callable is called with; whether it fits is decided before the call."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return dict(parameters)  # Some built-in callables do not tell; the call itself will.
    try:
        signature.bind(**parameters)
    except TypeError as error:
        takes = names(signature.parameters) or "none"
        raise TargetError(
            f"Target {quoted(target)} cannot be called with these parameters: {prose(text_of(error))}. "
            f"It takes: {takes}. Give each as -p NAME=VALUE."
        ) from None
    hints = _hints(function)
    return {
        name: _convert(target, name, text, _kind(signature.parameters.get(name), hints.get(name)))
        for name, text in parameters.items()
    }


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # noqa: BLE001  # An annotation that cannot be evaluated only means: no conversion.
        return {}


def _kind(parameter: inspect.Parameter | None, hint: Any) -> type:
    """Return the type that a parameter wants."""
    if parameter is None:
        return str
    if parameter.annotation is inspect.Parameter.empty:
        hint = type(parameter.default)
    return hint if hint in _CONVERTED else str


def _convert(target: str, name: str, text: str, kind: type) -> Any:
    try:
        return _BOOLEANS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise TargetError(
            f"-p {name}={quoted(text)}: {quoted(target)} takes {quoted(name)} as {kind.__name__}, and this is none. "
            f" Give {'true or false' if kind is bool else 'a number'}."
        ) from None


def import_from(directory: Path) -> None:
    """Let modules be imported from a directory before any other place."""
    text = str(directory)
    if sys.path[:1] != [text]:
        sys.path.insert(0, text)
