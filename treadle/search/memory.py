"""Memory: how much a process has, and how much a search may take by default."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)", re.IGNORECASE | re.ASCII)

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def peak() -> int:
    """Return the most resident memory that this process ever had, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 2**10


def resident() -> int:
    """Return the resident memory of this process, in bytes; where the system does not tell it, the peak."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return peak()
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Let no garbage be collected meanwhile: to go through all that is known takes long, and finds next to nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def fair_share() -> int:
    """Return half of the memory of the machine, or of what this process is allowed, if that is less; in bytes."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_allowed()]) // 2


def _allowed() -> Iterator[int]:
    """Yield the limits of the control groups that this process is in (``man 7 cgroups``), in bytes."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers:
            root, name = _CONTROL_GROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = _CONTROL_GROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / place.lstrip("/")
        for folder in (group, *group.parents):  # each group that contains it limits it, too
            if not folder.is_relative_to(root):
                break
            try:
                text = (folder / name).read_text(encoding="ascii").strip()
            except OSError:  # in a container, the groups above it are not there
                continue
            if text.isdecimal():  # otherwise it is "max"
                yield int(text)


def bytes_of(text: str) -> int | None:
    """Return how many bytes a size means, as in ``500M`` (units are powers of 1024); None if it is no size above 0."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _UNITS[match[2].upper()] or None if match else None


def spoken(size: int) -> str:
    """Return a number of bytes as ``bytes_of`` reads it, in the largest unit that fits."""
    unit = next(unit for unit in reversed(_UNITS) if not size % _UNITS[unit])
    return f"{size // _UNITS[unit]}{unit}" if unit else f"{size} bytes"
