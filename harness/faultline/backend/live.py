"""The running kernel as a backend: real processes, real userfaultfds, the same trace as from the built machine.

Every process of a program is a process (:file:`live_worker.c`), every task a thread of it; this module is the monitor.
Operations run one at a time.  An operation has blocked when its thread sleeps in the kernel's userfaultfd code, which
``/proc/PID/task/TID/wchan`` tells; everything in a snapshot is read from ``/proc`` without touching the memory.

What differs from the built machine: ``ksm-merge`` cannot be aimed at pages, ksmd looks at all mergeable memory.
References to pages are a pipe's, by vmsplice().
Needs root (userfaultfd, pagemap's PFNs, the KSM knobs), gcc, and x86-64 or arm64 with pages of 4 KiB.  What the kernel
offers beyond that is tried (:mod:`faultline.backend.live_offer`).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final

from faultline.backend.live_files import Files, Outcome, byte_of
from faultline.backend.live_knobs import Keeper, Ksm, Swap
from faultline.backend.live_offer import NEVER, PAGE, look, requirement_missing
from faultline.backend.live_process import REGION, Process, SnapshotReader, built
from faultline.kinds import ExitStatus, FaultlineError
from faultline.program import cheader
from faultline.program.codec import Operation, process_of, task_of
from faultline.program.ops import (
    ADVICE,
    BY_NAME,
    CATEGORY,
    COPY_MODE,
    OP_SIZE,
    OPS,
    PINS,
    PROCESSES,
    REGISTER_MODE,
    SCAN_MODE,
    SHARING,
    SLOTS,
    TASK_MONITOR,
    TASKS,
    WAKE_MODE,
    Op,
)
from faultline.program.trace import (
    COMPLETION,
    RECORD,
    SNAPSHOT_HEAD,
    Bit,
    Event,
    Skip,
    Status,
    Wait,
)

_WORKER, _KEEPER, _SNAPSHOT = (
    Path(__file__).with_name(f"live_{name}.c") for name in ("worker", "keeper", "snapshot")
)
_SERVICE: Final = TASKS
_COMMAND_SPAWN, _COMMAND_BECOME = 0xFE, 0xFF
_RESULT_ALIVE, _RESULT_READY = 0x100, 0x101
_RESULT: Final = struct.Struct("iiiii")

_FORK, _EXIT, _SCAN, _SWAPOFF = (BY_NAME[name].code for name in ("fork", "exit", "pagemap-scan", "swapoff"))
_REF, _PIN_WRITE = (BY_NAME[name].code for name in ("ref", "pin-write"))
_UFFD_OPEN, _MOVE = (BY_NAME[name].code for name in ("uffd-open", "uffd-move"))
#: These bring their handle, the first operand, into being.
_OPENS: Final = frozenset({_UFFD_OPEN, BY_NAME["file-open"].code})
_REMOTE: Final = frozenset(BY_NAME[name].code for name in ("process-read", "process-write"))
#: An operation that neither ends nor sleeps is given up after this time.
_STALL_SECONDS: Final = 20.0

_MADV_PAGEOUT: Final = 21
_READ, _WRITE, _MADVISE = (BY_NAME[name].code for name in ("read", "write", "madvise"))
_PAGEOUT, _DONTNEED, _FREE = (ADVICE.words.index(word) for word in ("pageout", "dontneed", "free"))
#: What kernel, and which processor, flushes the TLB late when these wait (corpora/known/dontneed-flushes-late.repro).
_FLUSHES_LATE: Final = (_DONTNEED, _FREE)
_FLUSHES_LATE_SINCE: Final = (6, 16)
_FLUSHES_LATE_ON: Final = "x86_64"
_KSM_ADVICE: Final = frozenset(ADVICE.words.index(word) for word in ("mergeable", "unmergeable"))
#: Advice that the worker has the kernel refuse, as one that has not heard of it.
_REFUSED: Final = ADVICE.words.index("hugepage")
_GUARD_INSTALL: Final = BY_NAME["guard-install"].code
_SYS_PROCESS_MADVISE: Final = 440

_PFN: Final = (1 << 55) - 1

_UFFD_MSG: Final = struct.Struct("<B7xQQQ")


def _ioctl(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | 0xAA << 8 | number


_REGISTER: Final = _ioctl(3, 0x00, 32)
_UNREGISTER: Final = _ioctl(2, 0x01, 16)
_WAKE: Final = _ioctl(2, 0x02, 16)
_COPY: Final = _ioctl(3, 0x03, 40)
_ZEROPAGE: Final = _ioctl(3, 0x04, 32)
_WRITEPROTECT: Final = _ioctl(3, 0x06, 24)
_CONTINUE: Final = _ioctl(3, 0x07, 32)

_POISON: Final = _ioctl(3, 0x08, 32)
#: PAGEMAP_SCAN of linux/fs.h, the categories, its argument and what it returns: struct pm_scan_arg, struct page_region.
_PAGEMAP_SCAN: Final = 3 << 30 | 96 << 16 | ord("f") << 8 | 16
_PAGE_IS: Final = {
    word: 1 << bit
    for bit, word in enumerate(("wpallowed", "written", "file", "present", "swapped", "pfnzero", "huge", "soft-dirty"))
}
_SCAN_ARG: Final = struct.Struct("<12Q")
_REGION_FOUND: Final = struct.Struct("<QQQ")

_libc = ctypes.CDLL(None, use_errno=True)


def _address(slot: int) -> int:
    return REGION + slot * PAGE


def _slot(address: int) -> int:
    return (address - REGION) // PAGE


def _flag(kind_words: tuple[str, ...], word: str) -> int:
    return 1 << kind_words.index(word)


def _page_pipe() -> tuple[int, int]:
    """A pipe that holds as many pages as the region has; reading it never waits."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, SLOTS * PAGE)
    return read, write


