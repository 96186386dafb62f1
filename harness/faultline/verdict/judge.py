"""Runs one program and says whose finding it shows: the patch's, the base tree's, or a known one."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Final, Protocol

from faultline.backend import machine
from faultline.build.symbols import Symbolizer
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.codec import Operation, encode, has_blocks
from faultline.program.ops import OPS
from faultline.program.schedule import Decision, Schedule, parse_schedule
from faultline.program.text import format_actor
from faultline.program.traceview import without_internals
from faultline.verdict import reference
from faultline.verdict.compare import compare, difference, states_before
from faultline.verdict.contracts import CONTRACTS
from faultline.verdict.finding import BLOCK, END, Finding, Place, TakenLock, Task
from faultline.verdict.harmless import Harmless, harmless_by
from faultline.verdict.known import is_known
from faultline.verdict.meter import Meter, Metered
from faultline.verdict.overlap import CPUS, Overlap, Schedules
from faultline.verdict.races import KnownRace, Watched, field_of
from faultline.verdict.reference import Reference
from faultline.verdict.strict import internal_differences

#: Runs of a program that may still show a finding of another one; of one on the base tree that may show it, too.
RUNS_AGAIN: Final = 100
RUNS_BASE: Final = 100


class LockSeen(Protocol):
    """A lock that a task held: ``struct fl_lock_taken``."""

    @property
    def name(self) -> str: ...
    @property
    def at(self) -> int: ...


class TaskSeen(Protocol):
    """Another task that was under way: ``struct fl_chain``."""

    @property
    def task(self) -> int: ...
    @property
    def frames(self) -> Sequence[int]: ...
    @property
    def locks(self) -> Sequence[LockSeen]: ...
    @property
    def waits(self) -> str: ...


class MachineFinding(Protocol):
    """What a checker of the machine saw; the fields are those of ``struct fl_finding``."""

    @property
    def kind(self) -> FindingKind: ...
    @property
    def op(self) -> int: ...
    @property
    def task(self) -> int: ...
    @property
    def frames(self) -> Sequence[int]: ...
    @property
    def other(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def locks(self) -> Sequence[LockSeen]: ...
    @property
    def chains(self) -> Sequence[TaskSeen]: ...


class Machine(reference.Machine, Protocol):
    """Where programs run: :class:`faultline.backend.machine.Machine`."""

    @property
    def version(self) -> tuple[int, ...]: ...
    @property
    def has(self) -> frozenset[str]: ...
    @property
    def finding(self) -> MachineFinding | None: ...
    def close(self) -> None: ...


class Blame(StrEnum):
    """Whose a finding is."""

    NEW = "new"
    """The tested tree's; in a check, the patch's."""
    KNOWN = "known"
    """Recorded in corpora/known."""
    BASE = "base"
    """The base tree shows the same on the same program."""
    FIXED = "fixed"
    """Only the base tree shows it."""
    HARMLESS = "harmless"
    """A difference from the base tree that the patch says is meant."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one program showed; ``finding`` is None if nothing."""

    finding: Finding | None = None
    blame: Blame = Blame.NEW
    deviations: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    """Why runs of overlapping operations were not judged."""
    explained: tuple[str, ...] = ()
    """Named rules that tell why two kernels did different things, each of them right."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a program on one machine, and what it shows."""

    trace: bytes
    finding: Finding | None
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a report shows of a finding's program: traces with snapshots, which end where the run did."""

    happened: bytes
    expected: bytes
    """The oracle's, or the base tree's where the finding is a difference from it; empty where operations overlap, and
    where a checker ended the run: how the operation would have gone on is open."""


@dataclass(frozen=True, slots=True)
class Side:
    """A machine and the places in its source that an offset into its library stands for, innermost first."""

    machine: Machine
    locate: Callable[[int], Sequence[Place]]
    watched: reference.Machine | None = None
    """The same machine, where it looks for data races."""
    lock_name: Callable[[int], str] = str
    """The name of a lock in an internals block."""
    metered: Metered | None = None
    """The same machine, where it can say what operations cost."""


