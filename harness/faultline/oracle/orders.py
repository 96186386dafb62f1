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
from faultline.oracle.sorts import (
    ACCESSES,
    BEST_EFFORT,
    CANNOT_MOVE,
    EVENT,
    GUARD,
    HOLDING,
    MADVISE,
    MERGES,
    MIGRATE,
    MOVES,
    MREMAP,
    OPEN,
    QUIET,
    REMOTE,
    SCAN,
    SCAN_WP,
    SHARES,
    SLEEPERS,
    STORES,
    SWAP_OUT,
    UNPOPULATED,
    UNREGISTERS,
    WAKE,
    WRITES,
    codes_of,
    passes_holes,
    process_at,
    slots_of,
)
from faultline.oracle.steps import (
    ACCESSES_FINE,
    BOTH,
    BY_ITSELF,
    FILLS_MARKERS,
    FINEST,
    FORK_AT,
    LAST_PAGE_FIRST,
    LOUD,
    RANGES_FINE,
    REGISTERS_ANEW,
    Dropped,
    Part,
    drops_of,
    steps_of,
)
from faultline.program.codec import (
    Operation,
    blocks,
    is_monitor,
    overlapping,
    overlaps,
    process_of,
)
from faultline.program.ops import (
    ADVICE,
    BY_NAME,
    FEATURES,
    SLOTS,
    TASK_MONITOR,
)
from faultline.program.schedule import number_of
from faultline.program.trace import Status

_LOOKS_UP: Final = HOLDING | codes_of("guest-read", "guest-write", "process-read", "process-write")
_LOAD: Final = BY_NAME["read"].code
_EXIT: Final = BY_NAME["exit"].code


def _mask(*names: str) -> int:
    return sum(1 << BY_NAME[name].code for name in names)


#: Who has found that it must wait, but does not sleep yet, is woken by nobody; its message is there to be read.
#: Kernels look again before they sleep, but cannot tell that a page was poisoned, or lost its protection and is still
#: shared.
#: Source: Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults, tells of no wake-up but for a fault that
#: was notified.
_LATE: Final = _mask("uffd-resolve", "uffd-poison", "uffd-wake")
#: The same, of what ends the registration: nobody is to wait after it.  A known deviation.
_LATE_FOR_GOOD: Final = _mask("uffd-unregister", "uffd-close")
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
    KnownDeviation(
        "reclaim-leaves-tlb",
        "What write(2) has written to a file is what its shared mappings show.",
        "mmap(2), MAP_SHARED; Documentation/core-api/cachetlb.rst",
        "Reclaim that has given a page of shared memory to swap and freed its place there flushes TLBs only when it is "
        "done with its list of pages: until then who has written to the file still reads the page that was there.",
        "6.12, 7.2 (machine, with a swap device that is done at once, as zram; source: shrink_folio_list() "
        "calls try_to_unmap_flush() after __remove_mapping())",
        """\
p0.0 file-open f0 memfd @1
p0.0 mmap-file a0 rw f0 @0 shared
p0.0 read a0
par {
  p0.0 madvise a0 pageout
  p0.1 read a0
  p0.1 file-write f0 @0 =1
  p0.1 read a0
}
""",
    ),
)
LATE_FOR_GOOD, LATE_AT_COPY, PASSES_MIGRATING, GUARD_LEAVES_TLB, RECLAIM_LEAVES_TLB = (
    deviation.id for deviation in DEVIATIONS_OVERLAPPING
)
_MAY_RECLAIM: Final = (ADVICE.words.index("pageout"), ADVICE.words.index("cold"))
_EVENTS: Final = sum(1 << at for at, word in enumerate(FEATURES.words) if word.startswith("event-"))
#: What puts migration entries in the place of pages meanwhile.  Source: Documentation/mm/page_migration.rst.
_BY_MIGRATION: Final = codes_of("migrate", "split")
_MUNMAP: Final = BY_NAME["munmap"].code
_LEVELS: Final = (0, ACCESSES_FINE, RANGES_FINE, BOTH)
_FINE_LEVELS: Final = (
    FINEST, FINEST | BOTH, BY_ITSELF, BY_ITSELF | ACCESSES_FINE,
    LAST_PAGE_FIRST | RANGES_FINE, LAST_PAGE_FIRST | BOTH,
)  # fmt: skip
#: Where a userfaultfd that waits for an event to be read says EAGAIN to all else.
_EVENT_LEVELS: Final = (FINEST | REGISTERS_ANEW, FINEST | REGISTERS_ANEW | BOTH)
#: Where a page that is not there can be protected.
_MARKER_LEVELS: Final = (FILLS_MARKERS, FILLS_MARKERS | RANGES_FINE)
_LOUD_LEVELS: Final = (LOUD, LOUD | ACCESSES_FINE)


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


