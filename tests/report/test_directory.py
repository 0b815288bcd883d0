from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.report.examples import HISTORY_KEPT, holds, result
from treadle.report.directory import Directory, slug
from treadle.values.errors import UsageError


class TestPrepare:
    def test_creates_the_directory(self, tmp_path: Path) -> None:
        """Parents are created too, and nothing is left in it."""
        path = tmp_path / "a" / "b"
        Directory(path).prepare()
        assert list(path.iterdir()) == []

    def test_refuses_what_is_no_directory(self, tmp_path: Path) -> None:
        """A file in the way is a usage error."""
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="file"):
            Directory(tmp_path / "file").prepare()

    def test_refuses_what_cannot_be_created(self) -> None:
        """A place where nothing can be created is a usage error."""
        with pytest.raises(UsageError, match="/proc"):
            Directory(Path("/proc/treadle")).prepare()


class TestWrite:
    def test_names_a_text_for_its_scenario(self, tmp_path: Path) -> None:
        """The scenario's name becomes the file's."""
        path = Directory(tmp_path).write_text("create-backfill/shipped-3.2.2", "text")
        assert tmp_path / "create-backfill-shipped-3.2.2.txt" == path
        assert path.read_text() == "text"

    def test_never_overwrites_what_it_wrote(self, tmp_path: Path) -> None:
        """Names that differ only in what a file's name cannot have get numbers."""
        directory = Directory(tmp_path)
        written = [directory.write_text(name, name).name for name in ("a/b", "a b", "A-b")]
        assert written == ["a-b.txt", "a-b-2.txt", "A-b-3.txt"]

    def test_writes_the_document(self, tmp_path: Path) -> None:
        """The document of all results stands beside the texts."""
        path = Directory(tmp_path).write_document([result(holds(HISTORY_KEPT))])
        assert tmp_path / "results.json" == path
        assert len(json.loads(path.read_text())["results"]) == 1

    def test_reports_a_failure_to_write(self, tmp_path: Path) -> None:
        """A directory that is gone by the time of writing is an error with its name."""
        with pytest.raises(UsageError, match="gone"):
            Directory(tmp_path / "gone").write_text("a", "text")


class TestSlug:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a/b-1.2", "a-b-1.2"),
            ("../../etc", "etc"),
            ("ä ö", "scenario"),
            ("..", "scenario"),
            ("a*?b", "a-b"),
            ("ab" * 500, "ab" * 100),
        ],
    )
    def test_is_a_file_name_everywhere(self, name: str, expected: str) -> None:
        """Letters, digits, dots and dashes only, and nothing that leads out of the directory."""
        assert expected == slug(name)
