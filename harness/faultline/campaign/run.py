"""A campaign: worker processes over numbered programs, until the time, the programs or the patience is over.

Which findings a campaign bounded by a number of programs ends with depends on the seed alone: of each signature the
one with the lowest program number counts, whichever worker came first.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final, Protocol

from faultline.campaign.flight import Flight
from faultline.campaign.watch import Reached, earliest
from faultline.campaign.worker import (
    Counted,
    Crash,
    Cure,
    Explained,
    Failed,
    Plan,
    Record,
    Tally,
    Task,
    crash_finding,
    main,
)
from faultline.kinds import FaultlineError, FindingKind
from faultline.program.codec import decode
from faultline.verdict.judge import Blame
from faultline.verdict.meter import Table
from faultline.verdict.reach import Reach
from faultline.verdict.series import SeriesVerdict

#: Seconds between two looks at the clock and the counters.
TICK: Final = 0.2
#: Seconds that workers get for their last words, after the end and after Ctrl-C.
GRACE: Final = 30.0
GRACE_HURRIED: Final = 5.0
#: A worker that died this often is not started again.
DEATHS_MAX: Final = 20


@dataclass(frozen=True)
class Progress:
    """How far a campaign is; ``seconds`` since its start, ``left`` until its latest end (None: no such bound)."""

    programs: int
    seconds: float
    left: float | None
    findings: int
    reached: int | None = None
    """Of the changed lines and their branches, how many ran so far; None: that is not watched."""
    points: int = 0
    """How many there are."""


class Listener(Protocol):
    """Who is told of a campaign's course, in the process that runs it."""

    def found(self, record: Record) -> None:
        """A finding is there, or a better form of one: minimised, or of a lower program number."""

    def progress(self, progress: Progress) -> None:
        """A moment has passed."""


@dataclass
class Result:
    """What a campaign came to; ``records`` are ordered by program number, mere differences from the base tree last."""

    seed: int
    records: list[Record] = field(default_factory=list)
    programs: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    deaths: int = 0
    signatures: Counter[tuple[Blame, str]] = field(default_factory=Counter)
    deviations: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    lacks: dict[str, str] = field(default_factory=dict)
    cures: list[Cure] = field(default_factory=list)
    """What only the base tree shows, each signature once, by program number."""
    series: SeriesVerdict | None = None
    """Patch by patch; None: there is one patch at most."""
    first: dict[int, int] = field(default_factory=dict)
    """By the number of a point of the plan, the index of the first program that reached it."""
    counts: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """The counters that the plan asks for, by worker and by how often it was started again: add them up."""
    reach: Reach | None = None
    """Which changed lines ran; None: it was not watched."""
    costs: Table | None = None
    """What operations cost with the patches and without; None: it was not counted."""

    def count(self, blame: Blame) -> int:
        """Programs that showed a finding of this blame."""
        return sum(count for (whose, _), count in self.signatures.items() if whose is blame)

    @property
    def unjudged(self) -> int:
        """Programs of a check that ended on both trees because the machine lacks something."""
        kind = FindingKind.TOOL_ERROR.value + ":"
        both = {name: count for (whose, name), count in self.signatures.items() if whose is Blame.BASE}
        return sum(count for name, count in both.items() if name.startswith(kind))