class Judge:
    """Judges programs on one tree (``base`` is None), or on a patched tree beside its base.

    ``known`` are the signatures of corpora/known.  ``before_run`` is given each program's wire form before a machine
    gets it.
    """

    may_die: ClassVar[bool] = True
    """A program may kill the process that judges it."""

    def __init__(
        self,
        subject: Side,
        base: Side | None = None,
        *,
        known: Collection[str] = (),
        before_run: Callable[[bytes], None] = lambda _: None,
        schedules: Schedules | None = None,
        strict: bool = False,
        harmless: Sequence[Harmless] = (),
    ) -> None:
        self.subject, self.base = subject, base
        self._strict, self._harmless = strict, tuple(harmless)
        self._known = frozenset(known)
        self._before_run = before_run
        self._schedules = schedules or Schedules()
        self._oracle = Oracle(tree_version=subject.machine.version, has=subject.machine.has)

    def judge(
        self,
        ops: Sequence[Operation],
        wire: bytes | None = None,
        *,
        seed: int = 0,
        times: int = 1,
        meter: Meter | None = None,
    ) -> Verdict:
        """Runs the program; an exception of our own code becomes a ``tool-error``.

        :param wire: bytes that decode to ``ops``, if the caller has them.
        :param seed: of the schedules, where operations overlap.
        :param times: as many schedules as usual.
        :param meter: of :meth:`meter`: what the program costs is taken, too.
        """
        try:
            wire = encode(ops) if wire is None else wire
            if has_blocks(ops):
                return self._overlapping(ops, seed, times)
            return self._test(ops, wire) if self.base is None else self._check(self.base, ops, wire, meter)
        except Exception as error:
            return Verdict(_tool_error(error))

    def meter(self) -> Meter | None:
        """What compares the costs of programs on both trees; None: there is one, or its machine cannot say them."""
        base = self.base.metered if self.base else None
        subject = self.subject.metered
        return Meter(base, subject) if base is not None and subject is not None else None

    def costs_otherwise(
        self, meter: Meter, ops: Sequence[Operation], operation: str, counter: str, *, more: bool
    ) -> bool:
        """Whether a program comes to the same on both trees, and has such an operation that takes more or less with the
        patches (:meth:`Meter.differs`)."""
        assert self.base is not None
        wire, traces = encode(ops), []
        for side in (self.base, self.subject):
            traces.append(self._run(side, wire, costs=True))
            if side.machine.finding is not None:
                return False
        return traces[0] == traces[1] and meter.differs(ops, operation, counter, more=more)

    @property
    def has(self) -> frozenset[str]:
        """What the tested kernel has, of :data:`~faultline.program.ops.NEEDS`."""
        return self.subject.machine.has

    @property
    def lacks(self) -> dict[str, str]:
        """What the tested kernel could have, of :data:`~faultline.program.ops.NEEDS`, and why it is not there."""
        return {}

    def close(self) -> None:
        """Gives the machines back."""
        self.subject.machine.close()
        if self.base:
            self.base.machine.close()

    def give_back(self) -> None:
        """What outlives the process that holds the judge is put back; the end of a process is enough for machines."""

    def trial(self, side: Side, ops: Sequence[Operation], decisions: tuple[Decision, ...] = ()) -> Trial:
        """Runs the program on one machine and examines its trace.

        :param decisions: where operations of it overlap.
        """
        if has_blocks(ops):
            program = self.overlap(side, ops)
            finding = program.run(Schedule("replay", decisions=decisions))
            return Trial(program.trace, finding, tuple(sorted(program.deviations)))
        return self._examined(side, ops, self._run(side, encode(ops)))

    def evidence(self, ops: Sequence[Operation], finding: Finding) -> Evidence | None:
        """Runs a program that shows a finding once more, for its traces.

        None: our own code failed in that run, or several kernels were asked, of which no one trace tells.
        """
        if finding.alone:
            return None
        try:
            happened = self.trial(self.subject, ops, decisions_of(finding)).trace
            if has_blocks(ops) or not finding.expected:
                return Evidence(happened, b"")
            if self.base is not None and finding.kind is FindingKind.BASE_DIFFERENCE:
                return Evidence(happened, self._run(self.base, encode(ops)))
            return Evidence(happened, self._oracle.expect(ops, happened).trace)
        except Exception:  # the finding says so already, as a tool-error
            return None

    def _run(self, side: Side, wire: bytes, *, internals: bool = False, costs: bool = False) -> bytes:
        self._before_run(wire)
        if costs and side.metered is not None:
            return side.metered.run(wire, internals=internals, costs=True)
        return side.machine.run(wire, internals=True) if internals else side.machine.run(wire)

    def _test(self, ops: Sequence[Operation], wire: bytes) -> Verdict:
        trial = self._examined(self.subject, ops, self._run(self.subject, wire))
        return self._verdict(ops, trial.finding, Blame.NEW, trial)

    def _check(self, base: Side, ops: Sequence[Operation], wire: bytes, meter: Meter | None) -> Verdict:
        """What both trees do alike is not the patch's doing, so the oracle is asked only where they differ."""
        if self._strict and (verdict := self._check_inside(base, ops, wire, meter)) is not None:
            return verdict
        costs = meter is not None
        before, after = self._run(base, wire, costs=costs), self._run(self.subject, wire, costs=costs)
        if before == after and base.machine.finding is None and self.subject.machine.finding is None:
            if meter is not None:
                meter.take(ops)
            return _CLEAN
        if meter is not None:
            meter.leave_out()
        old, new = self._examined(base, ops, before), self._examined(self.subject, ops, after)
        if new.finding is None and old.finding is not None:
            return self._verdict(ops, old.finding, Blame.FIXED, new)
        if new.finding is None:
            return self._verdict(ops, difference(ops, before, after), Blame.NEW, new)
        same = old.finding is not None and old.finding.signature == new.finding.signature
        return self._verdict(ops, new.finding, Blame.BASE if same else Blame.NEW, new)

    def _check_inside(
        self, base: Side, ops: Sequence[Operation], wire: bytes, meter: Meter | None
    ) -> Verdict | None:
        """What the trees do alike for user space, they may do otherwise inside; None: it is not alike."""
        traces = []
        for side in (base, self.subject):
            traces.append(self._run(side, wire, internals=True, costs=meter is not None))
            if side.machine.finding is not None:
                return None
        same = traces[0] == traces[1]
        (before, old), (after, new) = ((b"", []), (b"", [])) if same else (without_internals(t, ops) for t in traces)
        if before != after:
            return None
        if meter is not None:
            meter.take(ops)
        if same:
            return _CLEAN
        found = list(internal_differences(ops, old, new, self.subject.lock_name))
        first = min(found, key=lambda finding: harmless_by(finding.signature, self._harmless) is not None)
        return self._verdict(ops, first, Blame.NEW, Trial(after, first))

    def difference(self, ops: Sequence[Operation]) -> Finding | None:
        """What the patched tree does otherwise than the base, where neither breaks a rule; None: nothing."""
        verdict = self.judge(ops)
        differs = verdict.finding is not None and verdict.finding.kind is FindingKind.BASE_DIFFERENCE
        return verdict.finding if differs and verdict.blame is Blame.NEW else None

    def _examined(self, side: Side, ops: Sequence[Operation], trace: bytes) -> Trial:
        """What happened first: a divergence from the oracle, or what ended the program on the machine."""
        seen = side.machine.finding
        expectation = self._oracle.expect(ops, trace)
        finding: Finding | None = None
        if seen is not None:
            before = len(ops) if seen.op < 0 else seen.op
            finding = compare(ops, expectation, trace, before=before) or machine_finding(seen, ops, side.locate, trace)
        elif trace != expectation.trace:
            finding = compare(ops, expectation, trace)
        return Trial(trace, finding, expectation.deviations)

    # --- operations that overlap ---

    def overlap(self, side: Side, ops: Sequence[Operation]) -> Overlap:
        """The program on one machine; what it may come to is told by the base tree's if there is one."""

        def said(ops: Sequence[Operation], trace: bytes) -> Finding | None:
            seen = side.machine.finding
            return machine_finding(seen, ops, side.locate, trace) if seen is not None else None

        orders = Reference((self.base or self.subject).machine, self._oracle, self._before_run)
        return Overlap(ops, side.watched or side.machine, said, orders, self._before_run)

    def near(
        self, side: Side, ops: Sequence[Operation], decisions: tuple[Decision, ...], signature: str
    ) -> Trial | None:
        """A run under a schedule near one that does not show the finding, which does: the kernel changed meanwhile.
        None: there is none among those that were tried."""
        program = self.overlap(side, ops)
        finding = program.near(decisions, signature)
        if finding is None:
            return None
        finding = finding.with_note("The schedule of the file does not show it any more; this one, near it, does.")
        return Trial(program.trace, finding, tuple(sorted(program.deviations)))

    def again(self, ops: Sequence[Operation], finding: Finding, blame: Blame = Blame.NEW) -> Finding | None:
        """A finding of the same signature and blame, that this program shows; None: it shows none.

        :param ops: the finding's own program or a smaller one, which is run under schedules like the finding's first.
        """
        if not has_blocks(ops):
            verdict = self.judge(ops)
            same = verdict.finding is not None and verdict.finding.signature == finding.signature
            return verdict.finding if same and verdict.blame is blame else None
        try:
            shown = self.overlap(self.subject, ops).near(decisions_of(finding), finding.signature, RUNS_AGAIN)
            same = shown is not None and self.blame(ops, shown) is blame
        except Exception as error:
            shown = _tool_error(error)
            same = (shown.signature, Blame.NEW) == (finding.signature, blame)
        return shown if same else None

    def blame(self, ops: Sequence[Operation], finding: Finding) -> Blame:
        """Whose a finding of operations that overlap is."""
        return self._blame(ops, finding, self._on_base(ops, 0, 1))

    def simplest(self, ops: Sequence[Operation], finding: Finding) -> Finding:
        """A finding of overlapping operations with as few preemptions as it needs."""
        return self.overlap(self.subject, ops).simplest(finding, decisions_of(finding))

    def exercise(self, side: Side, ops: Sequence[Operation], seed: int = 0, times: int = 1) -> None:
        """Runs a program on one machine, as :meth:`judge` does; for a forked child, as it may kill its process."""
        if not has_blocks(ops):
            side.machine.run(encode(ops))
            return
        for _ in self.overlap(side, ops).findings(self._more(times), seed):
            pass

    def _more(self, times: int) -> Schedules:
        return self._schedules if self._schedules.ends else replace(self._schedules, runs=self._schedules.runs * times)

    def _overlapping(self, ops: Sequence[Operation], seed: int, times: int) -> Verdict:
        """The first finding that is the tested tree's own, else the first that is not."""
        tested, on_base = self.overlap(self.subject, ops), self._on_base(ops, seed, times)
        other: Verdict | None = None
        for finding in tested.findings(self._more(times), seed):
            verdict = _of(tested, finding, self._blame(ops, finding, on_base))
            if verdict.blame is Blame.NEW:
                return verdict
            other = other or verdict
        return other or _of(tested, None, Blame.NEW)

    def _on_base(self, ops: Sequence[Operation], seed: int, times: int) -> _OnBase | None:
        return _OnBase(self.overlap(self.base, ops), self._more(times), seed) if self.base else None

    def _blame(self, ops: Sequence[Operation], finding: Finding, on_base: _OnBase | None) -> Blame:
        if self.knows(finding, ops):
            return Blame.KNOWN
        return Blame.BASE if on_base is not None and on_base.shows(finding) else Blame.NEW

    def knows(self, finding: Finding, ops: Sequence[Operation]) -> bool:
        """Whether corpora/known has the finding that the program shows."""
        return is_known(finding.signature, self._known, ops)

    def _verdict(
        self, ops: Sequence[Operation], finding: Finding | None, blame: Blame, trial: Trial
    ) -> Verdict:
        if finding is not None and blame is Blame.NEW and self.knows(finding, ops):
            blame = Blame.KNOWN
        elif finding is not None and blame is Blame.NEW and harmless_by(finding.signature, self._harmless):
            blame = Blame.HARMLESS
        return Verdict(finding, blame, trial.deviations)


