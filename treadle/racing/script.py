"""The scenario file that says the same as a race."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from treadle.application.engines import name_of_engine
from treadle.application.metadata import place_of
from treadle.racing.functions import Racer, is_asynchronous
from treadle.racing.race import Race
from treadle.values.errors import UsageError
from treadle.values.property import Kind

_KINDS = {Kind.ALWAYS: "always", Kind.AT_END: "at_end"}


@define
class _Names:
    """The names of a file: what it imports, and as what."""

    modules: dict[str, set[str]] = field(factory=dict)
    plain: set[str] = field(factory=set)
    taken: dict[str, str] = field(factory=dict)

    def own(self, *names: str) -> None:
        """Take names that the file itself uses."""
        self.taken.update(dict.fromkeys(names, ""))

    def use(self, place: str) -> str:
        """Return how the file writes ``module:attribute``, which it imports."""
        module, _, path = place.partition(":")
        first = path.partition(".")[0]
        if self.taken.setdefault(first, module) == module:
            self.modules.setdefault(module, set()).add(first)
            return path
        self.plain.add(module)
        return f"{module}.{path}"

    def lines(self) -> list[str]:
        """Return the import statements."""
        plain = [f"import {module}" for module in sorted(self.plain)]
        return plain + [f"from {name} import {', '.join(sorted(self.modules[name]))}" for name in sorted(self.modules)]


def script_of(race: Race, targets: Sequence[str]) -> str:
    """Return a Python module that has the scenario of a race as ``scenario``.

    Args:
        race: found and checked.
        targets: ``module:attribute`` of its functions, in the order of ``race.racers``.
    """
    used = ["Client", "Scenario", *race.properties]
    names = _Names()
    names.own("Database", "FaultBudget", "asyncio", "create_engine", "scenario", *used)
    functions, clients = _clients(race.racers, targets, names)
    database, extra = _database(race, names)
    faults = race.scenario.faults
    budget = ""
    if faults.locked or faults.crash:
        used.append("FaultBudget")
        budget = f"    faults=FaultBudget(locked={faults.locked}, crash={faults.crash}),\n"
    asynchronous = any(is_asynchronous(racer.function) for racer in race.racers)
    lines = [
        f'"""{_title(race)}"""',
        "",
        *(["import asyncio", ""] if asynchronous else []),
        *([*extra, ""] if extra else []),
        *names.lines(),
        f"from treadle import {', '.join(sorted([*used, 'Database'], key=_order))}",
        "",
        *functions,
        "scenario = Scenario(",
        f"    {_text(race.scenario.name)},",
        f"    {database},",
        *[f"    {line}" for line in ["[", *[f"    {client}," for client in clients], "],"]],
        f"    [{', '.join(f'{name}()' for name in race.properties)}],",
    ]
    return "\n".join(lines) + f"\n{budget})\n"


def _order(name: str) -> tuple[bool, str]:
    return name[:1].islower(), name


def _title(race: Race) -> str:
    return f"What happens when these run at the same time: {', '.join(c.name for c in race.scenario.clients)}."


def _clients(found: Sequence[Racer], targets: Sequence[str], names: _Names) -> tuple[list[str], list[str]]:
    """Return the lines of functions that the file defines, and a line for each client, in the scenario's order."""
    defined: list[str] = []
    runs: list[tuple[int, int, str]] = []
    for place, (racer, target) in enumerate(zip(found, targets, strict=True)):
        run = names.use(target)
        if is_asynchronous(racer.function):
            called, run = run, f"run_{place + 1}"
            defined += ["", f"def {run}():", f"    return asyncio.run({called}())", ""]
        runs += [(number, place, f"Client({_text(client.name)}, {run})") for number, client in enumerate(racer.clients)]
    return [*defined, ""] if defined else [], [line for *_, line in sorted(runs)]


def _database(race: Race, names: _Names) -> tuple[str, list[str]]:
    """Return the expression that makes the database, and the imports that it needs beside."""
    source, database = race.source, race.scenario.database
    if not source.path:
        raise UsageError(
            "race(database=Database(...)) was given a database that is made in Python, and no file can say how. Write "
            "the scenario by hand, or pass an engine or a path."
        )
    transactions = "" if database.transactions == "legacy" else f", transactions={_text(database.transactions)}"
    place = name_of_engine(source.engine) if source.engine is not None else ""
    engine = names.use(place) if place else _text(_path(source.path))
    if source.metadata is None:
        assert database.copy is not None
        journal = "" if database.journal == database.copy.journal else f", journal={_text(database.journal)}"
        return f"Database.copy_of({engine}{journal}{transactions})", []
    extra: list[str] = []
    if not place:
        extra, engine = (
            ["from sqlalchemy import create_engine"],
            f"create_engine({_text(f'sqlite:///{_path(source.path)}')})",
        )
    metadata = place_of(source.metadata)
    first = f"{names.use(metadata)}, " if metadata else ""
    return f"Database({first}engine={engine}, journal={_text(database.journal)}{transactions})", extra


def _text(text: str) -> str:
    """Return a text as Python reads it, in double quotes where these are enough."""
    return f'"{text}"' if text.isprintable() and not set(text) & {'"', "\\"} else repr(text)


def _path(path: str) -> str:
    """Return a path as the file writes it: from the current directory if it is below."""
    here = str(Path.cwd())
    return os.path.relpath(path, here) if path.startswith(here + os.sep) else path


def written(path: Path, text: str) -> str:
    """Write a scenario file, and return the target that names its scenario.

    Args:
        path: of the file; it must not exist, and end in .py.
        text: what is written.

    Raises:
        UsageError: it exists, or cannot be written, or would be no module.
    """
    require_writable(path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"--write {str(path)!r}: {error.strerror}. Name a file that can be made.") from error
    return f"{_module(path)}:scenario"


def require_writable(path: Path) -> None:
    """Require a file that can be made, and imported as a module then.

    Raises:
        UsageError: it exists, or its name is no module's.
    """
    if path.exists():
        raise UsageError(f"--write {str(path)!r}: this exists, and nothing is overwritten. Name a new file.")
    if path.suffix != ".py" or not all(part.isidentifier() for part in _module(path).split(".")):
        raise UsageError(
            f"--write {str(path)!r}: this is no name for a module, by which 'treadle check' finds the scenario. Name a "
            "file in or below the current directory, of letters, digits and underscores, that ends in .py."
        )
    if not path.parent.is_dir():
        raise UsageError(f"--write {str(path)!r}: there is no directory {str(path.parent)!r}. Make it first.")


def _module(path: Path) -> str:
    """Return the name of the module that a file is, from the current directory."""
    relative: Any = os.path.relpath(path, Path.cwd())
    return str(relative).removesuffix(".py").replace(os.sep, ".")
