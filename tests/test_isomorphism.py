"""Isomorphism: compared with trying every renaming."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.isomorphism import Structure, TooSymmetricError, isomorphic


def ring(*sizes: int) -> Structure:
    """Return rings of nodes that are alike."""
    edges, start = [], 0
    for size in sizes:
        edges += [(start + place, "next", start + (place + 1) % size) for place in range(size)]
        start += size
    return Structure(("node",) * start, edges)


def renamed(structure: Structure, seed: int) -> Structure:
    """Return the same structure with other numbers."""
    chance = random.Random(seed)
    places = list(range(len(structure.labels)))
    chance.shuffle(places)
    labels = dict(zip(places, structure.labels, strict=True))
    edges = [(places[source], label, places[target]) for source, label, target in structure.edges]
    chance.shuffle(edges)
    return Structure(tuple(labels[place] for place in sorted(labels)), edges)


def can_be_renamed(one: Structure, other: Structure) -> bool:
    """Try all renamings."""
    numbers = range(len(one.labels))
    return len(one.labels) == len(other.labels) and any(
        all(one.labels[number] == other.labels[places[number]] for number in numbers)
        and Counter((places[a], label, places[b]) for a, label, b in one.edges) == Counter(other.edges)
        for places in itertools.permutations(numbers)
    )


@st.composite
def structures(draw: st.DrawFn, size: int) -> Structure:
    """Return a structure of few labels, or one in which all nodes have equally many edges."""
    if draw(st.booleans()):
        edges = st.tuples(st.integers(0, size - 1), st.sampled_from("xy"), st.integers(0, size - 1))
        return Structure(
            tuple(draw(st.lists(st.sampled_from("ab"), min_size=size, max_size=size))),
            draw(st.lists(edges, max_size=6)),
        )
    turns = [draw(st.permutations(range(size))) for _ in "xy"]
    pairs = zip("xy", turns, strict=True)
    return Structure(("a",) * size, [(node, label, turn[node]) for label, turn in pairs for node in range(size)])


@given(data=st.data(), size=st.integers(1, 5), seed=st.integers(0, 1000))
def test_isomorphism_is_that_some_renaming_fits(data: st.DataObject, size: int, seed: int) -> None:
    """For any two, and for one and its renaming."""
    one, other = data.draw(structures(size)), data.draw(structures(size))
    assert can_be_renamed(one, other) is isomorphic(one, other)
    assert isomorphic(one, renamed(one, seed))


def test_rings_are_told_apart_by_their_sizes() -> None:
    """Colour refinement alone gives all of these nodes one colour."""
    assert not isomorphic(ring(2, 2), ring(4))
    assert not isomorphic(ring(3, 5), ring(4, 4))
    assert isomorphic(ring(3, 2, 4), renamed(ring(2, 3, 4), 1))


@pytest.mark.parametrize(
    "structure",
    [
        Structure(()),
        Structure(("row",) * 2000),
        Structure(("parent", *["child"] * 2000), [(number, "parent", 0) for number in range(1, 2001)]),
        Structure(
            ("parent",) * 200 + ("child",) * 800, [(200 + number, "parent", number // 4) for number in range(800)]
        ),
        ring(200),
        ring(*[3] * 200),
    ],
)
def test_many_rows_that_are_alike_take_no_time(structure: Structure) -> None:
    """What does not hang together is compared part by part."""
    assert isomorphic(structure, renamed(structure, 7))


def test_what_takes_too_long_is_given_up() -> None:
    """And never told to be the same, or not."""
    links = [(number, "link", other) for number, other in itertools.permutations(range(30), 2)]
    with pytest.raises(TooSymmetricError):
        isomorphic(Structure(("node",) * 30, links), Structure(("node",) * 30, links), most_steps=500)
