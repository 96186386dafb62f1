"""One worker of a campaign: a process that generates, runs, judges and minimises."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from faultline.campaign.flight import Flight
from faultline.campaign.isolate import PATIENCE, death_of
from faultline.campaign.source import Source
from faultline.campaign.watch import Counters, Reached, Watch
from faultline.kinds import ExitStatus, FaultlineError, FindingKind
from faultline.program.codec import Operation, decode, has_blocks
from faultline.program.minimize import minimize
from faultline.verdict import places
from faultline.verdict.cost import Change
from faultline.verdict.finding import END, Finding
from faultline.verdict.judge import Blame, Evidence, Judge, Side
from faultline.verdict.meter import Meter

#: Runs that the minimiser may spend on one finding where every run is a forked process.
BUDGET_ISOLATED: Final = 300
#: Runs for the program of a finding that the patches cure, and how many of these a worker tells of.
BUDGET_CURE: Final = 1000
#: The same for a program in which an operation costs something else, and for how many operations a worker does so.
BUDGET_COST: Final = 300
COSTS_MAX: Final = 8
CURES_MAX: Final = 20
NOT_AGAIN: Final = "This program alone does not show it again: the machine carried something over from an earlier one."
NOT_SMALLER: Final = "Not minimised: every run of it gets stuck."
NOT_STEADY: Final = "This program shows it in some runs only."


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do.

    ``make_judge`` is called in each worker with the flight recorder's hook and must be picklable.  ``seconds`` and
    ``programs`` bound the campaign, None: no bound.  ``settle`` ends it that many seconds after the last new finding
    was done, minimisation included; ``wanted``, if not empty, once there is such a finding of each of these kinds.
    ``patience``: seconds after which a run counts as stuck.
    """

    make_judge: Callable[[Callable[[bytes], None]], Judge]
    seed: int
    jobs: int
    seconds: float | None = None
    programs: int | None = None
    settle: float | None = None
    patience: int = PATIENCE
    corpus: tuple[list[Operation], ...] = ()
    wanted: frozenset[FindingKind] = frozenset()
    overlapping: int = 0
    """In one program of so many operations overlap; 0: in none."""
    again: tuple[list[Operation], ...] = ()
    """Programs of the corpus to come back to, under other schedules."""
    costs: int = 0
    """Of a check: what the programs below this number cost is compared."""
    points: places.Points | None = None
    """What of a patch there is to reach; None: nobody asks."""
    near: tuple[list[Operation], ...] = ()
    """Programs of the corpus that run what a patch changes."""
    corpus_only: bool = False
    """The corpus is run as it stands, and nothing else."""
    counted: places.Side | None = None
    """Counters of the tested library that are to be told; None: nobody asks."""


@dataclass(frozen=True)
class Record:
    """A finding of a campaign with the program that shows it; ``index`` is the program's number in the campaign."""

    finding: Finding
    ops: list[Operation]
    index: int
    minimised: bool = False
    evidence: Evidence | None = None
    """None: the program's run killed the process, or our own code failed in it."""

    @property
    def done(self) -> bool:
        """Whether nothing better will come: the program is minimised, or the note says why it cannot be."""
        return self.minimised or bool(self.finding.note)


@dataclass(frozen=True)
class Cure:
    """A finding that the base tree alone shows, with the program that shows it there."""

    finding: Finding
    ops: list[Operation]
    index: int
    known: bool = False
    """Whether corpora/known lists it."""


@dataclass(frozen=True)
class Crash:
    """A program that killed a worker with a signal."""

    index: int
    wire: bytes
    signal: int


@dataclass(frozen=True)
class Task:
    """What a worker process starts with: ``start`` is the first program it looks at, ``seen`` are signatures already
    reported, ``crash`` is what its predecessor died of."""

    plan: Plan
    flight: Path
    start: int
    seen: frozenset[str] = frozenset()
    crash: Crash | None = None


@dataclass(frozen=True)
class Tally:
    """A worker's last message: how often each signature was seen, by blame, which known deviations, why
    programs with overlapping operations were not judged under some schedule, and which rules explain differences."""

    signatures: Counter[tuple[Blame, str]] = field(default_factory=Counter)
    deviations: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    lacks: dict[str, str] = field(default_factory=dict)
    """What the kernel could have had, and why it is not there."""


@dataclass(frozen=True)
class Counted:
    """The counters that the plan asks for, since the worker began: 8 bytes each, in the order of this machine."""

    counts: bytes


