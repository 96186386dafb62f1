"""The built machine: a kernel tree's library, run through its one C interface (csrc/machine.h)."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import cffi

from faultline.build.elf import symbol_offset
from faultline.kinds import FaultlineError, FindingKind
from faultline.program.ops import NEEDS, OPS_MAX, PROCESSES, SLOTS, TASKS
from faultline.program.schedule import POLICIES as _POLICIES
from faultline.program.schedule import Decision, Schedule, Taken
from faultline.program.trace import COMPLETION, COUNTERS, INTERNALS_TAIL, NOTES_MAX, RECORD, SNAPSHOT_HEAD

#: Bytes of one process in a record: its words, its counters, its sharing map and the words of its internals.
_PROCESS_BYTES: Final = 4 * SLOTS + COUNTERS.size + SLOTS + 4 * SLOTS
#: Bytes that the longest trace may take.
_TRACE_BYTES_MAX: Final = OPS_MAX * (
    RECORD.size + PROCESSES * TASKS * COMPLETION.size + SNAPSHOT_HEAD.size + PROCESSES * _PROCESS_BYTES
    + INTERNALS_TAIL.size + NOTES_MAX
)  # fmt: skip
_KINDS: Final = tuple(FindingKind)
#: What stands for all locks that have no name.
OTHER_LOCKS: Final = "other locks"
_HEADER: Final = Path(__file__).resolve().parents[3] / "csrc" / "machine.h"


@dataclass(frozen=True, slots=True)
class TakenLock:
    """A lock that a task held, and the place where it took it, an offset into the library."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class TaskChain:
    """Another task that was under way: where it stood, what it held and what it waited for."""

    task: int
    """Task byte."""
    op: int
    frames: tuple[int, ...]
    locks: tuple[TakenLock, ...]
    waits: str
    """Name of the lock that it waits for; empty: none."""


@dataclass(frozen=True, slots=True)
class MachineFinding:
    """What a checker of the machine saw.  Frames are offsets into the library, innermost first."""

    kind: FindingKind
    op: int
    """Index of the operation; -1: at the end of the program."""
    task: int
    """Task byte of who was running; -1: none."""
    frames: tuple[int, ...]
    other: int
    """A second place, such as where a leaked lock was taken; 0: none."""
    text: str
    locks: tuple[TakenLock, ...] = ()
    """What the task held, the last one first; of findings about what tasks have to do with each other."""
    chains: tuple[TaskChain, ...] = ()
    """Of the same findings: the other tasks."""


@cache
def _ffi(header: Path) -> cffi.FFI:
    """The declarations of machine.h.  Its numeric #defines are kept, its include guard is not."""
    number = re.compile(r"#define \w+\s+\d+")
    ffi = cffi.FFI()
    ffi.cdef("\n".join(s for s in header.read_text().splitlines() if not s.startswith("#") or number.match(s)))
    return ffi