class _OnBase:
    """What the base tree shows of a program whose operations overlap; it is run when that is asked."""

    def __init__(self, program: Overlap, schedules: Schedules, seed: int) -> None:
        self._program, self._schedules, self._seed = program, schedules, seed
        self._answers: dict[str, bool] = {}

    @cached_property
    def _signatures(self) -> set[str]:
        return {finding.signature for finding in self._program.findings(self._schedules, self._seed)}

    def shows(self, finding: Finding) -> bool:
        """Whether it shows a finding of the same signature: under the schedules of the tested tree, or near the one
        that shows it there, as a patch moves the points at which others go on."""
        signature = finding.signature
        if signature not in self._answers:
            self._answers[signature] = (
                signature in self._signatures
                or self._program.near(decisions_of(finding), signature, RUNS_BASE) is not None
            )
        return self._answers[signature]


def decisions_of(finding: Finding) -> tuple[Decision, ...]:
    """The schedule that shows a finding."""
    return parse_schedule(finding.schedule)


def _of(tested: Overlap, finding: Finding | None, blame: Blame) -> Verdict:
    return Verdict(finding, blame, tuple(sorted(tested.deviations)), tuple(sorted(tested.undecided)))


_CLEAN: Final = Verdict()
_SLUG_MAX: Final = 80


