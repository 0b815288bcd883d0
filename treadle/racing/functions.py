"""The clients that functions are: their names, and how each is called."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from treadle.scenario import Client
from treadle.values.allowed import require_whole
from treadle.values.display import names, quoted
from treadle.values.errors import UsageError

Function = Callable[..., Any]

_MOST_CLIENTS = 26


@frozen
class InLoop:
    """An asynchronous function, called in an event loop of its own.

    Attributes:
        function: what is called.
    """

    function: Function

    def __call__(self) -> object:
        """Run it to its end."""
        return asyncio.run(self.function())


@frozen
class Racer:
    """One function of a race, and the clients that run it.

    Attributes:
        function: of the application.
        clients: run it.
    """

    function: Function
    clients: tuple[Client, ...]


def is_asynchronous(function: Function) -> bool:
    """Tell whether a call gives something to be awaited."""
    return inspect.iscoroutinefunction(_bare(function))


def _bare(function: Function) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def racers(functions: Sequence[Function], clients: int | None) -> tuple[Racer, ...]:
    """Return the clients of a race, by the functions that they run.

    Args:
        functions: in the order in which they are named; one that is named twice has two clients.
        clients: how many run each function; by default one, but two of a function that is alone.

    Raises:
        UsageError: there is no function, one cannot be called without arguments, or there are too many clients.
    """
    if not functions:
        raise UsageError("race() was given no function: name what runs at the same time, as race(sell, cancel).")
    for function in functions:
        _require_callable(function)
    if clients is not None:
        require_whole("clients", clients, least=1, most=_MOST_CLIENTS, remedy="It is how many run each function.")
    each = clients or (2 if len(functions) == 1 else 1)
    distinct = [one for place, one in enumerate(functions) if one not in functions[:place]]
    counts = {place: functions.count(one) * each for place, one in enumerate(distinct)}
    if sum(counts.values()) > _MOST_CLIENTS:
        raise UsageError(
            f"{sum(counts.values())} clients: a race has {_MOST_CLIENTS} at most, and two or three show nearly all "
            "that can go wrong. Name fewer functions, or ask for fewer clients of each."
        )
    return tuple(
        Racer(one, _clients_of(one, name, counts[place]))
        for place, (one, name) in enumerate(zip(distinct, _names(distinct), strict=True))
    )


def _clients_of(function: Function, name: str, count: int) -> tuple[Client, ...]:
    run = InLoop(function) if is_asynchronous(function) else function
    return tuple(Client(name if count == 1 else f"{name}-{number + 1}", run) for number in range(count))


def _names(functions: Sequence[Function]) -> list[str]:
    """Return a name for each function: its own, with its module or a number before it where that is not enough."""
    short = [_name_of(function) for function in functions]
    whole = [
        f"{getattr(_owner(function), '__module__', '')}.{name}" for function, name in zip(functions, short, strict=True)
    ]
    named = [name if short.count(name) == 1 else longer for name, longer in zip(short, whole, strict=True)]
    seen: Counter[str] = Counter()
    found = []
    for name in named:
        seen[name] += 1
        found.append(name if named.count(name) == 1 else f"{name}.{seen[name]}")
    return found


def _owner(function: Function) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Function) -> str:
    owner = _owner(function)
    return str(getattr(owner, "__name__", None) or type(owner).__name__).strip("<>")


def _require_callable(function: Function) -> None:
    if not callable(function):
        raise UsageError(f"{quoted(function)} cannot be raced: it is no function. Name what a request or a job calls.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some built-in callables do not tell
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind not in kinds
    ]
    if wanted:
        name = _name_of(function)
        each = ", ".join(f"{argument}=..." for argument in wanted)
        raise UsageError(
            f"{name}{signature} cannot be raced: it must be called with {names(wanted)}, and a client is called "
            f"without arguments. Name a function that gives them, as 'def {name}_one(): return {name}({each})', or "
            f"functools.partial({name}, {each})."
        )