class Machine:
    """One built tree, ready to run programs.  A process may hold several, one per library.

    Raises :class:`FaultlineError` if the library cannot be loaded or the machine cannot start.
    """

    def __init__(self, library: Path, cpus: int = 2) -> None:
        self._ffi = _ffi(_HEADER)
        try:
            # never unloaded: its signal handlers stay in the chain of those of other machines
            self._lib: Any = self._ffi.dlopen(str(library), os.RTLD_NOW | os.RTLD_NODELETE)
        except OSError as error:
            raise FaultlineError(f"{library}: the built machine cannot be loaded: {error}; build it again") from None
        if self._lib.fl_create(cpus):
            text = self._ffi.string(self._lib.fl_error()).decode()
            raise FaultlineError(f"{library}: the machine does not start: {text}")
        self.library = library
        self._room = _TRACE_BYTES_MAX
        self._buffer: Any = self._ffi.new("unsigned char[]", self._room)
        self._view = self._ffi.buffer(self._buffer)
        self._finding: Any = self._ffi.new("struct fl_finding *")
        self._flags: tuple[int, int, int] = (self._lib.FL_SNAPSHOTS, self._lib.FL_INTERNALS, self._lib.FL_PARANOID)
        self._overlaps: int = self._lib.FL_SNAPSHOTS | self._lib.FL_OVERLAPS
        self._plan: Any = self._ffi.new("struct fl_plan *")
        self._taken: Any = self._ffi.new("struct fl_taken *")
        self._run: Any = self._lib.fl_run
        self._have_finding: Any = self._lib.fl_finding
        self._costs: Any = self._ffi.buffer(self._lib.fl_costs(), (OPS_MAX + 1) * self._ffi.sizeof("struct fl_cost"))
        self._weights: Any = self._ffi.NULL

    def run(
        self,
        wire: bytes,
        *,
        snapshots: bool = True,
        internals: bool = False,
        paranoid: bool = False,
        costs: bool = False,
    ) -> bytes:
        """Run a program in wire form; its trace (:mod:`faultline.program.trace`).  See :attr:`finding` after it, and
        :meth:`costs` if these are wanted."""
        flags = snapshots and self._flags[0]
        if internals or paranoid or costs:
            flags |= (internals and self._flags[1]) | (paranoid and self._flags[2]) | (costs and self._lib.FL_COSTS)
        return self._traced(wire, flags)

    def run_last_first(self, wire: bytes) -> bytes:
        """As :meth:`run` with snapshots, but of the tasks that an operation wakes the last one goes on first."""
        return self._traced(wire, self._flags[0] | self._lib.FL_LAST_FIRST)

    def run_overlapping(
        self, wire: bytes, schedule: Schedule, *, paranoid: bool = False, races: bool = False
    ) -> bytes:
        """Run a program whose marked operations overlap as the schedule says; its trace.  See :attr:`taken` after it.

        :param races: data races are findings, if the library is of the variant that finds them.
        """
        plan = self._plan
        plan.policy, plan.parameter = _POLICIES.index(schedule.policy), schedule.parameter
        plan.points, plan.seed = schedule.points, schedule.seed
        plan.late, plan.late_ops, plan.goes_on = schedule.late, schedule.late_ops, schedule.goes_on
        plan.ndecisions = len(schedule.decisions)
        for place, decision in zip(plan.decision, schedule.decisions, strict=False):
            place.block, place.task, place.next, place.passed = decision
        self._lib.fl_schedule(plan)
        return self._traced(
            wire, self._overlaps | (paranoid and self._flags[2]) | (races and self._lib.FL_FIND_RACES)
        )

    def ignore_race(self) -> None:
        """From now on the data race that the last run found is none: these two places, with these locks held."""
        self._lib.fl_races_ignore()

    def _traced(self, wire: bytes, flags: int) -> bytes:
        length = self._run(wire, len(wire), flags, self._buffer, self._room)
        if length < 0:
            raise FaultlineError(f"{self.library}: the machine gave no trace: {errno.errorcode.get(-length, length)}")
        return self._view[:length]  # type: ignore[no-any-return]

    def counters(self, start: int, size: int) -> memoryview:
        """The library's own counters, eight bytes each, as they are now; they may be written.

        :param start: offset of the first one in the library, as :mod:`faultline.build.covmap` tells it; ``size``: in
            bytes.
        """
        return memoryview(self._ffi.buffer(self._ffi.cast("char *", self._base + start), size)).cast("Q")

    @cached_property
    def _base(self) -> int:
        """The address that the library is loaded at."""
        return int(self._ffi.cast("uintptr_t", self._lib.fl_run)) - symbol_offset(self.library, "fl_run")

    def run_counting(self, wire: bytes, ops: int, start: int, size: int) -> list[memoryview]:
        """The library's counters (see :meth:`counters`) before the program ``wire`` and after each of its operations,
        none of which overlap; fewer if the program ended early."""
        before = memoryview(bytes(self.counters(start, size))).cast("Q")
        room: Any = self._ffi.new("unsigned char[]", size * ops)
        self._lib.fl_counts_to(room, size * ops)
        try:
            self.run(wire, snapshots=False)
        finally:
            self._lib.fl_counts_to(self._ffi.NULL, 0)
        data = memoryview(self._ffi.buffer(room)).cast("Q")
        sets = [data[i * size // 8 : (i + 1) * size // 8] for i in range(ops)]
        found = self.finding
        return [before, *(sets if found is None else sets[: max(found.op, 0)])]

    def costs(self, ops: int) -> bytes:
        """What each of the ``ops`` operations of the last program cost, and behind them its end, if that run was told
        to keep it: each a ``struct fl_cost``, see :meth:`cost_layout`."""
        return self._costs[: (ops + 1) * len(self._costs) // (OPS_MAX + 1)]  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Forgets what programs left in caches of the kernel's: the machine is as it was when it started."""
        self._lib.fl_reset()

    def cost_layout(self) -> tuple[tuple[str, str], ...]:
        """The names in ``struct fl_cost``, in order, each with its format for :mod:`struct`; that of a lock is its own,
        with `` (shared)`` where it was taken for reading."""
        layout: list[tuple[str, str]] = []
        for name, field in self._ffi.typeof("struct fl_cost").fields:
            if field.type.kind == "array":
                more = " (shared)" * (name == "shared")
                layout += [(self._lock_or_none(number) + more, "I") for number in range(field.type.length)]
            else:
                layout.append((name, "H" if self._ffi.sizeof(field.type) == 2 else "I"))
        return tuple(layout)

    def _lock_or_none(self, number: int) -> str:
        """Name of a lock; that of number 0 is of all that have no name, and of one that is no number it is empty."""
        name = self._lib.fl_lock_name_of(number)
        if number == 0:
            return OTHER_LOCKS
        return "" if name == self._ffi.NULL else self._ffi.string(name).decode()

    def weigh(self, weights: Sequence[int]) -> None:
        """From now on each of the library's counters (see :meth:`counters`), in order, adds so much to the regions of
        source text that an operation is said to run."""
        self._weights = self._ffi.new("int[]", list(weights))
        self._lib.fl_costs_weigh(self._weights, len(weights))

    @property
    def taken(self) -> Taken:
        """What the last run of :meth:`run_overlapping` decided."""
        taken = self._taken
        self._lib.fl_taken(taken)
        kept = taken.decision[0 : min(taken.ndecisions, self._lib.FL_DECISIONS_MAX)]
        decisions = tuple(Decision(d.block, d.task, d.next, d.passed) for d in kept)
        return Taken(
            decisions,
            taken.ndecisions,
            taken.preemptions,
            taken.points,
            taken.unused,
            bool(taken.left),
            bool(taken.cut),
        )

    @property
    def version(self) -> tuple[int, int, int]:
        """The tree's version, patch level and stable release."""
        series, release = divmod(int(self._lib.fl_version()), 1000)
        return *divmod(series, 100), release

    @property
    def has(self) -> frozenset[str]:
        """What the kernel has, of :data:`faultline.program.ops.NEEDS`."""
        mask = self._lib.fl_has()
        return frozenset(need.name for i, need in enumerate(NEEDS) if mask >> i & 1)

    @property
    def finding(self) -> MachineFinding | None:
        """What the last run found, None if nothing."""
        found = self._finding
        if not self._have_finding(found):
            return None
        return MachineFinding(
            kind=_KINDS[found.kind],
            op=found.op,
            task=found.task,
            frames=tuple(found.frames[0 : found.nframes]),
            other=found.other,
            text=self._string(found.text),
            locks=self._locks(found),
            chains=tuple(
                TaskChain(c.task, c.op, tuple(c.frames[0 : c.nframes]), self._locks(c), self._string(c.waits))
                for c in found.chain[0 : found.nchains]
            ),
        )

    def _string(self, chars: Any) -> str:
        return self._ffi.string(chars).decode(errors="replace")  # type: ignore[no-any-return]

    def _locks(self, place: Any) -> tuple[TakenLock, ...]:
        return tuple(TakenLock(self._string(lock.name), lock.at) for lock in place.lock[0 : place.nlocks])

    def lock_name(self, number: int) -> str:
        """The name of a lock in an internals block (:mod:`faultline.program.trace`)."""
        return self._ffi.string(self._lib.fl_lock_name_of(number)).decode()  # type: ignore[no-any-return]

    @property
    def stats(self) -> dict[str, int]:
        """Counters since the start: programs, operations, faults, lock operations, flushes, restores, pages."""
        stats = self._ffi.new("struct fl_stats *")
        self._lib.fl_stats(stats)
        return {name: getattr(stats, name) for name, _ in self._ffi.typeof("struct fl_stats").fields}

    def canaries(self) -> tuple[str, ...]:
        """Names of the faults that can be planted; the first plants none."""
        return tuple(filter(None, self._canaries()))

    def _canaries(self) -> list[str]:
        """By number; empty: this build has not got it."""
        names: list[str] = []
        while (name := self._lib.fl_canary_name(len(names))) != self._ffi.NULL:
            names.append(self._ffi.string(name).decode())
        return names

    def plant(self, canary: str) -> None:
        """Plant the fault `canary`, one of :meth:`canaries`.  Raises ValueError for an unknown one."""
        if not canary:
            raise ValueError(canary)
        self._lib.fl_canary(self._canaries().index(canary))

    def close(self) -> None:
        """End the machine: no run may follow."""
        self._lib.fl_destroy()
