"""What can be set about the checks of tests: in the file of settings, on pytest's command line, or by a marker.

::

    treadle_max_states = 500    <    --treadle-max-states 500    <    @pytest.mark.treadle(max_states=500)

What stands further to the right wins, and an argument of the call itself wins over all. The names are those of
``treadle check``, and each has its rule from there. pytest imports this file at every start, so it imports nothing
that takes time unless something is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from treadle.arguments import Reader


class Setting:
    """Something that can be set.

    It is made by hand: attrs, and even a named tuple, take longer to import than all the rest of this file.

    Attributes:
        name: in Python.
        metavar: what stands for its value; empty for what is only there or not.
        help: what it is.
    """

    def __init__(self, name: str, metavar: str, text: str) -> None:
        """Note what can be set."""
        self.name = name
        self.metavar = metavar
        self.help = text

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"--treadle-{self.name.replace('_', '-')}"

    @property
    def key(self) -> str:
        """Its name in the file of settings."""
        return f"treadle_{self.name}"


SETTINGS = (
    Setting("search", "POLICY", "how to search: exhaustive, random, pct or sweep"),
    Setting("max_states", "N", "states at which each search stops"),
    Setting("max_seconds", "SECONDS", "seconds after which each search stops"),
    Setting("max_executions", "N", "executions at which each search stops"),
    Setting("max_memory", "SIZE", "resident memory at which each search stops, as 500M or 2G"),
    Setting("until_violated", "", "stop each search at its first violation"),
    Setting("seed", "N", "of the searches that use chance"),
    Setting("workers", "N|ADDRESS", "how many processes search, or the address of a Dask scheduler"),
    Setting("challenge", "SHARE[,N]", "share of the search's time for live executions, and their least number"),
    Setting("allow_inconclusive", "", "let what was not decided pass; what was decided must be as expected"),
    Setting("report", "DIR", "write the reports of each check that fails to a directory of its test in there"),
)
"""All of them."""


def configured(config: pytest.Config) -> dict[str, Any]:
    """Return what the file of settings and the command line say.

    Raises:
        pytest.UsageError: a value is not allowed.
    """
    found: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            value = config.getini(setting.key)
        except (TypeError, ValueError, pytest.UsageError) as error:  # of another type
            raise pytest.UsageError(f"{setting.key}: {error}") from None
        if value:
            found |= _read(setting, value, setting.key, f"{setting.key} =", config.rootpath)
        value = config.getoption(setting.key)
        if value is not None:
            found |= _read(setting, value, setting.option, setting.option, config.invocation_params.dir)
    return found


def marked(item: pytest.Item) -> dict[str, Any]:
    """Return what the markers of a test say, that which is nearest to it first.

    Raises:
        pytest.UsageError: a name or a value is not allowed.
    """
    found: dict[str, Any] = {}
    known = {setting.name: setting for setting in SETTINGS}
    for mark in reversed(list(item.iter_markers("treadle"))):
        if mark.args or not mark.kwargs.keys() <= known.keys():
            strangers = [repr(value) for value in mark.args] or sorted(mark.kwargs.keys() - known.keys())
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.treadle has {strangers[0]}: it takes {', '.join(known)}, each by its "
                "name. Write for instance @pytest.mark.treadle(max_seconds=60)."
            )
        for name, value in mark.kwargs.items():
            where = f"{item.nodeid}: @pytest.mark.treadle({name}={value!r})"
            found |= _read(known[name], value, where, f"{name} =", item.config.rootpath)
    return found


def _read(setting: Setting, value: object, where: str, written: str, below: Path) -> dict[str, Any]:
    """Return a value as the arguments of a check that it sets.

    Args:
        setting: what is set.
        value: as it was written.
        where: it was written.
        written: how one writes the setting before its value.
        below: where a directory is that has no absolute path.
    """
    from treadle.values.errors import UsageError  # noqa: PLC0415  # something is set

    if not setting.metavar:
        if isinstance(value, bool):
            return {setting.name: value}
        raise pytest.UsageError(f"{where}: {value!r} is neither on nor off. Write True or False.")
    try:
        if setting.name == "report":
            return {setting.name: _prepared(below / str(value))}
        found = _reader(setting.name)(str(value), written)
    except UsageError as error:
        raise pytest.UsageError(f"{where}: {error}") from None
    if setting.name == "challenge":
        return dict(zip(("challenge", "challenges"), found, strict=True))
    return {setting.name: found}


def _prepared(path: Path) -> Path:
    from treadle.report.directory import Directory  # noqa: PLC0415  # something is set

    Directory(path).prepare()
    return path


def _reader(name: str) -> Reader[Any]:
    """Return the rule of a setting that has a value."""
    from treadle import arguments  # noqa: PLC0415  # something is set

    whole = arguments.number(arguments.WHOLE)
    readers: Mapping[str, Reader[Any]] = {
        "search": _search,
        "max_states": whole,
        "max_seconds": arguments.number(arguments.SECONDS),
        "max_executions": whole,
        "max_memory": arguments.memory,
        "seed": arguments.number(arguments.SEED),
        "workers": arguments.workers,
        "challenge": arguments.challenge,
    }
    return readers[name]


def _search(value: str, _: str) -> str:
    from treadle.checking import SEARCHES  # noqa: PLC0415  # something is set
    from treadle.values.allowed import require_one_of  # noqa: PLC0415  # likewise

    require_one_of("search", value, SEARCHES)
    return value
