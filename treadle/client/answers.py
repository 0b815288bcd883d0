"""Answers: responses of web frameworks, as a client returns them, made fit to leave its process.

Some consist of an answer and of what led to it. A response of Werkzeug's test client, and so of Flask's, has the
request with its environment, the iterator that the body is drawn from, and through these the whole application. Of such
a one the answer is kept: status, headers, and the body, which is read to its end as a server would to send it. The
request is an ``Opaque``. Responses of httpx, of requests and of the test client of Starlette are complete as they are.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from treadle.values.canonical import spoken
from treadle.values.opaque import Opaque

_MADE_OF_NOTHING = frozenset({"__module__", "__doc__"})
"""What a class has of its own that only joins others."""


@functools.cache
def joined(name: str, bases: tuple[type[Any], ...], module: str) -> type[Any]:
    """Return the class that consists of others, the same one for the same others.

    Args:
        name: of the class.
        bases: the others.
        module: the name of the module that it says to be of.
    """
    return type(name, bases, {"__module__": module})


def is_joined(kind: type[Any]) -> bool:
    """Tell whether a class is one of those that ``joined`` returns."""
    return set(vars(kind)) <= _MADE_OF_NOTHING and joined(kind.__name__, kind.__bases__, kind.__module__) is kind


def settled(value: Any) -> Any:
    """Return what a client returned, with the answer of each response in it.

    Args:
        value: it, or a list, a tuple or a dict of such.
    """
    if type(value) in {list, tuple}:
        return type(value)(map(settled, value))
    if type(value) is dict:
        return {key: settled(item) for key, item in value.items()}
    werkzeug = sys.modules.get("werkzeug.test")
    if werkzeug is not None and isinstance(value, werkzeug.TestResponse):
        return _of_werkzeug(value)
    return value


def _of_werkzeug(response: Any) -> Any:
    kind = type(response)
    if set(vars(kind)) <= _MADE_OF_NOTHING:  # the test client makes such a class for each application anew
        kind = joined(kind.__name__, kind.__bases__, kind.__module__)
    body = response.get_data()
    state = {**vars(response), "response": [body], "_on_close": []}
    del state["_compat_tuple"]  # the same things again
    state["request"] = Opaque(spoken(response.request))
    state["history"] = tuple(map(settled, response.history))
    if _is_plain(state.get("json_module")):
        del state["json_module"]  # that of the class reads the same
    made = object.__new__(kind)
    vars(made).update(state)
    return made


def _is_plain(provider: Any) -> bool:
    """Tell whether what reads JSON for a response does it as Flask does where there is no application."""
    flask = sys.modules.get("flask.json.provider")
    reads: Callable[..., Any] | None = getattr(type(provider), "loads", None)
    return flask is not None and reads is flask.DefaultJSONProvider.loads
