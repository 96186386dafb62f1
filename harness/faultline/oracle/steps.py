"""The steps of operations that overlap: for each operation the sequential ones that come to the same together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from faultline.oracle.sorts import (
    ACCESSES,
    BRINGS,
    DONTNEED,
    EVENT,
    EVENT_REMOVE,
    FORBIDS,
    GUARD,
    GUARD_REMOVE,
    HOLDING,
    MADVISE,
    MIGRATE,
    MOVES,
    OPEN,
    PAGES_AT,
    PIN,
    PIN_WRITE,
    POISON,
    POPULATES,
    PROTECT,
    QUIET,
    READ,
    REGISTER,
    REMOTE,
    REMOVE,
    RESOLVE,
    SCAN,
    SCAN_WP,
    SHARES,
    STORES,
    SWAP_OUT,
    UNPIN,
    UNREGISTER,
    WRITE,
    WRITES,
    codes_of,
    process_at,
    slots_of,
)
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
    ALLOCATE,
    BY_NAME,
    COPY_MODE,
    FILE_END,
    MAP_TYPE,
    PIN_FLAGS,
    PINS,
    TASK_MONITOR,
    TASKS,
    WAKE_MODE,
)
from faultline.program.schedule import number_of

#: Operations with a step for each page.  Source: their man pages promise nothing about other pages of the range while
#: one is at work; ioctl_userfaultfd(2) and madvise(2) even tell of ranges that are done in part.
PAGE_BY_PAGE: Final = codes_of(
    "uffd-wp", "uffd-resolve", "madvise", "populate", "swap-out", "mprotect", "numa-hint", "migrate", "pagemap-scan",
    "ksm-merge", "guard-install", "guard-remove",
)
#: Of these one that sleeps goes on with the rest of its range.
_SLEEP_AMID: Final = codes_of("pin", "ref", "populate", "madvise")
_TRUNCATE, _ALLOCATE = BY_NAME["file-truncate"].code, BY_NAME["file-allocate"].code
_FILE_ENDS: Final = FILE_END.lo + FILE_END.count - 1
_KEEP_SIZE, _PUNCH = (ALLOCATE.words.index(word) for word in ("keep-size", "punch-hole"))
_COPY: Final = BY_NAME["uffd-copy"].code
_COPY_PROTECTED: Final = (1 << len(COPY_MODE.words)) - 1
_MERGE: Final = BY_NAME["ksm-merge"].code
_MAP_FILE: Final = BY_NAME["mmap-file"].code
_PRIVATE: Final = MAP_TYPE.words.index("private")
_FORK: Final = BY_NAME["fork"].code
_DROP: Final = BY_NAME["drop-swap-cache"].code
_CLOSE: Final = BY_NAME["uffd-close"].code
_PIN_READ, _PIN_WRITES = BY_NAME["pin-read"].code, BY_NAME["pin-write"].code
_HANDLE_AT: Final = {BY_NAME[name].code: 2 for name in ("pin", "ref", "unpin", "pin-read", "pin-write")}
_PIN_FORCE, _PIN_LONGTERM = (1 << PIN_FLAGS.words.index(word) for word in ("force", "longterm"))
_DEBUGGER: Final = codes_of("mem-read", "mem-write")

#: What a level, as bits, has in steps, and how.
ACCESSES_FINE, RANGES_FINE, LOUD, FINEST, BY_ITSELF, LAST_PAGE_FIRST, REGISTERS_ANEW = 1, 2, 4, 8, 16, 32, 64
FILLS_MARKERS: Final = 128
#: A level's bits from here on: one more than the slot at which a fork is when other tasks store; 0: of no matter.
FORK_AT: Final = 8
BOTH: Final = ACCESSES_FINE | RANGES_FINE


Part = tuple[Operation, int]
"""An operation, and the index of the one that it is part of."""
Dropped = Sequence[tuple[int, int]]


def handles_of(ops: Sequence[Operation]) -> list[int]:
    """The userfaultfds that the program may have."""
    return sorted({op[2] for op in ops if op[0] == OPEN} | {op[3] for op in ops if op[0] == EVENT})


def drops_of(ops: Sequence[Operation], index: int, dropped: Dropped) -> list[Part]:
    """What ends the protection of these slots when the operation has migrated them."""
    quiet = 1 << WAKE_MODE.words.index("dontwake")
    slots = [slot for move, slot in dropped if move == index]
    return [((RESOLVE, TASK_MONITOR, uffd, slot, 1, quiet), ~index) for slot in slots for uffd in handles_of(ops)]


def steps_of(ops: Sequence[Operation], index: int, level: int) -> list[Part]:
    op = alone(ops[index])
    if level & (LOUD | BY_ITSELF) and op[0] in QUIET:
        at, bit = QUIET[op[0]]
        op = (*op[:at], op[at] & ~bit | (bit if level & BY_ITSELF else 0), *op[at + 1 :])
    if level & FINEST:
        finest = _finest(ops, op, index, bool(level & REGISTERS_ANEW))
        if finest:
            return finest
    if level & FILLS_MARKERS and op[0] in WRITES:
        slots = sorted(slots_of(op))
        return [*((_protected_zeroes(uffd, slot), ~index) for uffd in handles_of(ops) for slot in slots), (op, index)]
    if level >> FORK_AT and op[0] in STORES:
        steps = _in_children(ops, op, index) if op[2] >= level >> FORK_AT else []
        return [(op, index), *((step, ~index) for step in steps)]
    if level & ACCESSES_FINE and op[0] in ACCESSES:
        return [*(_pinned_first(ops, op, index) or [(step, index) for step in _faulted_in(op)]), (op, index)]
    if level & RANGES_FINE and op[0] in PAGE_BY_PAGE:
        met = _met(ops, index)
        pages = _pages(op, met)
        if level & LAST_PAGE_FIRST and op[0] in FORBIDS:
            pages = _last_first(op, pages, met)
        if op[0] == _MERGE:  # which looks at each page twice, as a page has to stay as it is for a while
            pages += pages
        if level & ACCESSES_FINE:
            pages = [step for page in pages for step in _twice(ops, page)]
        return [(page, index) for page in pages]
    return [(op, index)]


def _finest(ops: Sequence[Operation], op: Operation, index: int, anew: bool) -> list[Part]:
    """Steps that others see only where two are at work on one page, or end what it is registered for; none: as usual.

    A store, or what populates for one, brings a page for reading first, which may be protected, or there already;
    then it makes it writable.  Who reads or writes another process's memory pins the page, then copies.  What
    closes a userfaultfd ends its registrations; who is at work with it finds that.  What takes a page of a file
    away from an access that is at work may take its protection away, too; what cuts the file takes its pages away
    for who has seen the old end, and before them their private copies.  Reclaim that found a page in the swap cache
    alone may take it when an access has mapped it again.  What populates may stop when it looks at its first page
    again, before it goes on.  A page that migrates looks like one in swap.  What scans tells of a page, then
    protects what is there, as UFFDIO_WRITEPROTECT does, which a poisoned one is not.  Guard pages are put when all
    pages of the range were dropped.  What fills the page of a file finds what an access has brought to the page
    cache, but not mapped yet.  What is given up is gone first, then flushed from TLBs.  Reclaim may find a page
    that another task's store has just left to other processes.  KSM that gives up merging a page leaves a copy.

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
    if op[0] == MIGRATE and any(other[0] == SCAN for other in block_of(ops, index)):
        pages = _pages(op, _met(ops, index))
        return [*(((SWAP_OUT, *page[1:]), ~index) for page in pages), *((page, index) for page in pages)]
    if op[0] == SCAN and op[5] & SCAN_WP and any(other[0] == POISON for other in block_of(ops, index)):
        return [step for page in _pages(op, _met(ops, index)) for step in _told_first(ops, page, index)]
    if op[0] == _MERGE:
        return [(step, ~index) for step in _unshared(ops, op, index)]
    if op[0] == SWAP_OUT:
        return [(step, ~index) for step in _left_to_others(ops, op, index)]
    if op[0] == MADVISE and op[4] == DONTNEED:
        return _flushed_last(ops, op, index)
    if op[0] == _CLOSE:
        ranges = dict.fromkeys(other[3:5] for other in ops if other[0] == REGISTER)
        return [*(((UNREGISTER, TASK_MONITOR, op[2], *at), ~index) for at in ranges), (op, index)]
    if op[0] == GUARD:
        return [(step, index) for step in _twice(ops, op)]
    if op[0] == POPULATES:
        first = _pages(op, _met(ops, index))[0]
        looks = [(*first[:4], READ)] if op[4] == WRITE else []
        soon = [*looks, *([first] if first != op else [])]
        return [(step, index) for step in (*soon, op)] if soon else []
    if op[0] in REMOTE:
        handle = _free_handle(ops)
        if handle is None:
            return []
        writes = op[0] in WRITES
        flags = (PIN_WRITE if writes else 0) | (_PIN_FORCE if op[0] in _DEBUGGER else 0)
        copies = (_PIN_WRITES, TASK_MONITOR, handle, *op[3:]) if writes else (_PIN_READ, TASK_MONITOR, handle, op[3])
        return [
            ((PIN, task_byte(op[2], TASKS - 1), handle, op[3], 1, flags), ~index),
            (copies, index),
            ((UNPIN, TASK_MONITOR, handle, 1), ~index),
        ]
    cached = [(step, ~index) for step in _cached(ops, op, index)]
    if op[0] in WRITES:
        steps = ((POPULATES, op[1], op[2], 1, READ), *_faulted_in(op), op)
        return [*cached, *((step, index) for step in steps)]
    return [*cached, (op, index)] if cached else []


