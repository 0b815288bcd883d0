"""The lowest versions that pyproject.toml allows, as constraints for pip.

    python .ci/lowest.py > lowest.txt

They are what Treadle itself needs, and pytest, which it plugs into. Tools of the tests are left as they are, and so are
the packages of the applications that are checked there.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_AT_LEAST = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([0-9.]+)")


def lowest(project: Path) -> list[str]:
    """Return a constraint for each requirement that has a lower bound; of packages that belong together, for both."""
    settings = tomllib.loads(project.read_text(encoding="utf-8"))
    named = [
        *settings["project"]["dependencies"],
        *settings["project"]["optional-dependencies"]["distributed"],
        *settings["project"]["optional-dependencies"]["explore"],
        *(requirement for requirement in settings["dependency-groups"]["dev"] if requirement.startswith("pytest>")),
    ]
    matches = [match for match in map(_AT_LEAST.match, named) if match is not None]
    found = {match[1]: match[2] for match in matches}
    if "dask" in found:
        found["distributed"] = found["dask"]
    return [f"{name}=={version}" for name, version in found.items()]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(Path(__file__).parent.parent / "pyproject.toml")) + "\n")
