"""Which clients drew from a random source that is seeded with their name."""

from __future__ import annotations

import os
import random
import secrets
import uuid
from collections.abc import Callable

import pytest
from attrs import evolve

from tests.checking.bank import add_in_place, bank
from treadle import Client
from treadle.execution.product import Product
from treadle.execution.system import System


def _run_to_the_end(product: Product) -> None:
    state = product.root()
    while choices := product.choices(state):
        state = product.run(state, choices[0]).after


def _draw_a_whole_round() -> None:
    for _ in range(624):  # the position is the same again afterwards
        random.getrandbits(32)


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        random.SystemRandom().random,
        lambda: random.seed(1),
        _draw_a_whole_round,
        lambda: os.urandom(1),
        secrets.token_hex,
        uuid.uuid4,
    ],
)
def test_a_client_that_draws_is_told_from_one_that_does_not(draw: Callable[[], object]) -> None:
    """Also when it draws after its last operation."""
    scenario = bank(add_in_place)

    def client() -> None:
        add_in_place(scenario.database.engine)
        draw()

    def calm() -> None:
        add_in_place(scenario.database.engine)

    clients = [Client("A", client), Client("B", calm)]
    with System(evolve(scenario, clients=clients)) as system:
        _run_to_the_end(system.product)
        assert {"A"} == system.drew
