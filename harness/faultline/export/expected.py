"""What an exported program expects: the oracle's outcomes, and what the pages hold at the end."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from faultline.backend.live_offer import NEVER
from faultline.kinds import ExitStatus, FaultlineError
from faultline.oracle.model import Oracle
from faultline.program.codec import Operation, has_blocks, process_of, task_byte
from faultline.program.ops import ADVICE, BY_NAME, LOADS, NEED_NAMES, OPS, SLOTS, TASKS, VALUE
from faultline.program.text import format_operation
from faultline.program.trace import COMPLETION, RECORD, Bit, Status, Wait
from faultline.program.traceview import Completion, Snapshot, Step, parse_trace

#: What cannot be exported: what nobody can ask of a running kernel.
_NEVER: Final = {need: why for need, why in NEVER.items() if need != "soft-dirty"}
#: What an exported program can use, of :data:`~faultline.program.ops.NEEDS`.
EXPORT_HAS: Final = NEED_NAMES - _NEVER.keys()
_MADVISE, _READ, _EXIT, _MESSAGE = (BY_NAME[name].code for name in ("madvise", "read", "exit", "uffd-read"))
_HUGE_ADVICE: Final = frozenset(map(ADVICE.words.index, ("hugepage", "nohugepage", "collapse")))
#: Other outcomes that are tried, to see whether documentation allows for them.
_OTHERS: Final = (
    (int(Status.DONE), 0),
    *((int(Status.ERROR), number) for number in (errno.EBUSY, errno.EAGAIN, errno.EEXIST, errno.ENOENT, errno.EFAULT)),
    (int(Status.BLOCKED), int(Wait.FAULT)),
    (int(Status.SIGNAL), int(signal.SIGBUS)),
)


@dataclass(frozen=True, slots=True)
class Holding:
    """At the end the process reads the byte ``value`` in so many pages."""

    process: int
    start: int
    pages: int
    value: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a program comes to."""

    ops: tuple[Operation, ...]
    steps: tuple[Step, ...]
    """One for each operation."""
    last: Snapshot
    """The state after the last operation."""
    holding: tuple[Holding, ...]
    open: frozenset[int]
    """The operations whose outcome is one of several that documentation allows, as far as that is known."""


def check_exportable(ops: Sequence[Operation], origin: str) -> None:
    """That a live kernel can do on demand what the program does.

    :raises FaultlineError: (SKIPPED) it cannot; the line names the operation.
    """
    if has_blocks(ops):
        raise FaultlineError(f"{origin}: a given schedule cannot be had of a live kernel", ExitStatus.SKIPPED)
    for op in ops:
        why = next((_NEVER[need] for need in OPS[op[0]].needs if need in _NEVER), None)
        if op[0] == _MADVISE and op[4] in _HUGE_ADVICE:
            why = _NEVER["thp"]
        if why is not None:
            raise FaultlineError(f"{origin}: {format_operation(op)!r} cannot be exported: {why}", ExitStatus.SKIPPED)


def expected(ops: Sequence[Operation], oracle: Oracle, observed: bytes | None = None) -> Expected:
    """What documentation says that the program does.

    :param ops: what `check_exportable` lets pass.
    :param observed: a trace of it with snapshots, whose choices are taken where documentation leaves some.
    :raises FaultlineError: (SKIPPED) a task waits for something else than a userfaultfd.
    """
    steps = tuple(parse_trace(oracle.expect(ops, observed).trace, ops, snapshots=True))
    assert len(steps) == len(ops)
    for op, step in zip(ops, steps, strict=True):
        if step.status is Status.BLOCKED and step.value == Wait.LOCK:
            text = format_operation(op)
            raise FaultlineError(f"{text!r} waits for a lock: it cannot be exported", ExitStatus.SKIPPED)
    last = steps[-1].snapshot
    assert last is not None
    choices = _Choices(ops, steps, oracle)
    reads = _closing_reads(last, waiting(ops, steps))
    holding = [read for read in _readable(ops, oracle, observed, reads) if not choices.leave_open(*read)]
    return Expected(tuple(ops), steps, last, _joined(holding), frozenset(choices.open()))


def waiting(ops: Sequence[Operation], steps: Sequence[Step]) -> list[int]:
    """The tasks that wait after the last step."""
    blocked: dict[int, int] = {}
    for op, step in zip(ops, steps, strict=True):
        if step.status is Status.BLOCKED:
            blocked[step.index] = op[1]
        for completion in step.completions:
            blocked.pop(completion.index, None)
    return list(blocked.values())


def ended_processes(ops: Sequence[Operation], steps: Sequence[Step]) -> set[int]:
    """The processes that the program ends."""
    return {process_of(op[1]) for op, step in zip(ops, steps, strict=True) if op[0] == _EXIT and not step.status}


