"""The store of known counterexamples: the schedules under which a check failed, for the next run to try first."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from attrs import frozen


@frozen
class Store:
    """A directory with a file for each check that failed.

    A file is written whole or not at all, so that processes can share the directory. What cannot be read or written
    is not known: the search finds it again.

    Attributes:
        path: of the directory.
    """

    path: Path

    def schedules(self, test: str, scenario: str) -> tuple[str, ...]:
        """Return the tokens of the schedules that are known."""
        try:
            known = json.loads(self._file(test, scenario).read_text(encoding="utf-8"))["schedules"]
        except (OSError, ValueError, LookupError, TypeError):
            return ()
        return tuple(token for token in known if isinstance(token, str)) if isinstance(known, list) else ()

    def remember(self, test: str, scenario: str, tokens: Sequence[str]) -> None:
        """Put schedules in place of those that are known of a check."""
        text = json.dumps({"test": test, "scenario": scenario, "schedules": list(tokens)}, indent=1)
        with contextlib.suppress(OSError):
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self.path, delete=False) as file:
                file.write(text)
            os.replace(file.name, self._file(test, scenario))  # noqa: PTH105  # the name is a text

    def forget(self, test: str, scenario: str) -> None:
        """Know no schedule of a check any more."""
        with contextlib.suppress(OSError):
            self._file(test, scenario).unlink(missing_ok=True)

    def _file(self, test: str, scenario: str) -> Path:
        key = json.dumps([test, scenario]).encode()
        return self.path / f"{blake2b(key, digest_size=12).hexdigest()}.json"