class _Member:
    """A worker process as its parent sees it."""

    def __init__(self, plan: Plan, number: int, folder: Path) -> None:
        self._plan, self.number = plan, number
        self._path = folder / f"worker-{number}"
        try:
            self.flight = Flight(self._path)
        except OSError as error:
            raise FaultlineError(f"{folder}: {error.strerror}; make room there or set TMPDIR") from None
        self.deaths = 0
        self.killed = False
        self.crash: Crash | None = None
        self.seen: set[str] = set()
        self.start(number)

    def start(self, first: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe(duplex=False)
        task = Task(self._plan, self._path, first, frozenset(self.seen), self.crash)
        self.process: SpawnProcess = spawn.Process(target=main, args=(task, theirs), daemon=True)
        with interrupts_held():
            self.process.start()
        theirs.close()
        self.killed = False
        self._first = self.flight.runs
        self._moved = (self._first, time.monotonic())

    def stuck(self) -> bool:
        """Whether a run takes too long; until a new worker begins one, its predecessor's is on record."""
        runs, now = self.flight.runs, time.monotonic()
        if runs == self._first or runs != self._moved[0] or not self.flight.wire:
            self._moved = (runs, now)
        return now - self._moved[1] > self._plan.patience

    def end(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.pipe.close()
        self.flight.close()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds back Ctrl-C, for this process until it leaves, for a process started meanwhile for good."""
    resource_tracker.ensure_running()  # starting it lets signals through again, so it must run already
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Campaign:
    def __init__(self, plan: Plan, listener: Listener, folder: Path) -> None:
        self._plan, self._listener = plan, listener
        self._begin = time.monotonic()
        self._latest_finding: float | None = None
        self._stopped_at: float | None = None
        self._records: dict[str, Record] = {}
        self.result = Result(plan.seed)
        self._crew: list[_Member] = []
        self._folder = folder

    def run(self) -> None:
        try:
            self._crew = [_Member(self._plan, number, self._folder) for number in range(self._plan.jobs)]
            self._watch()
        except KeyboardInterrupt:
            self.result.interrupted = True
            self._last_words()

    def _watch(self) -> None:
        working = {member.pipe: member for member in self._crew}
        while working:
            for ready in wait(list(working), TICK):
                assert isinstance(ready, Connection)
                member = working[ready]
                if not self._receive(member):
                    del working[ready]
                    if self._bury(member):
                        working[member.pipe] = member
            self._clock(list(working.values()))

    def _last_words(self) -> None:
        """After Ctrl-C: takes what the workers still have to say; a second Ctrl-C ends that too."""
        try:
            for member in self._crew:
                member.flight.stop(hurry=True)
            talking = {member.pipe: member for member in self._crew if not member.pipe.closed}
            end = time.monotonic() + GRACE_HURRIED
            while talking and time.monotonic() < end:
                for ready in wait(list(talking), TICK):
                    assert isinstance(ready, Connection)
                    if not self._receive(talking[ready]):
                        del talking[ready]
        except KeyboardInterrupt:
            pass

    def _receive(self, member: _Member) -> bool:
        """Takes one message; false at the pipe's end."""
        try:
            message = member.pipe.recv()
        except (EOFError, OSError):
            return False
        if isinstance(message, Record):
            self._take(message)
            member.seen.add(message.finding.signature)
        elif isinstance(message, Cure):
            self._cure(message)
        elif isinstance(message, Reached):
            earliest(self.result.first, message)
        elif isinstance(message, Counted):
            self.result.counts[member.number, member.deaths] = message.counts
        elif isinstance(message, Explained):
            member.crash = None
        elif isinstance(message, Table):
            self.result.costs = self.result.costs or Table()
            self.result.costs.add(message)
        elif isinstance(message, Tally):
            self.result.signatures.update(message.signatures)
            self.result.deviations.update(message.deviations)
            self.result.undecided.update(message.undecided)
            self.result.explained.update(message.explained)
            self.result.lacks |= message.lacks
        elif isinstance(message, Failed):
            raise RuntimeError(message.message) if message.ours else FaultlineError(message.message, message.status)
        return True

    def _take(self, record: Record) -> None:
        signature = record.finding.signature
        held = self._records.get(signature)
        if held is not None and held.index < record.index:
            return
        if record.done and (held is None or not held.done):
            self._latest_finding = time.monotonic()
        self._records[signature] = record
        self._listener.found(record)

    def _cure(self, cure: Cure) -> None:
        held = {one.finding.signature: one for one in self.result.cures}
        other = held.get(cure.finding.signature)
        held[cure.finding.signature] = cure if other is None or cure.index < other.index else other
        self.result.cures = sorted(held.values(), key=lambda one: (one.index, one.finding.signature))

    def _bury(self, member: _Member) -> bool:
        """Looks at why a worker ended; true if another took its place."""
        member.process.join()
        code = member.process.exitcode
        assert code is not None
        if code == 0:
            return False
        if code > 0 or not member.flight.wire:
            raise FaultlineError(f"worker {member.number} ended with status {code} before it ran a program")
        member.deaths += 1
        self.result.deaths += 1
        number = signal.SIGALRM if member.killed else -code
        member.crash = Crash(member.flight.index, member.flight.wire, number)
        if member.deaths == DEATHS_MAX:
            return False
        member.pipe.close()
        member.start(member.flight.index + self._plan.jobs)
        return True

    def _clock(self, working: list[_Member]) -> None:
        now = time.monotonic()
        self._listener.progress(self._progress(now))
        for member in working:
            if member.stuck():
                member.killed = True
                member.process.kill()
        if self._stopped_at is None:
            if self._over(now):
                self._stopped_at = now
                for member in self._crew:
                    member.flight.stop()
        elif now - self._stopped_at > GRACE:
            for member in self._crew:
                member.flight.stop(hurry=True)

    def _progress(self, now: float) -> Progress:
        left = None
        if self._plan.seconds is not None:
            left = max(0.0, self._begin + self._plan.seconds - now)
        programs = sum(member.flight.done for member in self._crew)
        points = self._plan.points
        reached = len(self.result.first) if points else None
        total = len(points.points) if points else 0
        return Progress(programs, now - self._begin, left, len(self._records), reached, total)

    def _over(self, now: float) -> bool:
        if self._plan.seconds is not None and now - self._begin >= self._plan.seconds:
            return True
        done = {record.finding.kind for record in self._records.values() if record.done}
        if self._plan.wanted and self._plan.wanted <= done:
            return True
        if self._plan.settle is None or self._latest_finding is None:
            return False
        return now - self._latest_finding >= self._plan.settle

    def close(self) -> None:
        """Ends the workers, whatever state they are in; deaths that no worker explained any more become findings."""
        for member in self._crew:
            if member.crash is not None:
                ops = decode(member.crash.wire, with_blocks=True)
                self._take(Record(crash_finding(member.crash), ops, member.crash.index))
        now = time.monotonic()
        self.result.programs = self._progress(now).programs
        self.result.seconds = now - self._begin
        self.result.records = sorted(self._records.values(), key=_rank)
        for member in self._crew:
            member.end()


def _rank(record: Record) -> tuple[bool, int, str]:
    """What breaks a rule comes before what is only another behaviour."""
    finding = record.finding
    return finding.kind is FindingKind.BASE_DIFFERENCE, record.index, finding.signature


@contextmanager
def _recorders() -> Iterator[Path]:
    """A folder for the flight recorders while the campaign lasts."""
    try:
        folder = tempfile.mkdtemp(prefix="faultline-")
    except OSError as error:
        raise FaultlineError(f"no folder for temporary files: {error.strerror}; set TMPDIR") from None
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(plan: Plan, listener: Listener) -> Result:
    """Runs a campaign to its end or to Ctrl-C; in the latter case the result says so and holds what was found.

    :raises FaultlineError: the workers cannot work, e.g. the library cannot be loaded.  What was found before has
        been told to the listener.
    """
    with _recorders() as folder:
        campaign = _Campaign(plan, listener, folder)
        try:
            campaign.run()
        finally:
            campaign.close()
        return campaign.result
