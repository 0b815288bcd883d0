"""Patches of built-in functions and methods, for good, and for those who already hold a reference.

Who wrote ``from time import sleep`` holds the function itself, so to set ``time.sleep`` would not reach them. But a
built-in function is an object with three fields that say what it does, and these can be those of another one::

    before   time.sleep ──▶ method: sleep's C code              self: the module   call: by sleep's convention
    after    time.sleep ──▶ method: PyObject_Vectorcall         self: a function   call: by that one's convention

``PyObject_Vectorcall(callable, arguments, count, names)`` has the very signature that the C code of a built-in method
with keywords must have (https://docs.python.org/3/c-api/structures.html#c.METH_FASTCALL), with the method's ``self``
as the callable. So the call goes straight on to the function: nothing is searched for, no reference is missed, errors
pass, and there is no callback of ``ctypes``, whose errors would be lost.

Methods of built-in types are looked up in the type's own dictionary, which is replaced there. A method that somebody
took from an object earlier (``acquire = lock.acquire``) stays as it was.

The fields have been where they are since Python 3.8; ``redirect`` checks the size of the object.
"""

from __future__ import annotations

import ctypes
import gc
import types
from collections.abc import Callable
from typing import Any

_HEAD = object.__basicsize__
_WORD = ctypes.sizeof(ctypes.c_void_p)
_METHOD, _SELF, _CALL = 0, 1, 4
"""Which word after the head of a built-in function says what."""

_WORDS = 5
_WITH_KEYWORDS = 0x80 | 0x02
"""METH_FASTCALL and METH_KEYWORDS: the convention of ``PyObject_Vectorcall``."""


class _Method(ctypes.Structure):
    """A PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("code", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_void_p),
    )


_kept: list[Any] = []
"""What patched functions point to; it lives as long as the process."""

_make = ctypes.pythonapi.PyCMethod_New
_make.restype = ctypes.py_object
_make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object, ctypes.c_void_p]

_type_changed = ctypes.pythonapi.PyType_Modified
_type_changed.restype = None
_type_changed.argtypes = [ctypes.py_object]


def redirect(builtin: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a built-in function, wherever it is referred to, call another function.

    Args:
        builtin: a function of a built-in module.
        function: what is called instead.

    Returns:
        A function that does what the built-in one did.

    Raises:
        TypeError: it is no built-in function, or this Python lays them out in another way.
    """
    if type(builtin) is not types.BuiltinFunctionType or type(builtin).__basicsize__ != _HEAD + _WORDS * _WORD:
        raise TypeError(
            f"{builtin!r} cannot be redirected: it must be a built-in function, laid out as CPython 3.8 to 3.14 "
            "do. Run the check on one of those, or without a process of its own for each client."
        )
    address = _field(builtin, _METHOD).value
    assert address is not None
    method = _Method.from_address(address)
    original = copy_of(builtin)
    code = ctypes.cast(ctypes.pythonapi.PyObject_Vectorcall, ctypes.c_void_p)
    instead = _Method(method.name, code, _WITH_KEYWORDS, method.doc)
    pattern = _make(ctypes.addressof(instead), function, builtin.__module__, None)
    # The old self keeps the reference that the function had: its other copies borrow nothing.
    _kept.append((instead, pattern, builtin, original))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(function))
    for word in (_METHOD, _SELF, _CALL):
        _field(builtin, word).value = _field(pattern, word).value
    return original


def copy_of(builtin: Any) -> Callable[..., Any]:
    """Return another function that does what a built-in one does, to be kept for when that one is redirected.

    Args:
        builtin: a function of a built-in module.
    """
    return _make(_field(builtin, _METHOD).value, builtin.__self__, builtin.__module__, None)  # type: ignore[no-any-return]  # ctypes knows it as an object


def _field(builtin: Any, word: int) -> ctypes.c_void_p:
    return ctypes.c_void_p.from_address(id(builtin) + _HEAD + word * _WORD)


def replace_method(owner: type, name: str, method: Any) -> Any:
    """Replace a method (or a property) of a built-in type, for the objects that exist and those to come.

    Args:
        owner: the type.
        name: the method's.
        method: what it is from now on.

    Returns:
        What it was, to be called with the object first.

    Raises:
        TypeError: the type's own dictionary cannot be reached.
    """
    found = gc.get_referents(owner.__dict__)
    if len(found) != 1 or type(found[0]) is not dict or found[0].get(name) is not owner.__dict__[name]:
        raise TypeError(
            f"{owner.__name__}.{name} cannot be replaced: the dictionary of a type must be reachable, as in CPython "
            "3.11 to 3.14. Run the check on one of those, or without a process of its own for each client."
        )
    original = found[0][name]
    found[0][name] = method
    _type_changed(owner)  # or calls would go to what Python has remembered
    return original
