from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.examples import ALL_OR_NOTHING, HISTORY_KEPT, holds, orphan, result, violated
from treadle.report import render_document, render_result
from treadle.report.tokens import Token, find_tokens, read_tokens
from treadle.values.errors import TokenError

RESULT = result(holds(HISTORY_KEPT), violated(ALL_OR_NOTHING, orphan()))
TOKEN = "t1.A15.B30.A4.B4.A20"


class TestReadTokens:
    def test_of_a_document(self) -> None:
        """A document tells which scenario a token belongs to."""
        assert (Token(TOKEN, "create-backfill/shipped-3.2.2"),) == read_tokens(render_document([RESULT]))

    def test_of_a_report(self) -> None:
        """A text report has the token in it."""
        assert Token(TOKEN) == read_tokens(render_result(RESULT))[0]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("replay with t1.A3.B-locked.A2.", ["t1.A3.B-locked.A2"]),
            ("`t1.A3` and 't1.B-crash'", ["t1.A3", "t1.B-crash"]),
            ("x.t1.A3 at1.A3 t1.a t1", []),
            ('{"results": 3}', []),
            ('["t1.A3"]', ["t1.A3"]),
            ("replay t2.A6.B9.A3.xba5e1a65t, and t2.B-crash.0000.", ["t2.A6.B9.A3.xba5e1a65t", "t2.B-crash.0000"]),
            ("[" * 100_000, []),
            ("9" * 5_000, []),
            (f"t1.{'A' * 100_000}", [f"t1.{'A' * 100_000}"]),
            (f"t1.A{'.' * 100_000}", []),
            ('{"results": [{"scenario": "s", "properties": [{"counterexample": {"schedule": 3}}]}]}', []),
            ('{"results": [{"scenario": 3, "properties": [{"counterexample": {"schedule": "t1.A3"}}]}]}', ["t1.A3"]),
        ],
    )
    def test_of_any_text(self, text: str, expected: list[str]) -> None:
        """Words that look like a token are found wherever they stand."""
        assert expected == [token.text for token in read_tokens(text)]


class TestFindTokens:
    def test_takes_a_token(self) -> None:
        """A token stands for itself."""
        assert (Token("t1.A3.B2"),) == find_tokens("t1.A3.B2")

    def test_takes_a_file(self, tmp_path: Path) -> None:
        """The name of a file stands for the tokens in it."""
        path = tmp_path / "report.txt"
        path.write_text(f"schedule  {TOKEN}\n")
        assert (Token(TOKEN),) == find_tokens(str(path))

    @pytest.mark.parametrize(
        "argument", ["t1.A3.x", "t2.A3", "t3.A3", "t1.", "report.txt", "", "x" * 10_000, "\0", "\udc80", "t1.A\0"]
    )
    def test_refuses_what_is_neither(self, argument: str) -> None:
        """A malformed token, another version and a missing file are errors."""
        with pytest.raises(TokenError):
            find_tokens(argument)

    @pytest.mark.parametrize("content", [b"no token", b"\xff\xfe"])
    def test_refuses_a_file_without_token(self, tmp_path: Path, content: bytes) -> None:
        """A file without a token, or that is no text, is an error."""
        path = tmp_path / "report.txt"
        path.write_bytes(content)
        with pytest.raises(TokenError, match=r"report\.txt"):
            find_tokens(str(path))
