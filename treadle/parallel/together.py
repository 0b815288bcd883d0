"""Searching together: several parts, and one process that passes edges between them and puts the graph together.

It also says which part a content is in. Whoever met a content first is offered it; a part that has nothing left to do
is given one that another part met long ago and did not come to. How they are divided so differs from run to run.

A part is a function of the edges that arrived in it. So when its worker dies, it begins anew with all of them, and
nothing is lost. What comes out is the graph that one process would have explored: the same states, edges, counts and
smallest schedules.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Self

from attrs import define, field, frozen

from treadle.parallel.crew import Crew, LostWorkerError
from treadle.parallel.part import FIRST, Answer, Harvest, Options, Report, Sent
from treadle.search.graph import Graph
from treadle.search.memory import resident
from treadle.search.protocol import Finding, Limits
from treadle.search.smallest import smallest
from treadle.values.errors import TreadleError
from treadle.values.schedule import Schedule

_SLICE_S = 0.05
"""How long a part goes on before it reports, in seconds, at most."""

_SHORT_SLICE_S = 0.01
"""The same while another part waits for work."""

_MOST_OFFERS = 500
"""How many contents a part is offered at once."""

_MOST_DEATHS = 3
"""How often the worker of a part may die before the part has come further."""


@frozen
class Together:
    """What several parts found together.

    Attributes:
        finding: what a search in one process would have found.
        witnessed: the ``sometimes`` properties that were seen.
        outcomes: the distinct final outcomes.
        met_fault_point: a ``locked`` fault was possible somewhere.
        untried: as for ``Product``.
        silent: the clients of which no statement was observed.
        succeeded: the clients that did what they were asked to do in some execution.
        live_runs: how often client code was started, in all processes.
        met: as for ``Judge``.
    """

    finding: Finding
    witnessed: set[str]
    outcomes: set[str]
    met_fault_point: bool
    untried: set[tuple[int, str]]
    silent: list[str]
    succeeded: set[str]
    live_runs: int
    met: set[str]

    @classmethod
    def nothing(cls, why_not: str) -> Self:
        """Return that nothing was found, and why."""
        return cls(
            Finding(why_not=why_not),
            set(),
            set(),
            met_fault_point=False,
            untried=set(),
            silent=[],
            succeeded=set(),
            live_runs=0,
            met=set(),
        )


@define(eq=False)
class _Edge:
    """An edge between parts, and where it leads to once that is known."""

    sent: Sent
    answer: Answer | None = None


@define(eq=False)
class _PartState:
    """What is known of one part.

    Attributes:
        arrivals: all edges that arrived.
        told: how many of them it was told of.
        asked: the edges that it is to answer for now; None if it is not at work.
        departed: the edges that it sent.
        met: the contents that it met, in order, and that are nobody's yet.
        offered: those of them that it may take while it is at work.
        owners: what it is still to be told: whose contents are that it met.
        told_owners: what it was told of that while it is at work.
        report: what it reported last.
        states: how many states it has met, its earlier workers included.
        deaths: how many of its workers died since that number grew.
    """

    arrivals: list[_Edge] = field(factory=list)
    told: int = 0
    asked: list[_Edge] | None = None
    departed: list[_Edge] = field(factory=list)
    met: dict[str, None] = field(factory=dict)
    offered: list[str] = field(factory=list)
    owners: dict[str, int] = field(factory=dict)
    told_owners: dict[str, int] = field(factory=dict)
    report: Report | None = None
    states: int = 0
    deaths: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether there is something to ask for, even if no content is offered."""
        return self.report is None or self.report.busy or self.told < len(self.arrivals) or bool(self.owners)

    @property
    def is_idle(self) -> bool:
        """Whether it is not at work, and has nothing to do by itself."""
        return self.asked is None and not self.is_busy and not self.met

    def sends_to(self, number: int) -> bool:
        """Tell whether it will send something to another part, being told that a content is there."""
        return number in self.owners.values() or number in self.told_owners.values()

    def drop(self, edges: set[_Edge]) -> None:
        """Forget edges that arrived."""
        self.told = sum(edge not in edges for edge in self.arrivals[: self.told])
        self.arrivals = [edge for edge in self.arrivals if edge not in edges]

    def forget(self) -> None:
        """Know nothing but the edges that arrived."""
        self.told, self.asked, self.departed, self.report = 0, None, [], None
        self.met, self.offered, self.owners, self.told_owners = {}, [], {}, {}
        for edge in self.arrivals:
            edge.answer = None

    def note(self, report: Report) -> None:
        """Note what it reports."""
        self.asked, self.report, self.offered, self.told_owners = None, report, [], {}
        if report.states > self.states:
            self.states, self.deaths = report.states, 0