@dataclass(frozen=True)
class Failed:
    """The worker cannot go on: a user's error in one line, or else a traceback of ours."""

    message: str
    ours: bool
    status: ExitStatus = ExitStatus.ERROR


@dataclass(frozen=True)
class Explained:
    """The worker has looked at what its predecessor died of, and reported it if there was something to report."""


def crash_finding(crash: Crash) -> Finding:
    """The finding that a dead worker leaves; SIGALRM stands for a worker that hung."""
    name = signal.Signals(crash.signal).name
    match crash.signal:
        case signal.SIGALRM:
            kind, aspect, happened = FindingKind.HANG, "process-stuck", "the machine did not return"
        case signal.SIGKILL:
            kind, aspect, happened = (
                FindingKind.TOOL_ERROR,
                "process-killed",
                "something killed the worker (out of memory?)",
            )
        case _:
            kind, aspect, happened = FindingKind.KERNEL_BUG, f"process-{name}", f"the machine's process died of {name}"
    expected = "the program runs to its end"
    return Finding(kind=kind, op=-1, operation=END, aspect=aspect, expected=expected, happened=happened)


class Worker:
    """The work of one process."""

    def __init__(self, task: Task, judge: Judge, flight: Flight, send: Callable[[object], None]) -> None:
        self._task, self._judge, self._flight, self._send = task, judge, flight, send
        plan = task.plan
        self._source = Source(plan.seed, plan.corpus, judge.has, plan.overlapping, plan.again, plan.near)
        self._seen = set(task.seen)
        self._cured: set[str] = set()
        self._tally = Tally(lacks=judge.lacks)
        self._watch = Watch.of(task.plan.points, judge) if task.plan.points else None
        self._meter = judge.meter() if plan.costs else None
        if self._meter and plan.points:
            self._meter.weigh(plan.points.base.weights, plan.points.subject.weights)
        self._counters = Counters(judge.subject, task.plan.counted) if task.plan.counted else None
        if self._watch:
            self._watch.begin()

    def run(self) -> None:
        """Works until the plan's end or until the parent asks for it."""
        if self._task.crash is not None:
            self._explain(self._task.crash)
        done, parent, plan = self._flight.done, os.getppid(), self._task.plan
        for index in self._indices():
            if self._flight.stopping or os.getppid() != parent:
                break
            self._flight.at(index, done)
            if self._meter and index >= plan.costs:
                self._tell_costs(self._meter)
            self._one(index)
            done += 1
            if self._counters and self._counters.due:
                self._send(Counted(self._counters.take()))
        if self._meter:
            self._tell_costs(self._meter)
        self._flight.at(self._flight.index, done)
        self._flight.rest()
        if self._counters:
            self._send(Counted(self._counters.take()))
        self._send(self._tally)

    def _indices(self) -> Iterator[int]:
        plan = self._task.plan
        last = self._source.corpus if plan.corpus_only else plan.programs
        if last is None:
            return itertools.count(self._task.start, plan.jobs)
        return iter(range(self._task.start, last, plan.jobs))

    def _one(self, index: int) -> None:
        ops = self._source.program(index)
        if self._watch and not self._counters:  # which go up from the first program on: nothing else runs between them
            self._watch.begin()
        if self._meter:
            self._meter.begin(index)
        verdict = self._judge.judge(ops, seed=index, times=self._source.times(ops), meter=self._meter)
        if self._meter and (has_blocks(ops) or verdict.finding is not None):
            self._meter.part()  # the minimiser's runs, too
        reached = self._watch.reached() if self._watch else ()
        if reached:
            self._send(Reached(index, reached))
        self._tally.deviations.update(verdict.deviations)
        self._tally.undecided.update(verdict.undecided)
        self._tally.explained.update(verdict.explained)
        finding = verdict.finding
        if finding is None:
            return
        self._tally.signatures[verdict.blame, finding.signature] += 1
        if verdict.blame is Blame.NEW and finding.signature not in self._seen:
            self._seen.add(finding.signature)
            self._report(Record(finding, ops, index, evidence=self._judge.evidence(ops, finding)))
        if verdict.blame is Blame.FIXED and finding.signature not in self._cured and len(self._cured) < CURES_MAX:
            self._cured.add(finding.signature)
            self._send(Cure(finding, self._smallest_cure(ops, finding), index, self._judge.knows(finding, ops)))

    def _tell_costs(self, meter: Meter) -> None:
        """Sends what was counted, for the operations that changed most with a small program each."""
        self._meter = None
        table = meter.table()
        small: dict[str, Sequence[Operation]] = {}
        for change in table.cost().told:
            row = table.rows[change.operation, change.counter]
            if change.operation not in small and len(small) < COSTS_MAX:
                small[change.operation] = self._smallest_costing(meter, change, row.example or [])
            program = small.get(change.operation)
            if program is not None and self._costs(meter, change, program):
                row.example = program
        self._send(table)

    def _costs(self, meter: Meter, change: Change, ops: Sequence[Operation]) -> bool:
        """Whether the operation's cost changes in this program, too, and the same way."""
        return not self._flight.hurrying and self._judge.costs_otherwise(
            meter, ops, change.operation, change.counter, more=change.after > change.before
        )

    def _smallest_costing(self, meter: Meter, change: Change, ops: Sequence[Operation]) -> Sequence[Operation]:
        if not self._costs(meter, change, ops):
            return ops
        return minimize(ops, lambda fewer: self._costs(meter, change, fewer), budget=BUDGET_COST)

    def _smallest_cure(self, ops: list[Operation], finding: Finding) -> list[Operation]:
        def showing(fewer: Sequence[Operation]) -> bool:
            return not self._flight.hurrying and self._judge.again(fewer, finding, Blame.FIXED) is not None

        return minimize(ops, showing, budget=BUDGET_CURE) if showing(ops) else ops

    def _report(self, record: Record) -> None:
        """Sends the finding as it is, so that nothing is lost, then with a minimised program."""
        self._send(record)
        best = record.finding

        def showing(ops: Sequence[Operation]) -> Finding | None:
            nonlocal best
            finding = self._judge.again(ops, best)
            best = finding or best
            return finding

        if showing(record.ops) is None:
            self._send(replace(record, finding=record.finding.with_note(NOT_AGAIN)))
            return
        ops = minimize(record.ops, lambda fewer: not self._flight.hurrying and bool(showing(fewer)))
        finding = showing(ops)
        if finding is None:
            self._send(replace(record, finding=record.finding.with_note(NOT_STEADY)))
            return
        if finding.schedule:
            finding = self._judge.simplest(ops, finding)
        evidence = self._judge.evidence(ops, finding)
        self._send(Record(finding, ops, record.index, minimised=not self._flight.hurrying, evidence=evidence))

    def _explain(self, crash: Crash) -> None:
        """Reports a program that killed a worker, minimised, each run in a child; not if the base tree dies too."""
        self._flight.rest()  # nothing runs in this process meanwhile
        finding = crash_finding(crash)
        ops = decode(crash.wire, with_blocks=True)
        index = crash.index
        blame = self._dies(ops, index)
        self._tally.signatures[blame or Blame.NEW, finding.signature] += 1
        if blame is not Blame.BASE and finding.signature not in self._seen:
            self._seen.add(finding.signature)
            smaller = blame is not None and crash.signal != signal.SIGALRM
            note = NOT_AGAIN if blame is None else NOT_SMALLER
            self._send(Record(finding if smaller else finding.with_note(note), ops, crash.index))
            if smaller:
                ops = minimize(ops, lambda fewer: self._dies(fewer, index) is Blame.NEW, budget=BUDGET_ISOLATED)
                self._send(Record(finding, ops, crash.index, minimised=not self._flight.hurrying))
        self._send(Explained())

    def _dies(self, ops: Sequence[Operation], index: int) -> Blame | None:
        """Whose machine dies of the program: the subject's (NEW), the base's, or nobody's."""
        if self._flight.hurrying:
            return None
        times, patience = self._source.times(ops), self._task.plan.patience

        def dies(side: Side) -> bool:
            return bool(death_of(lambda: self._judge.exercise(side, ops, index, times), patience))

        if self._judge.base is not None and dies(self._judge.base):
            return Blame.BASE
        return Blame.NEW if dies(self._judge.subject) else None


def collect_seldom() -> None:
    """Makes garbage collection rare, as a worker makes and drops many small objects and keeps few."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def main(task: Task, pipe: Connection) -> None:
    """The process: everything it has to say goes through ``pipe``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C does
    try:
        flight = Flight(task.flight)
        judge = task.plan.make_judge(flight.begin)
        collect_seldom()
        try:
            Worker(task, judge, flight, pipe.send).run()
        finally:
            judge.give_back()
    except FaultlineError as error:
        pipe.send(Failed(str(error), False, error.status))
    except BrokenPipeError:
        pass  # the parent is gone
    except Exception:
        pipe.send(Failed(traceback.format_exc(), ours=True))
    finally:
        pipe.close()