def _closing_reads(last: Snapshot, blocked: Sequence[int]) -> list[Operation]:
    """Reads of all pages that may be read, by a task of each process that does not wait."""
    reads: list[Operation] = []
    for process, words in last.words.items():
        free = (task_byte(process, task) for task in range(TASKS))
        task = next((task for task in free if task not in blocked), None)
        if task is not None:
            reads += ((_READ, task, slot) for slot in range(SLOTS) if words[slot] & Bit.READ)
    return reads


def _readable(
    ops: Sequence[Operation], oracle: Oracle, observed: bytes | None, reads: list[Operation]
) -> list[tuple[Operation, int]]:
    """Those of the reads, one after another at the end, that come to a byte, with it."""
    while reads:
        program = [*ops, *reads]
        steps = parse_trace(oracle.expect(program, observed).trace, program, snapshots=True)[len(ops) :]
        bad = next((i for i, step in enumerate(steps) if step.status is not Status.DONE), None)
        if bad is None:
            return [(read, step.value) for read, step in zip(reads, steps, strict=True)]
        del reads[bad]
    return []


def _joined(reads: Sequence[tuple[Operation, int]]) -> tuple[Holding, ...]:
    """The same with pages side by side together."""
    found: list[Holding] = []
    for (_, task, slot), value in reads:
        process = process_of(task)
        last = found[-1] if found else Holding(-1, 0, 0, 0)
        if (last.process, last.start + last.pages, last.value) == (process, slot, value):
            found[-1] = Holding(process, last.start, last.pages + 1, value)
        else:
            found.append(Holding(process, slot, 1, value))
    return tuple(found)


class _Choices:
    """Asks the oracle which outcomes it would take as well.  It does not see the state, so it may miss some."""

    def __init__(self, ops: Sequence[Operation], steps: Sequence[Step], oracle: Oracle) -> None:
        self._ops, self._steps, self._oracle = ops, steps, oracle
        self._records = [_record(step, (step.status, step.value, step.aux)) for step in steps]
        written = (op[i] for op in ops for i, kind in enumerate(OPS[op[0]].kinds, 2) if kind is VALUE)
        self._values = sorted({0, *written})

    def open(self) -> Iterator[int]:
        """The operations that may come to something else."""
        for op, step in zip(self._ops, self._steps, strict=True):
            before = b"".join(self._records[: step.index])
            program = self._ops[: step.index + 1]
            if any(self._takes(program, before + _record(step, other)) for other in self._other_outcomes(op, step)):
                yield step.index
            for place, ended in enumerate(step.completions):
                others = self._other_values(self._ops[ended.index], ended)
                if any(self._takes(program, before + _with_ending(step, place, other)) for other in others):
                    yield ended.index

    def _other_outcomes(self, op: Operation, step: Step) -> Iterator[tuple[int, int, int]]:
        if step.status in (Status.SKIPPED, Status.BLOCKED) or op[0] == _MESSAGE:
            return
        for status, value in _OTHERS:
            if status != step.status or value != step.value:
                yield status, value, 0
        yield from self._other_values(op, step)

    def _other_values(self, op: Operation, step: Step | Completion) -> Iterator[tuple[int, int, int]]:
        """Of what reads a byte."""
        if op[0] in LOADS and step.status is Status.DONE:
            yield from ((int(Status.DONE), value, step.aux) for value in self._values if value != step.value)

    def leave_open(self, read: Operation, value: int) -> bool:
        """Whether a read after the program may come to another byte."""
        program, before = [*self._ops, read], b"".join(self._records)
        others = (RECORD.pack(len(self._ops), Status.DONE, 0, other, 0) for other in self._values if other != value)
        return any(self._takes(program, before + other) for other in others)

    def _takes(self, program: Sequence[Operation], trace: bytes) -> bool:
        found = self._oracle.expect(program, trace, snapshots=False)
        return found.trace == trace and not found.deviations


def _record(step: Step, outcome: tuple[int, int, int]) -> bytes:
    """A record without a snapshot."""
    completions = (COMPLETION.pack(c.index, c.status, c.value, c.aux) for c in step.completions)
    status, value, aux = outcome
    return RECORD.pack(step.index, status, len(step.completions), value, aux) + b"".join(completions)


def _with_ending(step: Step, place: int, outcome: tuple[int, int, int]) -> bytes:
    """A record without a snapshot, in which an operation that blocked ends otherwise."""
    endings = list(step.completions)
    endings[place] = Completion(endings[place].index, Status(outcome[0]), *outcome[1:])
    return _record(replace(step, completions=tuple(endings)), (step.status, step.value, step.aux))
