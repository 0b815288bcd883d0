"""How texts are shown: with nothing in them that acts, and so that it can be told what they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.values import display

ANY = st.text(st.sampled_from("\\\n\t\x1b\x00nrtxuU01bé\u202e\u200b\ufe0f❤\ud800\U000e0041") | st.characters())


class TestDistinct:
    @given(ANY, ANY)
    def test_tells_texts_apart(self, one: str, other: str) -> None:
        """No two look the same."""
        assert (one == other) is (display.distinct(one) == display.distinct(other))

    @given(ANY)
    def test_leaves_what_is_plain(self, text: str) -> None:
        """A text that can be shown, and that reads like no escape, stays as it is."""
        shown = display.distinct(text)
        assert shown.isprintable()
        assert shown == text or "\\" in text or not text.isprintable() or len(shown) > len(text)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("\x1b", r"\x1b"),
            (r"\x1b", r"\\x1b"),
            ("\\\x1b", r"\\\x1b"),
            (r"C:\dir", r"C:\dir"),
            ("a\nb", r"a\nb"),
            ("\u202e", r"\u202e"),
            ("\U000e0041", r"\U000e0041"),
            ("\ud800", r"\ud800"),
            ("é漢字🙂❤️", "é漢字🙂❤️"),
            ("a\ufe0f", r"a\ufe0f"),
            ("[red]", "[red]"),
        ],
    )
    def test_writes_escapes_as_python_does(self, text: str, expected: str) -> None:
        """And doubles a backslash only where it would be taken for one."""
        assert expected == display.distinct(text)


class TestHarmless:
    @given(ANY)
    def test_does_nothing_twice(self, text: str) -> None:
        """What is harmless stays as it is, in as many lines."""
        shown = display.harmless(text)
        assert shown == display.harmless(shown)
        assert text.count("\n") == shown.count("\n")
        assert all(line.isprintable() for line in shown.split("\n"))
        assert shown.encode().decode() == shown


class TestProse:
    def test_is_one_line(self) -> None:
        """White space is a space; what was escaped already is not escaped again."""
        assert r"a b  'c\x1b' \x1b" == display.prose("a\nb\r\n'c\\x1b' \x1b")

    def test_of_any_length(self) -> None:
        """The beginning, and how long it is."""
        assert f"{'a' * 200}… (10,001 characters)" == display.prose("a" * 10_001)
        assert "a" * 10_000 == display.prose("a" * 10_000)


class TestStatement:
    def test_is_one_line(self) -> None:
        """Each run of white space is a space."""
        assert r"SELECT '\x1b' FROM t" == display.statement(" SELECT\n\t '\x1b'\r\nFROM t ")

    def test_of_any_length(self) -> None:
        """Both ends, and how long it is."""
        sql = f"SELECT '{'a' * 10_000}' FROM t"
        shown = display.statement(sql)
        assert shown.startswith("SELECT 'aaa")
        assert shown.endswith("aaa' FROM t (10,016 characters)")
        assert len(shown) < 350


class TestMessage:
    def test_of_any_length(self) -> None:
        """Both ends, as the beginning and the end of a traceback tell most."""
        text = f"Traceback\n{'a' * 50_000}\nValueError: x\x1b"
        shown = display.message(text)
        assert shown.startswith("Traceback\naaa")
        assert shown.endswith("aaa\nValueError: x\\x1b")
        assert "(30,025 characters)" in shown