def machine_finding(
    seen: MachineFinding, ops: Sequence[Operation], locate: Callable[[int], Sequence[Place]], trace: bytes
) -> Finding:
    """The finding that a checker's report is, for a program and its trace."""
    frames = tuple(place for offset in seen.frames for place in locate(offset))
    other = _telling(locate(seen.other), None) if seen.other else None
    named = _entry(frames) if seen.kind == FindingKind.HANG else _telling(frames, other)
    at_end = not 0 <= seen.op < len(ops)
    operation = END if at_end else OPS[ops[seen.op][0]].name
    aspect = named.function if named else _slug(seen.text)
    if seen.kind == FindingKind.DATA_RACE:  # either access may have come first
        places = (_telling(frames, None), other)
        operation, aspect = BLOCK, "-".join([field_of(seen.text), *sorted(p.function for p in places if p)])
    return Finding(
        kind=seen.kind,
        op=-1 if at_end else seen.op,
        operation=operation,
        aspect=aspect,
        happened=seen.text,
        because=(CONTRACTS[seen.kind],) if seen.kind in CONTRACTS else (),
        frames=frames,
        other=other,
        locks=_locks(seen.locks, locate),
        tasks=tuple(
            Task(
                name=format_actor(chain.task),
                frames=tuple(place for offset in chain.frames for place in locate(offset)),
                locks=_locks(chain.locks, locate),
                waits=chain.waits,
            )
            for chain in seen.chains
        ),
        slots=() if at_end else states_before(ops, seen.op, trace),
    )


