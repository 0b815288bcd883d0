"""Workers on the cores of this machine: forked processes, each with a pipe.

A forked process has the scenario without its having to travel, whatever its clients close over.
"""

from __future__ import annotations

import multiprocessing
import warnings
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from treadle.parallel.crew import Crew, LostWorkerError
from treadle.parallel.part import Options
from treadle.parallel.serving import serve
from treadle.scenario import Scenario

_PATIENCE_S = 5.0
"""How long a process may take to end by itself."""


def _work(pipe: Connection, others: list[Connection], scenario: Scenario, number: int) -> None:
    """Serve one part in a forked process."""
    for other in others:
        other.close()  # or a pipe would stay open when the process that asks dies
    serve(pipe, lambda: scenario, number)


class Processes(Crew):
    """One forked process for each part."""

    is_here = True

    def __init__(self, scenario: Scenario, size: int) -> None:
        """Start the processes.

        Args:
            scenario: what is searched.
            size: how many.
        """
        self.size = size
        self._scenario = scenario
        self._pipes: dict[int, Connection] = {}
        self._processes: dict[int, BaseProcess] = {}
        for part in range(size):
            self._start(part)

    def _start(self, part: int) -> None:
        context = multiprocessing.get_context("fork")
        mine, theirs = context.Pipe()
        others = [mine, *self._pipes.values()]
        process = context.Process(
            target=_work,
            args=(theirs, others, self._scenario, part),
            name=f"treadle part {part}",
            daemon=True,
        )
        with warnings.catch_warnings():
            # Other threads (a test runner's) are not in the new process, which starts with nothing under way.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        self._pipes[part], self._processes[part] = mine, process

    def begin(self, part: int, options: Options) -> None:
        """Begin a part, in a new process if its process died."""
        if not self._processes[part].is_alive():
            self._pipes.pop(part).close()
            self._start(part)
        self._ask(part, "begin", options)

    def _next(self) -> int:
        ready = wait(self._pipes.values())
        return next(number for number, pipe in self._pipes.items() if pipe is ready[0])

    def _ask(self, part: int, name: str, *arguments: Any, **options: Any) -> None:
        try:
            self._pipes[part].send((name, arguments, options))
        except (BrokenPipeError, ConnectionError) as error:
            self._bury(part, error)

    def _answer(self, part: int) -> Any:
        try:
            well, answer = self._pipes[part].recv()
        except (EOFError, ConnectionError) as error:
            self._bury(part, error)
        if not well:
            raise answer
        return answer

    def _bury(self, part: int, error: Exception) -> None:
        self._processes[part].join(_PATIENCE_S)
        self._processes[part].kill()
        self._processes[part].join()
        raise LostWorkerError(part) from error

    def dismiss(self) -> None:
        """Let the processes end, each of which removes its files; that takes a while."""
        for pipe in self._pipes.values():
            pipe.close()

    def close(self) -> None:
        """End the processes."""
        self.dismiss()
        for process in self._processes.values():
            process.join(_PATIENCE_S)
            if process.is_alive():
                process.terminate()
                process.join(_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
