"""Runs a program whose operations overlap under many schedules, and says what they show."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from faultline.kinds import ExitStatus, FaultlineError
from faultline.program.codec import Operation, encode
from faultline.program.schedule import (
    ANY_NUMBER,
    NOTHING_TAKEN,
    Decision,
    Schedule,
    Taken,
    format_schedule,
    tasks_of_blocks,
)
from faultline.verdict.finding import Finding
from faultline.verdict.linear import Linear
from faultline.verdict.reference import Machine, Reference

#: CPUs of a machine on which operations overlap: as many as there are tasks of a process.
CPUS: Final = 4
#: Runs of one program under different schedules.
RUNS: Final = 40
#: Runs of one program at most, where each is another schedule.
RUNS_EXHAUSTIVE: Final = 20_000
#: Runs that looking for a schedule near one that does not fit may take; how many points its decisions are moved.
RUNS_NEAR: Final = 2000
REACH: Final = 20
#: Runs that a search for a schedule with fewer preemptions may take, for each number of them.
RUNS_SIMPLEST: Final = 5_000
#: Preemptions of which that many runs are most schedules that there are.
EVERY_MAX: Final = 1
#: Few changes at the right places, or many at any.
_MIX: Final = (
    ("random", 4), ("pct", 2), ("random", 16), ("pct", 3), ("pct", 6), ("random", 64), ("pct", 4), ("pct", 6),
)  # fmt: skip
#: A run has more points than one without preemptions, as faults are repeated; one with many more has a task that spins.
POINTS_TIMES: Final = 2


@dataclass(frozen=True, slots=True)
class Schedules:
    """Which schedules a program is run under.

    ``policy``: "mix", or one of "random" (``parameter``: one point in that many is a preemption) and "pct"
    (``parameter``: its depth); or "exhaustive", every schedule but for those that come to the same, or with a
    ``parameter`` every one with no more preemptions than that.  Without a ``parameter`` the machine has a default.
    """

    policy: str = "mix"
    parameter: int | None = None
    runs: int = RUNS

    @classmethod
    def parse(cls, text: str) -> Schedules:
        """What ``--schedules`` says: ``mix``, ``random``, ``random:N``, ``pct``, ``pct:DEPTH``, ``exhaustive`` or
        ``exhaustive:PREEMPTIONS``.

        :raises FaultlineError: (USAGE) it is none of these.
        """
        policy, colon, number = text.partition(":")
        known = policy == "mix" and not colon
        if policy in _WITH_NUMBER:
            known = not colon or (number.isdecimal() and _LEAST[policy] <= int(number) < ANY_NUMBER)
        if not known:
            raise FaultlineError(f"schedules {text[:40]!r}: one of {POLICIES}", ExitStatus.USAGE)
        return cls(policy, int(number) if colon else None, RUNS_EXHAUSTIVE if policy == "exhaustive" else RUNS)

    @property
    def ends(self) -> bool:
        """Whether a program has been run under all of them some day, so that it is of no use to run it again."""
        return self.policy == "exhaustive"

    def of(self, seed: int) -> Iterator[Schedule]:
        """The schedules for one program: without preemptions first.  How many points to expect is for the caller."""
        if self.policy == "exhaustive":
            for run in range(self.runs):
                policy = "search" if self.parameter is None else "every"
                yield Schedule(policy, parameter=self.parameter or 0, goes_on=run > 0)
            return
        yield Schedule()
        for run in range(1, self.runs):
            policy, parameter = (self.policy, self.parameter or 0) if self.policy != "mix" else _MIX[run % len(_MIX)]
            yield Schedule(policy, seed << 16 | run, parameter)


#: What stands after the colon.
_WITH_NUMBER: Final = {"random": "N", "pct": "DEPTH", "exhaustive": "PREEMPTIONS"}
#: What :meth:`Schedules.parse` knows.
POLICIES: Final = ", ".join(("mix", *(f"{name}[:{meaning}]" for name, meaning in _WITH_NUMBER.items())))
_LEAST: Final = {"random": 1, "pct": 1, "exhaustive": 0}

MachineSaid = Callable[[Sequence[Operation], bytes], "Finding | None"]
"""What the machine's checkers said of the last run of a program, given its trace."""


