"""What goes over the pipe between the checker and a client's process: operations, observations and outcomes.

Both processes are copies of one, with the same modules and classes. So a class or a function is carried by its name,
or by where it is in memory if no name leads to it, and is the same one at the other end. What was made since then,
in the client's process alone, is carried by its code.

An outcome is carried as it is, as far as that goes. An exception is made again without its ``__init__``, which may
want other arguments than ``args`` holds. Of an object that cannot be carried, there comes one of the same type, with
those of its attributes that can; and an attribute that cannot is an ``Opaque``.
"""

from __future__ import annotations

import builtins
import copyreg
import gc
import io
import pickle
import sys
import types
import weakref
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import cloudpickle
from attrs import frozen

from treadle.client.answers import is_joined, joined
from treadle.interning import the_operation
from treadle.values.canonical import spoken
from treadle.values.opaque import Opaque
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Outcome, Raised, Returned

_PROTOCOL = pickle.HIGHEST_PROTOCOL

Spelled = tuple[str, int, int | None, str | None, Any, float, Any]
"""An operation as plain values: kind, connection, cursor, statement, arguments, clock, payload."""


# --- Classes and functions -----------------------------------------------------------------------------

_Place = tuple[int, str, str]
"""Where a class or a function is in memory, its module and its qualified name."""


def _place(thing: Any) -> _Place:
    return id(thing), str(getattr(thing, "__module__", "")), thing.__qualname__


def _has_name(thing: Any) -> bool:
    """Tell whether pickle finds a class or a function by its name."""
    _, module, qualname = _place(thing)
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found is thing and module != "__main__"


def _was_before(thing: Any) -> bool:
    """Tell whether an object was there before this process was forked: since then, what was is frozen."""
    return not any(thing is other for other in gc.get_objects())


_found: dict[_Place, Callable[[], Any]] = {}


def _nothing() -> None:
    """Refer to nothing."""


def _at(place: _Place) -> Any:
    """Return the class or function of this process that is where another process saw it."""
    known = _found.get(place, _nothing)()
    if known is not None:
        return known
    things = gc.get_objects()
    for thing in compress(things, map(place[0].__eq__, map(id, things))):
        if issubclass(type(thing), (type, types.FunctionType)) and _place(thing) == place:
            _found[place] = weakref.ref(thing)
            return thing
    raise pickle.UnpicklingError(f"{place[2]} is not here")


_Name = tuple[str, str]
"""The module that has an object, and its name there."""

_NAMED = 2
HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: the class was made while Python ran."""


def _name_of(sentinel: object) -> _Name | None:
    """Return where a module has an object that is nothing but itself, if one has."""
    for name, module in tuple(sys.modules.items()):
        for attribute, value in tuple(vars(module).items()) if issubclass(type(module), types.ModuleType) else ():
            if value is sentinel:
                return name, attribute
    return None


class _Packer(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Packs an outcome."""

    lenient = False

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, _PROTOCOL)
        self.placed: dict[_Place, Any] = {}

    def persistent_id(self, thing: Any) -> _Place | _Name | None:
        """Carry a class or a function without a name by its place, if both processes have it, and a sentinel."""
        if type(thing) is object:
            return _name_of(thing)
        if not isinstance(thing, (type, types.FunctionType)):
            return None
        if not gc.is_tracked(thing) or (isinstance(thing, type) and not thing.__flags__ & HEAP_TYPE):
            return None  # Python's own, for which there are other ways
        if _has_name(thing) or not _was_before(thing):
            return None
        place = _place(thing)
        self.placed[place] = thing
        return place

    def reducer_override(self, thing: Any) -> Any:
        """Carry exceptions without their ``__init__``, and what cannot be carried in part."""
        if isinstance(thing, BaseException):
            return _exception_parts(thing)
        if isinstance(thing, type) and is_joined(thing):
            return joined, (thing.__name__, thing.__bases__, thing.__module__)
        if type(thing) is object:
            raise pickle.PicklingError("an object that is nothing but itself, and that no module has")
        if self.lenient and not isinstance(thing, (type, types.FunctionType, types.BuiltinFunctionType)):
            return _parts_that_fit(thing)
        return super().reducer_override(thing)


class _LenientPacker(_Packer):
    lenient = True


