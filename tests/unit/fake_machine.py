"""A machine for tests: the oracle itself as a backend, with faults planted in what it says."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from faultline.backend.machine import TakenLock, TaskChain
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.codec import Operation, alone, blocks, decode, overlaps
from faultline.program.ops import NEED_NAMES, OPS
from faultline.program.schedule import NOBODY, NOTHING_TAKEN, Decision, Schedule, Taken, number_of
from faultline.program.trace import COMPLETION, COUNTERS, RECORD, SNAPSHOT_HEAD, Status
from faultline.program.traceview import Snapshot, Step, parse_trace
from faultline.verdict.finding import Place
from faultline.verdict.judge import Judge, Side


@dataclass(frozen=True)
class Seen:
    """What the fake's checkers saw; frames are offsets that :func:`locate` knows."""

    kind: FindingKind
    op: int
    task: int = -1
    frames: tuple[int, ...] = (1, 2, 3)
    other: int = 0
    text: str = "a planted finding"
    locks: tuple[TakenLock, ...] = ()
    chains: tuple[TaskChain, ...] = ()


PLACES = {
    1: [Place("fl_lock", "csrc/check/locks.c", 10)],
    2: [Place("pte_unmap", "include/linux/pgtable.h", 20), Place("do_wp_page", "mm/memory.c", 30)],
    3: [Place("handle_mm_fault", "mm/memory.c", 40)],
}

Plant = Callable[[Sequence[Operation], bytes], "tuple[bytes, Seen | None]"]


def locate(offset: int) -> Sequence[Place]:
    """The places that an offset stands for."""
    return PLACES.get(offset, [])


def record_at(ops: Sequence[Operation], index: int) -> int:
    """Where in the oracle's trace the record of an operation begins."""
    return len(Oracle().expect(ops[:index]).trace)


def with_record(
    ops: Sequence[Operation],
    trace: bytes,
    index: int,
    *,
    status: int | None = None,
    value: int | None = None,
    aux: int | None = None,
) -> bytes:
    """The trace with another outcome in one record."""
    at = record_at(ops, index)
    number, old_status, count, old_value, old_aux = RECORD.unpack_from(trace, at)
    new = (old if given is None else given for given, old in ((status, old_status), (value, old_value), (aux, old_aux)))
    status, value, aux = new
    return trace[:at] + RECORD.pack(number, status, count, value, aux) + trace[at + RECORD.size :]


def first(ops: Sequence[Operation], name: str, trace: bytes, status: Status = Status.DONE) -> int | None:
    """The index of the first operation of this name with this status."""
    for index, op in enumerate(ops):
        if OPS[op[0]].name == name and RECORD.unpack_from(trace, record_at(ops, index))[1] == status:
            return index
    return None


# --- plants, by name so that a worker process can be told ---


