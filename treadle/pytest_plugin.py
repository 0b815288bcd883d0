"""The pytest plugin: ``def test_x(treadle): treadle.check(scenario)``.

::

    check ──> what is set (settings) ──> known schedules (store) ──> the search ──> how it fails (failing)
                                            │ one still breaks a property ──────────────┘

pytest imports this file at every start, so it imports nothing that takes time until a test asks for it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

import pytest

from treadle.testing.settings import SETTINGS, configured, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import FrameType

    from treadle.scenario import Scenario
    from treadle.testing.store import Store
    from treadle.values.verdict import Result

_REPLAY = "treadle_replay"


# --- What pytest asks for ----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option and a setting for each thing that can be set."""
    group = parser.getgroup("treadle", "checks of concurrent code (treadle)")
    for setting in SETTINGS:
        more: dict[str, Any] = {"metavar": setting.metavar} if setting.metavar else {"action": "store_true"}
        group.addoption(setting.option, dest=setting.key, default=None, help=f"{setting.help}.", **more)
        kind: Literal["string", "bool"] = "string" if setting.metavar else "bool"
        parser.addini(setting.key, f"{setting.help}.", type=kind)
    group.addoption(
        "--treadle-replay",
        dest=_REPLAY,
        metavar="TOKEN",
        help="run this schedule first; where it breaks a property, nothing is searched.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read what is set for all tests."""
    names = ", ".join(setting.name for setting in SETTINGS)
    config.addinivalue_line("markers", f"treadle({names}): what is set for the checks of this test")
    config.stash[_settings] = configured(config)
    _require_token(config.getoption(_REPLAY))


def _require_token(token: str | None) -> None:
    if token is None:
        return
    # Imported when something is asked for, because pytest loads this file at every start.
    from treadle.values.errors import TokenError  # noqa: PLC0415
    from treadle.values.schedule import Schedule  # noqa: PLC0415

    try:
        Schedule.parse(token)
    except TokenError as error:
        raise pytest.UsageError(f"--treadle-replay: {error}") from None


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Read what is set for single tests, before the first one runs."""
    for item in items:
        try:
            item.stash[_settings] = marked(item)
        except pytest.UsageError as error:
            if not hasattr(item.config, "workerinput"):
                raise
            item.stash[_refused] = str(error)  # pytest-xdist takes an error here for a crash of its worker


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a test of which something is set that cannot be."""
    if _refused in item.stash:
        pytest.fail(item.stash[_refused], pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note which test runs."""
    item.config.stash[_running] = item
    try:
        return (yield)
    finally:
        del item.config.stash[_running]


@pytest.fixture(scope="session")
def treadle(pytestconfig: pytest.Config) -> Treadle:
    """Check a scenario, ``treadle.check(scenario)``, or functions, ``treadle.race(sell, cancel)``."""
    return Treadle(pytestconfig)


_settings = pytest.StashKey[dict[str, Any]]()
_refused = pytest.StashKey[str]()
_running = pytest.StashKey[pytest.Item]()
_failed = pytest.StashKey[list[Any]]()


# --- What a test asks for ----------------------------------------------------------------------------


# pytest declares this class as a variable, which a type checker cannot subclass.
class CheckFailed(pytest.fail.Exception):  # type: ignore[misc,name-defined]
    """A check that was not as the scenario expects, or inconclusive.

    Attributes:
        result: all that the check decided.
        tokens: the schedules of its counterexamples, for ``treadle.replay(scenario, token)``.
    """

    def __init__(self, text: str, result: Result, tokens: Sequence[str]) -> None:
        super().__init__(text, pytrace=False)
        self.result = result
        self.tokens = tuple(tokens)


class Treadle:
    """What the ``treadle`` fixture offers."""

    def __init__(self, config: pytest.Config | None = None) -> None:
        """Belong to a run of pytest, or to none."""
        self._config = config

    def check(self, scenario: Scenario, **options: Any) -> Result:
        """Check a scenario, and fail the test unless every verdict is as the scenario expects.

        What is not given here is as a marker, the command line or the file of settings says. Schedules under which
        this check failed before are tried first: if one still breaks a property, that is shown, and nothing is
        searched.

        Args:
            scenario: what is checked.
            options: as for ``treadle.check``; and ``allow_inconclusive=True`` lets what was not decided pass, while
                what was decided must be as expected.

        Returns:
            All that was decided.

        Raises:
            CheckFailed: some verdict is not as expected, or is inconclusive. Its text is the report.
        """
        __tracebackhide__ = True
        return self._run(scenario, options, sys._getframe(1))  # noqa: SLF001  # it leads to the test's own line

    def race(self, *functions: Callable[..., object], **options: Any) -> Result:
        """Check functions against each other, and fail the test if they break what needs no author.

        Args:
            functions: as for ``treadle.race``.
            options: as for ``treadle.race``, and as for ``check``.

        Returns:
            All that was decided.

        Raises:
            CheckFailed: some verdict is not that a property holds. Its text is the report.
        """
        __tracebackhide__ = True
        # Imported when a test asks for it, because pytest loads this file at every start.
        from treadle.racing.race import race_of  # noqa: PLC0415

        own = {name: options.pop(name) for name in ("clients", "database", "faults") if name in options}
        scenario = race_of(functions, **own).scenario
        return self._run(scenario, options, sys._getframe(1))  # noqa: SLF001  # it leads to the test's own line

    def _run(self, scenario: Scenario, options: dict[str, Any], frame: FrameType) -> Result:
        __tracebackhide__ = True
        # Imported here for the same reason.
        from treadle.report import render_line  # noqa: PLC0415
        from treadle.testing.failing import Asker, tokens_of  # noqa: PLC0415
        from treadle.testing.running import Known, run  # noqa: PLC0415

        config, item = self._config, self._item
        if config is None or item is None:
            result, text = run(scenario, options, Known(), Asker("", "", "", frame), [])
        else:
            settings = config.stash[_settings] | item.stash.get(_settings, {}) | options
            known = Known(config.getoption(_REPLAY), _store(config))
            asker = Asker(item.nodeid, _from_here(item), str(item.path), frame)
            result, text = run(scenario, settings, known, asker, item.stash.setdefault(_failed, []))
        if text:
            raise CheckFailed(text, result, tokens_of(result))
        if result.inconclusive and item is not None:  # no failure, but nobody must take it for a proof
            item.add_report_section("call", "treadle", render_line(result))
        return result

    @property
    def _item(self) -> pytest.Item | None:
        return None if self._config is None else self._config.stash.get(_running, None)


def _from_here(item: pytest.Item) -> str:
    """Return the name of a test as the command line takes it: its file, from where pytest was started."""
    _, colons, rest = item.nodeid.partition("::")
    return os.path.relpath(item.path, item.config.invocation_params.dir) + colons + rest


def _store(config: pytest.Config) -> Store | None:
    from treadle.testing.store import Store  # noqa: PLC0415  # a test has asked for it

    cache = getattr(config, "cache", None)  # there is none with -p no:cacheprovider
    return None if cache is None else Store(cache.mkdir("treadle"))
