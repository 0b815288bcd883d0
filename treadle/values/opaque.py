"""What a client has returned or raised, and what cannot leave its process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

from treadle.values.errors import UnsupportedOperationError

_looking: list[bool] = []


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Let nobody be deceived meanwhile: to ask anything of what has stayed in its process is an error."""
    _looking.append(True)
    try:
        yield
    finally:
        _looking.pop()


def _asked(self: Opaque, *_: object) -> NoReturn:
    raise UnsupportedOperationError(
        f"a property looks at {self!r}, which a client has returned or raised: it cannot leave the client's process, "
        "so nothing can be told of it. Let the client return plain values."
    )


class Opaque:
    """Stands for an object that stays in the client's process. It has a text, and answers no question.

    Attributes:
        text: its ``repr``.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Stand for an object with this ``repr``."""
        object.__setattr__(self, "text", text)

    @property  # type: ignore[misc]  # what isinstance asks for
    def __class__(self) -> type[Any]:
        if _looking:
            _asked(self)
        return Opaque

    def __repr__(self) -> str:
        """Return the text of the object."""
        return str(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made again."""
        return Opaque, (self.text,)

    def __deepcopy__(self, _: object) -> Opaque:
        """Return itself: nobody can change it."""
        return self

    __bool__ = __call__ = __contains__ = __eq__ = __float__ = __format__ = __ge__ = __getitem__ = __gt__ = _asked
    __index__ = __int__ = __iter__ = __le__ = __len__ = __lt__ = __next__ = __str__ = _asked
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        """Have no attributes that anybody could ask for."""
        if _looking and not name.startswith("__"):
            _asked(self)
        raise AttributeError(name)
