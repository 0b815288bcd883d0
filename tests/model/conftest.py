from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from model.backfill import ALGORITHMS, RunState, seed
from tests.model.workshop import MODES, Build, Workshop, make_engine


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Return a function that makes a workshop; arguments are those of ``seed``, and of the engine."""
    made: list[Workshop] = []

    def make(
        name: str,
        *,
        journal: str = "wal",
        mode: str = "legacy",
        timeout_s: float = 5.0,
        history: Sequence[datetime] = (),
        state: RunState = RunState.SUCCESS,
        **dag: Any,
    ) -> Workshop:
        path = tmp_path / f"{len(made)}.db"
        workshop = Workshop(path, make_engine(path, journal=journal, mode=mode, timeout_s=timeout_s), ALGORITHMS[name])
        workshop.algorithm.create_schema(workshop.engine)
        seed(workshop.engine, "etl", history=history, state=state, **dag)
        made.append(workshop)
        return workshop

    yield make
    for workshop in made:
        workshop.engine.dispose()


@pytest.fixture(params=ALGORITHMS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each algorithm."""
    return str(request.param)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Return each transaction mode that this Python has."""
    return str(request.param)
