"""Which properties each algorithm is known to violate, at the default bounds.

Filled in from what the checker found, never from what somebody expects.
"""

from __future__ import annotations

_SHIPPED = frozenset(
    {
        "all-or-nothing",
        "complete-means-complete",
        "honest-conflict",
        "never-partial",
        "one-active-backfill",
        "retry-succeeds",
    }
)

EXPECT_VIOLATED: dict[str, frozenset[str]] = {
    "shipped-3.2.2": _SHIPPED,
    "shipped-3.3.2": _SHIPPED,
    "flush": frozenset({"one-active-backfill"}),
    "immediate": frozenset(),
    "unique-index": frozenset(),
    "staged": frozenset({"all-or-nothing", "one-active-backfill"}),
    "bulk": frozenset({"one-active-backfill"}),
}
"""Algorithm to names of properties."""
