"""The command line as a program: ``treadle``, and ``python -m treadle``."""

from __future__ import annotations

import os
import sys


def run() -> None:
    """Run the command line, in a process whose sets have the same order every time.

    The order of a set of texts depends on a number that Python draws when it starts, and what an application asks its
    database may depend on that order. So the number is fixed, unless the user has fixed it
    (https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED).
    """
    if "PYTHONHASHSEED" not in os.environ:
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # this very program
    from treadle.cli import main  # noqa: PLC0415  # it takes long to import, which is done once
    from treadle.client.loading import be_a_program  # noqa: PLC0415  # likewise

    be_a_program()
    sys.exit(main())


if __name__ == "__main__":
    run()
