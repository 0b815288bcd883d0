from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from tests.report import bank
from treadle.targets import Found, Origin, configured, import_from, keep, only, resolve
from treadle.values.errors import TargetError, UsageError

BANK = "tests.report.bank"


def names(found: tuple[Found, ...]) -> list[str]:
    """Return the names of the scenarios."""
    return [one.scenario.name for one in found]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module that cannot be imported."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "broken_module_for_targets.py").write_text("x = 1\nraise ValueError('two\\nlines')\n")
    return "broken_module_for_targets"


class TestResolve:
    @pytest.mark.parametrize(
        ("attribute", "expected"),
        [
            ("fixed", ["bank/fixed"]),
            ("both", ["bank/fixed", "bank/also-fixed"]),
            ("surprising", ["bank/surprising"]),
            ("scenarios", ["bank/read-then-write", "bank/one-statement"]),
        ],
    )
    def test_takes_scenarios_lists_and_callables(self, attribute: str, expected: list[str]) -> None:
        """A target is a scenario, a list, or a callable that returns either."""
        assert expected == names(resolve([f"{BANK}:{attribute}"], {}))

    def test_remembers_the_target(self) -> None:
        """Each scenario is found with the target that leads to it."""
        found = resolve([f"{BANK}:fixed", f"{BANK}:both"], {})
        assert [f"{BANK}:fixed", f"{BANK}:both", f"{BANK}:both"] == [one.target for one in found]

    def test_passes_parameters(self) -> None:
        """A parameter is converted to what the callable says it takes."""
        found = resolve([f"{BANK}:scenarios"], {"clients": "3", "transactions": "begin"})
        assert len(found[0].scenario.clients) == 3
        assert found[0].scenario.database.transactions == "begin"

    def test_gives_each_scenario_its_origin(self) -> None:
        """It makes the scenario anew, also where it is the second of several, and travels."""
        (_, found) = resolve([f"{BANK}:scenarios"], {"clients": "3"})
        assert found.scenario.origin is not None
        again = pickle.loads(pickle.dumps(found.scenario.origin))()  # noqa: S301  # made right here
        assert again is not found.scenario
        assert (again.name, again.clients[2].name) == (found.scenario.name, "atm-3")

    def test_origin_adds_its_directory(self, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A module that cannot be imported otherwise is found where it was."""
        monkeypatch.setattr(sys, "path", sys.path[1:])
        monkeypatch.delitem(sys.modules, "module_for_origins", raising=False)
        (tmp_path / "module_for_origins.py").write_text(f"from {BANK} import fixed\n")
        assert "bank/fixed" == Origin("module_for_origins:fixed", {}, "bank/fixed", str(tmp_path))().name
        assert str(tmp_path) == sys.path[-1]

    def test_origin_that_leads_elsewhere_is_an_error(self) -> None:
        """Another module of the same name, for instance."""
        with pytest.raises(TargetError, match="and not to 'bank/other'"):
            Origin(f"{BANK}:fixed", {}, "bank/other", "/no/such/directory")()

    @pytest.mark.parametrize(
        ("target", "parameters"),
        [
            ("bank", {}),
            (":bank", {}),
            ("bank.py:x", {}),
            ("tests/report/bank:x", {}),
            (f"{BANK}:", {}),
            ("no_such_module:x", {}),
            ("tests.no_such_module:x", {}),
            (f"{BANK}:no_such_attribute", {}),
            (f"{BANK}:fixed.no_such_attribute", {}),
            (f"{BANK}:number", {}),
            (f"{BANK}:nothing", {}),
            (f"{BANK}:START", {}),
            (f"{BANK}:wrong", {}),
            (f"{BANK}:failing", {}),
            (f"{BANK}:fixed", {"clients": "2"}),
            (f"{BANK}:scenarios", {"client": "2"}),
            (f"{BANK}:scenarios", {"clients": "two"}),
            (f"{BANK}:bank", {"name": "x"}),
        ],
    )
    def test_refuses_what_is_no_target(self, target: str, parameters: dict[str, str]) -> None:
        """Whatever is wrong with a target is one error, on one line, with the value in it."""
        with pytest.raises(TargetError) as caught:
            resolve([target], parameters)
        assert "\n" not in str(caught.value)
        assert target in str(caught.value) or next(iter(parameters)) in str(caught.value)

    def test_lets_a_scenario_complain(self) -> None:
        """An error of a scenario's own, about a parameter, is passed on as it is."""
        with pytest.raises(UsageError, match="transactions='nonsense'"):
            resolve([f"{BANK}:scenarios"], {"transactions": "nonsense"})

    def test_shows_a_modules_own_error(self, module: str) -> None:
        """A module that cannot be imported is named with its error and the line, on one line."""
        with pytest.raises(TargetError, match=rf"ValueError: two lines \(.*{module}\.py:2\)"):
            resolve([f"{module}:x"], {})

    def test_suggests_attributes(self) -> None:
        """A wrong name is answered with the names that may be meant, and not with what was imported."""
        with pytest.raises(TargetError) as caught:
            resolve([f"{BANK}:scenario"], {})
        assert "both, failing, fixed" in str(caught.value)
        assert "Column" not in str(caught.value)


class TestParameters:
    @pytest.mark.parametrize(("text", "expected"), [("true", True), ("0", False), ("Yes", True), ("no", False)])
    def test_converts_truth(self, text: str, *, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """A parameter with a truth value as default takes words for it."""
        seen: list[object] = []

        def target(flag=True):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # the default counts
            seen.append(flag)
            return bank.fixed

        monkeypatch.setattr(bank, "wrong", target)
        resolve([f"{BANK}:wrong"], {"flag": text})
        assert [expected] == seen

    def test_passes_text_where_nothing_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without an annotation, the text itself is passed, whatever the name."""
        seen: list[object] = []

        def target(**anything: object) -> object:
            seen.append(anything)
            return bank.fixed

        monkeypatch.setattr(bank, "wrong", target)
        resolve([f"{BANK}:wrong"], {"n": "3"})
        assert [{"n": "3"}] == seen


class TestKeep:
    @pytest.mark.parametrize(
        ("globs", "expected"),
        [
            ([], ["bank/read-then-write", "bank/one-statement"]),
            (["*/one-*"], ["bank/one-statement"]),
            (["bank/one-statement", "bank/read*"], ["bank/read-then-write", "bank/one-statement"]),
        ],
    )
    def test_keeps_what_matches_some_pattern(self, globs: list[str], expected: list[str]) -> None:
        """Scenarios stay in their order."""
        assert expected == names(keep(resolve([f"{BANK}:scenarios"], {}), globs))

    def test_refuses_a_pattern_that_matches_nothing(self) -> None:
        """A pattern in vain is an error that lists the names, even if another one matches."""
        with pytest.raises(TargetError, match=r"'one-statement'.*bank/read-then-write"):
            keep(resolve([f"{BANK}:scenarios"], {}), ["*", "one-statement"])


class TestOnly:
    def test_refuses_several(self) -> None:
        """Several scenarios are an error that lists the names."""
        with pytest.raises(TargetError, match="bank/read-then-write, bank/one-statement"):
            only(resolve([f"{BANK}:scenarios"], {}))

    def test_returns_the_one(self) -> None:
        """One scenario is returned."""
        (found,) = resolve([f"{BANK}:fixed"], {})
        assert found is only([found])


class TestConfigured:
    def test_finds_the_nearest_file(self, tmp_path: Path) -> None:
        """The file may be in a directory above."""
        (tmp_path / "pyproject.toml").write_text('[tool.treadle]\nscenarios = ["a:b", "c:d"]\n')
        below = tmp_path / "x" / "y"
        below.mkdir(parents=True)
        found = configured(below)
        assert (tmp_path, ("a:b", "c:d")) == (found.directory, found.targets)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[tool.treadle]\n",
            "[tool.treadle]\nscenarios = []\n",
            '[tool.treadle]\nscenarios = "a:b"\n',
            "[tool.treadle]\nscenarios = [1]\n",
            "[tool]\ntreadle = 3\n",
            "nonsense",
        ],
    )
    def test_refuses_a_file_that_names_none(self, tmp_path: Path, text: str) -> None:
        """A file without targets, or with something else in their place, is an error with its name."""
        (tmp_path / "pyproject.toml").write_text(text)
        with pytest.raises(TargetError, match=r"pyproject\.toml"):
            configured(tmp_path)


class TestImportFrom:
    def test_puts_a_directory_first(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A directory is put first once."""
        monkeypatch.setattr(sys, "path", ["elsewhere"])
        import_from(tmp_path)
        import_from(tmp_path)
        assert [str(tmp_path), "elsewhere"] == sys.path
