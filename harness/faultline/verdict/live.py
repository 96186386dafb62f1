"""The running kernel against the oracle, and as one of three beside a built machine and the oracle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, NoReturn

import msgspec

from faultline.backend.live import LiveBackend
from faultline.backend.live_offer import NEVER, Offer
from faultline.backend.machine import MachineFinding
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.oracle.versions import DIFFERENCES
from faultline.program.codec import Operation, decode
from faultline.program.ops import OPS
from faultline.program.schedule import Schedule, Taken
from faultline.program.traceview import Step, describe_step, parse_trace
from faultline.verdict.compare import compare, difference
from faultline.verdict.finding import Finding
from faultline.verdict.judge import Blame, Judge, Side, Trial, Verdict, open_judge
from faultline.verdict.meter import Meter

#: The names of the three.
MACHINE, ORACLE, LIVE = "the machine", "the oracle", "the live kernel"
NOBODY: Final = "none, all three differ"
#: Before the id of the rule that leaves a choice.
LEFT_OPEN: Final = "left open by "


class LiveMachine:
    """The live backend in the place of a built machine: :class:`faultline.verdict.judge.Machine`."""

    def __init__(self, backend: LiveBackend) -> None:
        self.backend = backend

    @property
    def offer(self) -> Offer:
        """What the running kernel offers."""
        return self.backend.offer

    @property
    def version(self) -> tuple[int, int]:
        """The running kernel's version and patch level."""
        return self.offer.version

    @property
    def has(self) -> frozenset[str]:
        """What the running kernel has, of :data:`faultline.program.ops.NEEDS`."""
        return self.offer.has

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes:
        """The trace of a sequential program; there are neither internals nor other checks."""
        assert not internals
        assert not paranoid
        return self.backend.run(decode(wire), snapshots=snapshots)

    def run_last_first(self, wire: bytes) -> NoReturn:
        """Not on a running kernel."""
        raise AssertionError("a running kernel has its own order")

    def run_overlapping(self, wire: bytes, schedule: Schedule, *, paranoid: bool = False) -> NoReturn:
        """Not on a running kernel."""
        raise AssertionError("a running kernel has its own schedule")

    @property
    def taken(self) -> Taken:
        """Not on a running kernel."""
        raise AssertionError("a running kernel has its own schedule")

    @property
    def finding(self) -> MachineFinding | None:
        """That the last program did not come to its end."""
        stopped = self.backend.stopped
        if stopped is None or not stopped.stuck:
            return None
        return MachineFinding(FindingKind.HANG, stopped.index, -1, (), 0, stopped.why)

    def close(self) -> None:
        """Ends the workers and restores the settings."""
        self.backend.close()


class LiveJudge(Judge):
    """Judges programs on the running kernel against the oracle."""

    may_die: ClassVar[bool] = False

    def __init__(
        self, live: LiveMachine, *, known: Collection[str] = (), before_run: Callable[[bytes], None] = lambda _: None
    ) -> None:
        super().__init__(Side(live, lambda _: ()), known=known, before_run=before_run)
        self.live = live

    @property
    def live_machine(self) -> LiveMachine:
        """The running kernel."""
        return self.live

    @property
    def lacks(self) -> dict[str, str]:
        """What this running kernel lacks, though others do not, and what helps."""
        return {need: why for need, why in self.live.offer.lacks.items() if need not in NEVER}

    def _examined(self, side: Side, ops: Sequence[Operation], trace: bytes) -> Trial:
        stopped = self.live.backend.stopped
        if stopped is None or stopped.stuck:
            return super()._examined(side, ops, trace)
        expectation = self._oracle.expect(ops, trace)
        return Trial(trace, compare(ops, expectation, trace, before=stopped.index), expectation.deviations)

    def exercise(self, side: Side, ops: Sequence[Operation], seed: int = 0, times: int = 1) -> None:
        """Runs a program in a forked child, with workers of its own."""
        self.live.backend.restart()
        super().exercise(side, ops, seed, times)

    def give_back(self) -> None:
        """Ends the workers and restores the settings."""
        self.close()


