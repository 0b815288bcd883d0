"""The house rules that can be read from the source: which way imports point, and what modules export."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = (
    ("treadle.values",),
    ("treadle.application", "treadle.isomorphism"),
    ("treadle.interning", "treadle.scenario", "treadle.serial", "treadle.turn"),
    ("treadle.client", "treadle.world"),
    ("treadle.execution",),
    ("treadle.judge", "treadle.shrinking"),
    ("treadle.prepared", "treadle.search"),
    ("treadle.parallel",),
    ("treadle.deciding",),
    ("treadle.checking",),
    ("treadle.racing", "treadle.report"),
    ("treadle.arguments", "treadle.examining", "treadle.exploring", "treadle.targets"),
    ("treadle.shortcuts", "treadle.testing"),
    ("treadle.cli", "treadle.pytest_plugin", "treadle.hypothesis"),
    ("treadle.__main__", "treadle"),
)
"""From bottom to top. Parts of one layer do not know each other."""

REPORT = {
    # The terminal shows a search that is under way; it names the type, and imports it for no other use.
    ("treadle.report.screen", "treadle.search.protocol", "Progress"),
}
"""What reports import that is no value."""

Import = tuple[str, str, str]
"""The module that imports, the module that is imported, and the name taken from it."""


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Return each module of a package, and where it is."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(package: str) -> Iterator[Import]:
    """Return everything that the modules of a package import, at any place in a file."""
    for module, path in modules(package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute"
                for alias in node.names:
                    yield (module, *split(node.module or "", alias.name))


def split(module: str, name: str) -> tuple[str, str]:
    """Return which module is meant, where a package's module is imported by name."""
    whole = f"{module}.{name}"
    is_module = (ROOT / whole.replace(".", "/")).with_suffix(".py").is_file()
    return (whole, whole) if is_module else (module, name)


def root(module: str) -> str:
    """Return the package that a module belongs to."""
    return module.partition(".")[0]


def part(module: str) -> str:
    """Return the part of the house that a module belongs to."""
    return ".".join(module.split(".")[:2])


def rank(module: str) -> int:
    """Return the layer of a module, from 0 at the bottom."""
    found = [number for number, parts in enumerate(LAYERS) if part(module) in parts]
    assert len(found) == 1, f"{module} has no layer: place it in LAYERS"
    return found[0]


def inside(package: str) -> list[Import]:
    """Return what a package's modules import from the package itself."""
    return [found for found in imports(package) if part(found[1]).split(".")[0] == package]


def test_imports_point_downward() -> None:
    """A module imports only its own part of the house, and parts in lower layers."""
    upward = {
        (module, imported, name)
        for module, imported, name in inside("treadle")
        if part(module) != part(imported) and rank(module) <= rank(imported)
    }

    assert set() == upward


def test_reports_know_values_only() -> None:
    """A report is a function of values, so that it can be made again from them alone."""
    others = {
        found
        for found in inside("treadle")
        if part(found[0]) == "treadle.report" and part(found[1]) not in {"treadle.report", "treadle.values"}
    }

    assert set() == others - REPORT


def test_values_know_nothing_of_the_rest() -> None:
    """Values import each other, attrs and the standard library."""
    assert {"treadle.values"} == {part(found[1]) for found in inside("treadle") if part(found[0]) == "treadle.values"}


@pytest.mark.parametrize(
    ("package", "strangers"),
    [("treadle", {"model", "properties", "tests", "benchmarks"}), ("model", {"treadle", "properties", "tests"})],
)
def test_packages_do_not_know(package: str, strangers: set[str]) -> None:
    """The checker knows no system, and a system makes no allowance for the checker."""
    known = {(module, imported) for module, imported, _ in imports(package) if imported.split(".")[0] in strangers}

    assert set() == known


def test_one_file_imports_greenlet() -> None:
    """Calls of the driver stop there; client code stops in processes of its own."""
    found = {module for module, imported, _ in imports("treadle") if imported.split(".")[0] == "greenlet"}
    assert {"treadle.world.connection"} == found


def curated() -> list[str]:
    """Return the packages that say what they export."""
    return [
        name
        for package in ("treadle", "model", "properties")
        for name, path in modules(package)
        if path.name == "__init__.py" and "__all__" in path.read_text(encoding="utf-8")
    ]


def exported(module: str) -> set[str]:
    """Return the names that a module binds and does not keep to itself: taken from its own package, or made there."""
    path = ROOT / module.replace(".", "/") / "__init__.py"
    names: set[str] = set()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    lazy = [inner for node in body if isinstance(node, ast.If) for inner in node.body]  # told to type checkers only
    for node in (*body, *lazy):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == root(module):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def order(name: str) -> tuple[int, str]:
    """Return the place of a name: constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


@pytest.mark.parametrize("module", curated())
def test_all_is_sorted_and_complete(module: str) -> None:
    """What a package offers is written down, in order, and is there."""
    package = importlib.import_module(module)
    names = package.__all__
    helpers = {name for name in exported(module) - set(names) if f"{module}.{name}" in dict(modules(root(module)))}

    assert sorted(names, key=order) == list(names)
    assert [] == [name for name in names if not hasattr(package, name)]
    assert exported(module) - helpers == set(names)


@pytest.mark.parametrize(
    ("module", "path"),
    [
        (name, path)
        for package in ("treadle", "model", "properties")
        for name, path in modules(package)
        if path.name != "__init__.py"
    ],
)
def test_only_packages_are_curated(module: str, path: Path) -> None:
    """A module exports what has no underscore; only a package lists what it offers."""
    assert "\n__all__" not in path.read_text(encoding="utf-8")


def test_every_error_is_offered() -> None:
    """Whoever catches an error finds it in ``treadle``."""
    errors = importlib.import_module("treadle.values.errors")
    offered = importlib.import_module("treadle").__all__

    assert [] == [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and name not in offered
    ]