class _Unpacker(pickle.Unpickler):
    def __init__(self, packed: bytes, placed: dict[_Place, Any] | None = None) -> None:
        super().__init__(io.BytesIO(packed))
        self._placed = {} if placed is None else placed

    def persistent_load(self, place: Any) -> Any:
        if len(place) == _NAMED:
            return getattr(sys.modules[place[0]], place[1])
        return self._placed[place] if place in self._placed else _at(place)


def _dumped(value: object, packer: type[_Packer] = _Packer, placed: dict[_Place, Any] | None = None) -> bytes:
    file = io.BytesIO()
    made = packer(file)
    made.dump(value)
    if placed is not None:
        placed.update(made.placed)
    return file.getvalue()


def _fits(value: object) -> bool:
    try:
        _dumped(value)
    except Exception:  # noqa: BLE001  # values of the application's own classes, which may raise whatever they like
        return False
    return True


def _fitting(state: dict[str, Any]) -> dict[str, Any]:
    """Return attributes, with those that cannot be carried as texts."""
    return {name: value if _fits(value) else Opaque(spoken(value)) for name, value in state.items()}


# --- Objects, in part ----------------------------------------------------------------------------------


def _bare(kind: type[Any]) -> Any:
    return object.__new__(kind)


def _with_state(thing: Any, state: dict[str, Any]) -> None:
    for name, value in state.items():
        object.__setattr__(thing, name, value)


