"""What operations that overlap may come to: the sequential programs of which one must give the same.

Operations take effect in atomic steps.  Documentation promises none across pages, so one on a range has a step for each
page; some are best effort and may do nothing while another task is at work on the page.  What overlapping operations
return and leave behind must be what some order of these steps gives, each task's operations in their order.  An order
is written as a program without blocks, so that the oracle judges it like any other.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Final

from faultline.oracle.rules import KnownDeviation
from faultline.program.codec import (
    Operation,
    alone,
    blocks,
    is_monitor,
    overlapping,
    overlaps,
    process_of,
    task_byte,
)
from faultline.program.ops import (
    ADVICE,
    ALLOCATE,
    BY_NAME,
    COPY_MODE,
    FEATURES,
    FILE_END,
    MAP_TYPE,
    OPS,
    PAGES,
    PIN_FLAGS,
    PINS,
    POPULATE,
    SCAN_MODE,
    SLOT,
    SLOTS,
    TASK_MONITOR,
    TASKS,
    WAKE_MODE,
    Form,
)
from faultline.program.schedule import number_of
from faultline.program.trace import Status


def _codes(*names: str) -> frozenset[int]:
    return frozenset(BY_NAME[name].code for name in names)


#: Operations with a step for each page.  Source: their man pages promise nothing about other pages of the range while
#: one is at work; ioctl_userfaultfd(2) and madvise(2) even tell of ranges that are done in part.
PAGE_BY_PAGE: Final = _codes(
    "uffd-wp", "uffd-resolve", "madvise", "populate", "swap-out", "mprotect", "numa-hint", "migrate", "pagemap-scan",
    "ksm-merge", "guard-install", "guard-remove",
)
#: Of these the outcome is the sum of those of the steps.
SUMMED: Final = _codes("migrate", "pagemap-scan")
#: Of those with a step for each page no page's is sure to come before another's: what they forbid or take away TLBs may
#: allow until they return.  Source: as above; Documentation/core-api/cachetlb.rst (the flush of a range comes when its
#: entries have changed).
FORBIDS: Final = _codes("uffd-wp", "madvise", "mprotect", "pagemap-scan", "guard-install")
#: Best effort, as is MADV_PAGEOUT: may leave pages as they are.  Source: Documentation/admin-guide/mm/ksm.rst,
#: Documentation/mm/page_migration.rst (pages in use elsewhere are passed over), madvise(2), MADV_PAGEOUT.
BEST_EFFORT: Final = _codes(
    "swap-out", "ksm-merge", "ksm-scan", "khugepaged", "split", "migrate", "drop-swap-cache", "numa-hint"
)
#: Reclaim takes pages, wherever they are mapped meanwhile, or leaves them: which are in swap is open.  Source: as
#: above.
RECLAIMS: Final = _codes("swap-out", "drop-swap-cache", "madvise")
#: Which pages of a range are shared depends on where the operation was when others changed them.  Source: fork(2).
SHARES: Final = _codes("fork")
#: What KSM merges of pages that change meanwhile is open.  Source: Documentation/admin-guide/mm/ksm.rst.
MERGES: Final = _codes("ksm-merge", "ksm-scan")
#: Of these EAGAIN and ENOENT say the same: the layout of the process was changing; and so do EFAULT and ENOMEM: the
#: file ends before the page.  Source: ioctl_userfaultfd(2), ERRORS; rule fill-beyond.
FILLS: Final = _codes(
    "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move", "uffd-wp", "uffd-resolve"
)
#: What brings pages and wakes who waits for them.
BRINGS: Final = _codes("uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
#: What ends a registration wakes who waits.  Source: ioctl_userfaultfd(2), UFFDIO_UNREGISTER; userfaultfd(2).
UNREGISTERS: Final = _codes("uffd-unregister", "uffd-close")
#: What wakes who waits for a page.  Source: ioctl_userfaultfd(2).
WAKES: Final = BRINGS | UNREGISTERS | _codes("uffd-resolve", "uffd-wake")
#: What tells which pages have which bits.
SCANS: Final = _codes("pagemap-scan")
#: Of this EINVAL says that, too.
CONTINUES: Final = _codes("uffd-continue")
#: What cannot be moved for now it tells by one of several errors, by what it looks at first.  Source:
#: ioctl_userfaultfd(2), UFFDIO_MOVE, ERRORS.
MOVES: Final = _codes("uffd-move")
CANNOT_MOVE: Final = (errno.EAGAIN, errno.ENOENT, errno.EBUSY, errno.EEXIST, errno.EFAULT)
#: While a mapping moves, its pages may be reached at both places, as those of UFFDIO_MOVE.  Source: mremap(2) and
#: ioctl_userfaultfd(2) tell of no moment at which they move.
TWO_PLACES: Final = _codes("mremap")
#: An access that faults has two steps: the page is there, then the access is repeated, which may fault again.  Source:
#: what a fault is; Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults, for one that waits.
ACCESSES: Final = _codes(
    "read", "write", "guest-read", "guest-write", "process-read", "process-write", "mem-read", "mem-write", "pin", "ref"
)
#: What sleeps for a page.
SLEEPERS: Final = ACCESSES | _codes("populate")
#: Of these one that sleeps goes on with the rest of its range.
_SLEEP_AMID: Final = _codes("pin", "ref", "populate", "madvise")
#: Which messages there are to read depends on who waits.
EVENT: Final = BY_NAME["uffd-read"].code
_WRITES: Final = _codes("write", "guest-write", "process-write", "mem-write")
_STORES: Final = _codes("write", "guest-write")
_CHANGES: Final = FORBIDS | RECLAIMS | BEST_EFFORT | UNREGISTERS | _WRITES | _codes("uffd-resolve")
_REMOTE: Final = _codes("process-read", "process-write", "mem-read", "mem-write")
_HOLDING: Final = _codes("pin", "ref")
_LOOKS_UP: Final = _HOLDING | _codes("guest-read", "guest-write", "process-read", "process-write")
_PIN_WRITE: Final = 1 << PIN_FLAGS.words.index("write")
_READ, _WRITE = (POPULATE.words.index(word) for word in ("read", "write"))
_POPULATE: Final = BY_NAME["populate"].code
_EXIT: Final = BY_NAME["exit"].code
_SCAN: Final = BY_NAME["pagemap-scan"].code
_SCAN_WP: Final = 1 << SCAN_MODE.words.index("wp")


def _mask(*names: str) -> int:
    return sum(1 << BY_NAME[name].code for name in names)


def _flag(name: str, word: str) -> tuple[int, int]:
    """The place of the operand with this flag in an operation, and the flag's bit."""
    for at, kind in enumerate(BY_NAME[name].kinds, 2):
        if kind.form is Form.FLAGS and word in kind.words:
            return at, 1 << kind.words.index(word)
    raise AssertionError(f"{name} has no flag {word}")


