"""Schedule tokens: on the command line, in a JSON document, or in any text."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from attrs import frozen

from treadle.report.tracefile import FORMAT, FORMAT_VERSION
from treadle.values.display import prose, quoted, text_of
from treadle.values.errors import TokenError
from treadle.values.schedule import BARE_VERSION, Schedule

_FILE_MAX_BYTES = 2**26
"""The largest file that is read, in bytes: more than any report is long."""

_TOKEN = re.compile(r"(?<![\w.-])t[0-9]+\.[A-Z][A-Za-z0-9.-]*[A-Za-z0-9]")


@frozen
class Token:
    """A schedule token.

    Attributes:
        text: the token.
        scenario: the name of the scenario that it belongs to; None if nothing tells.
    """

    text: str
    scenario: str | None = None


def find_tokens(argument: str) -> tuple[Token, ...]:
    """Return the tokens that an argument means: those in the file that it names, or itself.

    Raises:
        TokenError: it is neither a file nor a token, or there is no token in the file.
    """
    path = Path(argument)
    with contextlib.suppress(OSError, ValueError):  # The text may be too long for a file's name, or have a NUL in it.
        if path.is_file():
            return _in_file(path)
    if not re.match(r"t[0-9]+(\.|$)", argument):
        raise TokenError(
            f"{quoted(argument)} is neither a file nor a schedule token: a token starts with its version, as in "
            f"'{BARE_VERSION}.A3.B2'. Copy the whole token from a report, or correct the file's name."
        )
    Schedule.parse(argument)
    return (Token(argument.strip()),)


def _in_file(path: Path) -> tuple[Token, ...]:
    try:
        size = path.stat().st_size
        if size > _FILE_MAX_BYTES:
            raise TokenError(
                f"{str(path)!r} has {size:,} bytes, and no report has more than {_FILE_MAX_BYTES:,}. Give a report "
                "with a counterexample, or the token itself."
            )
        found = read_tokens(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(
            f"{quoted(str(path))} cannot be read: {prose(text_of(error))}. Give a text file, or the token itself."
        ) from error
    if not found:
        raise TokenError(
            f"{quoted(str(path))} has no schedule token in it: a token looks like '{BARE_VERSION}.A3.B2'. "
            "Give a report with a counterexample, or the token itself."
        )
    return found


def read_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens in a JSON document, or the words of another text that look like one, in order."""
    return _in_document(text) or tuple(Token(match.group()) for match in _TOKEN.finditer(text))


def _in_document(text: str) -> tuple[Token, ...]:
    """Return the tokens of a document's counterexamples; none if the text is no document."""
    try:
        document: Any = json.loads(text)
        if document.get("format") == FORMAT:
            return _in_trace(document)
        found = tuple(
            Token(item["counterexample"]["schedule"], result["scenario"])
            for result in document["results"]
            for item in result["properties"]
            if item["counterexample"] is not None
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ()
    return _if_texts(found)


def _in_trace(document: Any) -> tuple[Token, ...]:
    """Return the token of a trace.

    Raises:
        TokenError: the trace has another version.
    """
    if document.get("version") != FORMAT_VERSION:
        raise TokenError(
            f"this is a trace of version {quoted(document.get('version'))}, and only version {FORMAT_VERSION} is "
            "known. Use the version of Treadle that wrote it, or give the token itself."
        )
    return _if_texts((Token(document["schedule"], document["scenario"]),))


def _if_texts(found: tuple[Token, ...]) -> tuple[Token, ...]:
    return found if all(isinstance(part, str) for token in found for part in (token.text, token.scenario)) else ()