def healthy(_: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    return trace, None


def wrong_read(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """The first load that succeeds gives another byte."""
    index = first(ops, "read", trace)
    if index is None:
        return trace, None
    value = RECORD.unpack_from(trace, record_at(ops, index))[3]
    return with_record(ops, trace, index, value=value ^ 1), None


def read_before_write(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """A load that comes just before another task's store is a bug."""
    for index, (op, following) in enumerate(pairwise(ops)):
        if (OPS[op[0]].name, OPS[following[0]].name) == ("read", "write") and op[1] != following[1]:
            return trace[: record_at(ops, index)], Seen(FindingKind.LOCK_LEAK, index)
    return trace, None


def deadly_order(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """A load that comes just before another task's store kills the process."""
    if read_before_write(ops, trace)[1]:
        os.kill(os.getpid(), signal.SIGSEGV)
    return trace, None


def bug_in_fork(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """A fork ends the program."""
    index = first(ops, "fork", trace)
    if index is None:
        return trace, None
    return trace[: record_at(ops, index)], Seen(FindingKind.KERNEL_BUG, index)


def deadly_scan(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """A full KSM scan kills the process."""
    if any(OPS[op[0]].name == "ksm-scan" for op in ops):
        os.kill(os.getpid(), signal.SIGSEGV)
    return trace, None


def stuck_scan(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """A full KSM scan never ends."""
    while any(OPS[op[0]].name == "ksm-scan" for op in ops):
        time.sleep(1)
    return trace, None


def broken_tool(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """Our own code fails at a munmap."""
    if any(OPS[op[0]].name == "munmap" for op in ops):
        raise RuntimeError("planted")
    return trace, None


def unsupported(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
    """The machine lacks what a load or store needs."""
    for index, op in enumerate(ops):
        if OPS[op[0]].name in ("read", "write"):
            return trace[: record_at(ops, index)], Seen(FindingKind.TOOL_ERROR, index, frames=())
    return trace, None


PLANTS: dict[str, Plant] = {
    plant.__name__: plant
    for plant in (
        healthy, wrong_read, read_before_write, deadly_order, bug_in_fork, deadly_scan, stuck_scan, broken_tool,
        unsupported,
    )
}


class FakeMachine:
    """Runs a program on the oracle and plants a fault in the trace."""

    version = (6, 12)

    def __init__(self, plant: Plant = healthy, lacks: Sequence[str] = ()) -> None:
        self._plant = plant
        self.has = NEED_NAMES - set(lacks)
        self.finding: Seen | None = None
        self.taken = NOTHING_TAKEN

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes:
        ops = decode(wire)
        trace, self.finding = self._plant(ops, Oracle(has=self.has).expect(ops).trace)
        return trace

    def run_last_first(self, wire: bytes) -> bytes:
        """The oracle knows no order of those that are woken together."""
        return self.run(wire)

    def run_overlapping(self, wire: bytes, schedule: Schedule, *, paranoid: bool = False) -> bytes:
        """Whole operations, in the order that the schedule gives: the end of each is its only scheduling point."""
        ops = decode(wire, with_blocks=True)
        scheduler = _Scheduler(schedule)
        order = [index for start, end in _parts(ops) for index in scheduler.order(ops, start, end)]
        self.taken = Taken(tuple(scheduler.taken), len(scheduler.taken), scheduler.preemptions, len(order), 0)
        in_order = [alone(ops[index]) for index in order]
        trace, seen = self._plant(in_order, Oracle(has=self.has).expect(in_order).trace)
        self.finding = seen and replace(seen, op=order[seen.op] if 0 <= seen.op < len(order) else seen.op)
        return _with_blocks(parse_trace(trace, in_order, snapshots=True), order, ops)

    def close(self) -> None:
        pass


def _parts(ops: Sequence[Operation]) -> list[tuple[int, int]]:
    """Blocks, and what is in none, each by itself."""
    inside = blocks(ops)
    single = [(i, i + 1) for i, op in enumerate(ops) if not overlaps(op)]
    return sorted(inside + single)


class _Scheduler:
    """Decides as the machine does (csrc/sched): who runs goes on unless the policy says otherwise."""

    def __init__(self, schedule: Schedule) -> None:
        self._random = random.Random(schedule.seed) if schedule.policy in ("random", "pct", "coarse", "steps") else None
        self._told = list(schedule.decisions)
        self._block = -1
        self.taken: list[Decision] = []
        self.preemptions = 0

    def order(self, ops: Sequence[Operation], start: int, end: int) -> Iterator[int]:
        if not overlaps(ops[start]):
            yield start
            return
        self._block += 1
        left: dict[int, list[int]] = {}
        for index in range(start, end):
            left.setdefault(number_of(ops[index]), []).append(index)
        passed: Counter[int] = Counter()
        running = NOBODY
        while left:
            passed[running] += 1
            running = self._next(running, passed[running], sorted(left))
            yield left[running].pop(0)
            if not left[running]:
                del left[running]

    def _next(self, running: int, passed: int, tasks: list[int]) -> int:
        by_default = running if running in tasks else tasks[0]
        chosen = self._random.choice(tasks) if self._random else by_default
        if self._told and self._told[0][:2] == (self._block, running) and self._told[0].passed == passed:
            told = self._told.pop(0).next
            chosen = told if told in tasks else by_default
        if chosen != by_default:
            self.taken.append(Decision(self._block, running, chosen, passed))
            self.preemptions += running in tasks
        return chosen


def _with_blocks(steps: Sequence[Step], order: Sequence[int], ops: Sequence[Operation]) -> bytes:
    """The trace of the program itself: of a block outcomes, and the one snapshot, are as they are at its end."""
    trace, done = b"", 0
    for start, end in _parts(ops):
        part = steps[done : done + end - start]
        if len(part) < end - start:
            break  # the machine stopped here
        outcome, earlier = {}, []
        for place, step in enumerate(part, done):
            outcome[order[place]] = step.status, step.value, step.aux
            for one in step.completions:
                ended = order[one.index], one.status, one.value, one.aux
                if ended[0] < start:
                    earlier.append(ended)
                else:
                    outcome[ended[0]] = ended[1:]
        done += end - start
        for index in range(start, end):
            ended_now = sorted(earlier) if index == end - 1 else []
            status, value, aux = outcome[index]
            trace += RECORD.pack(index, status, len(ended_now), value, aux)
            trace += b"".join(COMPLETION.pack(*ended) for ended in ended_now)
        trace += (not overlaps(ops[start]) and part[-1].sharing) or b""
        trace += _packed(part[-1].snapshot)
    return trace


def _packed(snapshot: Snapshot | None) -> bytes:
    assert snapshot is not None
    packed = SNAPSHOT_HEAD.pack(sum(1 << process for process in snapshot.words))
    for process, words in snapshot.words.items():
        packed += struct.pack(f"<{len(words)}I", *words) + COUNTERS.pack(*snapshot.counters[process])
    return packed


def _open(
    before_run: Callable[[bytes], None],
    *,
    plants: Sequence[str],
    base: Sequence[str] | None,
    known: Sequence[str],
    lacks: Sequence[str],
) -> Judge:
    sides = [Side(FakeMachine(_all(names), lacks), locate) for names in (plants, base) if names is not None]
    return Judge(sides[0], sides[1] if base is not None else None, known=known, before_run=before_run)


def _all(names: Sequence[str]) -> Plant:
    def plant(ops: Sequence[Operation], trace: bytes) -> tuple[bytes, Seen | None]:
        for name in names:
            changed, seen = PLANTS[name](ops, trace)
            if seen or changed != trace:
                return changed, seen
        return trace, None

    return plant


def judge_maker(
    *plants: str, base: Sequence[str] | None = None, known: Sequence[str] = (), lacks: Sequence[str] = ()
) -> Callable[[Callable[[bytes], None]], Judge]:
    """What opens a judge over fakes, in any process; ``base``: the plants of the base tree's machine; ``lacks``:
    what their kernel lacks."""
    return partial(_open, plants=plants, base=base, known=known, lacks=lacks)


def fake_judge(*plants: str, base: Sequence[str] | None = None, known: Sequence[str] = ()) -> Judge:
    """A judge over fakes in this process."""
    return judge_maker(*plants, base=base, known=known)(lambda _: None)