def search_together(crew: Crew, options: Options, groups: tuple[int, ...], limits: Limits) -> Together:
    """Search exhaustively with a crew.

    Args:
        crew: the workers.
        options: how the scenario is made runnable.
        groups: for each client the number of its group of interchangeable clients.
        limits: what stops the search.
    """
    return _Search(crew, options, limits).run(groups)


class _Search:
    """One search under way."""

    def __init__(self, crew: Crew, options: Options, limits: Limits) -> None:
        self._crew = crew
        self._options = options
        self._limits = limits
        self._parts = [_PartState() for _ in range(crew.size)]
        self._why_not = ""
        self._owners: dict[str, int] = {}

    def run(self, groups: tuple[int, ...]) -> Together:
        """Search until done, or until a limit is reached, and put together what was found."""
        for number in range(len(self._parts)):
            self._begin(number)
        while True:
            self._go_on()
            found = self._harvest()
            if len(found) == len(self._parts):
                self._crew.dismiss()
                return self._together(found, groups)

    def _harvest(self) -> list[Harvest]:
        """Return what the parts found; those whose workers died begin anew, and nothing is returned for them."""
        found: dict[int, Harvest] = {}
        lost: list[int] = []
        for number in range(len(self._parts)):
            try:
                self._crew.finish(number)
            except LostWorkerError:
                lost.append(number)
        for number in range(len(self._parts)):
            if number not in lost:
                try:
                    found[number] = self._crew.harvest(number)
                except LostWorkerError:
                    lost.append(number)
        for number in lost:
            self._begin_anew(number)
        return list(found.values())

    def _go_on(self) -> None:
        while True:
            if not self._why_not:
                self._ask_all()
            if any(part.asked is not None for part in self._parts):
                self._hear()
            elif self._why_not or not any(part.is_busy or part.met for part in self._parts):
                return  # otherwise a worker died before it could be asked

    def _ask_all(self) -> None:
        """Set all parts to work, as far as there is any."""
        for number, part in enumerate(self._parts):
            if part.asked is None:
                part.offered = self._offers(part)
                if part.is_busy or part.offered:
                    self._ask(number)
        for number, part in enumerate(self._parts):
            if part.asked is None and not any(other.sends_to(number) for other in self._parts):
                self._give(number)

    def _free(self, met: Iterable[str]) -> Iterator[str]:
        """Yield the contents that nobody is offered."""
        offered = {digest for part in self._parts for digest in part.offered}
        return (digest for digest in met if digest not in offered)

    def _offers(self, part: _PartState) -> list[str]:
        """Return what a part may take of what it met, the newest last: the newer half."""
        count = min(len(part.met) // 2 if part.is_busy else (len(part.met) + 1) // 2, _MOST_OFFERS)
        return list(itertools.islice(self._free(reversed(part.met)), count))[::-1]

    def _give(self, number: int) -> None:
        """Give a part without work what another part met longest ago: one that has much to give."""
        others = [part for other, part in enumerate(self._parts) if other != number]
        for part in sorted(others, key=lambda part: -len(part.met)):
            oldest = next(self._free(part.met), None)
            if oldest is not None:
                self._assign(oldest, number)
                return

    def _assign(self, digest: str, number: int) -> None:
        """Note whose a content is, for good."""
        self._owners[digest] = number
        for other, part in enumerate(self._parts):
            if digest in part.met:
                del part.met[digest]
                if other != number:
                    part.owners[digest] = number

    def _begin(self, number: int) -> None:
        try:
            self._crew.begin(number, self._options)
        except LostWorkerError:
            self._begin_anew(number)

    def _begin_anew(self, number: int) -> None:
        """Begin a part whose worker died with all edges that arrived; those that it sent, it will send again.

        Raises:
            TreadleError: its workers die again and again.
        """
        part = self._parts[number]
        part.deaths += 1
        if part.deaths > _MOST_DEATHS:
            raise TreadleError(
                f"{part.deaths} workers died one after another on the same states: does a client end its process, or "
                "is there too little memory? Run the check with one worker to see where."
            )
        gone = set(part.departed)
        for other in self._parts:
            other.drop(gone)
        part.forget()
        self._begin(number)

    def _ask(self, number: int) -> None:
        part = self._parts[number]
        part.asked = part.arrivals[part.told :]
        part.told = len(part.arrivals)
        part.told_owners, part.owners = part.owners, {}
        most = self._limits.max_states
        elsewhere = sum(other.report.states for other in self._parts if other.report and other is not part)
        try:
            self._crew.advance(
                number,
                [edge.sent.parcel for edge in part.asked],
                part.told_owners,
                part.offered,
                states=None if most is None else max(1, most - elsewhere),
                seconds=_SHORT_SLICE_S if any(other.is_idle for other in self._parts) else _SLICE_S,
            )
        except LostWorkerError:
            self._begin_anew(number)

    def _hear(self) -> None:
        try:
            number, report = self._crew.wait()
        except LostWorkerError as lost:
            self._begin_anew(lost.part)
            return
        part = self._parts[number]
        assert part.asked is not None
        for edge, answer in zip(part.asked, report.answers, strict=True):
            edge.answer = answer
        part.note(report)
        for digest in report.taken:
            self._assign(digest, number)
        for digest in report.met:
            if digest in self._owners:
                part.owners[digest] = self._owners[digest]
            else:
                part.met[digest] = None
        for sent in report.sent:
            edge = _Edge(sent)
            part.departed.append(edge)
            self._parts[sent.to].arrivals.append(edge)
        if report.parted:
            raise TreadleError(
                "two workers took different ways through the same choices: does a client behave differently from "
                "process to process? Run the check with one worker to see where."
            )
        reports = [other.report for other in self._parts if other.report is not None]
        self._why_not = (
            self._why_not
            or report.endless
            or self._limits.reached(
                sum(one.states for one in reports),
                sum(one.transitions for one in reports),
                sum(one.ends for one in reports),
                violated=any(one.violated for one in reports),
                memory=self._memory,
            )
        )

    def _memory(self) -> int:
        """Return how much resident memory is taken, in bytes; of several machines, on that where it is most."""
        others = [part.report.memory for part in self._parts if part.report is not None]
        return sum([resident(), *others]) if self._crew.is_here else max([resident(), *others])

    def _together(self, found: list[Harvest], groups: tuple[int, ...]) -> Together:
        assert self._why_not or not any(harvest.held for harvest in found)
        graph, unfinished = self._joined(found)
        complete = not self._why_not
        examples = dict.fromkeys(found[FIRST].broken, Schedule()) | smallest(graph, groups)
        reports = [part.report for part in self._parts if part.report is not None]
        return Together(
            finding=Finding(
                exhausted=not self._why_not,
                why_not=self._why_not,
                states=len(graph),
                transitions=sum(report.transitions for report in reports),
                schedules=graph.count_paths(unfinished),
                examples=examples,
                minimal=set(examples) if complete else set(),
            ),
            witnessed=set().union(*(harvest.witnessed for harvest in found)),
            outcomes=set().union(*(harvest.outcomes for harvest in found)),
            met_fault_point=any(harvest.met_fault_point for harvest in found),
            untried=set().union(*(harvest.untried for harvest in found)),
            silent=[name for name in found[0].silent if all(name in harvest.silent for harvest in found)],
            succeeded=set().union(*(harvest.succeeded for harvest in found)),
            live_runs=sum(harvest.live_runs for harvest in found),
            met=set().union(*(harvest.met for harvest in found)),
        )

    def _joined(self, found: list[Harvest]) -> tuple[Graph, list[int]]:
        """Return one graph of what all parts explored, and its nodes that were not visited."""
        graph = found[0].graph
        places = [(0, 0), *(graph.add(harvest.graph) for harvest in found[1:])]
        for (_, arcs), part in zip(places, self._parts, strict=True):
            for edge in part.departed:
                assert edge.answer is not None or self._why_not
                if edge.answer is not None:
                    nodes, _ = places[edge.sent.to]
                    graph.lead(arcs + edge.sent.arc, nodes + edge.answer.node, edge.answer.renaming)
        unfinished = [
            nodes + node for (nodes, _), harvest in zip(places, found, strict=True) for node in harvest.unfinished
        ]
        return graph, unfinished