def orders(ops: Sequence[Operation], idle: frozenset[int]) -> Iterator[Order]:
    """The orders of a program's blocks, the coarsest first: of whole operations, with accesses in two steps, page by
    page, with some that do nothing.

    :param idle: indices of operations that do nothing in any order: they were skipped.
    """
    seen: set[tuple[bool, tuple[Part, ...]]] = set()
    sets, places = list(_idle_sets(ops, idle)), (ops, *_elsewhere(ops))
    seldom = [
        level
        for features, levels in ((_EVENTS, _EVENT_LEVELS), (UNPOPULATED, _MARKER_LEVELS))
        if any(op[0] == OPEN and op[3] & features for op in ops)
        for level in levels
    ]
    seldom += [slot + 1 << FORK_AT for slot in _stored_beside_fork(ops)[:-1]]
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
    by_tlb = [
        *((index, GUARD_LEAVES_TLB) for index in _guards_beside(ops)),
        *((index, RECLAIM_LEAVES_TLB) for index in _read_beside_reclaim(ops)),
    ]
    for (index, deviation), level, others in product(by_tlb, _LEVELS, sets):
        for steps in _merged(ops, level, idle | others, late=index):
            yield replace(_order(steps, idle | others, False), deviation=deviation)


def _stored_beside_fork(ops: Sequence[Operation]) -> list[int]:
    """The slots that tasks store to in a block in which one forks."""
    inside = [ops[start:end] for start, end in blocks(ops) if any(op[0] in SHARES for op in ops[start:end])]
    return sorted({op[2] for block in inside for op in block if op[0] in STORES})


def _guards_beside(ops: Sequence[Operation]) -> Iterator[int]:
    """What makes guard pages while another task gives up the same ones."""
    for start, end in blocks(ops):
        for index, other in product(range(start, end), ops[start:end]):
            op = ops[index]
            beside = process_of(other[1]) == process_of(op[1]) and other[1] != op[1] and slots_of(op) & slots_of(other)
            if op[0] == GUARD and other[0] in (GUARD, MADVISE) and beside:
                yield index


def _read_beside_reclaim(ops: Sequence[Operation]) -> Iterator[int]:
    """What reads, by a TLB, after another operation of its task, while others reclaim pages."""
    for start, end in blocks(ops):
        for index in range(start + 1, end):
            is_later = ops[index][0] == _LOAD and any(other[1] == ops[index][1] for other in ops[start:index])
            if is_later and any(_reclaims(other) and other[1] != ops[index][1] for other in ops[start:end]):
                yield index


def _reclaims(op: Operation) -> bool:
    return op[0] == SWAP_OUT or (op[0] == MADVISE and op[4] in _MAY_RECLAIM)


def _migrating(ops: Sequence[Operation]) -> set[tuple[int, int]]:
    """What migrates pages, with slots of theirs that scans protect meanwhile."""
    found: set[tuple[int, int]] = set()
    for start, end in blocks(ops):
        scans = [op for op in ops[start:end] if op[0] == SCAN and op[5] & SCAN_WP]
        moves = [index for index in range(start, end) if ops[index][0] in _BY_MIGRATION]
        for scan, index in product(scans, moves):
            move = ops[index]
            if process_of(scan[1]) == move[2]:
                slots = slots_of(scan) & slots_of(move) if move[0] == MIGRATE else slots_of(scan)
                found.update((index, slot) for slot in slots)
    return found