class Overlap:
    """One program, as far as it was run.  ``before_run`` is given its wire form before each run."""

    def __init__(
        self,
        ops: Sequence[Operation],
        machine: Machine,
        said: MachineSaid,
        reference: Reference,
        before_run: Callable[[bytes], None],
    ) -> None:
        self._ops, self._machine, self._said, self._before_run = ops, machine, said, before_run
        self._wire = encode(ops)
        self._linear = Linear(ops, reference)
        self.deviations: set[str] = set()
        """Ids of the known deviations by which some runs are what they are."""
        self.undecided: set[str] = set()
        """Why some runs were not judged."""
        self._judged: dict[bytes, Finding | None] = {}
        self._taken = NOTHING_TAKEN
        self.runs = 0
        self.trace = b""
        """Of the last run."""

    @property
    def taken(self) -> Taken:
        """What the last run decided."""
        return self._taken

    @property
    def outcomes(self) -> int:
        """How many different traces the runs without a finding of the machine's checkers came to."""
        return len(self._judged)

    def findings(self, schedules: Schedules, seed: int = 0) -> Iterator[Finding]:
        """What the runs show, each with its schedule; the same again and again if it shows often.

        :param seed: with another one the schedules of the same program are others.
        """
        seed, first, most = zlib.crc32(self._wire, seed & 0xFFFFFFFF), 0, 0
        for run, schedule in enumerate(schedules.of(seed)):
            finding = self.run(replace(schedule, points=most if run // len(_MIX) % 2 else first))
            first = first or self._taken.points
            most = max(most, min(self._taken.points, POINTS_TIMES * first))
            if finding is not None:
                yield finding
            if schedules.policy == "exhaustive" and not self._taken.left:
                break
        else:
            if schedules.policy == "exhaustive":
                self.undecided.add(f"there are more than {schedules.runs:,}")
        if self._taken.cut:
            self.undecided.add("the program is too large for an exhaustive search")

    def run(self, schedule: Schedule) -> Finding | None:
        """What one run shows, with its schedule."""
        self._before_run(self._wire)
        trace = self._machine.run_overlapping(self._wire, schedule)
        self.trace, self._taken, self.runs = trace, self._machine.taken, self.runs + 1
        decisions = self._taken.decisions
        finding = self._said(self._ops, trace)
        if finding is None:
            if trace not in self._judged:
                self._judged[trace] = self._unordered(trace, decisions)
            finding = self._judged[trace]
        return finding.with_schedule(format_schedule(decisions)) if finding is not None else None

    def _unordered(self, trace: bytes, decisions: Sequence[Decision]) -> Finding | None:
        answer = self._linear.answer(trace, decisions)
        if answer.deviation:
            self.deviations.add(answer.deviation)
        if answer.undecided:
            self.undecided.add(answer.undecided)
        return answer.finding

    def near(self, decisions: Sequence[Decision], signature: str, runs: int = RUNS_NEAR) -> Finding | None:
        """The finding under this schedule, or one like it: each decision earlier or later by some points; then under
        any.

        :param decisions: of this program, or of another one that it was made from.
        """
        rng = random.Random(zlib.crc32(self._wire))
        decisions = self._fitting(decisions)
        half, points = runs // 2, 0
        for run in range(runs):
            reach = run * REACH // half
            moved = (d._replace(passed=max(1, d.passed + rng.randint(-reach, reach))) for d in decisions)
            schedule = Schedule("replay", decisions=tuple(moved))
            if run and (run >= half or not decisions):
                policy, parameter = _MIX[run % len(_MIX)]
                schedule = Schedule(policy, run, parameter, points)
            finding = self.run(schedule)
            points = points or self._taken.points
            if finding is not None and finding.signature == signature:
                return finding
        return None

    def _fitting(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Those of tasks that have something to do in their block: a replay would wait for the others in vain."""
        there = tasks_of_blocks(self._ops)
        return [d for d in decisions if d.block < len(there) and {d.task, d.next} <= there[d.block]]

    def simplest(self, finding: Finding, decisions: Sequence[Decision]) -> Finding:
        """The finding with as few preemptions as it needs, as far as they were searched for, and no decision that it
        can do without.

        :param decisions: the schedule that shows it.
        """
        best, kept = self._without_needless(finding, list(decisions))
        self.run(Schedule("replay", decisions=tuple(kept)))
        for preemptions in range(self._taken.preemptions):
            fewer = self._with_few(finding.signature, preemptions, self._taken.points)
            if fewer is not None:
                return self._without_needless(fewer, list(self._taken.decisions))[0]
        return best

    def _with_few(self, signature: str, preemptions: int, points: int) -> Finding | None:
        """The finding under a schedule with no more preemptions than that; of many such schedules some are tried."""
        every = preemptions <= EVERY_MAX
        for run in range(RUNS_SIMPLEST):
            if every:
                schedule = Schedule("every", parameter=preemptions, goes_on=run > 0)
            else:
                schedule = Schedule("pct", run, preemptions + 1, points)
            finding = self.run(schedule)
            if finding is not None and finding.signature == signature and self._taken.preemptions <= preemptions:
                return finding
            if every and not self._taken.left:
                break
        return None

    def _without_needless(self, best: Finding, kept: list[Decision]) -> tuple[Finding, list[Decision]]:
        """What is left if decisions that it does not need are left out, some at a time."""
        improved = True
        while improved:
            improved = False
            for size in range(max(len(kept) // 2, 1), 0, -1):
                for start in range(len(kept) - size, -1, -1):
                    fewer = [*kept[:start], *kept[start + size :]]
                    shown = self.run(Schedule("replay", decisions=tuple(fewer)))
                    if shown is not None and shown.signature == best.signature:
                        taken = list(self._taken.decisions)
                        kept = taken if len(taken) < len(kept) else fewer
                        best, improved = shown, True
                        break
                if improved:
                    break
        return best, kept
