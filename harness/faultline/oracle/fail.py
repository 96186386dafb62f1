"""The rules of failure injection: what an operation may do when a request for memory fails in it.

It may go through all the same, or fail with an error that says so.  A range operation that fails has done its work on
the first pages of its range, some, all or none of them; any other has done nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import product
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import (
    BLOCKED_EVENT,
    ENOMEM,
    FEATURE_EVENT_REMAP,
    FEATURE_EVENT_UNMAP,
    PROCESS_MASK,
    Outcome,
)
from faultline.oracle.mremap import Mremap
from faultline.oracle.pins import HOLDING
from faultline.oracle.sorts import PAGES_AT
from faultline.oracle.state import (
    MERGEABLE,
    PRESENT,
    READ,
    REG_WP,
    SWAP,
    UFFD_WP,
    Context,
    EventWaiter,
    ForkWaiter,
    Process,
    Waiter,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, BY_NAME, FAULT, OPS, POPULATE, SLOT, SLOTS, TASK_MONITOR, WAKE_MODE
from faultline.program.trace import Status

_DONE: Final[Outcome] = (int(Status.DONE), 0, 0)
_ERROR: Final = int(Status.ERROR)
_NO_MEMORY: Final = (errno.ENOMEM,)
#: madvise(2): EAGAIN, a kernel resource was temporarily unavailable.
#: UFFDIO_COPY(2const): EAGAIN, only some pages were copied.
_MAY_SAY_AGAIN: Final = frozenset(
    BY_NAME[name].code
    for name in ("madvise", "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-wp", "uffd-resolve")
)
#: What an operation says where others say that there is no memory.
_SAYS: Final = {
    BY_NAME[name].code: errors
    for name, errors in (
        *(("mem-read", (errno.EIO,)), ("mem-write", (errno.EIO,))),
        *(("process-read", (errno.EFAULT,)), ("process-write", (errno.EFAULT,))),
        # memfd_create(2) knows ENOMEM; tmpfs, which has no room for an inode then, says ENOSPC.
        *(("file-open", (errno.ENOMEM, errno.ENOSPC)), ("mmap-shared", (errno.ENOMEM, errno.ENOSPC))),
    )
}
#: Accesses to one page that a userfaultfd may have stopped, and that may fail for want of memory.
_WOKEN: Final = frozenset(
    BY_NAME[name].code for name in ("guest-read", "guest-write", "process-read", "process-write")
)
_GUARD, _GUARD_REMOVE = BY_NAME["guard-install"].code, BY_NAME["guard-remove"].code
_POPULATE, _MEM_READ, _MEM_WRITE = (BY_NAME[name].code for name in ("populate", "mem-read", "mem-write"))
#: Accesses to a page that may come back from swap before there is no memory for a copy of it.
_COPIES: Final = frozenset(BY_NAME[name].code for name in ("mem-write", "process-read", "process-write"))
NOTHING, MEMORY, SWAP_READ = range(3)
_READ_FAULT, _WRITE = (FAULT.lo + FAULT.words.index(word) for word in ("swap-read", "swap-write"))
_READ: Final = POPULATE.lo + POPULATE.words.index("read")
_MUNMAP, _MREMAP, _MADVISE, _SWAPOFF = (BY_NAME[name].code for name in ("munmap", "mremap", "madvise", "swapoff"))
_UNMERGEABLE: Final = ADVICE.words.index("unmergeable")
#: Operations that unmap, or make room first, whose events are waited for also if they fail then.
_UNMAPS: Final = frozenset(
    BY_NAME[name].code for name in ("mmap", "mmap-shared", "mmap-file", "mremap", "mremap-resize", "munmap")
)
_RESIZE: Final = BY_NAME["mremap-resize"].code
_MAPS: Final = frozenset(BY_NAME[name].code for name in ("mmap", "mmap-shared", "mmap-file"))
_FORK, _CONTINUE, _GUEST_WRITE = (BY_NAME[name].code for name in ("fork", "uffd-continue", "guest-write"))
_UNREGISTER, _RESOLVE, _UFFD_WAKE = (BY_NAME[name].code for name in ("uffd-unregister", "uffd-resolve", "uffd-wake"))
_DONTWAKE: Final = 1 << WAKE_MODE.words.index("dontwake")
#: Operations that may read a page of a file: whether it is their own process's, and where they have the first slot.
_READS_AT: Final = {
    BY_NAME[name].code: (name not in ("mem-read", "process-read"), BY_NAME[name].kinds.index(SLOT) + 2)
    for name in ("mem-read", "process-read", "guest-read", "pin", "ref", "populate")
}
#: Operations that may write to pages: the same.
_WRITES_AT: Final = {
    BY_NAME[name].code: (name not in ("mem-write", "process-write"), BY_NAME[name].kinds.index(SLOT) + 2)
    for name in ("mem-write", "process-write", "guest-write", "pin", "populate")
}
#: Where an operation has the flag that lets waiters sleep on.
_WAKE_AT: Final = {op.code: op.kinds.index(WAKE_MODE) + 2 for op in OPS if WAKE_MODE in op.kinds}


class Fail(Mremap):
    """Failures on demand."""

    _handles: list[Context | None]
    _failing: int
    """What of the next operation may fail: NOTHING, MEMORY, SWAP_READ."""

    def _op_fail(self, op: Operation) -> Outcome:
        self._rule = rules.FAIL
        # A failed write to swap is no matter of user space: the page stays in memory.
        self._failing = NOTHING if op[2] == _WRITE else SWAP_READ if op[2] == _READ_FAULT else MEMORY
        return _DONE

    def _failed(self, op: Operation) -> Outcome | None:
        """The backend's outcome of the present operation, if it says that there was no memory."""
        seen = self._saw(self._index)
        if seen is None:
            return None
        if op[0] in HOLDING and seen[0] == _DONE[0] and 0 < seen[2] < op[4]:
            return seen
        if seen == BLOCKED_EVENT and op[0] in _UNMAPS:
            return seen
        says = _SAYS.get(op[0], (errno.ENOMEM, errno.EAGAIN))
        if op[0] == _CONTINUE and self._holds[versions.CONTINUE_UNREADABLE]:
            says = (*says, errno.EFAULT)
        return seen if seen[0] == _ERROR and seen[1] in says else None

    def _lacks_memory(self, waiter: Waiter) -> Outcome | None:
        seen = self._saw(waiter.index)
        if seen is None or seen[0] != _ERROR or waiter.op[0] not in _WOKEN | HOLDING:
            return None
        if seen[1] not in _SAYS.get(waiter.op[0], _NO_MEMORY):
            return None
        self._abandon(waiter)
        process, slot = waiter.context.mm, waiter.slot
        self._come_before(waiter.op, waiter.index, process, slot)
        self._may_be_unprotected(process, slot)
        self._rule = rules.FAIL_NO_MEMORY
        return seen

    def _come_before(self, op: Operation, index: int, process: Process, slot: int) -> None:
        """The page may be there, as the backend shows, though there was no memory for a copy of it, or those beside it
        in its file."""
        if process.backing is not None and process.backing[slot] is not None:
            self._map_around(process, slot)
        if not (self._seen_word(process, slot) or 0) & PRESENT:
            return
        if slot in process.swapped:
            self._swap_in(process, slot)
        elif op[0] in HOLDING:
            waits, self._waits = self._waits, False
            self._fault_in(op, index, process, slot, READ)
            self._waits = waits

    def _may_fail_late(self, op: Operation) -> bool:
        """Whether this is a fork that the backend shows to wait for its event, and that may fail when that is read."""
        if op[0] != _FORK or self._holds[versions.FORK_EVENT_LATE]:
            return False
        return self._saw(self._index) == BLOCKED_EVENT

    def _doubt_fork(self, op: Operation, end: int) -> None:
        """The fork that waits may have failed when it had copied the memory up to ``end``."""
        waiter = self._blocked.get(op[1])
        if isinstance(waiter, ForkWaiter):
            waiter.may_fail = True
            self._unmap(waiter.child, end, SLOTS)

    def _ways_to_fail(self, op: Operation, seen: Outcome) -> Iterator[tuple[tuple[Operation, ...], int]]:
        """What a failed operation may have done: operations that do the same, one after another; and the slot from
        which on mappings stay mergeable as they were, SLOTS for none."""
        for first, (part, keep) in product(self._done_before(op, seen), tuple(self._done_by_failed(op, seen))):
            if part is None:
                yield first, keep
            else:
                yield ((part, *reversed(first)) if part[0] == _MADVISE else (*first, part)), keep
        if op[0] == _POPULATE and op[4] != _READ:
            for pages in range(op[3]):  # and of the next one there was no memory for a copy
                yield ((*op[:3], pages, op[4]), (_POPULATE, op[1], op[2] + pages, 1, _READ)), SLOTS
        if op[0] == _GUARD:
            for pages in range(1, op[3] + 1):  # and dropped those pages, of which not all became guard pages
                drops = (*op[:3], pages), (_GUARD_REMOVE, *op[1:3], pages)
                yield from (((*drops, (*op[:3], made)) if made else drops, SLOTS) for made in range(pages))
        if op[0] == _UNREGISTER:
            for handle, pages in product(self._owners_in(op), range(op[4])):
                for woken in range(1, op[4] - pages + 1):  # who waited at the next ones, before that failed
                    wakes = (_UFFD_WAKE, op[1], handle, op[3] + pages, woken)
                    yield (((*op[:4], pages), wakes) if pages else (wakes,)), SLOTS
        if op[0] == _UNREGISTER and self._holds[versions.UNREGISTER_CLEARS]:
            for cleared in self._cleared_before(op):
                yield (cleared,), SLOTS
                for pages in range(1, cleared[3] + cleared[4] - op[3]):
                    yield (cleared, (*op[:4], pages)), SLOTS

    def _owners_in(self, op: Operation) -> list[int]:
        """The handles of the userfaultfds that the range of the operation is registered with."""
        context = self._handles[op[2]]
        if context is None:
            return []
        owners = {id(owner) for owner in context.mm.contexts[op[3] : op[3] + op[4]]}
        return [handle for handle, owner in enumerate(self._handles) if owner is not None and id(owner) in owners]

    def _cleared_before(self, op: Operation) -> Iterator[Operation]:
        """Ways to end the write protection of a part that then could not be unregistered, with its waiters woken or
        not."""
        context, first = self._handles[op[2]], op[3]
        if context is None:
            return
        for slot in range(op[3], op[3] + op[4]):
            if not context.mm.row[slot] & REG_WP:
                first = slot + 1
                continue
            yield _RESOLVE, op[1], op[2], first, slot + 1 - first, _DONTWAKE
            for handle in self._owners_in(op):
                yield _RESOLVE, op[1], handle, first, slot + 1 - first, 0

    def _done_by_failed(self, op: Operation, seen: Outcome) -> Iterator[tuple[Operation | None, int]]:
        """What a failed operation may have done: an operation that does the same, None for nothing; and the slot from
        which on mappings stay mergeable as they were, SLOTS for none."""
        if op[0] in HOLDING and seen[0] != _ERROR:
            yield (*op[:4], seen[2], *op[5:]), SLOTS
            return
        if op[0] in HOLDING:
            yield None, SLOTS
            yield (_POPULATE, op[1], op[3], 1, _READ), SLOTS
            return
        if seen[1] == errno.EAGAIN and op[0] not in _MAY_SAY_AGAIN:
            return
        yield None, SLOTS
        if op[0] in _COPIES:
            yield (_MEM_READ, TASK_MONITOR, *op[2:4]), SLOTS
        if op[0] == _GUEST_WRITE:
            yield (_MEM_READ, TASK_MONITOR, op[1] & PROCESS_MASK, op[2]), SLOTS
        if op[0] == _MEM_WRITE:
            process = self._processes[op[2]]
            assert process is not None
            yield (*op[:4], self._copied(process, op[3])), False  # the page is there, and its process's own
        if op[0] == _SWAPOFF:
            yield op, SLOTS
        if op[0] in _MAPS:
            yield (_MUNMAP, *op[1:4]), SLOTS
        at = PAGES_AT.get(op[0])
        if at is None or op[0] in _MAPS:
            return
        wake = _WAKE_AT.get(op[0])
        for pages in range(1, op[at] + 1):
            part = (*op[:at], pages, *op[at + 1 :])
            yield part, SLOTS
            if wake is not None:
                yield (*part[:wake], 1, *part[wake + 1 :]), SLOTS
            for first in self._beginnings(op) if op[0] == _MADVISE else ():
                if first < op[2] + pages:
                    yield part, first
            if op[0] == _MREMAP:
                yield (_MADVISE, *op[1:3], pages, _UNMERGEABLE), 0

    def _beginnings(self, op: Operation) -> Iterator[int]:
        """Where the mappings begin, or may begin, that madvise() comes to, one after another."""
        process, slot = self._processes[op[1] & PROCESS_MASK], op[2]
        assert process is not None
        while slot < op[2] + op[3]:
            yield slot
            end = self._mapping_end(process, slot) if process.row[slot] else slot + 1
            yield from (at for at in range(slot + 1, min(end, op[2] + op[3])) if process.edges >> at & 1)
            slot = end

    def _copied(self, process: Process, slot: int) -> int:
        """The byte that a private copy of the slot's page has."""
        backing = process.backing[slot] if process.backing is not None else None
        if backing is None or process.row[slot] & (PRESENT | SWAP):
            return self._content(process, slot)
        page = backing[0].pages.get(backing[1])
        return page.content if page is not None else 0

    def _outcome_after(self, waiter: EventWaiter) -> Outcome:
        """Of the errors that say that there was no memory, the operation ends with the one that the backend shows."""
        seen = self._saw(waiter.index)
        if waiter.outcome != ENOMEM or seen is None or seen[0] != _ERROR:
            return waiter.outcome
        return seen if seen[1] in _SAYS.get(self._ops[waiter.index][0], _NO_MEMORY) else waiter.outcome

    def _ends_in_failure(self, op: Operation, seen: Outcome) -> bool:
        """Has an operation that waits for the events of what it unmapped fail in the end; false: none is owed."""
        waiter = self._blocked.get(op[1])
        if seen != BLOCKED_EVENT:
            return True
        if not isinstance(waiter, EventWaiter):
            return False
        waiter.outcome = ENOMEM
        return True

    @staticmethod
    def _done_before(op: Operation, seen: Outcome) -> tuple[tuple[Operation, ...], ...]:
        """What a failed operation may have done besides, before: nothing, or what it does first."""
        if op[0] in HOLDING and seen[0] != _ERROR and op[3] + seen[2] < SLOTS:
            return (), ((_POPULATE, op[1], op[3] + seen[2], 1, _READ),)
        if op[0] != _MREMAP:
            return ((),)
        _, task, start, pages, target, new, _ = op
        clears = (_MUNMAP, task, target, new)
        if pages <= new:
            return (), (clears,)
        cuts_off = (_MUNMAP, task, start + new, pages - new)
        return (), (clears,), (clears, cuts_off)

    def _moved_in_part(self, op: Operation) -> Iterator[tuple[Operation | None, tuple[int, int]]]:
        """Where a move of several mappings, one after another, may have stopped: what it had unmerged in the next one;
        how far the move came, and how far the target was cleared."""
        if op[0] != _MREMAP or op[3] != op[5] or not self._holds[versions.MREMAP_MANY]:
            return
        _, task, start, pages = op[:4]
        process = self._processes[task & PROCESS_MASK]
        if process is None:
            return
        ends = {end for _, end in self._pieces(process, start, start + pages)} | {start + pages}
        ends |= {slot for slot in range(start + 1, start + pages) if process.edges >> slot & 1}
        for stop in sorted({start, *ends} - {start + pages}):
            for cleared in (stop, *sorted(end for end in ends if end > stop)):
                yield None, (stop, cleared)
                for unmerged in range(stop + 1, start + pages + 1):
                    yield (_MADVISE, task, stop, unmerged - stop, _UNMERGEABLE), (stop, cleared)

    def _moved_back(self, op: Operation) -> Iterator[tuple[Operation, ...]]:
        """What ends the protection of pages as a move does that has come to them, has no memory for the next ones, and
        moves them back."""
        process = self._processes[op[1] & PROCESS_MASK]
        steps: tuple[Operation, ...] = ()
        if op[0] != _MREMAP or process is None:
            return
        for slot in range(op[2], op[2] + op[3]):
            context = process.contexts[slot]
            if process.row[slot] & UFFD_WP and context is not None and not context.features & FEATURE_EVENT_REMAP:
                steps = (*steps, (_RESOLVE, TASK_MONITOR, self._handles.index(context), slot, 1, _DONTWAKE))
                yield steps

    def _told_alone(self, op: Operation, seen: Outcome) -> Iterator[tuple[tuple[Operation, ...], int, int, int]]:
        """Ways to send events of what then is not unmapped: what was done before; the range; how many events."""
        process = self._processes[op[1] & PROCESS_MASK]
        if seen != BLOCKED_EVENT or op[0] not in _UNMAPS or process is None:
            return
        first: tuple[tuple[Operation, ...], ...] = ((),)
        if op[0] == _MREMAP:
            _, task, start, pages, target, new, _ = op
            ranges = [(target, target + new), (start + new, start + pages)]
            first = ((), ((_MUNMAP, task, target, new),))
        elif op[0] == _RESIZE:
            ranges = [(op[2] + op[4], op[2] + op[3])]
        else:
            ranges = [(op[2], op[2] + op[3])]
        for steps, (start, end) in product(first, ranges):
            for count in range(1, 1 + len(self._unmap_events(process, start, end))):
                yield steps, start, end, count

    def _tell_alone(self, op: Operation, start: int, end: int, count: int) -> None:
        """Sends the first of the events of unmapping the range, after those that the operation waits for."""
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        self._also_tell(op, self._unmap_events(process, start, end)[:count])

    def _also_tell(self, op: Operation, queue: list[tuple[Context, Context | Outcome]]) -> None:
        """The operation fails after these events, and after those that it waits for already."""
        waiter = self._blocked.get(op[1])
        if isinstance(waiter, EventWaiter):
            waiter.queue += queue
            for context, _ in queue:
                context.changing += 1
        else:
            self._after_events(op[1], queue, ENOMEM)

    def _may_tell_of_target(self, op: Operation, seen: Outcome) -> bool:
        """Whether this may be a move that there was no memory for, and that tells of the new mapping it gave up."""
        process = self._processes[op[1] & PROCESS_MASK]
        if seen != BLOCKED_EVENT or op[0] != _MREMAP or process is None:
            return False
        context = process.contexts[op[2]]
        return context is not None and bool(context.features & FEATURE_EVENT_UNMAP)

    def _tell_of_target(self, op: Operation) -> None:
        """Sends the event of the new mapping, after those that the operation waits for."""
        _, task, start, _, target, new, _ = op
        process = self._processes[task & PROCESS_MASK]
        context = process.contexts[start] if process is not None else None
        if context is not None:  # else it was cleared or cut off
            self._also_tell(op, [(context, self._unmap_message(target, target + new))])

    def _mapped_around(self, op: Operation) -> None:
        """What the page cache holds beside a page of a file that there was no memory for may be mapped all the same."""
        if op[0] not in _READS_AT:
            return
        own, at = _READS_AT[op[0]]
        process = self._processes[op[1] & PROCESS_MASK if own else op[2]]
        if process is None or process.backing is None:
            return
        for slot in range(op[at], op[at] + op[PAGES_AT[op[0]]] if op[0] in PAGES_AT else op[at] + 1):
            if process.backing[slot] is not None:
                self._map_around(process, slot)

    def _unprotected_before(self, op: Operation) -> None:
        """The write that there was no memory for may have ended the protection of its page."""
        if op[0] not in _WRITES_AT:
            return
        own, at = _WRITES_AT[op[0]]
        process = self._processes[op[1] & PROCESS_MASK if own else op[2]]
        if process is not None:
            for slot in range(op[at], op[at] + op[PAGES_AT[op[0]]] if op[0] in PAGES_AT else op[at] + 1):
                self._may_be_unprotected(process, slot)

    def _cut_anywhere(self, op: Operation) -> None:
        """The mappings of the range may have been split before the operation failed."""
        at = PAGES_AT.get(op[0])
        if at is not None:
            for process in self._living:
                self._cut(process, op[at - 1], op[at - 1] + op[at])
                if op[0] == _RESIZE:
                    self._cut(process, op[2], min(op[2] + op[4], SLOTS))
                elif op[0] == _MREMAP:
                    self._cut(process, op[2], min(op[2] + op[5], SLOTS))
                    self._cut(process, op[4], op[4] + op[5])

    def _mergeable(self) -> list[list[int]]:
        return [[word & MERGEABLE for word in process.row[: len(process.pages)]] for process in self._living]

    def _set_mergeable(self, bits: list[list[int]], first: int = 0) -> None:
        """From this slot on."""
        for process, row in zip(self._living, bits, strict=True):
            process.packed = None
            for slot, bit in enumerate(row):
                if process.row[slot] and slot >= first:
                    process.row[slot] = process.row[slot] & ~MERGEABLE | bit
