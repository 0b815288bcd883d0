"""Workers of a Dask cluster: an actor in a worker for each part.

Dask does not notice for an actor that its worker is gone, so that is looked after here: what waits for an answer asks
the scheduler now and then whether the worker is still among the living. A part whose worker is lost begins anew on
the worker that has the fewest parts, the same one after a restart or another.

https://distributed.dask.org/en/stable/actors.html
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import warnings
from collections import Counter
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

from attrs import frozen

from treadle.parallel.crew import Crew, LostWorkerError
from treadle.parallel.host import Host, versions
from treadle.parallel.luggage import pack
from treadle.parallel.part import Options
from treadle.scenario import Scenario
from treadle.values.display import said
from treadle.values.errors import TreadleError, UsageError

try:
    from distributed import Client, Future, Security, rpc
except ImportError as missing:
    raise UsageError(
        "workers at an address need Dask, which is not installed here. Install it with: pip install "
        "'treadle[distributed]'; or give a number, for processes of this machine."
    ) from missing

_CONNECT_S = 5.0
"""How long the scheduler may take to answer, in seconds."""

_PULSE_S = 1.0
"""How often somebody who waits asks which workers live, in seconds."""

_RESTART_S = 30.0
"""How long a cluster without workers may take to start one, in seconds."""

_CLOSE_S = 10.0
"""How long the workers may take to end their processes, in seconds."""

_Answer = TypeVar("_Answer")


@frozen
class _Home:
    """Where a part is.

    Attributes:
        address: of its worker.
        future: keeps its actor alive.
        host: the actor.
    """

    address: str
    future: Any
    host: Any


class Cluster(Crew):
    """One actor of a Dask cluster for each part."""

    is_here = False

    def __init__(self, scenario: Scenario, address: str) -> None:
        """Connect to a scheduler; there are as many parts as it has workers.

        Args:
            scenario: what is searched.
            address: of the scheduler.

        Raises:
            UsageError: the scenario cannot travel, or no scheduler with workers answers there.
        """
        self._packed = pack(scenario)
        self._address = address
        self._homes: dict[int, _Home] = {}
        self._openings: dict[int, list[bytes]] = {}
        self._calls: dict[int, Any] = {}
        with contextlib.ExitStack() as stack:
            stack.enter_context(_quiet())
            self.size = self._probe()
            self._client = Client(address, timeout=_CONNECT_S, set_as_default=False, name="treadle")
            stack.callback(self._client.close, timeout=_CLOSE_S)
            stack.enter_context(self._client.as_current())
            self._stack = stack.pop_all()

    def _probe(self) -> int:
        """Return how many workers the scheduler has; a client that cannot connect would not come to rest."""

        async def ask() -> int:
            arguments = Security().get_connection_args("client")
            async with rpc(self._address, timeout=_CONNECT_S, connection_args=arguments) as scheduler:
                return len(await scheduler.ncores())

        try:
            found = asyncio.run(asyncio.wait_for(ask(), _CONNECT_S))
        except Exception as error:  # timeouts, refusals, TLS that is not set up, or something that is no scheduler
            raise UsageError(
                f"workers={self._address!r}: no Dask scheduler answers there ({said(error)}). Start "
                "one with 'dask scheduler', or correct the address."
            ) from error
        if not found:
            raise UsageError(
                f"workers={self._address!r}: this Dask scheduler has no workers. Start some with 'dask worker "
                f"{self._address}'."
            )
        return found

    # What a crew does.

    def begin(self, part: int, options: Options) -> None:
        """Begin a part, on another worker if its own died."""
        if part not in self._homes:
            self._homes[part] = self._client.sync(self._settle, part)
        self._openings[part] = [pickle.dumps(("begin", (options,), {}))]

    def _next(self) -> int:
        part: int = self._client.sync(self._first)
        return part

    def _ask(self, part: int, name: str, *arguments: Any, **options: Any) -> None:
        request = pickle.dumps((name, arguments, options))
        try:
            self._calls[part] = self._homes[part].host.exchange([*self._openings.pop(part, ()), request])
        except RuntimeError as error:  # how an actor says that it knows already
            raise self._lost(part) from error

    def _answer(self, part: int) -> Any:
        try:
            reply = self._client.sync(self._while_alive, part, self._homes[part].address, self._calls.pop(part))
        except TreadleError:
            raise
        except Exception as error:  # the process or its worker died, or the way to it broke
            raise self._lost(part) from error
        well, answer = pickle.loads(reply)  # noqa: S301  # from a worker that runs this very code
        if not well:
            raise answer
        return answer

    def _lost(self, part: int) -> LostWorkerError:
        """Give up the worker of a part; a process that is still there ends when the actor is gone."""
        self._homes.pop(part).future.release()
        return LostWorkerError(part)

    # What happens in Dask's event loop.

    async def _living(self) -> list[str]:
        """Return the addresses of the workers that the scheduler knows."""
        scheduler: Any = self._client.scheduler
        try:
            return sorted(await asyncio.wait_for(scheduler.ncores(), _CONNECT_S))
        except (OSError, TimeoutError) as error:
            raise TreadleError(f"the Dask scheduler at {self._address} does not answer any more.") from error

    async def _first(self) -> int:
        """Return a part that has answered, or whose worker is gone."""
        while True:
            waiting = [asyncio.ensure_future(_settled(call)) for call in self._calls.values()]
            await asyncio.wait(waiting, timeout=_PULSE_S, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            for part, call in self._calls.items():
                if call.done():
                    return part
            living = await self._living()
            for part in self._calls:
                if self._homes[part].address not in living:
                    return part

    async def _while_alive(self, part: int, address: str, answer: Awaitable[_Answer]) -> _Answer:
        """Wait for an answer, for as long as the worker lives that gives it.

        Raises:
            LostWorkerError: it is gone.
        """
        task = asyncio.ensure_future(_awaited(answer))
        try:
            while True:
                await asyncio.wait([task], timeout=_PULSE_S)
                if task.done():
                    return task.result()
                if address not in await self._living():
                    raise LostWorkerError(part)
        finally:
            task.cancel()

    async def _settle(self, part: int) -> _Home:
        """Place a part on the worker that has the fewest.

        Raises:
            LostWorkerError: the worker died meanwhile.
            UsageError: it has another version of something that decides what is found.
        """
        address = await self._roomiest()
        future: Future[Any] = self._client.submit(
            Host,
            self._packed,
            part,
            actor=True,
            pure=False,
            workers=[address],
            allow_other_workers=False,
        )
        try:
            host = await self._while_alive(part, address, future)
            theirs = await self._while_alive(part, address, host.versions())
        except (LostWorkerError, TreadleError):
            raise
        except Exception as error:
            if address not in await self._living():
                raise LostWorkerError(part) from error
            raise UsageError(
                f"the Dask worker at {address} cannot search ({said(error)}). Install there what "
                "is installed here, in the same versions."
            ) from error
        self._require_same(address, theirs)
        return _Home(address, future, host)

    async def _roomiest(self) -> str:
        parts = Counter(home.address for home in self._homes.values())
        for _ in range(int(_RESTART_S / _PULSE_S)):
            living = await self._living()
            if living:
                return min(living, key=lambda address: parts[address])
            await asyncio.sleep(_PULSE_S)
        raise TreadleError(f"all workers of the Dask scheduler at {self._address} are gone. Start some, and try again.")

    @staticmethod
    def _require_same(address: str, theirs: dict[str, str]) -> None:
        for name, ours in versions().items():
            if theirs.get(name) != ours:
                raise UsageError(
                    f"the Dask worker at {address} has {name} {theirs.get(name)}, and this process has {ours}: they "
                    "could see different things. Install the same version."
                )

    async def _end(self) -> None:
        """End the processes of all parts."""
        ends = [asyncio.ensure_future(_settled(home.host.close())) for home in self._homes.values()]
        if ends:
            await asyncio.wait(ends, timeout=_CLOSE_S)
        for end in ends:
            end.cancel()

    def dismiss(self) -> None:
        """Do nothing: to end them all at once, when the cluster is left, takes no time here."""

    def close(self) -> None:
        """End the parts, and leave the cluster."""
        with self._stack, contextlib.suppress(Exception):  # a cluster that is gone has ended them
            self._client.sync(self._end)


async def _awaited(answer: Awaitable[_Answer]) -> _Answer:
    return await answer


async def _settled(answer: Awaitable[object]) -> None:
    """Wait for an answer, whatever it is."""
    with contextlib.suppress(Exception):
        await answer


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask says of lost connections from the user, who is told what it means instead."""
    loggers = [
        logging.getLogger(name)
        for name in ("asyncio", *logging.root.manager.loggerDict)
        if name.partition(".")[0] in {"asyncio", "distributed", "tornado"}
    ]
    with contextlib.ExitStack() as stack:
        for logger in loggers:
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of versions of Dask that differ, for instance
        yield