def _protected_zeroes(uffd: int, slot: int) -> Operation:
    """What leaves what a store does that finds a page protected which is not there, before it waits."""
    return (_COPY, TASK_MONITOR, uffd, slot, 1, 0, _COPY_PROTECTED)


def _in_children(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """The same store in children that another task is making, which get the pages that come later as they are then."""
    forks = (other for other in block_of(ops, index) if other[0] in SHARES and other[1] != op[1])
    own = process_of(op[1])
    return [(op[0], task_byte(fork[2], 0), *op[2:]) for fork in forks if process_of(fork[1]) == own]


def _free_handle(ops: Sequence[Operation]) -> int | None:
    """One for pins that no operation of the program names."""
    return next((k for k in range(PINS) if not any(_HANDLE_AT.get(o[0]) and o[2] == k for o in ops)), None)


def _cached(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """What brings the pages to the page cache that an access maps then, as far as others of the block fill them."""
    if op[0] not in ACCESSES or not any(other[0] in BRINGS for other in block_of(ops, index)):
        return []
    shows = _shows(ops, index)
    pages = sorted({shows[slot] for slot in slots_of(op) & shows.keys()})
    return [(_ALLOCATE, op[1], file, page, page + 1, _KEEP_SIZE) for file, page in pages if page < _FILE_ENDS]


def _shows(ops: Sequence[Operation], index: int) -> dict[int, tuple[int, int]]:
    """For each slot that shows one, the file and the page."""
    return {op[2] + i: (op[5], op[6] + i) for op in ops[:index] if op[0] == _MAP_FILE for i in range(op[3])}


def _pinned_first(ops: Sequence[Operation], op: Operation, index: int) -> list[Part]:
    """The first step of a forced pin, for each page: populating does not reach what the mapping forbids."""
    handle = _free_handle(ops) if op[0] == PIN and op[5] & _PIN_FORCE else None
    if handle is None:
        return []
    unpin = (UNPIN, TASK_MONITOR, handle, 0), ~index
    pages = [(*page[:2], handle, *page[3:5], page[5] & ~_PIN_LONGTERM) for page in _pages(op)]
    return [step for page in pages for step in ((page, index), unpin)]


def _frees(op: Operation) -> bool:
    """Whether the operation takes pages of a file away."""
    if op[0] == MADVISE:
        return op[4] == REMOVE
    return op[0] == _TRUNCATE or (op[0] == _ALLOCATE and op[5] == _PUNCH)


def block_of(ops: Sequence[Operation], index: int) -> Sequence[Operation]:
    """The operations of the operation's block."""
    start, end = next(block for block in blocks(ops) if block[0] <= index < block[1])
    return ops[start:end]


def _unprotected(ops: Sequence[Operation], index: int, anew: bool) -> list[Operation]:
    """What ends the protection of the slots that others of the block access, and of those that show the same pages.

    :param anew: by registering them anew, which wakes who waits there, but is not refused while an event waits.
    """
    handles = handles_of(ops)
    slots = {slot for op in block_of(ops, index) if op[0] in ACCESSES for slot in slots_of(op)} if handles else set()
    shows = _shows(ops, index)
    pages = {shows[slot] for slot in slots & shows.keys()}
    slots |= {slot for slot, page in shows.items() if page in pages}
    if not anew:
        quiet = 1 << WAKE_MODE.words.index("dontwake")
        return [(RESOLVE, TASK_MONITOR, uffd, slot, 1, quiet) for uffd in handles for slot in sorted(slots)]
    last = {slot: op for op in ops[:index] if op[0] == REGISTER for slot in slots_of(op)}
    return [
        step
        for slot in sorted(last.keys() & slots)
        for step in (
            (UNREGISTER, TASK_MONITOR, last[slot][2], slot, 1),
            (REGISTER, TASK_MONITOR, last[slot][2], slot, 1, last[slot][5]),
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
        for other in block_of(ops, index)
        if other[0] in ACCESSES
        for slot in slots_of(other) & cut
    }
    return [(MADVISE, task_byte(process, TASKS - 1), slot, 1, DONTNEED) for process, slot in sorted(pages)]


def _unshared(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """What KSM leaves of the pages that others of the block move: where it gave up merging, a copy of the process's."""
    moves = (other for other in block_of(ops, index) if other[0] in MOVES)
    slots = sorted({slot for move in moves for slot in range(move[5], move[5] + move[4])} & slots_of(op))
    return [(POPULATES, task_byte(op[2], TASKS - 1), slot, 1, WRITE) for slot in slots]


def _left_to_others(ops: Sequence[Operation], op: Operation, index: int) -> list[Operation]:
    """Reclaim of what the process had there, but shares no more, as another task stores meanwhile; none: none does."""
    stores = (other for other in block_of(ops, index) if other[0] in WRITES and process_at(other) == op[2])
    if not any(slots_of(other) & slots_of(op) for other in stores):
        return []
    others = {0, *(other[2] for other in ops[:index] if other[0] == _FORK)} - {op[2]}
    return [(*op[:2], process, *op[3:]) for process in sorted(others)]


def _flushed_last(ops: Sequence[Operation], op: Operation, index: int) -> list[Part]:
    """The pages are gone; what stores of other tasks find in their TLBs still goes with them, and who has looked in
    between finds zeroes.  None of them: no steps."""
    others = (other for other in block_of(ops, index) if other[0] in WRITES and other[1] != op[1])
    slots = sorted({slot for other in others for slot in slots_of(other) & slots_of(op)})
    later = (((MADVISE, op[1], slot, 1, DONTNEED), (POPULATES, op[1], slot, 1, READ)) for slot in slots)
    return [(op, index), *((step, ~index) for steps in later for step in steps)] if slots else []


def _told_first(ops: Sequence[Operation], scan: Operation, index: int) -> list[Part]:
    protects = [((PROTECT, TASK_MONITOR, uffd, *scan[2:4]), ~index) for uffd in handles_of(ops)]
    return [(_only_looking(scan), index), *protects]


def _only_looking(scan: Operation) -> Operation:
    return (*scan[:5], scan[5] & ~SCAN_WP)


def _taken(ops: Sequence[Operation], index: int) -> list[Operation]:
    """Reclaim of the pages that others of the block access."""
    pages = {
        (process_at(op), slot) for op in block_of(ops, index) if op[0] in ACCESSES for slot in slots_of(op)
    }
    return [(SWAP_OUT, TASK_MONITOR, process, slot, 1) for process, slot in sorted(pages)]


def _twice(ops: Sequence[Operation], op: Operation) -> Sequence[Operation]:
    """What populates makes the page, then looks at it; what scans tells, then protects: by then TLBs are flushed; what
    makes guard pages drops what is there, without the remove event, then puts them."""
    if op[0] == POPULATES:
        return op, op
    if op[0] == GUARD:
        if any(other[0] == OPEN and other[3] & EVENT_REMOVE for other in ops):
            return op, (GUARD_REMOVE, *op[1:]), op
        return (MADVISE, *op[1:4], DONTNEED), op
    if op[0] == SCAN and op[5] & SCAN_WP:
        return _only_looking(op), op
    return (op,)


def telling(op: Operation, steps: Sequence[Operation]) -> list[int]:
    """Which of an operation's steps tell its outcome."""
    looked = {step[2:4] for step in steps if op[0] == SCAN and not step[5] & SCAN_WP}
    return [i for i, step in enumerate(steps) if step[2:4] not in looked or not step[5] & SCAN_WP]


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


def _pages(op: Operation, met: frozenset[int] | None = None) -> list[Operation]:
    """The operation on each page of its range; what nobody else meets is one with what follows."""
    at = PAGES_AT[op[0]]
    first, end = op[at - 1], op[at - 1] + op[at]
    cuts = [first]
    for slot in range(first + 1, end):
        if met is None or slot in met or slot - 1 in met:
            cuts.append(slot)
    return [
        (*op[: at - 1], slot, following - slot, *op[at + 1 :])
        for slot, following in zip(cuts, (*cuts[1:], end), strict=True)
    ]


def _last_first(op: Operation, pages: Sequence[Operation], met: frozenset[int] | None) -> list[Operation]:
    """The pages from the last one on; what nobody else meets there is one with what comes before: by itself it may be
    a hole, which is an error."""
    at = PAGES_AT[op[0]]
    *others, last = pages
    if others and met is not None and last[at - 1] not in met:
        before = others.pop()
        last = (*before[:at], before[at] + last[at], *before[at + 1 :])
    return [last, *reversed(others)]


def joined(steps: Sequence[Operation], op: Operation) -> Operation | None:
    """The operation that the last steps of one come to, as far as one stands for them."""
    if steps[-1] == alone(op):
        return steps[-1]
    if op[0] not in PAGE_BY_PAGE:
        return None
    at = PAGES_AT[op[0]]
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
    return (*_faulted_in(op)[0][:2], min(slots), len(slots), READ)


def _faulted_in(op: Operation) -> list[Operation]:
    """The first step of an access, for each page."""
    if op[0] in HOLDING:
        writes = op[0] == BY_NAME["pin"].code and bool(op[5] & PIN_WRITE)
        return _pages((POPULATES, op[1], op[3], op[4], WRITE if writes else READ))
    how = WRITE if op[0] in WRITES else READ
    if op[0] not in REMOTE:
        return [(POPULATES, op[1], op[2], 1, how)]
    own = not is_monitor(op[1]) and process_of(op[1]) == op[2]
    return [(POPULATES, op[1] if own else task_byte(op[2], TASKS - 1), op[3], 1, how)]


#: What is about all pages of a process.
_WHOLE: Final = codes_of("fork", "exit", "clear-refs", "ksm-scan", "swapoff", "drop-swap-cache", "uffd-close")