def _locks(seen: Sequence[LockSeen], locate: Callable[[int], Sequence[Place]]) -> tuple[TakenLock, ...]:
    return tuple(TakenLock(lock.name, _telling(locate(lock.at), None)) for lock in seen)


def _slug(text: str) -> str:
    """The words of a text without its numbers, for the signature of what no place names."""
    return "-".join(re.findall(r"[A-Za-z_]+", text))[:_SLUG_MAX] or "-"


def _telling(frames: Sequence[Place], other: Place | None) -> Place | None:
    """The place that names a finding best: the innermost frame in the kernel's own files, else the other place if that
    is there, else an inline function of a header, and the machine's own code last."""
    kernel = [place for place in frames if place.of_kernel]
    also = [other] if other is not None and other.of_kernel else []
    in_files = [place for place in (*kernel, *also) if place.file.endswith(".c")]
    return next(iter([*in_files, *kernel, *also, *frames]), other)


def _entry(frames: Sequence[Place]) -> Place | None:
    """Where the operation entered the kernel: an endless loop is interrupted at any place of it."""
    return next((place for place in reversed(frames) if place.of_kernel), next(iter(frames), None))


def _tool_error(error: Exception) -> Finding:
    calls = traceback.extract_tb(error.__traceback__)
    frames = tuple(Place(call.name, "/".join(Path(call.filename).parts[-3:]), call.lineno or 0) for call in calls)[::-1]
    return Finding(
        kind=FindingKind.TOOL_ERROR,
        op=-1,
        operation=END,
        aspect=f"{type(error).__name__}-{frames[0].function}" if frames else type(error).__name__,
        expected="faultline judges the program",
        happened=f"{type(error).__name__}: {error}",
        frames=frames,
    )


def _side(library: Path, cpus: dict[str, int], races: Sequence[KnownRace] | None) -> Side:
    built, locate = machine.Machine(library, **cpus), locator_of(library)
    watched = None if races is None else Watched(built, locate, races)
    return Side(built, locate, watched, built.lock_name, built)


def open_judge(
    before_run: Callable[[bytes], None],
    *,
    subject: Path,
    base: Path | None = None,
    known: Collection[str] = (),
    schedules: Schedules | None = None,
    races: Sequence[KnownRace] | None = None,
    strict: bool = False,
    harmless: Sequence[Harmless] = (),
) -> Judge:
    """A judge over built libraries; with ``schedules`` for programs whose operations overlap too.

    ``races``: data races are findings but these; the libraries are of the variant that finds them.  None: they are not.
    ``strict``: so is what the trees do otherwise inside.  ``harmless``: which differences are none.

    :raises FaultlineError: a library cannot be loaded.
    """
    cpus = {"cpus": CPUS} if schedules else {}
    sides = [_side(path, cpus, races) for path in (subject, base) if path is not None]
    return Judge(
        sides[0],
        sides[1] if base else None,
        known=known,
        before_run=before_run,
        schedules=schedules,
        strict=strict,
        harmless=harmless,
    )


def locator_of(library: Path) -> Callable[[int], Sequence[Place]]:
    """What tells the places in the source that an offset in the library belongs to, innermost first."""
    symbolizer = Symbolizer(library)

    @cache
    def locate(offset: int) -> Sequence[Place]:
        return [Place(frame.function, frame.file, frame.line) for frame in symbolizer.lookup(offset)]

    return locate