@dataclass(frozen=True, slots=True)
class _Shape:
    """An operation's name and needs, and at which place it has which operand; 0: it has none of that kind."""

    name: str
    method: str
    """Of :class:`_Run`, if the monitor does it."""
    needs: frozenset[str]
    process: int
    pin: int
    slot: int
    uffd: int
    file: int
    child: int

    @classmethod
    def of(cls, op: Op) -> _Shape:
        places = {name: place for place, (name, _) in enumerate(op.operands, 2)}
        kinds = (places.get(kind, 0) for kind in ("process", "pin", "slot", "uffd", "file", "child"))
        return cls(op.name, "_" + op.name.replace("-", "_"), frozenset(op.needs), *kinds)


_SHAPES: Final = tuple(_Shape.of(op) for op in OPS)


@dataclass(slots=True)
class _Outstanding:
    """A task whose operation has not ended yet."""

    index: int
    op: Operation
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Stop:
    """Why a program ended before its last operation; the trace has no record of the one that it is about."""

    index: int
    why: str
    stuck: bool = False
    """That operation was begun and did not come to an end."""


class _Stuck(FaultlineError):
    """A wait of the monitor was in vain."""


class LiveBackend:
    """Runs programs on the running kernel.  A context manager; close() ends the workers and restores the settings that
    were changed; if this process dies before, the keeper does (:mod:`faultline.backend.live_knobs`).

    :param cpu: the CPU to which monitor and workers are pinned, for repeatable runs; None: they are not pinned.
    :raises FaultlineError: (SKIPPED) a requirement is missing, or another Faultline works on the live kernel; (ERROR)
        the worker cannot be built.
    """

    def __init__(self, *, cpu: int | None = None) -> None:
        missing = requirement_missing()
        if missing:
            raise FaultlineError(missing, ExitStatus.SKIPPED)
        self._affinity = os.sched_getaffinity(0)
        self._ksm: Ksm | None = None
        self._swap: Swap | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="faultline-live-")
        folder = Path(self._folder.name)
        (folder / "ops.h").write_text(cheader.c_header())
        self._program = built(folder, _WORKER)
        self.reader: Final = SnapshotReader(built(folder, _SNAPSHOT, library=True))
        self._keeper = Keeper(built(folder, _KEEPER))
        try:
            self.offer: Final = look()
        except BaseException:
            self._keeper.close()
            raise
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        self._start_worker()
        self._source = ctypes.create_string_buffer(SLOTS * PAGE)
        self._zero_pfn = self._find_zero_pfn()
        self.flushes_late: Final = (
            self.offer.version >= _FLUSHES_LATE_SINCE and os.uname().machine == _FLUSHES_LATE_ON
        )
        self.stopped: Stop | None = None
        """Why the last program was not run to its end; None: it was."""

    def _start_worker(self) -> None:
        self._commands = [[os.pipe() for _ in range(TASKS + 1)] for _ in range(PROCESSES)]
        zygote, self._zygote = os.pipe()
        self._results, results = os.pipe()
        os.set_blocking(self._results, False)
        self._uffds, uffds = socket.socketpair()
        reads = [read for row in self._commands for read, _ in row]
        self._pipes = [_page_pipe() for _ in range(PINS)]
        self._spare = _page_pipe()
        passed = [zygote, results, uffds.detach(), *reads, *(write for _, write in self._pipes)]
        self._worker = subprocess.Popen([self._program, *map(str, passed)], pass_fds=passed)
        for fd in passed:
            os.close(fd)

    def _end_worker(self) -> None:
        pipes = (*(read for read, _ in self._pipes), *self._spare)
        for fd in (self._zygote, self._results, *(write for row in self._commands for _, write in row), *pipes):
            os.close(fd)
        self._uffds.close()
        self._worker.wait()

    def __enter__(self) -> LiveBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers and puts back what was changed."""
        self._end_worker()
        self._keeper.close()
        self._folder.cleanup()
        os.sched_setaffinity(0, self._affinity)

    def run(self, ops: Sequence[Operation], *, snapshots: bool = True) -> bytes:
        """The trace of a program; see :attr:`stopped` after it.

        :raises FaultlineError: the backend itself is at fault.
        """
        self.stopped = None
        return _Run(self, ops, snapshots).trace()

    def restart(self) -> None:
        """Ends the worker, with what may be under way there, and starts another one, also in a forked child."""
        self._end_worker()
        self._start_worker()

    @staticmethod
    def _find_zero_pfn() -> int:
        with mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page, open("/proc/self/pagemap", "rb") as f:
            _ = page[0]
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            f.seek(address // PAGE * 8)
            return int.from_bytes(f.read(8), "little") & _PFN

    # --- what a run needs ---

    def swap(self) -> Swap:
        """The swap device, which is on from now on."""
        if self._swap is None:
            self._swap = Swap(self._keeper)
        return self._swap

    def start_process(self) -> None:
        os.write(self._zygote, b"\0")

    def command(self, process: int, task: int, *values: int) -> None:
        os.write(self._commands[process][task][1], bytes(values).ljust(OP_SIZE, b"\0"))

    def results(self, timeout_ms: float) -> Iterator[tuple[int, int, int, int, int]]:
        """Results that have arrived; waits up to the timeout for the first."""
        if timeout_ms:
            select.select([self._results], [], [], timeout_ms / 1000)
        try:
            data = os.read(self._results, _RESULT.size * 64)
        except BlockingIOError:
            return iter(())
        return _RESULT.iter_unpack(data)

    def userfaultfd(self) -> int:
        """The descriptor that a process has handed over."""
        _, (fd,), *_ = socket.recv_fds(self._uffds, 1, 1, socket.MSG_CMSG_CLOEXEC)
        return fd

    def source(self, value: int, pages: int) -> int:
        """The address of pages filled with the byte."""
        ctypes.memset(self._source, value, pages * PAGE)
        return ctypes.addressof(self._source)

    def scan_ksm(self) -> None:
        """Lets ksmd scan until equal pages have had their chance."""
        if self._ksm is None:
            self._ksm = Ksm(self._keeper)
        self._ksm.scan()

    def referenced(self, pin: int) -> bytes:
        """What the pages of a handle hold."""
        read, write = self._spare
        size = _libc.tee(self._pipes[pin][0], write, SLOTS * PAGE, 0)
        if size < 0:
            raise FaultlineError(f"live: tee: {os.strerror(ctypes.get_errno())}")
        return os.read(read, size)

    def unreference(self, pin: int) -> None:
        """Gives the references of a handle back, if there are any."""
        with suppress(BlockingIOError):
            while os.read(self._pipes[pin][0], SLOTS * PAGE):
                pass

    def is_zero(self, entry: int) -> bool:
        return entry & _PFN == self._zero_pfn


class _Run:
    """One program."""

    def __init__(self, backend: LiveBackend, ops: Sequence[Operation], snapshots: bool) -> None:
        self._backend = backend
        self._ops = ops
        self._snapshots = snapshots
        self._live: dict[int, Process] = {}
        self._alive: dict[int, int] = {}
        """The pids of processes that have spoken but are not in ``_live`` yet."""
        self._born: set[int] = set()
        """Children whose fork has returned in the parent but who have not spoken yet."""
        self._uffds: dict[int, int] = {}
        self._pins: dict[int, tuple[int, int]] = {}
        """The first slot and the pages by handle."""
        self._files = Files()
        self._blocked: dict[int, _Outstanding] = {}
        self._unflushed: dict[int, set[int]] = {}
        """By the task that gives them up, and waits: the slots of pages that its process may still reach."""
        self._tasks: dict[int, set[int]] = defaultdict(set)
        """The tasks of each process that the program uses."""
        for op in ops:
            if op[1] != TASK_MONITOR:
                self._tasks[process_of(op[1])].add(task_of(op[1]))

    def trace(self) -> bytes:
        out = bytearray()
        begun = False
        try:
            self._backend.start_process()
            self._until(lambda: 0 in self._alive, "the first process does not start")
            self._adopt(0)
            begun = True
            for index, op in enumerate(self._ops):
                why = self._not_to_be_run(op)
                if why is not None:
                    self._backend.stopped = Stop(index, why)
                    break
                self._record(index, op, out)
        except _Stuck as stuck:
            if not begun:
                raise
            self._backend.stopped = Stop(index, str(stuck), stuck=True)
        finally:
            self._end()
        return bytes(out)

    def _end(self) -> None:
        for pid in self._alive.values():
            os.kill(pid, signal.SIGKILL)
        for process in self._live.values():
            process.kill()
        for process in self._live.values():
            process.wait()
            process.close()
        for fd in self._uffds.values():
            os.close(fd)
        self._files.close()
        for pin in {op[2] for op in self._ops if op[0] == _REF}:
            self._backend.unreference(pin)
        self._drain(0)
        if self._backend.stopped is not None and self._backend.stopped.stuck:
            self._backend.restart()

    def _not_to_be_run(self, op: Operation) -> str | None:
        """Why an operation must not be tried on this kernel; None: it may."""
        if op[0] == _GUARD_INSTALL and op[1] not in self._blocked:
            process = self._live.get(process_of(op[1]))
            if process is not None and process.protects_file(self._backend.reader, op[2], op[3]):
                return "on write-protected pages of a file it never ends (corpora/known/guard-install-endless.repro)"
        if op[0] in (_READ, _WRITE) and self._unflushed and self._is_unflushed(process_of(op[1]), op[2]):
            return "the page is being given up, and may still be reached (corpora/known/dontneed-flushes-late.repro)"
        return self._backend.offer.paging_out if op[0] == _MADVISE and op[4] == _PAGEOUT else None

    def _is_unflushed(self, process: int, slot: int) -> bool:
        """Whether a page that is gone may still be reached, by what a processor remembers."""
        self._unflushed = {task: slots for task, slots in self._unflushed.items() if task in self._blocked}
        return any(process_of(task) == process and slot in slots for task, slots in self._unflushed.items())

    def _note_unflushed(self, op: Operation, process: Process, before: Sequence[int]) -> None:
        """Which pages an advice, that waits for its event to be read, has given up by then; of MADV_FREE nothing shows,
        so all are taken for that."""
        now = process.words(self._backend.reader)
        slots = range(op[2], min(op[2] + op[3], SLOTS))
        gone = {s for s in slots if before[s] & Bit.PRESENT and (op[4] == _FREE or not now[s] & Bit.PRESENT)}
        if gone:
            self._unflushed[op[1]] = gone

    def _record(self, index: int, op: Operation, out: bytearray) -> None:
        shape = _SHAPES[op[0]]
        before = dict(self._blocked)
        outcome = self._skip(op)
        if outcome is None:
            if shape.name.startswith("file-"):
                outcome = self._files.operation(shape.name, *op[2:])
            elif op[1] == TASK_MONITOR:
                outcome = getattr(self, shape.method)(*op[2:])
            else:
                outcome = self._by_task(index, op)
        self._settle()
        completions = []
        for key in sorted(before, key=lambda t: (process_of(t), task_of(t))):
            done = before[key]
            if done.outcome:
                completions.append(COMPLETION.pack(done.index, *done.outcome))
        out += RECORD.pack(index, outcome[0], len(completions), *outcome[1:]) + b"".join(completions)
        if self._snapshots:
            if op[0] in SHARING:
                out += self._sharing()
            out += SNAPSHOT_HEAD.pack(sum(1 << p for p in self._live))
            for p in sorted(self._live):
                out += self._backend.reader.row(self._live[p])

    def _skip(self, op: Operation) -> Outcome | None:
        shape, task = _SHAPES[op[0]], op[1]
        skip: Skip | None = None
        if task != TASK_MONITOR and process_of(task) not in self._live:
            skip = Skip.NO_PROCESS
        elif task in self._blocked:
            skip = Skip.BUSY
        elif not shape.needs <= self._backend.offer.has:
            skip = Skip.LACKS
        elif shape.process and op[shape.process] not in self._live:
            skip = Skip.NO_PROCESS
        elif (op[0] == _EXIT and self._used_from_outside(process_of(task))) or (op[0] == _SWAPOFF and self._blocked):
            skip = Skip.BUSY
        elif shape.pin:
            skip = self._pin_skip(shape, op)
        elif op[0] in _OPENS:
            skip = Skip.HANDLE_USED if op[2] in (self._uffds if shape.uffd else self._files) else None
        elif (shape.uffd and op[shape.uffd] not in self._uffds) or (shape.file and op[shape.file] not in self._files):
            skip = Skip.NO_HANDLE
        elif shape.child and op[0] != _FORK and op[shape.child] in self._uffds:
            skip = Skip.HANDLE_USED
        elif op[0] == _FORK and (op[shape.child] in self._live or op[shape.child] in self._under_way(_FORK)):
            skip = Skip.EXISTS
        return None if skip is None else (Status.SKIPPED, skip, 0)

    def _pin_skip(self, shape: _Shape, op: Operation) -> Skip | None:
        pin = op[shape.pin]
        if op[0] == _REF:
            return Skip.HANDLE_USED if pin in self._pins or pin in self._under_way(_REF) else None
        start, pages = self._pins.get(pin, (0, 0))
        if not pages or op[0] == _PIN_WRITE or not start <= (op[shape.slot] if shape.slot else start) < start + pages:
            return Skip.NO_HANDLE
        return None

    def _used_from_outside(self, process: int) -> bool:
        return any(
            o.op[0] in _REMOTE and o.op[2] == process and process_of(task) != process
            for task, o in self._blocked.items()
        )

    def _under_way(self, code: int) -> set[int]:
        """The first operands of operations that have not ended."""
        return {o.op[2] for o in self._blocked.values() if o.op[0] == code}

    # --- tasks ---

    def _by_task(self, index: int, op: Operation) -> Outcome:
        p, t = process_of(op[1]), task_of(op[1])
        process = self._live[p]
        if t not in process.tids:
            self._start_task(process, p, t)
        if op[0] == _SCAN:
            return self._scan_pages(process, *op[2:])
        if op[0] == _MADVISE:
            op = self._advice(op)
        before: Sequence[int] = ()
        if op[0] == _MADVISE and op[4] in _FLUSHES_LATE and self._uffds and self._backend.flushes_late:
            before = process.words(self._backend.reader)
        pending = self._blocked[op[1]] = _Outstanding(index, op)
        self._backend.command(p, t, op[0], *op[2:], *self._pid_of_target(op), *self._descriptor(op))
        if op[0] == _EXIT:
            return self._exited(p)
        self._settle()
        if not pending.outcome:
            wait = self._sleep(op[1])
            assert wait is not None, "settled"
            if before:
                self._note_unflushed(op, process, before)
            return Status.BLOCKED, wait, 0
        if op[0] == _UFFD_OPEN and pending.outcome[0] == Status.DONE:
            self._uffds[op[2]] = self._backend.userfaultfd()
        return pending.outcome

    def _start_task(self, process: Process, p: int, t: int) -> None:
        if len(self._tasks[p]) == 1:
            self._backend.command(p, _SERVICE, _COMMAND_BECOME, t)
            process.tids[t] = process.pid
        else:
            self._backend.command(p, _SERVICE, _COMMAND_SPAWN, t)
            self._until(lambda: t in process.tids, "a task does not start")

    def _advice(self, op: Operation) -> Operation:
        """The advice as it is to be given."""
        has = self._backend.offer.has
        if op[4] == _PAGEOUT and "swap" in has:
            self._backend.swap()
        return op if op[4] not in _KSM_ADVICE or "ksm" in has else (*op[:4], _REFUSED)

    def _pid_of_target(self, op: Operation) -> bytes:
        """What follows the operands of an access to another process, from byte 4 of the command on."""
        if op[0] not in _REMOTE:
            return b""
        return bytes(5 - len(op)) + self._live[op[2]].pid.to_bytes(4, "little")

    def _descriptor(self, op: Operation) -> bytes:
        """What follows the operands of a move of pages: the monitor's descriptor, for the process to borrow."""
        return self._uffds[op[2]].to_bytes(2, "little") if op[0] == _MOVE else b""

    def _exited(self, p: int) -> Outcome:
        process = self._live.pop(p)
        process.wait()
        process.close()
        for task in [t for t in self._blocked if process_of(t) == p]:
            self._blocked.pop(task).outcome = (Status.KILLED, 0, 0)
        return Status.DONE, 0, 0

    def _sleep(self, task: int) -> Wait | None:
        """What the task sleeps for; None: it runs, or sleeps elsewhere."""
        return self._live[process_of(task)].sleeps(task_of(task))

    def _settled(self) -> bool:
        return not self._born and all(self._sleep(task) for task in self._blocked)

    def _settle(self) -> None:
        """Waits until each task with an operation under way has ended it or sleeps for a userfaultfd."""
        if self._blocked or self._born:
            self._until(self._settled, "an operation neither ends nor sleeps")

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Takes results in until the condition holds.

        :raises _Stuck: it does not come to hold in time.
        """
        deadline = time.monotonic() + _STALL_SECONDS
        self._drain(0)
        while not condition():
            if time.monotonic() > deadline:
                raise _Stuck(f"{what}; look at the kernel log")
            self._drain(1)

    def _drain(self, timeout_ms: float) -> None:
        for p, t, kind, value, aux in self._backend.results(timeout_ms):
            task = p | t << (PROCESSES - 1).bit_length()
            if kind == _RESULT_ALIVE:
                self._alive[p] = value
            elif kind == _RESULT_READY:
                self._live[p].tids[t] = value
            elif task in self._blocked:
                done = self._blocked.pop(task)
                done.outcome = self._ended(done.op, kind, value, aux)
                if done.op[0] == _FORK and kind == Status.DONE:
                    self._born.add(done.op[2])
        for p in self._born & self._alive.keys():
            self._born.remove(p)
            self._adopt(p)

    def _ended(self, op: Operation, status: int, value: int, aux: int) -> Outcome:
        """The outcome that a worker's result stands for."""
        if op[0] != _REF or status != Status.DONE:
            return status, value, aux
        self._pins[op[2]] = (op[3], value)
        return status, 0, value

    def _adopt(self, p: int) -> None:
        self._live[p] = Process(self._alive.pop(p))

    # --- the monitor's operations ---

    def _call(self, uffd: int, request: int, data: bytes) -> tuple[int, bytes]:
        """The errno of an ioctl, 0 if it succeeded, and its structure afterwards."""
        buffer = bytearray(data)
        try:
            fcntl.ioctl(self._uffds[uffd], request, buffer)
        except OSError as error:
            return error.errno or errno.EIO, bytes(buffer)
        return 0, bytes(buffer)

    def _simple(self, uffd: int, request: int, data: bytes) -> Outcome:
        error, _ = self._call(uffd, request, data)
        return (Status.ERROR, error, 0) if error else (Status.DONE, 0, 0)

    def _uffd_register(self, uffd: int, start: int, pages: int, mode: int) -> Outcome:
        assert REGISTER_MODE.words == ("missing", "wp", "minor")
        return self._simple(uffd, _REGISTER, struct.pack("<QQQQ", _address(start), pages * PAGE, mode, 0))

    def _uffd_unregister(self, uffd: int, start: int, pages: int) -> Outcome:
        return self._simple(uffd, _UNREGISTER, struct.pack("<QQ", _address(start), pages * PAGE))

    def _uffd_wake(self, uffd: int, start: int, pages: int) -> Outcome:
        return self._simple(uffd, _WAKE, struct.pack("<QQ", _address(start), pages * PAGE))

    def _uffd_close(self, uffd: int) -> Outcome:
        os.close(self._uffds.pop(uffd))
        return Status.DONE, 0, 0

    def _uffd_wp(self, uffd: int, start: int, pages: int) -> Outcome:
        return self._simple(uffd, _WRITEPROTECT, struct.pack("<QQQ", _address(start), pages * PAGE, 1))

    def _uffd_resolve(self, uffd: int, start: int, pages: int, mode: int) -> Outcome:
        bits = 2 if mode & _flag(WAKE_MODE.words, "dontwake") else 0
        return self._simple(uffd, _WRITEPROTECT, struct.pack("<QQQ", _address(start), pages * PAGE, bits))

    def _fill(self, uffd: int, request: int, data: bytes) -> Outcome:
        error, after = self._call(uffd, request, data)
        filled = int.from_bytes(after[-8:], "little", signed=True)
        aux = filled // PAGE if filled >= 0 else filled
        return (Status.ERROR, error, aux) if error else (Status.DONE, 0, aux)

    def _uffd_copy(self, uffd: int, start: int, pages: int, value: int, mode: int) -> Outcome:
        bits = (1 if mode & _flag(COPY_MODE.words, "dontwake") else 0) | (
            2 if mode & _flag(COPY_MODE.words, "wp") else 0
        )
        source = self._backend.source(value, pages)
        return self._fill(uffd, _COPY, struct.pack("<QQQQq", _address(start), source, pages * PAGE, bits, 0))

    def _uffd_zeropage(self, uffd: int, start: int, pages: int, mode: int) -> Outcome:
        bits = 1 if mode & _flag(WAKE_MODE.words, "dontwake") else 0
        return self._fill(uffd, _ZEROPAGE, struct.pack("<QQQq", _address(start), pages * PAGE, bits, 0))

    def _uffd_continue(self, uffd: int, start: int, pages: int, mode: int) -> Outcome:
        bits = (1 if mode & _flag(COPY_MODE.words, "dontwake") else 0) | (
            2 if mode & _flag(COPY_MODE.words, "wp") else 0
        )
        return self._fill(uffd, _CONTINUE, struct.pack("<QQQq", _address(start), pages * PAGE, bits, 0))
    def _uffd_poison(self, uffd: int, start: int, pages: int, mode: int) -> Outcome:
        bits = 1 if mode & _flag(WAKE_MODE.words, "dontwake") else 0
        return self._fill(uffd, _POISON, struct.pack("<QQQq", _address(start), pages * PAGE, bits, 0))

    def _scan_pages(self, process: Process, start: int, pages: int, category: int, mode: int) -> Outcome:
        """PAGEMAP_SCAN: the monitor may ask as well as the process itself."""
        found = ctypes.create_string_buffer(SLOTS * _REGION_FOUND.size)
        flags = (1 if mode & _flag(SCAN_MODE.words, "wp") else 0) | (2 if mode & _flag(SCAN_MODE.words, "check") else 0)
        wanted = _PAGE_IS[CATEGORY.words[category]]
        inverted = wanted if mode & _flag(SCAN_MODE.words, "inverted") else 0
        wanted |= _PAGE_IS["present"] if mode & _flag(SCAN_MODE.words, "present") else 0
        first, end = _address(start), _address(start + pages)
        vec = ctypes.addressof(found)
        arg = (_SCAN_ARG.size, flags, first, end, 0, vec, SLOTS, 0, inverted, wanted, 0, wanted)
        try:
            count = fcntl.ioctl(process.pagemap, _PAGEMAP_SCAN, bytearray(_SCAN_ARG.pack(*arg)))
        except OSError as error:
            return Status.ERROR, error.errno or errno.EIO, 0
        mask = 0
        for low, high, _ in islice(_REGION_FOUND.iter_unpack(found.raw), count):
            mask |= (1 << (high - REGION) // PAGE) - (1 << (low - REGION) // PAGE)
        return Status.DONE, mask.bit_count(), mask - (mask >> 31 << 32)

    def _uffd_read(self, uffd: int, child: int) -> Outcome:
        try:
            message = os.read(self._uffds[uffd], _UFFD_MSG.size)
        except OSError as error:
            return Status.ERROR, error.errno or errno.EIO, 0
        event, first, address, last = _UFFD_MSG.unpack(message)
        if event == Event.FORK:
            self._uffds[child] = first & 0xFFFF_FFFF
            return Status.DONE, event, child + 1
        if event == Event.PAGEFAULT:
            return Status.DONE, event | first << 8 | _slot(address) << 16, 0
        if event == Event.REMAP:
            return Status.DONE, event | _slot(first) << 16, _slot(address) | last // PAGE << 8
        return Status.DONE, event | _slot(first) << 16, (address - first) // PAGE

    def _pin_read(self, pin: int, slot: int) -> Outcome:
        start = (slot - self._pins[pin][0]) * PAGE
        return Status.DONE, byte_of(self._backend.referenced(pin)[start : start + PAGE]), 0

    def _pin_write(self, pin: int, slot: int, value: int) -> Outcome:
        raise AssertionError("skipped: a pipe's references are for reading")

    def _unpin(self, pin: int, _mode: int) -> Outcome:
        del self._pins[pin]
        self._backend.unreference(pin)
        return Status.DONE, 0, 0

    def _mem_read(self, process: int, slot: int) -> Outcome:
        try:
            return Status.DONE, byte_of(os.pread(self._live[process].memory, PAGE, _address(slot))), 0
        except OSError as error:
            return Status.ERROR, error.errno or errno.EIO, 0

    def _mem_write(self, process: int, slot: int, value: int) -> Outcome:
        try:
            os.pwrite(self._live[process].memory, bytes((value,)) * PAGE, _address(slot))
        except OSError as error:
            return Status.ERROR, error.errno or errno.EIO, 0
        return Status.DONE, 0, 0

    def _migrate(self, _process: int, _start: int, _pages: int) -> Outcome:
        raise AssertionError("skipped: there is no other node")

    def _swap_out(self, process: int, start: int, pages: int) -> Outcome:
        """Pages that are mapped more than once stay: from outside the kernel cannot be asked for them."""
        self._backend.swap()
        for slot in range(start, start + pages):
            vector = (ctypes.c_uint64 * 2)(_address(slot), PAGE)
            _libc.syscall(_SYS_PROCESS_MADVISE, self._live[process].pidfd, vector, 1, _MADV_PAGEOUT, 0)
        return Status.DONE, 0, 0

    def _drop_swap_cache(self) -> Outcome:
        """Left to the kernel: nothing asks for it."""
        return Status.DONE, 0, 0

    def _swapoff(self, _device: int) -> Outcome:
        swap = self._backend.swap()
        error = swap.off()
        if error:
            return Status.ERROR, error, 0
        swap.on()
        return Status.DONE, 0, 0

    def _ksm_merge(self, _process: int, _start: int, _pages: int) -> Outcome:
        return self._ksm_scan()

    def _ksm_scan(self) -> Outcome:
        reader = self._backend.reader
        if any(process.mergeable(reader) for process in self._live.values()):
            self._backend.scan_ksm()
        return Status.DONE, 0, 0

    def _sharing(self) -> bytes:
        first: dict[int, int] = {}
        shared = bytearray()
        for p in sorted(self._live):
            for slot, entry in enumerate(self._live[p].entries(), p * SLOTS):
                page = entry & _PFN if entry >> 63 and not self._backend.is_zero(entry) else None
                shared.append(slot if page is None else first.setdefault(page, slot))
        return bytes(shared)


assert {op.name for op in OPS if op.actor.value == "monitor" and not NEVER.keys() & set(op.needs)} <= {
    name.replace("_", "-")[1:] for name in vars(_Run) if name.replace("_", "-")[1:] in BY_NAME
}
