"""One check of a test: what is known is tried, then all is searched, and what came of it is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from treadle.checking import check
from treadle.scenario import Scenario
from treadle.testing.failing import Asker, text_of_failure, tokens_of, write_reports
from treadle.testing.store import Store
from treadle.testing.trying import first_broken
from treadle.values.verdict import Result, Verdict

_GIVEN = "The schedule of --treadle-replay breaks it; nothing was searched."
_STORED = "A schedule of an earlier run still breaks it; nothing was searched. pytest --cache-clear forgets it."


@frozen
class Known:
    """Schedules that are tried before anything is searched.

    Attributes:
        given: the token that the command line names, or None.
        store: where those of earlier runs are, if anywhere.
    """

    given: str | None = None
    store: Store | None = None

    def tried(self, scenario: Scenario, test: str) -> tuple[Result, str] | None:
        """Return what the first schedule shows that breaks a property, and how it is known; None if none does."""
        stored = () if self.store is None else self.store.schedules(test, scenario.name)
        for tokens, note in (((self.given,) if self.given else (), _GIVEN), (stored, _STORED)):
            found = first_broken(scenario, tokens)
            if found is not None:
                return found, note
        return None

    def learn(self, result: Result, test: str) -> None:
        """Remember how a check failed, or that it is as expected; one that is inconclusive tells nothing new."""
        tokens = tokens_of(result, surprising=True)
        if self.store is not None and tokens:
            self.store.remember(test, result.scenario, tokens)
        elif self.store is not None and result.as_expected:
            self.store.forget(test, result.scenario)


def run(
    scenario: Scenario, settings: Mapping[str, Any], known: Known, asker: Asker, failed: list[Result]
) -> tuple[Result, str]:
    """Check a scenario, and return what was decided, with the text of the failure; an empty one if it passes.

    Args:
        scenario: what is checked.
        settings: of the check, by the names of ``treadle.testing.settings``.
        known: what is tried first.
        asker: the test.
        failed: the results of the test's checks that failed; one more is added if this one does.
    """
    options = dict(settings)
    reports: Path | None = options.pop("report", None)
    allowed = options.pop("allow_inconclusive", False)
    result, note = known.tried(scenario, asker.test) or (check(scenario, **options), "")
    known.learn(result, asker.test)
    if _passes(result, allowed=allowed):
        return result, ""
    failed.append(result)
    where = None if reports is None or not asker.test else write_reports(reports, failed, asker)
    return result, text_of_failure(result, asker, note, where)


def _passes(result: Result, *, allowed: bool) -> bool:
    return all(
        decision.as_expected or (allowed and decision.verdict is Verdict.INCONCLUSIVE) for decision in result.decisions
    )