@dataclass(frozen=True)
class Comparison:
    """One program on machine and live kernel, each beside what the oracle says for its version."""

    machine: Trial
    live: Trial
    finding: Finding | None
    """A difference; its ``alone`` says which of the three stands alone."""
    explained: tuple[str, ...] = ()
    """Rules by which the two kernels may do different things, as they did."""


class ThreeWay(Judge):
    """Judges programs on a built tree and on the running kernel; the operations need nothing that one of them lacks."""

    def __init__(self, tree: Judge, live: LiveJudge) -> None:
        super().__init__(tree.subject)
        self._tree, self.live = tree, live
        self._oracles = {
            MACHINE: Oracle(tree_version=tree.subject.machine.version, has=tree.has),
            LIVE: Oracle(tree_version=live.live.version, has=live.has),
        }

    @property
    def live_machine(self) -> LiveMachine:
        """The running kernel."""
        return self.live.live

    @property
    def has(self) -> frozenset[str]:
        """What both kernels have."""
        return self._tree.has & self.live.has

    def judge(
        self,
        ops: Sequence[Operation],
        wire: bytes | None = None,
        *,
        seed: int = 0,
        times: int = 1,
        meter: Meter | None = None,
    ) -> Verdict:
        """Runs the program on both; whose a finding is tells its ``alone``."""
        found = self.compare(ops)
        deviations = tuple(sorted({*found.machine.deviations, *found.live.deviations}))
        blame = Blame.NEW
        if found.finding is not None and self.knows(found.finding, ops):
            blame = Blame.KNOWN
        return Verdict(found.finding, blame, deviations, explained=found.explained)

    def compare(self, ops: Sequence[Operation]) -> Comparison:
        """Runs the program on both, and says where they part from each other or from the oracle."""
        machine = self._tree.trial(self._tree.subject, ops)
        live = self.live.trial(self.live.subject, ops)
        finding = self._difference(ops, machine, live)
        explained = () if finding or self._alike(machine, live) else tuple(self._reasons(ops, machine, live))
        return Comparison(machine, live, finding, explained)

    @property
    def lacks(self) -> dict[str, str]:
        """What the running kernel lacks."""
        return self.live.lacks

    def knows(self, finding: Finding, ops: Sequence[Operation]) -> bool:
        """Whether corpora/known has the finding of the one that stands alone."""
        whose = {MACHINE: self._tree, LIVE: self.live}.get(finding.alone)
        return whose is not None and whose.knows(finding, ops)

    def exercise(self, side: Side, ops: Sequence[Operation], seed: int = 0, times: int = 1) -> None:
        """Runs a program in a forked child, which has workers of its own."""
        self._tree.exercise(side, ops)
        self.live.exercise(self.live.subject, ops)

    def give_back(self) -> None:
        """Ends the workers and restores the settings."""
        self.live.give_back()

    def close(self) -> None:
        """Gives machine and live kernel back."""
        self._tree.close()
        self.live.close()

    @staticmethod
    def _alike(machine: Trial, live: Trial) -> bool:
        """Whether both did the same as far as both ran."""
        return machine.trace.startswith(live.trace) or live.trace.startswith(machine.trace)

    @staticmethod
    def _difference(ops: Sequence[Operation], machine: Trial, live: Trial) -> Finding | None:
        """Where one parts from the oracle first, and who stands alone there."""
        places = [trial.finding.op % (len(ops) + 1) if trial.finding else len(ops) + 1 for trial in (machine, live)]
        at = min(places)
        if at > len(ops):
            return None
        finding = machine.finding if places[0] == at else live.finding
        assert finding is not None
        first, second = (parse_trace(trial.trace, ops, snapshots=True)[: at + 1] for trial in (machine, live))
        if len(first) == len(second) == at + 1 and first[at] == second[at]:
            return _alone(finding, ORACLE, ops, second)
        both = places[0] == places[1]
        return _alone(finding, NOBODY if both else MACHINE if places[0] == at else LIVE, ops, second)

    def _reasons(self, ops: Sequence[Operation], machine: Trial, live: Trial) -> Iterator[str]:
        """The rules by which the two may do different things: what differs between the kernels and without which the
        oracle would not agree with one of them, known deviations of one, or else the rule that leaves it open."""
        named = [*self._versions(ops, machine, live), *self._needs(ops, machine, live)]
        named += sorted({*machine.deviations} ^ {*live.deviations})
        yield from named
        parted = difference(ops, machine.trace, live.trace)
        if not named and parted is not None:
            rules = self._oracles[LIVE].expect(ops, live.trace).rules(parted.op)
            yield LEFT_OPEN + (rules[0].id if rules else parted.operation)

    def _versions(self, ops: Sequence[Operation], machine: Trial, live: Trial) -> Iterator[str]:
        for place, rule in enumerate(DIFFERENCES):
            own, other = (rule.holds(self._oracles[name].version) for name in (MACHINE, LIVE))
            if own == other:
                continue
            changed = (self._oracles[MACHINE].but(place, other), self._oracles[LIVE].but(place, own))
            if _disagrees(changed, ops, machine, live):
                yield rule.id

    def _needs(self, ops: Sequence[Operation], machine: Trial, live: Trial) -> Iterator[str]:
        """No operation needs these, and yet the kernels may differ by them."""
        sides = (self._oracles[MACHINE], self._tree.has), (self._oracles[LIVE], self.live.has)
        for need in sorted(self._tree.has ^ self.live.has):
            changed = tuple(Oracle(tree_version=oracle.version, has=has ^ {need}) for oracle, has in sides)
            if _disagrees(changed, ops, machine, live):
                yield f"only one has {need}"


