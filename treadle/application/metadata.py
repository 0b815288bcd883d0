"""The metadata that is loaded: what an application has declared its tables in."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Collection, Iterator
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import Engine, MetaData

from treadle.values.display import names, quoted
from treadle.values.errors import UsageError

_Thing = TypeVar("_Thing")


def loaded(kind: type[_Thing]) -> list[_Thing]:
    """Return all objects of a type that are in use in this process."""
    gc.collect()  # what is garbage is not in use
    # isinstance would ask objects that answer for others
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]


def all_metadata() -> list[MetaData]:
    """Return the metadata that is loaded and has tables."""
    return [found for found in loaded(MetaData) if "tables" in vars(found) and found.tables]


def the_metadata(engine: Engine, *, among: Collection[MetaData] | None = None) -> MetaData:
    """Return the only metadata with tables.

    Args:
        engine: for which it is looked for.
        among: where to look; by default in all that is loaded.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = all_metadata() if among is None else list(among)
    if len(found) == 1:
        return found[0]
    remedy = (
        "Name it, as Database(Base.metadata, engine=engine), or take the tables of a file, Database.copy_of(engine)."
    )
    if not found:
        raise UsageError(
            f"Database(engine={quoted(engine)}) was given no schema, and no metadata with tables is loaded: import the "
            f"module with the application's tables first. {remedy}"
        )
    each = names(f"{place_of(metadata) or 'one without a name'} with {names(metadata.tables)}" for metadata in found)
    raise UsageError(
        f"Database(engine={quoted(engine)}) was given no schema, and metadata of {len(found)} kinds is loaded: {each}. "
        f"{remedy}"
    )


def place_of(metadata: MetaData) -> str:
    """Return where metadata is found, as ``module:Base.metadata``; an empty text if nothing leads there."""
    return found_at(lambda thing: "" if thing is metadata else ".metadata" if _of(thing) is metadata else None)


def _of(thing: object) -> object:
    """Return the metadata of a class of the declarative kind, of a registry, or of an extension, as far as is known."""
    with contextlib.suppress(Exception):  # what stands for another object may raise whatever it likes
        return vars(thing).get("metadata")
    return None


def found_at(leads: Callable[[Any], str | None]) -> str:
    """Return where modules have something, as ``module:attribute``; an empty text if none has.

    Args:
        leads: returns what must be written after the attribute, or None if it does not lead there.
    """
    places = sorted(_places(leads), key=lambda place: (place[0].count("."), len("".join(place)), place))
    return ":".join(places[0]) if places else ""


def _places(leads: Callable[[Any], str | None]) -> Iterator[tuple[str, str]]:
    for module_name, module in tuple(sys.modules.items()):
        if not issubclass(type(module), ModuleType) or module_name == "__main__":
            continue
        for attribute, value in tuple(vars(module).items()):
            more = leads(value)
            if more is not None and attribute.isidentifier():
                yield module_name, f"{attribute}{more}"
