"""Which properties each algorithm is known to violate, at the default bounds.

Filled in from what the checker found, never from what somebody expects.
"""

from __future__ import annotations

EXPECT_VIOLATED: dict[str, frozenset[str]] = {
    "shipped-3.2.2": frozenset(),
    "shipped-3.3.2": frozenset(),
    "flush": frozenset(),
    "immediate": frozenset(),
    "unique-index": frozenset(),
    "staged": frozenset(),
    "bulk": frozenset(),
}
"""Algorithm to names of properties."""
