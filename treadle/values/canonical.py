"""Canonical forms of values: bytes that are equal where values are.

Two of them. What passes between a client and SQLite is compared as SQLite and the driver tell it apart, and often:
``canonical``. What a client returns or raises is compared by what it means, for a client is run many times, and each
run makes its objects anew: ``meaning``. Both are the same in every process, whatever its hash seed.
"""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import itertools
import marshal
import operator
import re
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import attrs

from treadle.values.display import AT_ADDRESS, in_part

_VERSION = 2
"""Of marshal's format: the last in which equal values are equal bytes, whoever else refers to them."""


def canonical(value: object) -> bytes:
    """Return bytes that are equal for equal values of equal types: for rows, parameters, and keys made of them.

    Unlike ``==``, ``1``, ``1.0`` and ``True`` differ: SQLite tells an integer from a real. Of what is no plain value,
    the meaning counts. Dicts that were filled in another order may differ.
    """
    try:
        return marshal.dumps(value, _VERSION)  # type: ignore[arg-type]  # what it cannot take raises
    except ValueError:
        return _read(value, addresses=True)


_PLAIN = frozenset({types.NoneType, bool, int, bytes})
"""The types whose values mean what marshal writes."""

_WRITTEN = _PLAIN | {str, float}
"""The same, but for addresses in texts and numbers that are none."""

_MARK = b"~"
"""What a meaning starts with that marshal did not write: no type of it has this letter."""

_DEPTHS = (60, 10, 3, 1, 0)
"""How deep a value is looked into: less deep, if that looks at more than ``_MOST`` values."""

_MOST = 100_000

_LONG = 1_000
"""From how many bytes on a meaning is a digest: it is compared, hashed and sent often."""

_SIMPLE: tuple[type[Any], ...] = (str, bytes, int, float)

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+|\b0x[0-9A-Fa-f]{9,16}\b")
"""The same, and what else is as long as an address in memory is today."""


def meaning(value: object) -> bytes:
    """Return bytes that are equal for values that mean the same: for what clients return.

    - Types differ: ``1``, ``1.0`` and ``True`` do. A number that is none (NaN) equals itself. ``Decimal`` and the
      like are equal where their numbers are.
    - Containers are made of what they contain; neither sets nor mappings have an order (an ``OrderedDict`` has).
    - An object is made of its type and its state: the fields that attrs or a dataclass compares, the loaded values
      of a SQLAlchemy object, or else what ``copy`` would take to make it again. Where it was in memory is no part
      of it, neither is an address in a text. An object that cannot be copied (a lock, a generator) and has no
      ``repr`` of its own, and one of SQLAlchemy's own (a session, an engine), is told by its type alone.
    - Functions and classes are their qualified names.

    Cycles are followed once. What lies deeper than 60 levels (less, where a value has more than 100,000 parts) is
    told by its type alone.
    """
    if _is_plain(value):
        written = marshal.dumps(value, _VERSION)  # type: ignore[arg-type]  # plain values only
        if b" at 0x" not in written:
            return in_short(written)
    return _read(value, addresses=False)


def in_short(form: bytes) -> bytes:
    """Return bytes that are equal where others are, and never many."""
    return form if len(form) <= _LONG else _MARK + blake2b(form, digest_size=32).digest()


def _read(value: object, *, addresses: bool) -> bytes:
    for depth in _DEPTHS[:-1]:
        try:
            return _MARK + _Reader(depth, addresses=addresses).read(value)
        except (_TooManyError, RecursionError):
            continue
    return _MARK + _Reader(_DEPTHS[-1], addresses=addresses).read(value)


def _is_plain(value: object) -> bool:
    """Tell whether this is a plain value, a row of them, or rows; without a look at each in Python."""
    items: Iterable[Any] = (value,)
    for _ in range(2):
        kinds = set(map(type, items))
        if not kinds <= {list, tuple}:
            break
        items = list(itertools.chain.from_iterable(items))
    else:
        kinds = set(map(type, items))
    return kinds <= _WRITTEN and not (float in kinds and any(map(operator.ne, items, items)))  # NaN is not itself


