"""A machine for tests: the oracle itself as a backend, with faults planted in what it says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from faultline.backend.machine import TakenLock, TaskChain
from faultline.kinds import FindingKind
from faultline.oracle.model import Oracle
from faultline.program.codec import Operation, decode
from faultline.program.ops import NEED_NAMES, OPS
from faultline.program.trace import RECORD, Status
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
    for plant in (healthy, wrong_read, bug_in_fork, deadly_scan, stuck_scan, broken_tool, unsupported)
}


class FakeMachine:
    """Runs a program on the oracle and plants a fault in the trace."""

    version = (6, 12)

    def __init__(self, plant: Plant = healthy, lacks: Sequence[str] = ()) -> None:
        self._plant = plant
        self.has = NEED_NAMES - set(lacks)
        self.finding: Seen | None = None

    def run(self, wire: bytes, *, snapshots: bool = True, internals: bool = False, paranoid: bool = False) -> bytes:
        ops = decode(wire)
        trace, self.finding = self._plant(ops, Oracle(has=self.has).expect(ops).trace)
        return trace

    def close(self) -> None:
        pass


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