#: Who has found that it must wait, but does not sleep yet, is woken by nobody; its message is there to be read.
#: Kernels look again before they sleep, but cannot tell that a page was poisoned, or lost its protection and is still
#: shared.
#: Source: Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults, tells of no wake-up but for a fault that
#: was notified.
_LATE: Final = _mask("uffd-resolve", "uffd-poison", "uffd-wake")
#: The same, of what ends the registration: nobody is to wait after it.  A known deviation.
_LATE_FOR_GOOD: Final = _mask("uffd-unregister", "uffd-close")
#: Who does not sleep yet when its page comes goes on without a wake-up.  Source: as above.
_QUIET: Final = {
    BY_NAME[name].code: _flag(name, "dontwake")
    for name in ("uffd-resolve", "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
}
_HOLES: Final = _flag("uffd-move", "holes")
#: Who has found that its page is not there is woken by nobody, if another task copies the page at that moment: it sees
#: none once more, and sleeps.  A known deviation.
_LATE_AT_COPY: Final = _mask("uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-move")
#: What no sequential program shows; their evidence holds a block.
DEVIATIONS_OVERLAPPING: Final = (
    KnownDeviation(
        "uffd-late-sleeper",
        "The range is no longer registered: nobody waits for it.",
        "ioctl_userfaultfd(2), UFFDIO_UNREGISTER; userfaultfd(2), DESCRIPTION",
        "UFFDIO_UNREGISTER and close() wake who sleeps before they exclude faults under a mapping's own lock: who has "
        "found that it must wait, but does not sleep yet, sleeps for good.  UFFDIO_WAKE ends it.",
        "6.12, 7.2 (machine), 6.18 (live: uffd-late-sleeper.c, within 100 rounds)",
        """\
p0.0 mmap a0 rw
p0.0 uffd-open u0
m uffd-register u0 a0 missing
par {
  p0.1 read a0
  m uffd-unregister u0 a0
}
""",
    ),
    KnownDeviation(
        "uffd-sleeps-at-copy",
        "Who finds the page there does not wait.",
        "Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults",
        "Who looks again whether it must wait does so without the lock of the page table.  At the moment at which "
        "another task's store replaces the page by a copy it sees none, and sleeps although the page was filled; so it "
        "does while the kernel changes the protection of a page of a file's private mapping, or reclaims it.",
        "6.12, 7.2 (machine)",
        """\
p0.0 mmap a0+2 rw
p0.0 uffd-open u0
m uffd-register u0 a0 missing
p0.1 write a0 =1
par {
  p0.0 pin k1 a0
  m uffd-zeropage u0 a0
}
""",
    ),
    KnownDeviation(
        "scan-passes-migrating",
        "PM_SCAN_WP_MATCHING write-protects the pages that it tells of.",
        "Documentation/admin-guide/mm/pagemap.rst, PAGEMAP_SCAN",
        "A page that is writable and migrates at that moment is told of, and comes back writable and unprotected: what "
        "is written to it then is not noticed.",
        "6.12, 7.2 (machine; source: make_uffd_wp_pte() leaves the migration entry writable, remove_migration_pte() "
        "drops the protection of such), 6.18 (live: scan-passes-migrating.c, within seconds)",
        """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 uffd-open u0 wp-async
m uffd-register u0 a0 wp
par {
  m migrate p0 a0
  p0.0 pagemap-scan a0 written wp
}
p0.0 pagemap-scan a0 written
""",
    ),
    KnownDeviation(
        "guard-leaves-tlb",
        "An access to a guard page raises a signal once MADV_GUARD_INSTALL has returned.",
        "include/uapi/asm-generic/mman-common.h, MADV_GUARD_INSTALL",
        "Where another task is giving the pages up at that moment, the call finds them gone, makes them guard pages "
        "and returns before the other one has flushed TLBs: its caller still reads and writes the page that was there.",
        "7.2 (machine; source: madvise_guard_install() makes guard pages without a struct mmu_gather, so that no "
        "mm_tlb_flush_nested() is asked)",
        """\
p0.0 mmap a0 rw
p0.0 write a0 =1
par {
  p0.0 guard-install a0
  p0.0 write a0 =2
  p0.1 guard-install a0
}
""",
    ),
)
LATE_FOR_GOOD, LATE_AT_COPY, PASSES_MIGRATING, GUARD_LEAVES_TLB = (deviation.id for deviation in DEVIATIONS_OVERLAPPING)
_WAKE, _UNREGISTER, _REGISTER = (BY_NAME[name].code for name in ("uffd-wake", "uffd-unregister", "uffd-register"))
_MADVISE, _MREMAP = BY_NAME["madvise"].code, BY_NAME["mremap"].code
_FREE, _DONTNEED, _REMOVE = (ADVICE.words.index(word) for word in ("free", "dontneed", "remove"))
_MAY_RECLAIM: Final = (ADVICE.words.index("pageout"), ADVICE.words.index("cold"))
_TRUNCATE, _ALLOCATE = BY_NAME["file-truncate"].code, BY_NAME["file-allocate"].code
_FILE_ENDS: Final = FILE_END.lo + FILE_END.count - 1
_KEEP_SIZE, _PUNCH = (ALLOCATE.words.index(word) for word in ("keep-size", "punch-hole"))
_OPEN, _RESOLVE, _PROTECT, _POISON = (
    BY_NAME[name].code for name in ("uffd-open", "uffd-resolve", "uffd-wp", "uffd-poison")
)
_GUARD, _GUARD_REMOVE = BY_NAME["guard-install"].code, BY_NAME["guard-remove"].code
_EVENT_REMOVE, _UNPOPULATED = (1 << FEATURES.words.index(word) for word in ("event-remove", "wp-unpopulated"))
_COPY: Final = BY_NAME["uffd-copy"].code
_COPY_PROTECTED: Final = (1 << len(COPY_MODE.words)) - 1
_EVENTS: Final = sum(1 << at for at, word in enumerate(FEATURES.words) if word.startswith("event-"))
_MERGE: Final = BY_NAME["ksm-merge"].code
_MAP_FILE: Final = BY_NAME["mmap-file"].code
_PRIVATE: Final = MAP_TYPE.words.index("private")
_FORK: Final = BY_NAME["fork"].code
_MIGRATE: Final = BY_NAME["migrate"].code
#: What puts migration entries in the place of pages meanwhile.  Source: Documentation/mm/page_migration.rst.
_BY_MIGRATION: Final = _codes("migrate", "split")
_SWAP_OUT, _DROP = BY_NAME["swap-out"].code, BY_NAME["drop-swap-cache"].code
_CLOSE: Final = BY_NAME["uffd-close"].code
_PIN, _UNPIN = BY_NAME["pin"].code, BY_NAME["unpin"].code
_MUNMAP: Final = BY_NAME["munmap"].code
_PIN_READ, _PIN_WRITES = BY_NAME["pin-read"].code, BY_NAME["pin-write"].code
_HANDLE_AT: Final = {BY_NAME[name].code: 2 for name in ("pin", "ref", "unpin", "pin-read", "pin-write")}
_PIN_FORCE, _PIN_LONGTERM = (1 << PIN_FLAGS.words.index(word) for word in ("force", "longterm"))
_DEBUGGER: Final = _codes("mem-read", "mem-write")

_ACCESSES_FINE, _RANGES_FINE, _LOUD, _FINEST, _BY_ITSELF, _LAST_PAGE_FIRST, _REGISTERS_ANEW = 1, 2, 4, 8, 16, 32, 64
_FILLS_MARKERS: Final = 128
#: From here on: one more than the slot at which a fork is when other tasks store.
_FORK_AT: Final = 8
_BOTH: Final = _ACCESSES_FINE | _RANGES_FINE
_LEVELS: Final = (0, _ACCESSES_FINE, _RANGES_FINE, _BOTH)
_FINE_LEVELS: Final = (
    _FINEST, _FINEST | _BOTH, _BY_ITSELF, _BY_ITSELF | _ACCESSES_FINE,
    _LAST_PAGE_FIRST | _RANGES_FINE, _LAST_PAGE_FIRST | _BOTH,
)  # fmt: skip
#: Where a userfaultfd that waits for an event to be read says EAGAIN to all else.
_EVENT_LEVELS: Final = (_FINEST | _REGISTERS_ANEW, _FINEST | _REGISTERS_ANEW | _BOTH)
#: Where a page that is not there can be protected.
_MARKER_LEVELS: Final = (_FILLS_MARKERS, _FILLS_MARKERS | _RANGES_FINE)
_LOUD_LEVELS: Final = (_LOUD, _LOUD | _ACCESSES_FINE)


@dataclass(frozen=True, slots=True)
class Order:
    """A sequential program that stands for one with blocks."""

    ops: tuple[Operation, ...]
    of: tuple[int, ...]
    """For each operation the index of the one that it is, or is a step of.  Below 0: it is a step that tells nothing of
    the outcome, of the one with the index ``~of``."""
    idle: frozenset[int]
    """Those that do nothing in this order."""
    late: int = 0
    """Tasks, as bits, that do not sleep yet when an operation with a code of ``late_ops``, as bits, would wake them."""
    late_ops: int = 0
    deviation: str = ""
    """The known deviation by which this happens; empty: it is allowed."""
    in_blocks: bool = False
    """It has blocks itself."""
    last_first: bool = False
    """Of tasks that are woken together the last one goes on first.  Source: nothing says in which order they go on."""


_Step = tuple[Operation, int]
"""An operation, and the index of the one that it is part of."""
_Dropped = Sequence[tuple[int, int]]


def orders(ops: Sequence[Operation], idle: frozenset[int]) -> Iterator[Order]:
    """The orders of a program's blocks, the coarsest first: of whole operations, with accesses in two steps, page by
    page, with some that do nothing.

    :param idle: indices of operations that do nothing in any order: they were skipped.
    """
    seen: set[tuple[bool, tuple[_Step, ...]]] = set()
    sets, places = list(_idle_sets(ops, idle)), (ops, *_elsewhere(ops))
    seldom = [
        level
        for features, levels in ((_EVENTS, _EVENT_LEVELS), (_UNPOPULATED, _MARKER_LEVELS))
        if any(op[0] == _OPEN and op[3] & features for op in ops)
        for level in levels
    ]
    seldom += [slot + 1 << _FORK_AT for slot in _stored_beside_fork(ops)[:-1]]
    for last_first, level, others, at in product((False, True), (*_LEVELS, *_FINE_LEVELS, *seldom), sets, places):
        for steps in _merged(at, level, idle | others):
            if (last_first, steps) not in seen:
                seen.add((last_first, steps))
                yield _order(steps, idle | others, last_first)
    migrating = sorted(_migrating(ops))
    some = (dropped for size in range(len(migrating)) for dropped in combinations(migrating, size + 1))
    for dropped, level, others in product(some, _LEVELS, sets):
        for steps in _merged(ops, level, idle | others, dropped):
            yield replace(_order(steps, idle | others, False), deviation=PASSES_MIGRATING)
    for guard, level, others in product(_guards_beside(ops), _LEVELS, sets):
        for steps in _merged(ops, level, idle | others, late=guard):
            yield replace(_order(steps, idle | others, False), deviation=GUARD_LEAVES_TLB)


def _stored_beside_fork(ops: Sequence[Operation]) -> list[int]:
    """The slots that tasks store to in a block in which one forks."""
    inside = [ops[start:end] for start, end in blocks(ops) if any(op[0] in SHARES for op in ops[start:end])]
    return sorted({op[2] for block in inside for op in block if op[0] in _STORES})


def _guards_beside(ops: Sequence[Operation]) -> Iterator[int]:
    """What makes guard pages while another task gives up the same ones."""
    for start, end in blocks(ops):
        for index, other in product(range(start, end), ops[start:end]):
            op = ops[index]
            beside = process_of(other[1]) == process_of(op[1]) and other[1] != op[1] and slots_of(op) & slots_of(other)
            if op[0] == _GUARD and other[0] in (_GUARD, _MADVISE) and beside:
                yield index


def _migrating(ops: Sequence[Operation]) -> set[tuple[int, int]]:
    """What migrates pages, with slots of theirs that scans protect meanwhile."""
    found: set[tuple[int, int]] = set()
    for start, end in blocks(ops):
        scans = [op for op in ops[start:end] if op[0] == _SCAN and op[5] & _SCAN_WP]
        moves = [index for index in range(start, end) if ops[index][0] in _BY_MIGRATION]
        for scan, index in product(scans, moves):
            move = ops[index]
            if process_of(scan[1]) == move[2]:
                slots = slots_of(scan) & slots_of(move) if move[0] == _MIGRATE else slots_of(scan)
                found.update((index, slot) for slot in slots)
    return found


def _handles(ops: Sequence[Operation]) -> list[int]:
    """The userfaultfds that the program may have."""
    return sorted({op[2] for op in ops if op[0] == _OPEN} | {op[3] for op in ops if op[0] == EVENT})


def _drops(ops: Sequence[Operation], index: int, dropped: _Dropped) -> list[_Step]:
    """What ends the protection of these slots when the operation has migrated them."""
    quiet = 1 << WAKE_MODE.words.index("dontwake")
    slots = [slot for move, slot in dropped if move == index]
    return [((_RESOLVE, TASK_MONITOR, uffd, slot, 1, quiet), ~index) for slot in slots for uffd in _handles(ops)]


def _elsewhere(ops: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """The program with an access to a page that moves meanwhile at its other place: where it was, a TLB may still lead
    to it; where it goes, it is before the move is done."""
    for start, end in blocks(ops):
        for source, target, pages, process in filter(None, map(_moved, ops[start:end])):
            far = target - source
            for index in range(start, end):
                op = ops[index]
                if op[0] not in ACCESSES or op[0] in _REMOTE | _HOLDING or process not in (-1, process_of(op[1])):
                    continue
                for first, by in ((source, far), (target, -far)):
                    if first <= op[2] < first + pages and 0 <= op[2] + by < SLOTS:
                        yield (*ops[:index], (*op[:2], op[2] + by, *op[3:]), *ops[index + 1 :])


def _moved(op: Operation) -> tuple[int, int, int, int] | None:
    """Where the operation moves pages from and to, how many, and of which process; -1: of the userfaultfd's."""
    if op[0] == _MREMAP:
        return op[2], op[4], op[3], process_of(op[1])
    return (op[5], op[3], op[4], -1) if op[0] in MOVES else None


def coarse(ops: Sequence[Operation], idle: frozenset[int]) -> Iterator[Order]:
    """The program with its blocks, operations in steps: for orders in which a task that was woken goes on later, when
    others have done more.  To be run without preemptions, whoever goes on at the end of a step."""
    inside = [op for start, end in blocks(ops) for op in ops[start:end]]
    tasks = sorted({number_of(op) for op in inside if op[0] in SLEEPERS})
    lates: list[tuple[int, int, str]] = [(0, 0, "")]
    sorts = [(_LATE, ""), (_LATE | _LATE_FOR_GOOD, LATE_FOR_GOOD)]
    if any(op[0] in _WRITES for op in ops) and any(_LATE_AT_COPY >> op[0] & 1 for op in inside):
        sorts.append((_LATE | _LATE_AT_COPY, LATE_AT_COPY))
        if any(op[0] in UNREGISTERS for op in inside):
            sorts.append((_LATE | _LATE_AT_COPY | _LATE_FOR_GOOD, LATE_AT_COPY))
    for codes, deviation in sorts:
        if any(codes >> op[0] & 1 for op in inside):
            lates += ((sum(late), codes, deviation) for late in _some(tasks))
    seen: set[tuple[int, int, tuple[_Step, ...]]] = set()
    for (late, codes, deviation), level in product(lates, (*_LEVELS, *_LOUD_LEVELS)):
        for others in _idle_sets(ops, idle):
            steps: list[_Step] = []
            for index, op in enumerate(ops):
                if not overlaps(op):
                    steps.append((op, index))
                elif index not in idle | others:
                    steps += ((overlapping(step), index) for step, _ in _steps(ops, index, level))
            if (late, codes, tuple(steps)) not in seen:
                seen.add((late, codes, tuple(steps)))
                order = _order(steps, idle | others, False)
                yield replace(order, in_blocks=True, late=late, late_ops=codes, deviation=deviation)


def _some(tasks: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The sets of tasks, as bits, that have any; the smallest first."""
    for size in range(1, len(tasks) + 1):
        yield from combinations((1 << task for task in tasks), size)


def _order(steps: Sequence[_Step], idle: frozenset[int], last_first: bool) -> Order:
    return Order(tuple(op for op, _ in steps), tuple(index for _, index in steps), idle, last_first=last_first)


def may_come_to(op: Operation, status: Status, value: int) -> bool:
    """Whether this is an outcome of an operation that does nothing in an order."""
    if status in (Status.KILLED, Status.SKIPPED):
        return True
    if op[0] == EVENT:  # a task that was woken has taken its message away, and not yet sent the next
        return status == Status.ERROR and value == errno.EAGAIN
    if op[0] in MOVES:  # what KSM has begun to merge is not exclusive; holes are moved by doing nothing
        return (status == Status.ERROR and value in CANNOT_MOVE) or (status == Status.DONE and passes_holes(op))
    if op[0] in _LOOKS_UP:
        return status == Status.ERROR and value == errno.EFAULT
    if op[0] == _SCAN:  # a page on its way is not there
        return status == Status.DONE
    return _is_best_effort(op) and status in (Status.DONE, Status.ERROR)


def passes_holes(op: Operation) -> bool:
    """Whether the operation may be done without a page to move.  Source: ioctl_userfaultfd(2), ALLOW_SRC_HOLES."""
    return op[0] in MOVES and bool(op[_HOLES[0]] & _HOLES[1])


def changed_by(op: Operation) -> set[int]:
    """The slots whose entries the operation may clear for a moment: a store copies, reclaim and migration unmap, what
    changes protection reads the entry and clears it in one."""
    writes = (op[0] == _PIN and op[5] & _PIN_WRITE) or (op[0] == _POPULATE and op[4] == _WRITE)
    if not writes and op[0] not in _CHANGES:
        return set()
    return slots_of(op) or set(range(SLOTS))


def _is_best_effort(op: Operation) -> bool:
    return op[0] in BEST_EFFORT or (op[0] == _MADVISE and op[4] in _MAY_RECLAIM)


def _idle_sets(ops: Sequence[Operation], always: frozenset[int]) -> Iterator[frozenset[int]]:
    may = [
        i
        for start, end in blocks(ops)
        for i in range(start, end)
        if i not in always and _may_idle(ops[i], ops[start:end])
    ]
    for chosen in sorted(product((False, True), repeat=len(may)), key=sum):
        yield frozenset(index for index, idle in zip(may, chosen, strict=True) if idle)


def _may_idle(op: Operation, block: Sequence[Operation]) -> bool:
    """Best effort; or it looks at pages that migrate meanwhile; or it finds no mapping, whose pages its task can still
    access, as mappings go first: munmap(2) says nothing of the time before it returns; or its process exits, which may
    kill it."""
    if _is_best_effort(op) or op[0] == EVENT or (op[0] in MOVES and any(other[0] in MERGES for other in block)):
        return True
    if op[0] == _SCAN and not op[5] & _SCAN_WP and any(other[0] in _BY_MIGRATION for other in block):
        return True
    if op[0] in _LOOKS_UP and any(_unmaps(other, process_at(op), slots_of(op)) for other in block):
        return True
    ends = {process_of(other[1]) for other in block if other[0] == _EXIT}
    return not is_monitor(op[1]) and op[0] != _EXIT and process_of(op[1]) in ends


def _unmaps(op: Operation, process: int, slots: set[int]) -> bool:
    return op[0] == _MUNMAP and process_of(op[1]) == process and not slots.isdisjoint(slots_of(op))


def _merged(
    ops: Sequence[Operation], level: int, idle: frozenset[int], dropped: _Dropped = (), late: int = -1
) -> Iterator[tuple[_Step, ...]]:
    """The program with its blocks merged in all ways, those with few changes from task to task first.

    :param dropped: what migrates pages, with slots that lose their protection by it.
    :param late: an operation of which its own task sees nothing yet when it has returned; below 0: none.
    """
    places = blocks(ops)
    around = [0, *(end for _, end in places)], [*(start for start, _ in places), len(ops)]
    between = [tuple((op, at + i) for i, op in enumerate(ops[at:start])) for at, start in zip(*around, strict=True)]
    queues = [_queues(ops, range(start, end), level, idle, dropped, late) for start, end in places]

    def rest(block: int) -> Iterator[tuple[_Step, ...]]:
        if block == len(places):
            yield between[block]
            return
        for merged in _merges(queues[block]):
            for tail in rest(block + 1):
                yield (*between[block], *merged, *tail)

    return rest(0)


def _queues(
    ops: Sequence[Operation], block: range, level: int, idle: frozenset[int], dropped: _Dropped, late: int
) -> list[list[_Step]]:
    """The steps of each task."""
    queues: dict[int, list[_Step]] = {}
    for index in block:
        if index not in idle:
            steps = [*_steps(ops, index, level), *_drops(ops, index, dropped)]
            queues.setdefault(~index if index == late else number_of(ops[index]), []).extend(steps)
    if level & _BY_ITSELF:
        for index in block:
            if index not in idle and ops[index][0] in _QUIET:
                queues[~index] = [((_WAKE, TASK_MONITOR, *ops[index][2:5]), ~index)]
    return list(queues.values())


def _steps(ops: Sequence[Operation], index: int, level: int) -> list[_Step]:
    op = alone(ops[index])
    if level & (_LOUD | _BY_ITSELF) and op[0] in _QUIET:
        at, bit = _QUIET[op[0]]
        op = (*op[:at], op[at] & ~bit | (bit if level & _BY_ITSELF else 0), *op[at + 1 :])
    if level & _FINEST:
        finest = _finest(ops, op, index, bool(level & _REGISTERS_ANEW))
        if finest:
            return finest
    if level & _FILLS_MARKERS and op[0] in _WRITES:
        slots = sorted(slots_of(op))
        return [*((_protected_zeroes(uffd, slot), ~index) for uffd in _handles(ops) for slot in slots), (op, index)]
    if level >> _FORK_AT and op[0] in _STORES:
        steps = _in_children(ops, op, index) if op[2] >= level >> _FORK_AT else []
        return [(op, index), *((step, ~index) for step in steps)]
    if level & _ACCESSES_FINE and op[0] in ACCESSES:
        return [*(_pinned_first(ops, op, index) or [(step, index) for step in _faulted_in(op)]), (op, index)]
    if level & _RANGES_FINE and op[0] in PAGE_BY_PAGE:
        pages = _pages(op, _met(ops, index))
        if level & _LAST_PAGE_FIRST and op[0] in FORBIDS:
            pages.reverse()
        if op[0] == _MERGE:  # which looks at each page twice, as a page has to stay as it is for a while
            pages += pages
        if level & _ACCESSES_FINE:
            pages = [step for page in pages for step in _twice(ops, page)]
        return [(page, index) for page in pages]
    return [(op, index)]


def _finest(ops: Sequence[Operation], op: Operation, index: int, anew: bool) -> list[_Step]:
    """Steps that others see only where two are at work on one page, or end what it is registered for; none: as usual.

    A store brings a page for reading first, which may be protected, or there already; then it makes it writable.  Who
    reads or writes another process's memory pins the page, then copies.  What closes a userfaultfd ends its
    registrations; who is at work with it finds that.  What takes a page of a file away from an access that is at work
    may take its protection away, too; what cuts the file takes its pages away for who has seen the old end, and before
    them their private copies.  Reclaim that found a page in the swap cache alone may take it when an access has mapped
    it again.  What populates may stop when it looks at its first page again, before it goes on.  A page that migrates
    looks like one in swap.  What scans tells of a page, then protects what is there, as UFFDIO_WRITEPROTECT does, which
    a poisoned one is not.  Guard pages are put when all pages of the range were dropped.  What fills the page of a file
    finds what an access has brought to the page cache, but not mapped yet.  What is given up is gone first, then
    flushed from TLBs.  Reclaim may find a page that another task's store has just left to other processes.

    Source: process_vm_readv(2), NOTES; userfaultfd(2); Documentation/admin-guide/mm/userfaultfd.rst, Write Protect
    Notifications (MADV_REMOVE drops the protection); Documentation/admin-guide/mm/concepts.rst, Reclaim;
    Documentation/mm/page_migration.rst, How migrate_pages() works (migration entries);
    Documentation/core-api/cachetlb.rst (a flush comes when the entries have changed).
    """
    if _frees(op):
        ends, dropped = _unprotected(ops, index, anew), _copies(ops, index)
        taken = [(_ALLOCATE, *op[1:], _FILE_ENDS, _PUNCH)] if ends and op[0] == _TRUNCATE and op[3] < _FILE_ENDS else []
        before = ((step, ~index) for step in (*dropped, *taken))
        return [*before, (op, index), *((step, ~index) for step in ends)] if ends or dropped else []
    if op[0] == _DROP:
        return [(op, index), *((step, ~index) for step in _taken(ops, index))]
    if op[0] == _MIGRATE and any(other[0] == _SCAN for other in _beside(ops, index)):
        pages = _pages(op, _met(ops, index))
        return [*(((_SWAP_OUT, *page[1:]), ~index) for page in pages), *((page, index) for page in pages)]
    if op[0] == _SCAN and op[5] & _SCAN_WP and any(other[0] == _POISON for other in _beside(ops, index)):
        return [step for page in _pages(op, _met(ops, index)) for step in _told_first(ops, page, index)]
    if op[0] == _SWAP_OUT:
        return [(step, ~index) for step in _left_to_others(ops, op, index)]
    if op[0] == _MADVISE and op[4] == _DONTNEED:
        return _flushed_last(ops, op, index)
    if op[0] == _CLOSE:
        ranges = dict.fromkeys(other[3:5] for other in ops if other[0] == _REGISTER)
        return [*(((_UNREGISTER, TASK_MONITOR, op[2], *at), ~index) for at in ranges), (op, index)]
    if op[0] == _GUARD:
        return [(step, index) for step in _twice(ops, op)]
    if op[0] == _POPULATE:
        first = _pages(op, _met(ops, index))[0]
        return [(first, index), (op, index)] if first != op else []
    if op[0] in _REMOTE:
        handle = _free_handle(ops)
        if handle is None:
            return []
        writes = op[0] in _WRITES
        flags = (_PIN_WRITE if writes else 0) | (_PIN_FORCE if op[0] in _DEBUGGER else 0)
        copies = (_PIN_WRITES, TASK_MONITOR, handle, *op[3:]) if writes else (_PIN_READ, TASK_MONITOR, handle, op[3])
        return [
            ((_PIN, task_byte(op[2], TASKS - 1), handle, op[3], 1, flags), ~index),
            (copies, index),
            ((_UNPIN, TASK_MONITOR, handle, 1), ~index),
        ]
    cached = [(step, ~index) for step in _cached(ops, op, index)]
    if op[0] in _WRITES:
        steps = ((_POPULATE, op[1], op[2], 1, _READ), *_faulted_in(op), op)
        return [*cached, *((step, index) for step in steps)]
    return [*cached, (op, index)] if cached else []


def _protected_zeroes(uffd: int, slot: int) -> Operation:
    """What leaves what a store does that finds a page protected which is not there, before it waits."""
    return (_COPY, TASK_MONITOR, uffd, slot, 1, 0, _COPY_PROTECTED)


def _in_children(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """The same store in children that another task is making, which get the pages that come later as they are then."""
    forks = (other for other in _beside(ops, index) if other[0] in SHARES and process_of(other[1]) == process_of(op[1]))
    return [(op[0], task_byte(fork[2], 0), *op[2:]) for fork in forks if fork[1] != op[1]]


def _free_handle(ops: Sequence[Operation]) -> int | None:
    """One for pins that no operation of the program names."""
    return next((k for k in range(PINS) if not any(_HANDLE_AT.get(o[0]) and o[2] == k for o in ops)), None)


def _cached(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """What brings the pages to the page cache that an access maps then, as far as others of the block fill them."""
    if op[0] not in ACCESSES or not any(other[0] in BRINGS for other in _beside(ops, index)):
        return []
    shows = _shows(ops, index)
    pages = sorted({shows[slot] for slot in slots_of(op) & shows.keys()})
    return [(_ALLOCATE, op[1], file, page, page + 1, _KEEP_SIZE) for file, page in pages]


def _shows(ops: Sequence[Operation], index: int) -> dict[int, tuple[int, int]]:
    """For each slot that shows one, the file and the page."""
    return {op[2] + i: (op[5], op[6] + i) for op in ops[:index] if op[0] == _MAP_FILE for i in range(op[3])}


def _pinned_first(ops: Sequence[Operation], op: Operation, index: int) -> list[_Step]:
    """The first step of a forced pin, for each page: populating does not reach what the mapping forbids."""
    handle = _free_handle(ops) if op[0] == _PIN and op[5] & _PIN_FORCE else None
    if handle is None:
        return []
    unpin = (_UNPIN, TASK_MONITOR, handle, 0), ~index
    pages = [(*page[:2], handle, *page[3:5], page[5] & ~_PIN_LONGTERM) for page in _pages(op)]
    return [step for page in pages for step in ((page, index), unpin)]


def _frees(op: Operation) -> bool:
    """Whether the operation takes pages of a file away."""
    if op[0] == _MADVISE:
        return op[4] == _REMOVE
    return op[0] == _TRUNCATE or (op[0] == _ALLOCATE and op[5] == _PUNCH)


def _beside(ops: Sequence[Operation], index: int) -> Sequence[Operation]:
    """The operations of the operation's block."""
    start, end = next(block for block in blocks(ops) if block[0] <= index < block[1])
    return ops[start:end]


def _unprotected(ops: Sequence[Operation], index: int, anew: bool) -> list[Operation]:
    """What ends the protection of the slots that others of the block access, and of those that show the same pages.

    :param anew: by registering them anew, which wakes who waits there, but is not refused while an event waits.
    """
    handles = _handles(ops)
    slots = {slot for op in _beside(ops, index) if op[0] in ACCESSES for slot in slots_of(op)} if handles else set()
    shows = _shows(ops, index)
    pages = {shows[slot] for slot in slots & shows.keys()}
    slots |= {slot for slot, page in shows.items() if page in pages}
    if not anew:
        quiet = 1 << WAKE_MODE.words.index("dontwake")
        return [(_RESOLVE, TASK_MONITOR, uffd, slot, 1, quiet) for uffd in handles for slot in sorted(slots)]
    last = {slot: op for op in ops[:index] if op[0] == _REGISTER for slot in slots_of(op)}
    return [
        step
        for slot in sorted(last.keys() & slots)
        for step in (
            (_UNREGISTER, TASK_MONITOR, last[slot][2], slot, 1),
            (_REGISTER, TASK_MONITOR, last[slot][2], slot, 1, last[slot][5]),
        )
    ]


def _copies(ops: Sequence[Operation], index: int) -> list[Operation]:
    """What drops the private copies of the pages that the operation cuts from a file, as far as others of the block
    access them.  Source: truncate(2); mmap(2), MAP_PRIVATE, promises nothing of a page that is cut meanwhile."""
    op = ops[index]
    if op[0] != _TRUNCATE:
        return []
    maps = [other for other in ops[:index] if other[0] == _MAP_FILE and other[5] == op[2] and other[7] == _PRIVATE]
    cut = {other[2] + i for other in maps for i in range(other[3]) if other[6] + i >= op[3]}
    pages = {
        (process_at(other), slot)
        for other in _beside(ops, index)
        if other[0] in ACCESSES
        for slot in slots_of(other) & cut
    }
    return [(_MADVISE, task_byte(process, TASKS - 1), slot, 1, _DONTNEED) for process, slot in sorted(pages)]


def _left_to_others(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """Reclaim of what the process had there, but shares no more, as another task stores meanwhile; none: none does."""
    stores = (other for other in _beside(ops, index) if other[0] in _WRITES and process_at(other) == op[2])
    if not any(slots_of(other) & slots_of(op) for other in stores):
        return []
    others = {0, *(other[2] for other in ops[:index] if other[0] == _FORK)} - {op[2]}
    return [(*op[:2], process, *op[3:]) for process in sorted(others)]


def _flushed_last(ops: Sequence[Operation], op: Operation, index: int) -> list[_Step]:
    """The pages are gone; what stores of other tasks find in their TLBs still goes with them, and who has looked in
    between finds zeroes.  None of them: no steps."""
    others = (other for other in _beside(ops, index) if other[0] in _WRITES and other[1] != op[1])
    slots = sorted({slot for other in others for slot in slots_of(other) & slots_of(op)})
    later = (((_MADVISE, op[1], slot, 1, _DONTNEED), (_POPULATE, op[1], slot, 1, _READ)) for slot in slots)
    return [(op, index), *((step, ~index) for steps in later for step in steps)] if slots else []


def _told_first(ops: Sequence[Operation], scan: Operation, index: int) -> list[_Step]:
    protects = [((_PROTECT, TASK_MONITOR, uffd, *scan[2:4]), ~index) for uffd in _handles(ops)]
    return [(_only_looking(scan), index), *protects]


def _only_looking(scan: Operation) -> Operation:
    return (*scan[:5], scan[5] & ~_SCAN_WP)


def _taken(ops: Sequence[Operation], index: int) -> list[Operation]:
    """Reclaim of the pages that others of the block access."""
    pages = {
        (process_at(op), slot) for op in _beside(ops, index) if op[0] in ACCESSES for slot in slots_of(op)
    }
    return [(_SWAP_OUT, TASK_MONITOR, process, slot, 1) for process, slot in sorted(pages)]


def _twice(ops: Sequence[Operation], op: Operation) -> Sequence[Operation]:
    """What populates makes the page, then looks at it; what scans tells, then protects: by then TLBs are flushed; what
    makes guard pages drops what is there, without the remove event, then puts them."""
    if op[0] == _POPULATE:
        return op, op
    if op[0] == _GUARD:
        if any(other[0] == _OPEN and other[3] & _EVENT_REMOVE for other in ops):
            return op, (_GUARD_REMOVE, *op[1:]), op
        return (_MADVISE, *op[1:4], _DONTNEED), op
    if op[0] == _SCAN and op[5] & _SCAN_WP:
        return _only_looking(op), op
    return (op,)


def telling(op: Operation, steps: Sequence[Operation]) -> list[int]:
    """Which of an operation's steps tell its outcome."""
    looked = {step[2:4] for step in steps if op[0] == _SCAN and not step[5] & _SCAN_WP}
    return [i for i, step in enumerate(steps) if step[2:4] not in looked or not step[5] & _SCAN_WP]


def _met(ops: Sequence[Operation], index: int) -> frozenset[int] | None:
    """The slots that other operations of its block name, or that one may be at work on from before; None: one of the
    block is about whole processes."""
    start, end = next(block for block in blocks(ops) if block[0] <= index < block[1])
    slots = {slot for op in ops[:start] if op[0] in _SLEEP_AMID and len(at := slots_of(op)) > 1 for slot in at}
    for other in (*range(start, index), *range(index + 1, end)):
        named = slots_of(ops[other])
        if not named and ops[other][0] in _WHOLE:
            return None
        slots |= named
    return frozenset(slots)


def process_at(op: Operation) -> int:
    """The process whose memory an access is about."""
    return op[2] if op[0] in _REMOTE else process_of(op[1])


def slots_of(op: Operation) -> set[int]:
    """The slots that the operation names."""
    kinds = OPS[op[0]].kinds
    return {
        slot
        for at, (kind, following) in enumerate(zip(kinds, (*kinds, None)[1:], strict=True), 2)
        if kind is SLOT
        for slot in range(op[at], op[at] + (op[at + 1] if following is PAGES else 1))
    }


def given_up(op: Operation) -> set[int]:
    """The slots whose pages the operation gives up."""
    return slots_of(op) if op[0] == _MADVISE and op[4] == _FREE else set()


def _pages(op: Operation, met: frozenset[int] | None = None) -> list[Operation]:
    """The operation on each page of its range; what nobody else meets is one with what follows."""
    at = next(i for i, kind in enumerate(OPS[op[0]].kinds, 2) if kind is PAGES)
    first, end = op[at - 1], op[at - 1] + op[at]
    cuts = [first]
    for slot in range(first + 1, end):
        if met is None or slot in met or slot - 1 in met:
            cuts.append(slot)
    return [
        (*op[: at - 1], slot, following - slot, *op[at + 1 :])
        for slot, following in zip(cuts, (*cuts[1:], end), strict=True)
    ]


def joined(steps: Sequence[Operation], op: Operation) -> Operation | None:
    """The operation that the last steps of one come to, as far as one stands for them."""
    if steps[-1] == alone(op):
        return steps[-1]
    if op[0] not in PAGE_BY_PAGE:
        return None
    at = next(i for i, kind in enumerate(OPS[op[0]].kinds, 2) if kind is PAGES)
    if any((step[0], *step[2 : at - 1], *step[at + 1 :]) != (op[0], *op[2 : at - 1], *op[at + 1 :]) for step in steps):
        return None
    slots = sorted(slot for step in steps for slot in slots_of(step))
    return (*steps[0][: at - 1], slots[0], slots[-1] - slots[0] + 1, *op[at + 1 :])


def begun(op: Operation) -> Operation | None:
    """What an access has done that got no further than its first step; None: its steps are several."""
    steps = _faulted_in(op) if op[0] in ACCESSES else []
    if len(steps) != 1:
        return None
    return overlapping(steps[0]) if overlaps(op) else steps[0]


def aside(ops: Sequence[Operation], index: int) -> Operation | None:
    """The operation as one of a task of its process that does nothing else; None: there is none."""
    op = ops[index]
    if is_monitor(op[1]):
        return None
    tasks = (task_byte(process_of(op[1]), task) for task in reversed(range(TASKS)))
    used = {number_of(other) for other in ops}
    free = ((op[0], task, *op[2:]) for task in tasks)
    return next((other for other in free if number_of(other) not in used), None)


def looking(op: Operation) -> Operation:
    """What waits for the same pages as an access, and does nothing to those that are there."""
    slots = slots_of(op)
    return (*_faulted_in(op)[0][:2], min(slots), len(slots), _READ)


def _faulted_in(op: Operation) -> list[Operation]:
    """The first step of an access, for each page."""
    if op[0] in _HOLDING:
        writes = op[0] == BY_NAME["pin"].code and bool(op[5] & _PIN_WRITE)
        return _pages((_POPULATE, op[1], op[3], op[4], _WRITE if writes else _READ))
    how = _WRITE if op[0] in _WRITES else _READ
    if op[0] not in _REMOTE:
        return [(_POPULATE, op[1], op[2], 1, how)]
    own = not is_monitor(op[1]) and process_of(op[1]) == op[2]
    return [(_POPULATE, op[1] if own else task_byte(op[2], TASKS - 1), op[3], 1, how)]


def _merges(queues: list[list[_Step]]) -> Iterator[tuple[_Step, ...]]:
    """All ways to merge the queues, each keeping its order; those with few changes from one to another first."""
    total = sum(map(len, queues))
    for changes in range(max(total, 1)):
        yield from _merges_with([0] * len(queues), queues, -1, changes)


def _merges_with(taken: list[int], queues: list[list[_Step]], last: int, changes: int) -> Iterator[tuple[_Step, ...]]:
    """Those with exactly so many changes after ``last``, a queue; -1: the first one is none."""
    left = [i for i, queue in enumerate(queues) if taken[i] < len(queue)]
    if not left:
        if not changes:
            yield ()
        return
    if changes < len([i for i in left if i != last]) - (last < 0):
        return
    if changes > sum(len(queue) - taken[i] for i, queue in enumerate(queues)):
        return
    for i in left:
        needs = 0 if last in (-1, i) else 1
        if needs <= changes:
            step = queues[i][taken[i]]
            taken[i] += 1
            for tail in _merges_with(taken, queues, i, changes - needs):
                yield (step, *tail)
            taken[i] -= 1


#: What is about all pages of a process.
_WHOLE: Final = _codes("fork", "exit", "clear-refs", "ksm-scan", "swapoff", "drop-swap-cache", "uffd-close")
