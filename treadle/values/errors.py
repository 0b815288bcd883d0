"""The errors that Treadle raises.

::

    TreadleError
    ├── UsageError                 what was asked for cannot be done: exit code 2
    │   ├── TargetError            a TARGET that cannot be resolved to scenarios
    │   ├── TokenError             a schedule token that is malformed
    │   └── ScheduleMismatchError  a schedule that does not fit the scenario
    ├── NondeterminismError        the same history led to a different operation or observation
    ├── ChallengeError             an execution that the search should have found
    ├── UnsupportedOperationError  a driver call that the gate cannot carry
    ├── ForeignThreadError         threads of a client were at the database at once, or outlived it
    ├── StuckClientError           a client did not reach its next operation in time
    ├── CounterexampleError        a property is violated (raised by Hypothesis machines)
    ├── PropertyError              a property's predicate failed or returned no verdict
    └── ResourceError              the check itself has not enough room, files, memory or processes
        └── SandboxError           the private directory could not be used

    CheckInterrupted (a KeyboardInterrupt)  the user stopped a check, and what it found by then comes along

Every message names the offending value, the rule, and the remedy. What it quotes is data: the text of an error has
nothing in it that a terminal would obey (see ``treadle.values.display``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from treadle.values.display import message, name, prose, quoted

if TYPE_CHECKING:
    from treadle.values.difference import Difference
    from treadle.values.verdict import Result


class TreadleError(Exception):
    """Base class of all errors of this package."""

    def __str__(self) -> str:
        """Return the message, harmless and not without end, whatever it quotes."""
        return message(super().__str__())


class UsageError(TreadleError):
    """What was asked for cannot be done; nothing was run."""


class TargetError(UsageError):
    """A TARGET that cannot be resolved to scenarios."""


class TokenError(UsageError):
    """A schedule token that is malformed."""


class ScheduleMismatchError(UsageError):
    """A schedule that does not fit the scenario it is replayed on."""


class NondeterminismError(TreadleError):
    """The same history led to a different operation or observation.

    Attributes:
        client: the name of the client whose behaviour differed.
        operation: the number of the operation in that client's history, from 1.
        expected: what was learned.
        got: what happened this time.
        difference: the one value that differs, or None where it is more than a value.
    """

    def __init__(
        self, client: str, operation: int, expected: str, got: str, difference: Difference | None = None
    ) -> None:
        if difference is None:
            what = (
                f"expected {expected}, got {got}. A client must be a function of what its database tells it: look for "
                "a clock, a random source, a cache or another state that outlives one call, and reset or seed it in "
                "the client."
            )
        else:
            what = f"{difference} A client must be a function of what its database tells it."
        super().__init__(f"client {quoted(client)}, operation {operation}: {what}")
        self.client = client
        self.operation = operation
        self.expected = expected
        self.got = got
        self.difference = difference

    def __reduce__(self) -> tuple[type[NondeterminismError], tuple[str, int, str, str, Difference | None]]:
        """Let it travel between processes."""
        return type(self), (self.client, self.operation, self.expected, self.got, self.difference)


class ChallengeError(TreadleError):
    """An execution that the search should have found: there is a mistake in Treadle.

    Attributes:
        token: of its schedule.
        what: what it shows.
        place: the operation at which it and what was learned part.
        why: how.
        count: how many executions were run by then.
    """

    def __init__(self, token: str, what: str, place: str, why: str) -> None:
        super().__init__(
            f"a live execution came to {what}. Schedule {token}; they part at {place}: {why}. This is a mistake in "
            "Treadle, and no verdict of this check can be trusted: please report it, with the scenario if you can. "
            "'--no-reduction --live' takes nothing for granted, and is slow."
        )
        self.token = token
        self.what = what
        self.place = place
        self.why = why
        self.count = 0

    def __reduce__(self) -> tuple[type[ChallengeError], tuple[str, str, str, str]]:
        """Let it travel between processes."""
        return type(self), (self.token, self.what, self.place, self.why)


class UnsupportedOperationError(TreadleError):
    """A driver call that the gate cannot carry to the world.

    Attributes:
        path: of another database file, where a client wanted to use that.
    """

    path = ""


class ForeignThreadError(TreadleError):
    """A database call from a thread that is no client."""


class StuckClientError(TreadleError):
    """A client did not reach its next operation in time."""


class CounterexampleError(TreadleError, AssertionError):
    """A property is violated. Its text, with the timeline, is made when it is asked for.

    Attributes:
        property: its name.
        token: the token of a schedule that shows it.
        why: one sentence.
    """

    def __init__(self, why: str, *, property: str, token: str, details: Callable[[], str]) -> None:  # noqa: A002  # the word of the docs
        super().__init__(why)
        self.property = property
        self.token = token
        self.why = why
        self._details = functools.cache(details)

    def __str__(self) -> str:
        """Return the sentence, the schedule, and what happens under it."""
        return f"{name(self.property)} is violated: {prose(self.why)}\nschedule {self.token}\n\n{self._details()}"


class PropertyError(TreadleError):
    """A property's predicate failed or returned no verdict."""


class CheckInterrupted(KeyboardInterrupt):  # what Ctrl-C does is no error, and who catches errors must not keep it
    """Ctrl-C stopped a check.

    Attributes:
        result: what was decided by then; what was found is confirmed.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(f"the check of {quoted(result.scenario)} was interrupted")
        self.result = result


class ResourceError(TreadleError):
    """The check itself has not enough of something: room, files, memory or processes."""


class SandboxError(ResourceError):
    """The private directory of the worlds could not be used."""
