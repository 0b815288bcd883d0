"""Properties: what must hold."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import overload

from attrs import field, frozen

from treadle.values.canonical import printable
from treadle.values.display import in_part, quoted, said, text_of
from treadle.values.errors import PropertyError, TreadleError, UsageError
from treadle.values.opaque import looking
from treadle.values.signals import SignalError
from treadle.values.view import Row, View


class Kind(enum.StrEnum):
    """When a property is looked at."""

    ALWAYS = "always"
    """In every committed state."""

    AT_END = "at-end"
    """When all clients have finished."""

    SOMETIMES = "sometimes"
    """In at least one execution when all clients have finished, so that nothing holds vacuously."""


def _pairs(rows: Iterable[tuple[str, Row]]) -> tuple[tuple[str, Row], ...]:
    return tuple(rows)


@frozen
class Breach:
    """One way in which a view breaks a property.

    Attributes:
        why: one sentence for the reader of a bug report.
        rows: the committed rows that show it, as pairs of table name and row.
    """

    why: str = field(converter=printable, repr=lambda why: in_part(why)[0])
    rows: tuple[tuple[str, Row], ...] = field(default=(), converter=_pairs, repr=lambda rows: in_part(rows)[0])


Predicate = Callable[[View], "bool | list[Breach]"]
"""Tells whether a view is as the property wants: a bool, or a list of the breaches (none: it is)."""


def _named(instance: Property, attribute: object, value: str) -> None:
    del attribute
    if not value or value.strip() != value or any(letter.isspace() for letter in value):
        raise UsageError(
            f"{quoted(value)} is no name for a property (clause {quoted(instance.clause)}): a name is one word, with "
            "dashes. Pass name='...'."
        )


@frozen
class Property:
    """A named English clause with the predicate that decides it.

    Raises:
        UsageError: the name is not one word, or the predicate cannot be called.
    """

    name: str = field(validator=_named)
    clause: str
    kind: Kind
    predicate: Predicate = field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the predicate."""
        if not callable(self.predicate):
            raise UsageError(
                f"property {quoted(self.name)}: {quoted(self.predicate)} is no predicate: it must be a callable that "
                "takes a View and returns a bool or a list of Breach."
            )

    def breaches(self, view: View) -> tuple[Breach, ...]:
        """Return how the view breaks this property; empty if it does not.

        For ``sometimes`` a breach means: not witnessed here.

        Raises:
            PropertyError: the predicate raised something else than AssertionError, or returned neither a bool
                nor a list of breaches. One that forgets its ``return``, or returns rows that happen to be none,
                would otherwise hold.
        """
        try:
            with looking():
                answer = self.predicate(view)
            if answer is True:
                return ()
            if answer is False:
                return (Breach(f"not so: {self.clause}"),)
            # A list and nothing else: rows are a tuple, and one that is empty would tell that all is well.
            if isinstance(answer, list) and all(isinstance(breach, Breach) for breach in answer):
                return tuple(answer)
        except AssertionError as error:
            return (Breach(text_of(error) or f"not so: {self.clause}"),)
        except (TreadleError, SignalError, MemoryError):  # memory is what the check lacks, and no predicate's fault
            raise
        except Exception as error:
            raise PropertyError(
                f"property {quoted(self.name)} raised {said(error)}. A predicate must answer for every "
                "committed state that the clients can reach; correct the predicate."
            ) from error
        raise PropertyError(
            f"property {quoted(self.name)} returned {quoted(answer)}: a predicate returns True, False, or a list of "
            "Breach (empty: the property holds). Is a 'return' missing, or a bool(...) or a list(...) around what it "
            "returns?"
        )


def _make(
    kind: Kind, clause: str, predicate: Predicate | None, name: str | None
) -> Property | Callable[[Predicate], Property]:
    if not isinstance(clause, str) or not clause.strip():
        raise UsageError(f"{quoted(clause)} is no clause: say in English what must be true.")

    def build(decide: Predicate) -> Property:
        spoken = name if name is not None else getattr(decide, "__name__", "").replace("_", "-")
        if not spoken or spoken == "<lambda>":
            spoken = "-".join("".join(c if c.isalnum() else " " for c in clause.lower()).split())
        return Property(spoken, clause, kind, decide)

    return build if predicate is None else build(predicate)


@overload
def always(clause: str, predicate: Predicate, *, name: str | None = None) -> Property: ...
@overload
def always(clause: str, *, name: str | None = None) -> Callable[[Predicate], Property]: ...
def always(
    clause: str, predicate: Predicate | None = None, *, name: str | None = None
) -> Property | Callable[[Predicate], Property]:
    """Build a property of every committed state; without a predicate, a decorator for one.

    Args:
        clause: what must be true, in English.
        predicate: takes a ``View``; returns a bool, or a list of ``Breach`` (empty: it holds).
        name: one word with dashes; by default the predicate's own name, else the clause's words.

    Raises:
        UsageError: the clause is empty, the name is not one word, or the predicate cannot be called.
    """
    return _make(Kind.ALWAYS, clause, predicate, name)


@overload
def at_end(clause: str, predicate: Predicate, *, name: str | None = None) -> Property: ...
@overload
def at_end(clause: str, *, name: str | None = None) -> Callable[[Predicate], Property]: ...
def at_end(
    clause: str, predicate: Predicate | None = None, *, name: str | None = None
) -> Property | Callable[[Predicate], Property]:
    """Build a property of the state in which all clients have finished; otherwise as ``always``."""
    return _make(Kind.AT_END, clause, predicate, name)


@overload
def sometimes(clause: str, predicate: Predicate, *, name: str | None = None) -> Property: ...
@overload
def sometimes(clause: str, *, name: str | None = None) -> Callable[[Predicate], Property]: ...
def sometimes(
    clause: str, predicate: Predicate | None = None, *, name: str | None = None
) -> Property | Callable[[Predicate], Property]:
    """Build a property that some execution must show at its end; otherwise as ``always``."""
    return _make(Kind.SOMETIMES, clause, predicate, name)
