"""Schedules as tokens, and texts that are none."""

from __future__ import annotations

import random
import string
import time

import pytest

from treadle.values.errors import TokenError
from treadle.values.fault import Fault
from treadle.values.schedule import DIGEST_LENGTH, LENGTH_MAX, Fail, Schedule, Step

CHOICES = (Step(0, 12), Step(1, 30), Fail(0), Step(0, 5), Fail(1, Fault.CRASH))
DIGESTS = ("7k", "q2", "m0", "9x", "v4ec")
WHOLE = Schedule(CHOICES, DIGESTS)


def test_a_schedule_that_tells_nothing_is_its_choices() -> None:
    """So that one can write it by hand."""
    assert "t1.A12.B30.A-locked.A5.B-crash" == Schedule(CHOICES).token


def test_a_schedule_that_tells_what_was_done_ends_in_its_digests() -> None:
    """Two letters for each choice but the last, which has four, and four that check all others."""
    assert "t2.A12.B30.A-locked.A5.B-crash.7kq2m09xv4ec18yz" == WHOLE.token


def test_of_the_digests_a_schedule_keeps_what_its_token_can_tell() -> None:
    """So it is equal to what its token is read as."""
    longer = Schedule(CHOICES, tuple(digest.ljust(DIGEST_LENGTH, "0") for digest in DIGESTS))
    assert longer == WHOLE


@pytest.mark.parametrize(
    "schedule",
    [WHOLE, Schedule(CHOICES), Schedule(), Schedule((Step(0),), ("0000",)), Schedule((Step(18277, 10**9 - 1),))],
)
def test_a_token_is_read_as_what_it_was_written_for(schedule: Schedule) -> None:
    """In both versions."""
    assert schedule == Schedule.parse(schedule.token)
    assert schedule == Schedule.parse(f" {schedule.token}\n")


@pytest.mark.parametrize("schedule", [WHOLE, Schedule(CHOICES)])
def test_a_token_survives_shells_addresses_and_names_of_files(schedule: Schedule) -> None:
    """It has letters, digits, dots and dashes only."""
    assert set(schedule.token) <= set(string.ascii_letters + string.digits + ".-")


LONG = "t1." + ".".join(["A1", "B1"] * LENGTH_MAX)

MALFORMED = {
    "empty": "",
    "a dot": ".",
    "no version": "A3.B2",
    "another version": "t3.A3.B2",
    "a version with 5,000 digits": f"t{'1' * 5000}.A3",
    "a word": "token",
    "no choice": "t1.A3.x",
    "an empty choice": "t1.A3..B2",
    "a dot at its end": "t1.A3.",
    "no operations": "t1.A",
    "zero operations": "t1.A0",
    "leading zero": "t1.A03",
    "another fault": "t1.A-busy",
    "ten digits": "t1.A1234567890",
    "5,000 digits": f"t1.A{'9' * 5000}",
    "digits of another script": "t1.A\N{ARABIC-INDIC DIGIT THREE}",
    "five letters": "t1.AAAAA1",
    "100,000 letters": f"t1.{'A' * 100_000}1",
    "100,000 digits": f"t1.A{'1' * 100_000}",
    "very many choices": LONG,
    "a NUL": "t1.A3\0",
    "a NUL at its beginning": "\0t1.A3",
    "a lone surrogate": "t1.A3.\udc80",
    "an escape sequence": "t1.\x1b[31mA3",
    "a line break": "t1.A3\n.B2",
    "no digests": "t2.A12.B30.A-locked.A5.B-crash",
    "no choices": "t2",
    "digests only": "t2.7kq2m09xv4ec18yz",
    "digests of nothing": "t2.00000000",
    "its end lost": WHOLE.token[:-1],
    "its beginning lost": WHOLE.token[3:],
    "a choice lost": WHOLE.token.replace(".A5", ""),
    "another number": WHOLE.token.replace("A12", "A13"),
    "another letter in a digest": WHOLE.token.replace("7kq2", "7kq3"),
    "another letter in the check": WHOLE.token.replace("18yz", "18zy"),
    "the other version": WHOLE.token.replace("t2", "t1"),
    "choices that are one": Schedule((Step(0, 3),), ("0000",)).token.replace("A3", "A1.A2"),
    "upper case": WHOLE.token.upper(),
    "twice": f"{WHOLE.token}.{WHOLE.token}",
}


@pytest.mark.parametrize("token", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_token_is_one_short_error_at_once(token: str) -> None:
    """However long it is."""
    start = time.perf_counter()
    with pytest.raises(TokenError) as caught:
        Schedule.parse(token)
    assert time.perf_counter() - start < 1
    assert len(str(caught.value)) < 500


def mutated(token: str, dice: random.Random) -> str:
    """Return a token with a few characters exchanged, lost, doubled, swapped or inserted."""
    letters = list(token)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(letters) - 1)
        another = dice.choice(string.printable + "\0\udc80é")
        change = dice.randrange(5)
        if change == 0:
            letters[at] = another
        elif change == 1:
            del letters[at]
        elif change == 2:
            letters.insert(at, letters[at])
        elif change == 3:
            letters[at : at + 2] = reversed(letters[at : at + 2])
        else:
            letters.insert(at, another)
    return "".join(letters)


def test_a_token_that_was_changed_is_refused() -> None:
    """Each of 1,000; that its check is right by chance has a probability of 1 in 2**20."""
    dice = random.Random(0)
    changed = [mutated(WHOLE.token, dice) for _ in range(1000)]
    for token in changed:
        if token.strip() != WHOLE.token:
            with pytest.raises(TokenError):
                Schedule.parse(token)


def test_a_changed_token_without_digests_is_refused_or_is_another_one() -> None:
    """It has nothing that could tell; but whatever is read is written as it was."""
    dice = random.Random(0)
    read = []
    for token in [mutated("t1.A12.B30.A-locked.A5.B-crash", dice) for _ in range(1000)]:
        try:
            read.append((Schedule.parse(token).choices, token))
        except TokenError:
            continue
    assert 0 < len(read) < 1000
    assert [choices for choices, _ in read] == [Schedule.parse(Schedule(choices).token).choices for choices, _ in read]