def _elsewhere(ops: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """The program with an access to a page that moves meanwhile at its other place: where it was, a TLB may still lead
    to it; where it goes, it is before the move is done."""
    for start, end in blocks(ops):
        for source, target, pages, process in filter(None, map(_moved, ops[start:end])):
            far = target - source
            for index in range(start, end):
                op = ops[index]
                if op[0] not in ACCESSES or op[0] in REMOTE | HOLDING or process not in (-1, process_of(op[1])):
                    continue
                for first, by in ((source, far), (target, -far)):
                    if first <= op[2] < first + pages and 0 <= op[2] + by < SLOTS:
                        yield (*ops[:index], (*op[:2], op[2] + by, *op[3:]), *ops[index + 1 :])


def _moved(op: Operation) -> tuple[int, int, int, int] | None:
    """Where the operation moves pages from and to, how many, and of which process; -1: of the userfaultfd's."""
    if op[0] == MREMAP:
        return op[2], op[4], op[3], process_of(op[1])
    return (op[5], op[3], op[4], -1) if op[0] in MOVES else None


def coarse(ops: Sequence[Operation], idle: frozenset[int]) -> Iterator[Order]:
    """The program with its blocks, operations in steps: for orders in which a task that was woken goes on later, when
    others have done more.  To be run without preemptions, whoever goes on at the end of a step."""
    inside = [op for start, end in blocks(ops) for op in ops[start:end]]
    tasks = sorted({number_of(op) for op in inside if op[0] in SLEEPERS})
    lates: list[tuple[int, int, str]] = [(0, 0, "")]
    sorts = [(_LATE, ""), (_LATE | _LATE_FOR_GOOD, LATE_FOR_GOOD)]
    if any(op[0] in WRITES for op in ops) and any(_LATE_AT_COPY >> op[0] & 1 for op in inside):
        sorts.append((_LATE | _LATE_AT_COPY, LATE_AT_COPY))
        if any(op[0] in UNREGISTERS for op in inside):
            sorts.append((_LATE | _LATE_AT_COPY | _LATE_FOR_GOOD, LATE_AT_COPY))
    for codes, deviation in sorts:
        if any(codes >> op[0] & 1 for op in inside):
            lates += ((sum(late), codes, deviation) for late in _some(tasks))
    seen: set[tuple[int, int, tuple[Part, ...]]] = set()
    for (late, codes, deviation), level in product(lates, (*_LEVELS, *_LOUD_LEVELS)):
        for others in _idle_sets(ops, idle):
            steps: list[Part] = []
            for index, op in enumerate(ops):
                if not overlaps(op):
                    steps.append((op, index))
                elif index not in idle | others:
                    steps += ((overlapping(step), index) for step, _ in steps_of(ops, index, level))
            if (late, codes, tuple(steps)) not in seen:
                seen.add((late, codes, tuple(steps)))
                order = _order(steps, idle | others, False)
                yield replace(order, in_blocks=True, late=late, late_ops=codes, deviation=deviation)


def _some(tasks: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The sets of tasks, as bits, that have any; the smallest first."""
    for size in range(1, len(tasks) + 1):
        yield from combinations((1 << task for task in tasks), size)


def _order(steps: Sequence[Part], idle: frozenset[int], last_first: bool) -> Order:
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
    if op[0] == SCAN:  # a page on its way is not there
        return status == Status.DONE
    return _is_best_effort(op) and status in (Status.DONE, Status.ERROR)


def _is_best_effort(op: Operation) -> bool:
    return op[0] in BEST_EFFORT or (op[0] == MADVISE and op[4] in _MAY_RECLAIM)


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
    if op[0] == SCAN and not op[5] & SCAN_WP and any(other[0] in _BY_MIGRATION for other in block):
        return True
    if op[0] in _LOOKS_UP and any(_unmaps(other, process_at(op), slots_of(op)) for other in block):
        return True
    ends = {process_of(other[1]) for other in block if other[0] == _EXIT}
    return not is_monitor(op[1]) and op[0] != _EXIT and process_of(op[1]) in ends


def _unmaps(op: Operation, process: int, slots: set[int]) -> bool:
    return op[0] == _MUNMAP and process_of(op[1]) == process and not slots.isdisjoint(slots_of(op))


def _merged(
    ops: Sequence[Operation], level: int, idle: frozenset[int], dropped: Dropped = (), late: int = -1
) -> Iterator[tuple[Part, ...]]:
    """The program with its blocks merged in all ways, those with few changes from task to task first.

    :param dropped: what migrates pages, with slots that lose their protection by it.
    :param late: an operation that comes at another time than those of its own task; below 0: none.
    """
    places = blocks(ops)
    around = [0, *(end for _, end in places)], [*(start for start, _ in places), len(ops)]
    between = [tuple((op, at + i) for i, op in enumerate(ops[at:start])) for at, start in zip(*around, strict=True)]
    queues = [_queues(ops, range(start, end), level, idle, dropped, late) for start, end in places]

    def rest(block: int) -> Iterator[tuple[Part, ...]]:
        if block == len(places):
            yield between[block]
            return
        for merged in _merges(queues[block]):
            for tail in rest(block + 1):
                yield (*between[block], *merged, *tail)

    return rest(0)


def _queues(
    ops: Sequence[Operation], block: range, level: int, idle: frozenset[int], dropped: Dropped, late: int
) -> list[list[Part]]:
    """The steps of each task."""
    queues: dict[int, list[Part]] = {}
    for index in block:
        if index not in idle:
            steps = [*steps_of(ops, index, level), *drops_of(ops, index, dropped)]
            queues.setdefault(~index if index == late else number_of(ops[index]), []).extend(steps)
    if level & BY_ITSELF:
        for index in block:
            if index not in idle and ops[index][0] in QUIET:
                queues[~index] = [((WAKE, TASK_MONITOR, *ops[index][2:5]), ~index)]
    return list(queues.values())


def _merges(queues: list[list[Part]]) -> Iterator[tuple[Part, ...]]:
    """All ways to merge the queues, each keeping its order; those with few changes from one to another first."""
    total = sum(map(len, queues))
    for changes in range(max(total, 1)):
        yield from _merges_with([0] * len(queues), queues, -1, changes)


def _merges_with(taken: list[int], queues: list[list[Part]], last: int, changes: int) -> Iterator[tuple[Part, ...]]:
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