def _disagrees(oracles: Sequence[Oracle], ops: Sequence[Operation], machine: Trial, live: Trial) -> bool:
    """Whether an oracle for the machine, or one for the live kernel, does not agree with what that did."""
    traces = machine.trace, live.trace
    return any(not o.expect(ops, t).trace.startswith(t) for o, t in zip(oracles, traces, strict=True))


def _alone(finding: Finding, who: str, ops: Sequence[Operation], live: Sequence[Step]) -> Finding:
    """The finding with who stands alone; where that is no single one, with what the live kernel did."""
    if who == NOBODY and 0 <= finding.op < len(live):
        did = describe_step(ops[finding.op], live[finding.op])
        finding = msgspec.structs.replace(finding, happened=f"{finding.happened}; {LIVE}: {did}")
    return finding.standing_alone(who)


def open_live(
    before_run: Callable[[bytes], None], *, known: Collection[str] = (), cpu: int | None = None
) -> LiveJudge:
    """A judge over the running kernel.

    :raises FaultlineError: (SKIPPED) it lacks what the live backend needs.
    """
    return LiveJudge(LiveMachine(LiveBackend(cpu=cpu)), known=known, before_run=before_run)


def open_three_way(
    before_run: Callable[[bytes], None],
    *,
    subject: Path,
    known: Collection[str] = (),
    known_live: Collection[str] = (),
    cpu: int | None = None,
) -> ThreeWay:
    """A judge over a built library and the running kernel.

    :raises FaultlineError: the library cannot be loaded; (SKIPPED) the kernel lacks what the live backend needs.
    """
    tree = open_judge(before_run, subject=subject, known=known)
    return ThreeWay(tree, open_live(before_run, known=known_live, cpu=cpu))


def without_lacking(ops: Sequence[Operation], has: Collection[str]) -> list[Operation]:
    """The program without the operations that need something which is not in ``has``."""
    return [op for op in ops if all(need in has for need in OPS[op[0]].needs)]
