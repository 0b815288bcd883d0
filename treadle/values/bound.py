"""Values on their way between a client and SQLite, where one side alone knows what they are.

Adapters, converters and text factories are the client's own and live in its process
(https://docs.python.org/3/library/sqlite3.html#how-to-adapt-custom-python-types-to-sqlite-values).
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Unsupported:
    """Stands for a parameter that SQLite cannot take: binding it fails, as binding that one does.

    Attributes:
        type: the name of its type.
    """

    type: str


@frozen
class ToConvert:
    """A value of a column that the client has a converter for.

    Attributes:
        converter: the name of the converter.
        data: what SQLite holds.
    """

    converter: str
    data: bytes

    def __repr__(self) -> str:
        """Return the data."""
        return repr(self.data)


@frozen
class ToDecode:
    """A text that the client's text factory makes a value of.

    Attributes:
        data: what SQLite holds.
    """

    data: bytes

    def __repr__(self) -> str:
        """Return the data."""
        return repr(self.data)
