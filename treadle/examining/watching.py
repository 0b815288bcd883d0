"""A client that is watched while it runs: what it draws on, starts and changes in its own process.

Python tells a profile function of every call, of which these are looked at that draw on something that differs from
run to run (https://docs.python.org/3/library/sys.html#sys.setprofile). Who asks is the nearest code of the application
below it: what the standard library and SQLAlchemy ask for themselves is left out.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from treadle.values.display import in_part, said

_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_PACKAGES = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_OWN = str(Path(__file__).parent.parent)
_UNASKED = frozenset({"sqlalchemy", "aiosqlite", "greenlet"})
"""Packages that ask for the time for themselves: what they make of it reaches no database."""

_CLOCK = frozenset(
    {
        *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"),
        *("localtime", "gmtime", "ctime", "asctime", "strftime", "clock_gettime"),
    }
)
_DATES = frozenset({"now", "utcnow", "today"})
_IDS = frozenset({"getpid", "getppid", "get_ident", "get_native_id"})
_UPKEEP = frozenset({"threading", "logging", "tempfile", "base_events", "events"})
"""Modules of the standard library that ask who they are and show it to nobody."""

_PLAIN = (bool, int, float, str, bytes, type(None), list, dict, set, tuple, frozenset)


@frozen
class Asked:
    """Something that differs from run to run, and who asks for it.

    Attributes:
        source: clock, randomness or identity.
        what: the function.
        where: file and line of the application.
    """

    source: str
    what: str
    where: str


@frozen
class Sight:
    """What was seen of a client in its process.

    Attributes:
        asked: each once, in the order in which it was asked for first.
        threads: how many it started.
        loops: how many event loops it made.
        engines: how many engines it made.
        changed: the names of the application's module globals that it changed.
        raised: the class and text of the exception it ended with; an empty text for none.
        imported: the names of modules that it was the first to import, without those of the standard library.
        configures: it was the first to use mapped classes, which SQLAlchemy configures then.
    """

    asked: tuple[Asked, ...]
    threads: int
    loops: int
    engines: int
    changed: tuple[str, ...]
    raised: str
    imported: tuple[str, ...] = ()
    configures: bool = False


@frozen
class Watched:
    """A client's function, watched; returns a ``Sight``.

    Attributes:
        run: the function.
        package: the application's, whose modules' globals are compared.
    """

    run: Callable[[], object]
    package: str

    def __call__(self) -> Sight:
        """Run it to its end."""
        before, modules = dict(_globals(self.package)), set(sys.modules)
        watch = _Watch()
        raised = ""
        sys.setprofile(watch)
        threading.setprofile(watch)
        try:
            self.run()
        except Exception as error:  # noqa: BLE001  # whatever the client raises is how it ended
            raised = said(error)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        after = dict(_globals(self.package))
        changed = tuple(sorted(name for name in after if before.get(name) != after[name]))
        asked = tuple(dict.fromkeys(watch.asked))
        imported = tuple(sorted(filter(_is_foreign, set(sys.modules) - modules)))
        return Sight(asked, watch.threads, watch.loops, watch.engines, changed, raised, imported, watch.configures)


@define
class _Watch:
    """A profile function."""

    asked: list[Asked] = field(factory=list)
    threads: int = 0
    loops: int = 0
    engines: int = 0
    configures: bool = False

    def __call__(self, frame: types.FrameType, event: str, argument: Any) -> None:
        """Look at a call."""
        if event == "c_call":
            self._note(_source_of(argument), _spelled(argument), frame)
        elif event == "call":
            code = frame.f_code
            self.threads += code.co_qualname == "Thread.start"
            self.loops += code.co_qualname == "BaseEventLoop.__init__"
            self.configures |= code.co_name == "_do_configure_registries"
            self.engines += code.co_qualname == "Engine.__init__"

    def _note(self, source: str, what: str, frame: types.FrameType | None) -> None:
        """Note who asks, and for what: the outermost function that is not the application's."""
        while source and frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(_OWN):
                return
            if name.startswith(_STANDARD) and not name.startswith(_PACKAGES):
                if source == "identity" and Path(name).stem in _UPKEEP:
                    return
                drawn = frame.f_locals.get("self") is getattr(os.urandom, "__self__", os)
                what = "os.urandom" if drawn else f"{Path(name).stem}.{frame.f_code.co_name}"
                frame = frame.f_back
                continue
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if package not in _UNASKED and not name.startswith("<frozen"):
                self.asked.append(Asked(source, what, f"{Path(name).name}:{frame.f_lineno}"))
            return


def _spelled(function: Any) -> str:
    """Return how the application writes a built-in function."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):
        return f"{owner.__name__}.{function.__name__}"
    module = str(function.__module__ or type(owner).__module__).lstrip("_")
    return f"{'os' if module == 'posix' else module}.{function.__name__}"


def _source_of(function: Any) -> str:
    """Return which source of what differs a built-in function draws on; an empty text for none."""
    module, name, owner = getattr(function, "__module__", None), function.__name__, getattr(function, "__self__", None)
    if module == "time" and name in _CLOCK:
        return "clock"
    if isinstance(owner, type) and owner.__module__ == "datetime" and name in _DATES:
        return "clock"
    if name in _IDS and module in {"posix", "os", "_thread"}:
        return "identity"
    if type(owner).__mro__[-2:-1] and any(kind.__module__ in {"random", "_random"} for kind in type(owner).__mro__):
        return "randomness" if name in {"random", "getrandbits"} else ""
    return "randomness" if name == "urandom" and module == "posix" else ""


def _is_foreign(name: str) -> bool:
    """Tell whether a module is neither Python's nor Treadle's own."""
    return name.partition(".")[0] not in {*sys.stdlib_module_names, "treadle"}


def _globals(package: str) -> Iterator[tuple[str, str]]:
    """Yield what the modules of a package keep, as far as it can be compared: plain values, and what caches have."""
    for module_name, module in tuple(sys.modules.items()):
        if module_name.partition(".")[0] != package or not issubclass(type(module), types.ModuleType):
            continue
        for name, value in tuple(vars(module).items()):
            if name.startswith("__"):
                continue
            if type(value) in _PLAIN:
                yield f"{module_name}.{name}", in_part(value)[0]
            elif callable(getattr(type(value), "cache_info", None)):
                yield f"{module_name}.{name}", str(value.cache_info().currsize)