def printable(text: str) -> str:
    """Return a text that can be written anywhere: lone surrogates, which are no text, as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def without_addresses(text: str) -> str:
    """Return a text for people, without the addresses in memory that it names."""
    return _ADDRESS.sub("", printable(text)) if "0x" in text else printable(text)


def type_name(kind: type) -> str:
    """Return the qualified name of a type, with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


def spoken(value: object, meant: bytes | None = None) -> str:
    """Return a ``repr`` that is the same in every process: without addresses, and with sets and dicts in order.

    Of a long value, it has the beginning, and a digest that tells it from others.

    Args:
        value: any.
        meant: what it means, if that is known.
    """
    text, whole = in_part(value)
    return text if whole else f"{text} {digest(meaning(value) if meant is None else meant)}"


def digest(content: bytes) -> str:
    """Return a text that tells what was shortened from others that begin in the same way."""
    return f"(digest {blake2b(content, digest_size=6).hexdigest()})"


class _TooManyError(Exception):
    """A value has too many parts to be looked into so deep."""


class _Reader:
    """Reads what one value means.

    The bytes of a part are those of a tuple whose first item says what it is. Long ones are replaced by a digest, so
    that what is shared in a value may be so.
    """

    def __init__(self, depth: int, *, addresses: bool) -> None:
        """Read nothing yet.

        Args:
            depth: how many levels deep it looks.
            addresses: those in texts are a part of them.
        """
        self._deepest = depth
        self._addresses = addresses
        self._looked = 0
        self._path: dict[int, int] = {}
        self._known: dict[int, tuple[object, bytes]] = {}
        self._outermost = depth + 1

    def read(self, value: Any) -> bytes:
        """Return the bytes of a part.

        Raises:
            _TooManyError: it has too many.
        """
        kind = type(value)
        if kind in _PLAIN:
            return marshal.dumps(value, _VERSION)
        if kind is str:
            return marshal.dumps(value if self._addresses else AT_ADDRESS.sub("", value), _VERSION)
        if kind is float:
            return marshal.dumps(value if value == value else "NaN", _VERSION) + b"f"  # noqa: PLR0124  # NaN alone differs
        level = len(self._path)
        if id(value) in self._path:  # a cycle: how far up
            self._outermost = min(self._outermost, self._path[id(value)])
            return self._join("up", [b"%d" % (level - self._path[id(value)])])
        if id(value) in self._known:
            return self._known[id(value)][1]
        if level > self._deepest:
            self._outermost = -1  # what it is here depends on how deep it is
            return self._join("deep", [type_name(kind).encode()])
        self._looked += 1
        if self._looked > _MOST and self._deepest:
            raise _TooManyError
        outer, self._outermost = self._outermost, level
        self._path[id(value)] = level
        try:
            found = self._part(value)
        finally:
            del self._path[id(value)]
        if self._outermost >= level:  # it does not depend on what is around it
            self._known[id(value)] = value, found
        self._outermost = min(outer, self._outermost)
        return found

    def _part(self, value: Any) -> bytes:
        """Return the bytes of a part that has parts of its own, or a name."""
        kind = type(value)
        if isinstance(value, enum.Enum):
            return self._of(kind, "enum", [value.name, value._value_])
        if isinstance(value, type):
            return self._join("type", [type_name(value).encode()])
        if isinstance(value, types.ModuleType):
            return self._join("module", [value.__name__.encode()])
        if isinstance(value, types.MethodType):
            return self._of(kind, "method", [value.__func__, value.__self__])
        if isinstance(value, _FUNCTIONS):
            return self._join("function", [f"{value.__module__}.{value.__qualname__}".encode()])
        try:
            return self._contents(value)
        except (_TooManyError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  # code of the application's own classes, which may raise whatever it likes
            return self._opaque(value)

    def _contents(self, value: Any) -> bytes:
        kind = type(value)
        for simple in _SIMPLE:
            if isinstance(value, simple):  # of a class of its own
                plain: object = simple(value)
                return self._of(kind, "value", [plain])
        if isinstance(value, OrderedDict):
            return self._of(kind, "items", itertools.chain.from_iterable(value.items()))
        if isinstance(value, Mapping):
            pairs = [self._join("pair", [self.read(key), self.read(value[key])]) for key in value]
            return self._of_bytes(kind, "mapping", sorted(pairs))
        if isinstance(value, AbstractSet):
            return self._of_bytes(kind, "set", sorted([self.read(item) for item in value]))
        if isinstance(value, Sequence) and not isinstance(value, (bytearray, memoryview, range)):
            names = getattr(value, "_fields", ())  # a named tuple's, and a Row's
            return self._of(kind, "items", [tuple(names), *value] if names else value)
        if isinstance(value, Decimal):
            return self._of(kind, "number", _number(value))
        if isinstance(value, BaseException):
            return self._of(kind, "exception", [without_addresses(str(value)), value.args])
        return self._object(value)

    def _object(self, value: Any) -> bytes:
        """Return the bytes of an object: of its type, and of its state as far as it can be known."""
        kind = type(value)
        if "_sa_instance_state" in getattr(value, "__dict__", ()):
            return self._of(kind, "state", [_own(value.__dict__)])
        if kind.__module__.partition(".")[0] == "sqlalchemy":
            return self._join("opaque", [type_name(kind).encode()])
        if attrs.has(kind):
            names = [field.name for field in attrs.fields(kind) if field.eq]
            return self._of(kind, "fields", [getattr(value, name, None) for name in names])
        if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value) if field.compare]
            return self._of(kind, "fields", [getattr(value, name, None) for name in names])
        try:
            recipe = _recipe(value)
        except Exception:  # noqa: BLE001  # what cannot be copied says so in many ways
            return self._opaque(value)
        if isinstance(recipe, str):  # a name, as that of a singleton
            return self._join("named", [type_name(kind).encode(), recipe.encode()])
        return self._of(kind, "state", [_own(part) for part in recipe])

    def _opaque(self, value: Any) -> bytes:
        """Return the bytes of an object whose state cannot be known: of its type, and of its text if that says more."""
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001  # likewise
            text = ""
        if _ADDRESS.search(text) or str(id(value)) in text:  # it says where the object is, and so perhaps nothing else
            text = ""
        return self._join("opaque", [type_name(type(value)).encode(), text.encode("utf-8", "surrogatepass")])

    def _of(self, kind: type, what: str, parts: Iterable[Any]) -> bytes:
        return self._of_bytes(kind, what, [self.read(part) for part in parts])

    def _of_bytes(self, kind: type, what: str, parts: list[bytes]) -> bytes:
        return self._join(what, [type_name(kind).encode(), *parts])

    @staticmethod
    def _join(what: str, parts: list[bytes]) -> bytes:
        joined = marshal.dumps((what, *parts), _VERSION)
        return joined if len(joined) <= 64 else _MARK + blake2b(joined, digest_size=32).digest()  # noqa: PLR2004


def _own(state: Any) -> Any:
    """Return a state without what SQLAlchemy keeps in it."""
    if type(state) is not dict:
        return state
    return {name: part for name, part in state.items() if not (isinstance(name, str) and name.startswith("_sa_"))}


def _recipe(value: Any) -> str | tuple[Any, ...]:
    """Return what ``copy`` takes to make an object again (https://docs.python.org/3/library/copy.html)."""
    reducer: Callable[[Any], Any] | None = copyreg.dispatch_table.get(type(value))
    recipe = reducer(value) if reducer is not None else value.__reduce_ex__(4)
    if isinstance(recipe, str):
        return recipe
    make, arguments, state, items, pairs = (*recipe, None, None, None)[:5]
    return make, arguments, state, None if items is None else list(items), None if pairs is None else dict(pairs)


def _number(value: Decimal) -> tuple[Any, ...]:
    """Return what a decimal number is, without the zeros at its end."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return sign if value.is_infinite() else 0, exponent
    if not any(digits):
        return (0,)
    while digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return sign, digits, exponent