def _state(thing: object) -> dict[str, Any]:
    slots = [name for kind in type(thing).__mro__ for name in copyreg._slotnames(kind)]  # type: ignore[attr-defined]  # noqa: SLF001  # as copy does
    state = {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
    return {**state, **getattr(thing, "__dict__", {})}


def _parts_that_fit(thing: object) -> Any:
    """Return how an object is made again with what of it can be carried."""
    if _fits(thing):
        return NotImplemented
    kind = type(thing)
    try:
        _bare(kind)
    except TypeError:  # of a type that is written in C
        return Opaque, (spoken(thing),)
    return _bare, (kind,), _fitting(_state(thing)), None, None, _with_state


# --- Exceptions ----------------------------------------------------------------------------------------

_LINKS = ("__cause__", "__context__", "__suppress_context__")


def _exception_parts(error: BaseException) -> Any:
    """Return how an exception is made again, with all that hangs on it but its traceback."""
    kind = type(error)
    state = {name: getattr(error, name) for name in _LINKS} | _fitting(vars(error))
    if _is_builtin(kind):
        made: Any = error.__reduce__()
        return (*made[:2], state, None, None, _restored)
    arguments = tuple(item if _fits(item) else Opaque(spoken(item)) for item in error.args)
    return _made_again, (kind, arguments), state, None, None, _restored


def _is_builtin(kind: type[Any]) -> bool:
    """Tell whether a class is Python's own; some others say that they are."""
    return getattr(builtins, kind.__name__, None) is kind


def _made_again(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    builtin = next(base for base in kind.__mro__ if _is_builtin(base))
    error: BaseException = builtin.__new__(kind, *arguments)
    builtin.__init__(error, *arguments)  # type: ignore[misc]  # that of the builtin, and no other
    error.args = arguments
    return error


def _restored(error: BaseException, state: dict[str, Any]) -> None:
    for name in _LINKS:
        setattr(error, name, state.pop(name))
    vars(error).update(state)


# --- Outcomes ------------------------------------------------------------------------------------------


def pack_outcome(outcome: Outcome) -> bytes:
    """Return an outcome as bytes."""
    for packer in (_Packer, _LenientPacker):
        try:
            placed: dict[_Place, Any] = {}
            packed = _dumped(_parts(outcome), packer, placed)
            if not _is_alike(outcome, _unpacked(packed, placed)[1]):
                continue
        except Exception:  # noqa: BLE001, S112  # values of the application's own classes, which may raise whatever they like
            continue
        return packed
    if isinstance(outcome, Raised):
        kind = type(outcome.exception)
        text = f"{kind.__module__}.{kind.__qualname__}: {spoken(outcome.exception)}"
        return _dumped((None, RuntimeError(text)))
    assert isinstance(outcome, Returned)
    return _dumped((outcome.key, Opaque(str(outcome).removeprefix("returned "))))


def _is_alike(outcome: Outcome, made: Any) -> bool:
    """Tell whether what was made again of an outcome is of its type."""
    value = outcome.exception if isinstance(outcome, Raised) else outcome._value  # type: ignore[union-attr]  # noqa: SLF001  # it is carried as it is
    return type(made) is type(value)


def _parts(outcome: Outcome) -> tuple[Any, Any]:
    if isinstance(outcome, Raised):
        return None, outcome.exception
    assert isinstance(outcome, Returned)
    return outcome.key, outcome._value  # noqa: SLF001  # it is carried as it is


def _unpacked(packed: bytes, placed: dict[_Place, Any] | None = None) -> tuple[Any, Any]:
    found: tuple[Any, Any] = _Unpacker(packed, placed).load()
    return found


def unpack_outcome(packed: bytes) -> Outcome:
    """Return the outcome that was packed."""
    key, value = _unpacked(packed)
    if key is None:
        return Raised(value)
    return Returned.with_key(value, key)


# --- Callables -----------------------------------------------------------------------------------------


class _CallPacker(pickle.Pickler):
    """Packs a callable that the checker makes up, if it consists of what has a name, of values, and of engines."""

    def __init__(self, file: io.BytesIO, engines: Sequence[object]) -> None:
        super().__init__(file, _PROTOCOL)
        self._engines = engines

    def persistent_id(self, thing: Any) -> int | None:
        return next((place for place, engine in enumerate(self._engines) if engine is thing), None)


class _CallUnpacker(pickle.Unpickler):
    def __init__(self, packed: bytes, engines: Sequence[object]) -> None:
        super().__init__(io.BytesIO(packed))
        self._engines = engines

    def persistent_load(self, place: Any) -> Any:
        return self._engines[place]


def pack_call(call: Callable[[], object], engines: Sequence[object]) -> bytes | None:
    """Return a callable as bytes, or None if it cannot be carried.

    Args:
        call: what is to be called.
        engines: those that both processes have, in the same order.
    """
    file = io.BytesIO()
    try:
        _CallPacker(file, engines).dump(call)
    except Exception:  # noqa: BLE001  # values of the application's own classes, which may raise whatever they like
        return None
    return file.getvalue()


def unpack_call(packed: bytes, engines: Sequence[object]) -> Callable[[], object]:
    """Return the callable that was packed."""
    call: Callable[[], object] = _CallUnpacker(packed, engines).load()
    return call


# --- Operations ----------------------------------------------------------------------------------------


@frozen
class Lent:
    """A callable that stays in the client's process, where SQL calls it back.

    Attributes:
        number: of the callable, in that process.
    """

    number: int


def spelled(operation: Operation, payload: Any) -> Spelled:
    """Return an operation as plain values, with another payload."""
    called = operation.kind.value, operation.connection, operation.cursor, operation.sql
    return (*called, operation.arguments, operation.clock_s, payload)


def operation_of(parts: Spelled, borrow: Callable[[int], Callable[..., Any]]) -> Operation:
    """Return the operation that was spelled.

    Args:
        parts: as it was spelled.
        borrow: returns what calls back a callable that stayed in the client's process.
    """
    kind, connection, cursor, sql, arguments, clock_s, payload = parts
    if kind == Kind.CONFIGURE and isinstance(payload, bytes):
        values, options = _unpacked(payload)
        values = tuple(borrow(value.number) if isinstance(value, Lent) else value for value in values)
        payload = values, options
    elif payload is not None and not isinstance(payload, dict):  # a note, which is of this one moment
        return Operation(Kind(kind), connection, cursor, sql, arguments, clock_s, payload)
    return the_operation(Kind(kind), connection, cursor, sql, arguments, clock_s=clock_s, payload=payload)


def pack_payload(name: object, payload: tuple[tuple[Any, ...], dict[str, Any]], lend: Callable[[Any], Lent]) -> bytes:
    """Return the arguments of a configuration as bytes.

    A collation says that it is deterministic by being one (https://www.sqlite.org/c3ref/create_collation.html).

    Args:
        name: what is configured, as ``create_function``.
        payload: positional and named arguments.
        lend: keeps a callable that cannot travel, or may depend on its process.
    """
    values, options = payload
    pure = name == "create_collation" or options.get("deterministic", False)
    return _dumped((tuple(value if _travels(value, pure=pure) else lend(value) for value in values), options))


def _travels(value: Any, *, pure: bool) -> bool:
    if not callable(value):
        return True
    plain = isinstance(value, type) or str(getattr(value, "__module__", "")).startswith("sqlalchemy.")
    return (plain or pure) and _fits(value)
