from __future__ import annotations

from typing import Any

import pytest

from model.backfill import Reprocess
from tests.model.conftest import build
from tests.model.workshop import Build
from tests.properties.stage import Enact, Stage, committed

__all__ = ["build", "enact"]


@pytest.fixture
def enact(build: Build) -> Enact:
    """Return a function that makes a stage."""

    def make(name: str = "flush", *, reprocess: Reprocess = Reprocess.NONE, **how: Any) -> Stage:
        workshop = build(name, **how)
        return Stage(workshop, committed(workshop), reprocess)

    return make
