"""The rules of mappings, pages, accesses and processes."""

from __future__ import annotations

import errno
import signal
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.state import (
    ALONE,
    ANON,
    CONTENT,
    DONTFORK,
    EXCLUSIVE,
    FILE,
    FILES,
    GUARD,
    HUGE,
    HUGE_PAGES,
    MAPPED,
    MERGEABLE,
    PAGE_BITS,
    PRESENT,
    READ,
    REG_MISSING,
    REG_WP,
    REGISTERED,
    SLOT_MASK,
    SLOT_SHIFT,
    SWAP,
    SWAP_ENTRIES,
    UFFD_WP,
    VMA_BITS,
    WIPEONFORK,
    WRITE,
    ZERO,
    Backing,
    Context,
    EventWaiter,
    File,
    FilePage,
    FilledPage,
    ForkWaiter,
    Frame,
    HugetlbPage,
    KsmPage,
    OpenBits,
    Page,
    Process,
    RemoveWaiter,
    StuckPage,
    SwapEntry,
    Waiter,
    home_of,
)
from faultline.oracle.state import (
    Outcome as Outcome,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, BY_NAME, FEATURES, PROCESSES, PROT, SLOTS
from faultline.program.trace import RECORD, Event, FaultFlag, Skip, Status, Wait

#: The process of a task byte.
PROCESS_MASK: Final = PROCESSES - 1
FEATURE_EVENT_FORK, FEATURE_WP_ASYNC, FEATURE_WP_UNPOPULATED, FEATURE_SIGBUS = (
    1 << FEATURES.words.index(word) for word in ("event-fork", "wp-async", "wp-unpopulated", "sigbus")
)
FEATURE_EVENT_REMAP, FEATURE_EVENT_REMOVE, FEATURE_EVENT_UNMAP = (
    1 << FEATURES.words.index(word) for word in ("event-remap", "event-remove", "event-unmap")
)
_EVENT_REMOVE: Final = int(Event.REMOVE)
_EVENT_UNMAP: Final = int(Event.UNMAP)
#: Plain numbers: flags are put together on the hot path.
MESSAGE_WRITE: Final = int(FaultFlag.WRITE)
MESSAGE_WP: Final = int(FaultFlag.WP)
MESSAGE_MINOR: Final = int(FaultFlag.MINOR)

#: Accesses that tell what they found.
LOADS: Final = frozenset(BY_NAME[name].code for name in ("read", "guest-read", "process-read", "mem-read"))
DONE: Final[Outcome] = (int(Status.DONE), 0, 0)
BLOCKED: Final[Outcome] = (int(Status.BLOCKED), int(Wait.FAULT), 0)
BLOCKED_EVENT: Final[Outcome] = (int(Status.BLOCKED), int(Wait.EVENT), 0)
_SEGV: Final[Outcome] = (int(Status.SIGNAL), int(signal.SIGSEGV), 0)
_BUS: Final[Outcome] = (int(Status.SIGNAL), int(signal.SIGBUS), 0)
_KILLED: Final = int(Status.KILLED)
_DONE: Final = int(Status.DONE)
BUSY: Final[Outcome] = (int(Status.SKIPPED), int(Skip.BUSY), 0)
EXISTS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.EXISTS), 0)


def failed(error: int, aux: int = 0) -> Outcome:
    """The outcome of a call that failed with this errno."""
    return (int(Status.ERROR), error, aux)


_EINVAL: Final = failed(errno.EINVAL)
ENOMEM: Final = failed(errno.ENOMEM)
PROT_BITS: Final = tuple({"none": MAPPED, "r": MAPPED | READ, "rw": MAPPED | READ | WRITE}[w] for w in PROT.words)
_DONTNEED, _MERGEABLE, _UNMERGEABLE, _REMOVE = (
    ADVICE.words.index(w) for w in ("dontneed", "mergeable", "unmergeable", "remove")
)
#: Advice that drops pages, now or later.
_FREE: Final = ADVICE.words.index("free")
_DROPS: Final = (_DONTNEED, _FREE)
#: What the kernel must have to know an advice; other advices are always known.
_ADVICE_NEEDS: Final = {
    ADVICE.words.index(word): need
    for need, words in (("ksm", ("mergeable", "unmergeable")), ("thp", ("hugepage", "nohugepage", "collapse")))
    for word in words
}
#: Advice about fork: the bits that it sets and clears, and its rule.
_FORK_ADVICE: Final = {
    ADVICE.words.index("dontfork"): (DONTFORK, 0, rules.DONTFORK),
    ADVICE.words.index("dofork"): (0, DONTFORK, rules.DOFORK),
    ADVICE.words.index("wipeonfork"): (WIPEONFORK, 0, rules.WIPEONFORK),
    ADVICE.words.index("keeponfork"): (0, WIPEONFORK, rules.KEEPONFORK),
}
_FRESH: Final = PRESENT | EXCLUSIVE
_PROTECTED: Final = UFFD_WP | REG_WP


def unknown_advice(has: Collection[str]) -> frozenset[int]:
    """The values of ADVICE that a kernel which ``has`` these needs does not know."""
    return frozenset(advice for advice, need in _ADVICE_NEEDS.items() if need not in has)


class Memory:
    """The state, and the operations of tasks on their memory.  A handler returns the outcome and sets ``_rule``."""

    _holds: tuple[bool, ...]
    """By difference of :mod:`faultline.oracle.versions`: whether it holds for the kernel."""
    _observed: bytes | None
    _out: bytearray
    _index: int
    _rule: int
    _ops: Sequence[Operation]
    """The program."""
    _processes: list[Process | None]
    """By number: the live ones and the children of forks under way."""
    _living: list[Process]
    """The live ones, ascending."""
    _live: int
    """The same as a mask."""
    _blocked: dict[int, Waiter | EventWaiter]
    """By task byte."""
    _woken: list[Waiter | RemoveWaiter]
    """Tasks that go on when the operation is over."""
    _ended: list[tuple[int, int, int, int, int]]
    """Operations that end with this one: task byte, index, outcome."""
    _once: list[OpenBits]
    """What the next snapshot may decide."""
    _marks: bool
    """The program has poisoned pages, or PAGEMAP_SCAN was to protect guard pages."""
    _stale: dict[int, OpenBits]
    """By slot of all processes: what every snapshot may decide, until the bit is gone."""
    _met: dict[int, None]
    """Deviations met."""
    _huge: bool
    """The kernel has huge pages."""
    _huge_files: bool
    """The program advised huge pages for shared memory."""
    _unknown_advice: frozenset[int]
    """Advice that the kernel does not know."""
    _events_asked: int
    """Features of all userfaultfds that were opened."""
    _resumptions: dict[int, Callable[[Waiter], Outcome]]
    """By operation: how it goes on when its task, which a fault had stopped, is woken."""
    _frames: dict[int, Frame]
    """By slot of all processes: pages that others hold."""
    _orphans: list[Frame]
    """Those of them that their process maps no longer, and others may, on kernels that let these store to them."""
    _may_fail: bool
    """A request of the present operation may fail."""
    _retried: set[int]
    """The slots of all processes where tasks that were woken have repeated an access, in the present operation."""
    _waits: bool
    """Who is at work may wait for a userfaultfd."""
    _closely: bool
    """The snapshots may decide more than what most programs leave open."""

    # --- pages that others hold: see pins.py ---

    def _stored(self, key: int, content: int) -> None:
        """The page of the slot has new content."""
        raise NotImplementedError

    def _let_go(self, process: Process, slot: int) -> None:
        """The slot is about to map its page no longer."""
        raise NotImplementedError

    def _leave_behind(self, frame: Frame, page: Page) -> None:
        """The slot that the frame belonged to maps this page no longer; others may map it still."""
        raise NotImplementedError

    @staticmethod
    def _content(process: Process, slot: int) -> int:
        """The byte of the slot's page, wherever it is."""
        raise NotImplementedError

    def _reuse(self, page: Page) -> None:
        """Who comes back from swap may store to the page, though it is held."""
        raise NotImplementedError

    def _leak(self, page: Page, content: int) -> None:
        """The page, which may be such a one, has new content."""
        raise NotImplementedError

    def _frame_moves(self, source: int, target: int) -> None:
        """The page of one slot of all processes is now that of another."""
        raise NotImplementedError

    def _pinned(self, process: Process, slot: int) -> bool:
        """Whether a device relies on the page of the slot."""
        raise NotImplementedError

    def _used_from_outside(self, process: Process) -> bool:
        """Whether a task of another process is at work in the process's memory."""
        raise NotImplementedError

    def _fault_in(self, op: Operation, index: int, process: Process, slot: int, need: int) -> Outcome | None:
        """The page is there for reading: None; or what came instead."""
        raise NotImplementedError

    def _abandon(self, waiter: Waiter) -> None:
        """A task that waited is killed."""
        raise NotImplementedError

    def _outcome_after(self, waiter: EventWaiter) -> Outcome:
        """Of an operation whose events are all read."""
        raise NotImplementedError

    _swap: list[SwapEntry]
    """The pages in swap that slots refer to."""

    # --- files: see files.py ---

    def _load_file(self, op: Operation, index: int, process: Process, slot: int) -> Outcome:
        """A load from a slot of a file mapping that holds no page."""
        raise NotImplementedError

    def _prepare_store(self, op: Operation, index: int, process: Process, slot: int) -> Outcome | None:
        """Puts a page into a slot of a file mapping for a store; None: the store goes on."""
        raise NotImplementedError

    def _store_file(self, process: Process, slot: int, value: int | None) -> Outcome:
        """A store to a page of a file; without a value only what a store needs is done."""
        raise NotImplementedError

    def _duplicate_file(self, parent: Process, child: Process, slot: int, page: FilePage) -> None:
        """The parent's page of a file may or may not be in the child."""
        raise NotImplementedError

    def _map_around(self, process: Process, slot: int) -> None:
        """Pages of the file beside the one asked for may be mapped too."""
        raise NotImplementedError

    def _is_stopped(self, op: Operation, index: int, slot: int) -> bool | None:
        """Whether the backend reports that an operation does not get over the slot; None: it reports nothing."""
        raise NotImplementedError

    def _stops_beyond(self, process: Process, slot: int, index: int) -> bool:
        """Whether a store to a page beyond its file's end, which a huge page maps, gets the signal all the same."""
        raise NotImplementedError

    def _unmaps_first(self, op: Operation, index: int, process: Process, slot: int) -> bool:
        """Whether a store to a huge page of a file finds it mapped no longer, for it is split first."""
        raise NotImplementedError

    def _doubt(self, file: File, start: int, end: int) -> None:
        """Huge pages may hold the holes around these pages of the file."""
        raise NotImplementedError

    def _not_removable(self, process: Process, slot: int) -> Outcome | None:
        """Why MADV_REMOVE cannot work on the slot."""
        raise NotImplementedError

    def _punch_backing(self, shown: list[Backing | None]) -> None:
        """The file has holes where mappings showed it."""
        raise NotImplementedError

    def _punch_slots(self, process: Process, slots: list[int]) -> None:
        """The file has holes where the slots show it."""
        raise NotImplementedError

    @staticmethod
    def _maps_shared(process: Process, slot: int) -> bool:
        backing = process.backing[slot] if process.backing is not None else None
        return backing is not None and backing[2]

    @staticmethod
    def _continues(process: Process, slot: int) -> bool:
        """Whether the slot and the next one may belong to one mapping, as far as files go."""
        backing = process.backing
        if backing is None:
            return True
        this, following = backing[slot], backing[slot + 1]
        if this is None or following is None:
            return this is following
        return this[0] is following[0] and this[1] + 1 == following[1] and this[2] == following[2]

    # --- huge pages of hugetlbfs: see hugetlb.py ---

    def _load_hugetlb(self, process: Process, slot: int) -> Outcome:
        """A load from a slot where no huge page is."""
        raise NotImplementedError

    def _store_hugetlb(self, process: Process, slot: int, value: int | None) -> Outcome:
        """A store to a huge page; without a value only what a store needs is done."""
        raise NotImplementedError

    # --- choices ---

    def _also(self, rule: int) -> None:
        """Notes one more rule for the present operation."""
        raise NotImplementedError

    def _choose(self, options: int) -> int:
        """One of so many choices, all of which are allowed and fit the present record: the one that fits later ones."""
        raise NotImplementedError

    def _saw(self, index: int) -> Outcome | None:
        """The outcome that the backend reports, in the present record, for the operation with this index."""
        raise NotImplementedError

    def _seen_record(self) -> tuple[int, ...] | None:
        """The fixed part of the backend's present record."""
        observed, at = self._observed, len(self._out)
        if observed is None or at + RECORD.size > len(observed):
            return None
        return RECORD.unpack_from(observed, at)

    def _seen_word(self, process: Process, slot: int) -> int | None:
        """The slot's word in the backend's present snapshot.

        Only for operations that end no fork: the processes of the snapshot are those that live now.
        """
        raise NotImplementedError

    def _may_split(self, process: Process, slots: Iterable[int]) -> None:
        """The present operation may split the folios of these slots."""
        raise NotImplementedError

    def _may_be_large(self, process: Process, slot: int) -> bool:
        """Whether a fresh page for the slot may be part of a large folio, which needs room in one mapping."""
        raise NotImplementedError

    def _target(self, op: Operation) -> Process | None:
        """The process that an operation of the monitor names first; None: it does not live, which is the rule then."""
        if self._live >> op[2] & 1:
            return self._processes[op[2]]
        self._rule = rules.SKIP_PROCESS
        return None

    # --- pages ---

    def _slot_of(self, key: int) -> tuple[Process, int]:
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        return process, key & SLOT_MASK

    def _word(self, key: int) -> int:
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        return process.row[key & SLOT_MASK]

    def _drop_page(self, process: Process, slot: int, page: Page) -> None:
        """The slot maps the page no longer; its word is the caller's."""
        if self._frames:
            self._let_go(process, slot)
        process.pages[slot] = None
        process.homes.pop(slot, None)
        if page:
            if not isinstance(page, HugetlbPage):
                process.row[FILES if isinstance(page, FilePage) else ANON] -= 1
            assert isinstance(page, list)
            self._leave(page, process.number << SLOT_SHIFT | slot)

    def _swap_in(self, process: Process, slot: int) -> int:
        """Brings the slot's page back from swap; its word."""
        raise NotImplementedError

    def _is_unreadable(self, process: Process, slot: int, index: int) -> bool:
        """Whether the backend shows that the slot's page could not be read from swap, as may be."""
        raise NotImplementedError

    def _shows_bad_read(self, process: Process, slot: int, index: int) -> bool:
        """Whether the backend shows that the page that the slot asks for could not be read."""
        raise NotImplementedError

    def _drop_swapped(self, process: Process, slot: int) -> None:
        """The slot no longer refers to a page in swap; its word is the caller's."""
        raise NotImplementedError

    def _carry_swapped(self, process: Process, source: int, target: int) -> None:
        """What the slot refers to in swap, the target now refers to; their words are the caller's."""
        raise NotImplementedError

    def _inherit_swapped(self, parent: Process, child: Process) -> None:
        """The child's slots refer to the same pages in swap."""
        raise NotImplementedError

    def _settle_child(self, child: Process) -> None:
        """The child is born: which of its pages are in swap can be seen now."""
        raise NotImplementedError

    def _swap_was_used(self) -> bool:
        """Whether an operation before the present one may have moved pages to swap."""
        raise NotImplementedError

    def _stays_cached(self, page: list[int], own: list[int]) -> None:
        """Who maps the page alone and is to part with KSM's may keep it: it may have come back from swap as another."""
        raise NotImplementedError

    def _is_unread(self, page: list[int]) -> bool:
        """Whether the page may have been mapped although it could not be read from swap."""
        raise NotImplementedError

    def _is_cached(self, page: list[int]) -> bool:
        """Whether slots refer to a copy of this page in swap."""
        raise NotImplementedError

    def _advise_pages(self, process: Process, slots: list[int], advice: int) -> bool:
        """MADV_FREE, _COLD, _PAGEOUT; false: another advice."""
        raise NotImplementedError

    def _is_discarded(self, process: Process, slot: int, index: int) -> bool:
        """Whether a page given up by MADV_FREE was discarded before this access, which snapshots would have told."""
        raise NotImplementedError

    @staticmethod
    def _keep(process: Process, slot: int) -> None:
        """What MADV_FREE did to the slot's page is over."""
        process.lazy &= ~(1 << slot)
        process.doomed.pop(slot, None)

    def _leave(self, page: list[int], key: int) -> None:
        page.remove(key)
        if len(page) == 1:
            self._mark_exclusive(page[0])

    def _mark_exclusive(self, key: int) -> None:
        process = self._processes[key >> SLOT_SHIFT]
        assert process is not None
        process.row[key & SLOT_MASK] |= EXCLUSIVE
        process.packed = None

    def _unmap(self, process: Process, start: int, end: int) -> None:
        row = process.row
        for slot in range(start, end):
            if row[slot]:
                page = process.pages[slot]
                if page is not None:
                    self._drop_page(process, slot, page)
                elif slot in process.swapped:
                    self._drop_swapped(process, slot)
                process.contexts[slot] = None
                row[slot] = 0
        if process.backing is not None:
            process.backing[start:end] = [None] * (end - start)
        if self._stale:
            self._forget(process, start, end)
        others = ~self._mask(start, end)
        process.touched &= others
        process.lazy &= others
        process.nohuge &= others
        process.hugetlb &= others
        process.poisoned &= others
        if process.doomed:
            for slot in range(start, end):
                process.doomed.pop(slot, None)
        self._cut(process, start, end)

    def _forget(self, process: Process, start: int, end: int) -> None:
        """The bits of these slots are known again."""
        for key in range(process.number << SLOT_SHIFT | start, (process.number << SLOT_SHIFT) + end):
            self._stale.pop(key, None)

    @staticmethod
    def _mask(start: int, end: int) -> int:
        return (1 << end) - (1 << start)

    @staticmethod
    def _cut(process: Process, start: int, end: int) -> None:
        """Mappings may begin at both ends of the range."""
        process.edges |= 1 << start | 1 << end
        process.packed = None

    # --- mappings ---

    def _unmap_events(self, process: Process, start: int, end: int) -> list[tuple[Context, Context | Outcome]]:
        """The events that unmapping the range will owe."""
        if not self._events_asked & FEATURE_EVENT_UNMAP:
            return []
        asked = {c: None for c in process.contexts[start:end] if c is not None and c.features & FEATURE_EVENT_UNMAP}
        return [(context, self._unmap_message(start, end)) for context in asked]

    @staticmethod
    def _unmap_message(start: int, end: int) -> Outcome:
        return (_DONE, _EVENT_UNMAP | start << 16, end - start)

    def _after_events(
        self, task: int, queue: list[tuple[Context, Context | Outcome]], outcome: Outcome = DONE, doubt: int = -1
    ) -> Outcome:
        """The outcome of an operation that waits first until its events are read, if there are any.

        :param doubt: the deviation by which kernels leave the last event out.
        """
        if not queue:
            return outcome
        waiter = EventWaiter(task, self._index, queue)
        waiter.outcome = outcome
        waiter.doubt = doubt
        if self._is_left_out(waiter):
            return outcome
        if doubt >= 0 and len(queue) > 1 and self._choose(2):
            self._met[doubt] = None
            queue.pop()
            waiter.doubt = -1
        for context, _ in queue:
            context.changing += 1
        self._blocked[task] = waiter
        queue[0][0].events.append(waiter)
        self._also(rules.EVENT_WAITS)
        return BLOCKED_EVENT

    def _is_left_out(self, waiter: EventWaiter) -> bool:
        """Whether the kernel leaves out the one event that is left, against its documentation."""
        if waiter.doubt < 0 or len(waiter.queue) > 1:
            return False
        seen = self._saw(waiter.index)
        if seen is None or seen[0] == BLOCKED[0]:
            return False
        self._met[waiter.doubt] = None
        return True

    def _op_mmap(self, op: Operation) -> Outcome:
        _, task, start, pages, prot = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        end = start + pages
        events = self._unmap_events(process, start, end)
        self._unmap(process, start, end)
        process.row[start:end] = array("I", (PROT_BITS[prot],)) * pages
        process.edges &= ~self._mask(start + 1, end)
        self._rule = rules.MMAP
        return self._after_events(task, events) if events else DONE

    def _op_munmap(self, op: Operation) -> Outcome:
        _, task, start, pages = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        events = self._unmap_events(process, start, start + pages)
        self._unmap(process, start, start + pages)
        self._rule = rules.MUNMAP
        return self._after_events(task, events) if events else DONE

    def _op_mprotect(self, op: Operation) -> Outcome:
        _, task, start, pages, prot = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        row = process.row
        self._rule = rules.MPROTECT
        self._cut(process, start, start + pages)
        for slot in range(start, start + pages):
            word = row[slot]
            if not word:
                self._rule = rules.MPROTECT_HOLE
                if slot > start:
                    self._also(rules.MPROTECT_BEFORE_HOLE)
                    self._cut(process, start, slot)
                return ENOMEM
            row[slot] = word & ~(READ | WRITE) | PROT_BITS[prot]
        return DONE

    def _op_madvise(self, op: Operation) -> Outcome:
        _, task, start, pages, advice = op
        if advice in self._unknown_advice:
            self._rule = rules.MADVISE_UNKNOWN
            return _EINVAL
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        if advice == _REMOVE or (advice in _DROPS and self._events_asked & FEATURE_EVENT_REMOVE):
            waiter = RemoveWaiter(task, self._index, process, start, start + pages, advice)
            waiter.punches = advice == _REMOVE
            return self._remove(waiter)
        if advice == _FREE and process.backing is not None:
            return self._remove(RemoveWaiter(task, self._index, process, start, start + pages, advice))
        slots = [slot for slot in range(start, start + pages) if process.row[slot]]
        process.packed = None
        if advice == _DONTNEED:
            self._dontneed(process, slots)
        elif advice in _FORK_ADVICE:
            self._cut(process, start, start + pages)
            if not self._advise_fork(process, slots, advice):
                self._also(rules.WIPEONFORK_KIND)
                return _EINVAL
        elif not self._advise_pages(process, slots, advice):
            self._cut(process, start, start + pages)
            self._advise_ksm(process, slots, advice)
        if len(slots) < pages:
            self._also(rules.MADVISE_HOLE)
            return ENOMEM
        return DONE

    def _advise_fork(self, process: Process, slots: list[int], advice: int) -> bool:
        """False: a mapping does not allow the advice."""
        set_bits, clear_bits, self._rule = _FORK_ADVICE[advice]
        process.advised |= bool(set_bits)
        for slot in slots:
            if set_bits & WIPEONFORK and process.backing is not None and process.backing[slot] is not None:
                return False
            process.row[slot] = process.row[slot] & ~clear_bits | set_bits
        return True

    def _dontneed(self, process: Process, slots: list[int]) -> None:
        row = process.row
        self._rule = rules.DONTNEED
        for slot in slots:
            if row[slot] & GUARD:
                self._also(rules.DONTNEED_GUARD)
                continue
            if row[slot] & UFFD_WP:
                self._also(rules.DONTNEED_FILE_WP if process.backing and process.backing[slot] else rules.DONTNEED_WP)
            self._zap(process, slot)

    def _zap(self, process: Process, slot: int) -> None:
        """The slot's page is dropped, the mapping stays; that of a file keeps its protection."""
        row = process.row
        word = row[slot]
        page = process.pages[slot]
        if page is not None:
            self._drop_page(process, slot, page)
        elif slot in process.swapped:
            self._drop_swapped(process, slot)
        row[slot] = word & VMA_BITS
        self._keep(process, slot)
        process.poisoned &= ~(1 << slot)
        of_file = process.backing is not None and process.backing[slot] is not None
        if self._stale and (word & PRESENT or not of_file):
            self._forget(process, slot, slot + 1)
        if of_file and word & UFFD_WP and word & REG_WP:
            row[slot] |= UFFD_WP
            self._marks_missing(process, slot)
        process.packed = None

    def _fork_of(self, child: Process) -> ForkWaiter | None:
        """The fork, which waits for its event, that the process is the child of; None: it is born."""
        forks = (waiter for waiter in self._blocked.values() if isinstance(waiter, ForkWaiter))
        return next((fork for fork in forks if fork.child is child), None)

    def _marks_missing(self, process: Process, slot: int) -> None:
        """What says that the missing page of the slot is protected may show as a page in swap, once it can be seen."""
        bits = process.number << SLOT_SHIFT | slot, SWAP, rules.MARKER_SWAP, -1
        fork = self._fork_of(process)
        (self._once if fork is None else fork.open_bits).append(bits)

    # --- dropping pages, with the events of it ---

    def _remove(self, waiter: RemoveWaiter) -> Outcome:
        """Drops the pages from ``at`` on, mapping by mapping; before each the event that it owes is waited for."""
        process = waiter.process
        row, contexts = process.row, process.contexts
        process.packed = None
        self._rule = rules.REMOVE if waiter.punches else rules.DONTNEED
        while waiter.at < waiter.end:
            at = waiter.at
            if not row[at]:
                waiter.hole = True
                waiter.at += 1
                continue
            waiter.stop = min(waiter.end, self._mapping_end(process, at))
            wrong = self._not_removable(process, at) if waiter.punches else None
            if wrong is not None:
                return wrong
            context = contexts[at]
            if context is not None and context.features & FEATURE_EVENT_REMOVE:
                message = (_DONE, _EVENT_REMOVE | at << 16, waiter.stop - at)
                waiter.queue = [(context, message)]
                waiter.edges = process.edges
                waiter.backing = list(process.backing) if waiter.punches and process.backing is not None else []
                context.changing += 1
                context.events.append(waiter)
                self._blocked[waiter.task] = waiter
                self._also(rules.EVENT_REMOVE)
                return BLOCKED_EVENT
            if self._frees_file(waiter):
                return _EINVAL
            if waiter.punches:
                self._punch_slots(process, list(range(at, waiter.stop)))
            else:
                self._give_way(waiter, list(range(at, waiter.stop)))
            waiter.at = waiter.stop
        if waiter.hole:
            self._also(rules.MADVISE_HOLE)
        return ENOMEM if waiter.hole else DONE

    def _frees_file(self, waiter: RemoveWaiter) -> bool:
        """MADV_FREE of a file mapping fails."""
        backing = waiter.process.backing
        if waiter.advice != _FREE or backing is None or backing[waiter.at] is None:
            return False
        self._rule = rules.LAZY_FREE_KIND
        return True

    @staticmethod
    def _mapping_end(process: Process, at: int) -> int:
        """Where the mapping of slot ``at`` ends, if equal ones side by side are one."""
        row, contexts = process.row, process.contexts
        vma, context = row[at] & VMA_BITS, contexts[at]
        at += 1
        while at < SLOTS and row[at] & VMA_BITS == vma and contexts[at] is context:
            if not Memory._continues(process, at - 1):
                break
            at += 1
        return at

    def _removed(self, waiter: RemoveWaiter) -> Outcome:
        """The event was read or flushed: the pages go now, if they are still mapped."""
        process = waiter.process
        process.packed = None
        if self._frees_file(waiter):
            return _EINVAL
        if waiter.punches:
            self._punch_backing(waiter.backing[waiter.at : waiter.stop])
            waiter.at = waiter.stop
            return self._remove(waiter)
        if not process.row[waiter.at]:
            self._rule = rules.REMOVE_GONE
            return ENOMEM
        self._end_at_edge(waiter)
        end = self._first_part_end(process, waiter.at, waiter.stop, gives_up=waiter.advice == _FREE)
        slots = [slot for slot in range(waiter.at, waiter.stop) if process.row[slot]]
        if end < waiter.stop:
            self._also(rules.REMOVE_SPLIT)
        if self._holds[versions.REMOVE_REPEATS]:
            waiter.stop = end
            slots = [slot for slot in slots if slot < end]
        else:
            stay = [s for s in slots if s >= end and process.row[s] & PAGE_BITS]
            slots = [s for s in slots if s not in stay or not self._seen_to_stay(process, s)]
        self._give_way(waiter, slots)
        waiter.at = waiter.stop
        return self._remove(waiter)

    def _end_at_edge(self, waiter: RemoveWaiter) -> None:
        """The event that nobody read may have been of a part only, where mappings may not have been joined: the backend
        shows that of the rest something is mapped no longer."""
        row = waiter.process.row
        if waiter.hole or self._saw(waiter.index) != ENOMEM:
            return
        for stop in range(waiter.stop - 1, waiter.at, -1):
            if waiter.edges >> stop & 1 and not all(row[stop : waiter.stop]):
                waiter.stop = stop
                return

    def _give_way(self, waiter: RemoveWaiter, slots: list[int]) -> None:
        if waiter.advice == _DONTNEED:
            self._dontneed(waiter.process, slots)
        else:
            self._advise_pages(waiter.process, slots, waiter.advice)

    def _first_part_end(self, process: Process, at: int, stop: int, *, gives_up: bool) -> int:
        """Where the mapping of slot ``at`` ends now; if it may end earlier, where the backend shows that pages stay.

        :param gives_up: the pages stay in any case for now; the events tell.
        """
        end = min(stop, self._mapping_end(process, at))
        ways = [end, *(slot for slot in range(at + 1, end) if process.edges >> slot & 1)]
        if gives_up:
            return ways[self._choose(len(ways))]
        sure = self._extent(process, at)
        for slot in range(at + 1, end):
            word = process.row[slot]
            if sure >> slot & 1 or not word & PAGE_BITS or word & GUARD or self._is_file_marker(process, slot):
                continue
            if self._seen_to_stay(process, slot):
                return slot
        if not self._holds[versions.REMOVE_REPEATS]:
            return end
        return ways[self._choose(len(ways))]  # no page shows it; the next event does

    @staticmethod
    def _is_file_marker(process: Process, slot: int) -> bool:
        """Whether the slot holds no page of its file, but a write protection, which stays when pages are dropped."""
        of_file = process.backing is not None and process.backing[slot] is not None
        return of_file and process.pages[slot] is None and slot not in process.swapped

    def _seen_to_stay(self, process: Process, slot: int) -> bool:
        """Whether the backend shows the slot's page, which may have been shared with one that is dropped now."""
        seen, word = self._seen_word(process, slot), process.row[slot]
        if seen is None or word & ~seen & EXCLUSIVE:  # what is there came when it was gone
            return False
        stays = not (seen ^ word) & (CONTENT | PRESENT | SWAP | FILE)
        if stays and self._retried and not word & (CONTENT | EXCLUSIVE):
            return not self._choose(2)  # or it was read again since, by another task that was woken
        return stays

    def _advise_ksm(self, process: Process, slots: list[int], advice: int) -> None:
        row = process.row
        self._rule = rules.MERGEABLE if advice == _MERGEABLE else rules.UNMERGEABLE
        for slot in slots:
            backing = process.backing[slot] if process.backing is not None else None
            if backing is not None and backing[2]:
                self._also(rules.MERGEABLE_SHARED)
                continue
            if advice == _MERGEABLE:
                row[slot] |= MERGEABLE
                continue
            self._unmerge(process, slot, slot)
            row[slot] &= ~MERGEABLE

    def _unmerge(self, process: Process, slot: int, seen_at: int) -> bool:
        """Whether the slot parts with a page that KSM made.

        :param seen_at: the slot where the operation puts the page.
        """
        page, key = process.pages[slot], process.number << SLOT_SHIFT | slot
        if not page or not process.row[slot] & MERGEABLE:
            return False
        if isinstance(page, KsmPage) and self._stays_merged(process, slot, seen_at):
            return False
        if not self._is_merged(process, slot, seen_at):
            return False
        assert isinstance(page, list)
        own = StuckPage([key]) if self._cannot_unmerge(process.row[slot]) else [key]
        if len(page) == 1:
            self._stays_cached(page, own)
        self._leave(page, key)
        process.pages[slot] = own
        process.row[slot] |= EXCLUSIVE
        return True

    def _is_merged(self, process: Process, slot: int, seen_at: int) -> bool:
        """Whether KSM made the slot's page; what was in swap may have come back as another, or been merged there."""
        page = process.pages[slot]
        if isinstance(page, list) and len(page) > 1 and not isinstance(page, FilePage) and self._swap_was_used():
            seen = self._seen_word(process, seen_at)
            if seen is not None and seen & PRESENT:
                return bool(seen & EXCLUSIVE)
        return isinstance(page, KsmPage)

    def _cannot_unmerge(self, word: int) -> bool:
        """Whether what KSM made stays merged in a slot with this word, by a deviation."""
        if self._holds[versions.UNMERGE_READS]:
            return False
        return not word & (READ | WRITE) or word & _PROTECTED == _PROTECTED

    def _stays_merged(self, process: Process, slot: int, seen_at: int) -> bool:
        """Whether the page that KSM made cannot be unmerged, by a deviation.

        :param seen_at: the slot where the operation puts the page.
        """
        if not self._cannot_unmerge(process.row[slot]):
            return False
        seen = self._seen_word(process, seen_at)
        if seen is None or seen & (PRESENT | EXCLUSIVE) != PRESENT:
            return False
        self._met[rules.UNMERGE_WP] = None
        return True

    # --- accesses ---

    def _op_read(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        return self._load(op, self._index, process, op[2])

    def _op_write(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        return self._store(op, self._index, process, op[2], op[3])

    def _retry(self, waiter: Waiter | RemoveWaiter) -> Outcome:
        """A task that was woken repeats its access, or goes on dropping pages."""
        if isinstance(waiter, RemoveWaiter):
            return self._removed(waiter)
        if self._may_fail:
            failure = self._lacks_memory(waiter)
            if failure is not None:
                return failure
        return self._resumptions[waiter.op[0]](waiter)

    def _lacks_memory(self, waiter: Waiter) -> Outcome | None:
        """The backend's outcome of a woken access to one page, if it says that there was no memory for that."""
        raise NotImplementedError

    def _load_again(self, waiter: Waiter) -> Outcome:
        return self._load(waiter.op, waiter.index, waiter.context.mm, waiter.slot)

    def _store_again(self, waiter: Waiter) -> Outcome:
        return self._store(waiter.op, waiter.index, waiter.context.mm, waiter.slot, waiter.op[3])

    def _load(self, op: Operation, index: int, process: Process, slot: int, need: int = READ) -> Outcome:
        """A load.

        :param op: the operation, for the waiter if a fault stops it.
        :param need: the bits of the mapping of which one must be there.
        """
        word = process.row[slot]
        if not word & need:
            self._rule = rules.SEGV_READ
            return _SEGV
        if process.swapped and slot in process.swapped:
            if self._is_unreadable(process, slot, index):
                return _BUS
            word = self._swap_in(process, slot)
        if process.lazy and process.lazy >> slot & 1 and self._is_discarded(process, slot, index):
            word = process.row[slot]
        if word & PRESENT:
            self._rule = rules.READ
            return (_DONE, word & CONTENT, 0)
        if word & GUARD:
            self._rule = rules.GUARD_ACCESS
            return _SEGV
        if process.poisoned >> slot & 1:
            self._rule = rules.POISONED
            return _BUS
        if process.backing is not None and process.backing[slot] is not None:
            return self._load_file(op, index, process, slot)
        if word & REG_MISSING:
            self._rule = rules.FAULT_MISSING
            return self._fault(op, index, process, slot, 0)
        if process.hugetlb >> slot & 1:
            return self._load_hugetlb(process, slot)
        self._rule = rules.READ_ZERO
        process.row[slot] = self._populated(word, PRESENT)
        process.pages[slot] = ZERO
        process.packed = None
        return DONE

    def _populated(self, word: int, bits: int) -> int:
        """The word of a missing page after a page was put there, which holds zeroes."""
        if word & UFFD_WP:
            if word & REG_WP:
                self._also(rules.WP_POPULATES)
                return word & ~SWAP | bits
            word &= ~(SWAP | UFFD_WP)
        return word | bits

    def _store(
        self, op: Operation, index: int, process: Process, slot: int, value: int | None, need: int = WRITE
    ) -> Outcome:
        """A store; the parameters are as for a load.

        :param value: the byte; None: only what a store needs is done.
        """
        row = process.row
        word = row[slot]
        if not word & WRITE:
            forced = word & need
            if not forced or self._maps_shared(process, slot):
                self._rule = rules.SEGV_WRITE
                if forced:
                    self._also(rules.FORCE_SHARED)
                return _SEGV
        if process.hugetlb and process.hugetlb >> slot & 1:
            return self._store_hugetlb(process, slot, value)
        key, back = process.number << SLOT_SHIFT | slot, False
        process.packed = None
        if process.swapped and slot in process.swapped:
            if self._is_unreadable(process, slot, index):
                return _BUS
            word = self._swap_in(process, slot)
            back = True
        if process.lazy and process.lazy >> slot & 1 and self._is_discarded(process, slot, index):
            word = row[slot]
        if self._huge_files:
            if self._stops_beyond(process, slot, index):
                return _BUS
            if word & HUGE and self._unmaps_first(op, index, process, slot):
                word = row[slot]
        if self._orphans and (back or word & HUGE):
            self._reuse_at(process, slot, word)
        if word & PRESENT:
            self._rule = rules.WRITE
        else:
            outcome = self._store_missing(op, index, process, slot, key, word)
            if outcome is not None:
                return outcome
            word = row[slot]
        if word & UFFD_WP and word & REG_WP and not (back and self._is_forced_through(word, index)):
            outcome = self._store_protected(op, index, process, slot, key)
            if outcome is not None:
                return outcome
            word = row[slot]
        if word & FILE:
            return self._store_file(process, slot, value)
        if process.lazy or process.doomed:
            self._keep(process, slot)
        page = process.pages[slot]
        if not page or len(page) > 1 or isinstance(page, KsmPage) or (self._swap and self._is_cached(page)):
            word &= ~UFFD_WP
            self._copy_page(process, slot, key, page)
        elif isinstance(page, FilledPage) and value is not None:
            page.stored = True
        row[slot] = word | _FRESH if value is None else word & ~CONTENT | _FRESH | value
        if self._frames:
            self._stored(key, row[slot] & CONTENT)
        if self._orphans:
            self._leak(process.pages[slot], row[slot] & CONTENT)
        return DONE

    def _store_missing(
        self, op: Operation, index: int, process: Process, slot: int, key: int, word: int
    ) -> Outcome | None:
        """A store where no page is.  None: the store goes on, the slot's word tells how."""
        if word & GUARD:
            self._rule = rules.GUARD_ACCESS
            return _SEGV
        if process.poisoned >> slot & 1:
            process.touched |= 1 << slot
            self._rule = rules.POISONED
            return _BUS
        if process.backing is not None and process.backing[slot] is not None:
            return self._prepare_store(op, index, process, slot)
        process.touched |= 1 << slot
        if word & REG_MISSING:
            self._rule = rules.FAULT_MISSING
            return self._fault(op, index, process, slot, MESSAGE_WRITE)
        process.row[slot] = self._populated(word, _FRESH)
        process.pages[slot] = [key]
        if self._huge:
            process.homes[slot] = home_of(slot, self._index) if self._may_be_large(process, slot) else ALONE
        process.row[ANON] += 1
        self._rule = rules.WRITE_FRESH
        return None

    def _reuse_at(self, process: Process, slot: int, word: int) -> None:
        """Kernels may make a page writable, or all that one huge entry maps, without a look at who holds it."""
        first = slot - slot % HUGE_PAGES
        for each in range(first, first + HUGE_PAGES) if word & HUGE else (slot,):
            self._reuse(process.pages[each])

    def _is_forced_through(self, word: int, index: int) -> bool:
        """Whether a store that comes back from swap, and needs no permission, passes the protection by a deviation."""
        if word & WRITE or self._holds[versions.FORCE_ASKS]:
            return False
        seen = self._saw(index)
        if seen is None or seen[0] != _DONE:
            return False
        self._met[rules.FORCE_WP] = None
        return True

    def _store_protected(self, op: Operation, index: int, process: Process, slot: int, key: int) -> Outcome | None:
        """None: the store goes on."""
        context = process.contexts[slot]
        assert context is not None
        if context.features & FEATURE_WP_ASYNC:
            self._also(rules.WP_ASYNC)
            process.row[slot] &= ~UFFD_WP
            return None
        if key in self._stale and self._is_stopped(op, index, slot) is False:
            self._met[self._stale[key][2]] = None
            return None
        self._rule = rules.FAULT_WP
        return self._fault(op, index, process, slot, MESSAGE_WRITE | MESSAGE_WP)

    def _may_be_unprotected(self, process: Process, slot: int) -> None:
        """A write to the slot that failed may have ended its protection, in async mode."""
        word, context = process.row[slot], process.contexts[slot]
        if context is not None and context.features & FEATURE_WP_ASYNC and word & _PROTECTED == _PROTECTED:
            self._once.append((process.number << SLOT_SHIFT | slot, UFFD_WP, -1, rules.WP_ASYNC))

    def _copy_page(self, process: Process, slot: int, key: int, page: Page) -> None:
        process.pages[slot] = [key]
        process.homes[slot] = ALONE if page else home_of(slot, self._index)
        process.touched |= 1 << slot
        if page:
            assert isinstance(page, list)
            self._rule = rules.WRITE_COPY
            self._leave(page, key)
            if key in self._frames:
                self._leave_behind(self._frames[key], page)
        else:
            process.row[ANON] += 1

    def _fault(self, op: Operation, index: int, process: Process, slot: int, flags: int) -> Outcome:
        context = process.contexts[slot]
        assert context is not None
        word = process.row[slot]
        if not word & REG_WP and word & UFFD_WP and not word & PRESENT:
            process.row[slot] = word & ~(UFFD_WP | SWAP)
            process.packed = None
        if context.features & FEATURE_SIGBUS or not self._waits:
            self._rule = rules.FAULT_SIGBUS
            return _BUS
        waiter = Waiter(op[1], index, op, context, slot, flags)
        context.waiters.append(waiter)
        self._blocked[op[1]] = waiter
        return BLOCKED

    # --- processes ---

    def _op_fork(self, op: Operation) -> Outcome:
        _, task, number = op
        if self._processes[number] is not None:
            self._rule = rules.SKIP_EXISTS
            return EXISTS
        parent = self._processes[task & PROCESS_MASK]
        assert parent is not None
        child = self._processes[number] = Process(number)
        open_bits: list[OpenBits] = []
        queue = self._duplicate(parent, child, open_bits)
        self._rule = rules.FORK
        if queue:
            self._rule = rules.FORK_EVENT
            waiter = ForkWaiter(task, self._index, child, queue)
            waiter.open_bits = open_bits
            self._blocked[task] = waiter
            queue[0][0].events.append(waiter)
            return BLOCKED_EVENT
        self._born(child, open_bits)
        return DONE

    def _born(self, child: Process, open_bits: list[OpenBits]) -> None:
        self._living.append(child)
        self._living.sort(key=lambda process: process.number)
        self._live |= 1 << child.number
        if child.unseen:
            self._settle_child(child)
        self._once += open_bits
        for slot in range(SLOTS) if child.backing is not None else ():
            if child.row[slot] & _PROTECTED == _PROTECTED and self._is_file_marker(child, slot):
                self._once.append((child.number << SLOT_SHIFT | slot, SWAP, rules.MARKER_SWAP, -1))

    def _duplicate(
        self, parent: Process, child: Process, open_bits: list[OpenBits]
    ) -> list[tuple[Context, Context | Outcome]]:
        """Fills the child; the userfaultfds that owe an event, each with the child's."""
        child.row[:] = parent.row
        child.edges = parent.edges
        child.nohuge = parent.nohuge
        child.hugetlb = parent.hugetlb
        child.poisoned = parent.poisoned
        parent.packed = None
        if parent.backing is not None:
            child.backing = list(parent.backing)
        if parent.advised:
            self._follow_advice(parent, child)
        queue = self._duplicate_contexts(parent, child) if any(parent.contexts) else []
        base = child.number << SLOT_SHIFT
        child_row, parent_row = child.row, parent.row
        for slot, page in enumerate(parent.pages):
            if page is None or (parent.advised and (not child_row[slot] or child_row[slot] & WIPEONFORK)):
                continue
            if isinstance(page, FilePage):
                self._duplicate_file(parent, child, slot, page)
            elif page:
                if self._frames and self._pinned(parent, slot):
                    self._also(rules.FORK_PINNED)
                    child.pages[slot] = [base | slot]
                    continue
                page.append(base | slot)
                child.pages[slot] = page
                parent_row[slot] &= ~EXCLUSIVE
                child_row[slot] &= ~EXCLUSIVE
            else:
                self._duplicate_zero(parent, child, slot, open_bits)
        child.lazy = parent.lazy
        child.homes = parent.homes.copy()
        if parent.doomed:
            child.doomed = parent.doomed.copy()
        if parent.swapped:
            self._inherit_swapped(parent, child)
        if self._stale:
            self._inherit_stale(parent, child)
        child.touched = parent.touched
        return queue

    def _follow_advice(self, parent: Process, child: Process) -> None:
        """Takes from the child what is not for it."""
        row = child.row
        for slot, page in enumerate(parent.pages):
            if not row[slot] & (DONTFORK | WIPEONFORK):
                continue
            self._also(rules.DONTFORK if row[slot] & DONTFORK else rules.WIPEONFORK)
            row[slot] = 0 if row[slot] & DONTFORK else row[slot] & VMA_BITS
            row[FILES if isinstance(page, FilePage) else ANON] -= bool(page)
            row[SWAP_ENTRIES] -= slot in parent.swapped
            if child.backing is not None and not row[slot]:
                child.backing[slot] = None
            child.poisoned &= ~(1 << slot)
        child.advised = True

    def _inherit_stale(self, parent: Process, child: Process) -> None:
        base = parent.number << SLOT_SHIFT
        for key in [key for key in self._stale if key >> SLOT_SHIFT == parent.number]:
            slot = key - base
            if child.row[slot] & WIPEONFORK or not child.row[slot]:
                continue
            if child.row[slot] & REG_WP:
                key = child.number << SLOT_SHIFT | slot
                self._stale[key] = (key, *self._stale[base | slot][1:])
            else:
                self._clear_wp(parent, child.row, slot)

    def _duplicate_zero(self, parent: Process, child: Process, slot: int, open_bits: list[OpenBits]) -> None:
        """The parent's zero page may or may not be in the child: kernels copy mappings with anonymous pages only."""
        child.pages[slot] = ZERO
        if child.row[slot] & REG_WP and self._holds[versions.FORK_COPIES_WP]:
            return
        bits = PRESENT | (child.row[slot] & UFFD_WP if child.row[slot] & REG_WP else 0)
        if not self._extent(parent, slot) & parent.touched:
            child.row[slot] &= ~bits
            child.pages[slot] = None
        open_bits.append((child.number << SLOT_SHIFT | slot, bits, -1, rules.FORK_ZERO_PAGE))

    @staticmethod
    def _extent(process: Process, slot: int) -> int:
        """A mask of the slots that may belong to the same mapping."""
        row, contexts = process.row, process.contexts
        vma, context = row[slot] & VMA_BITS, contexts[slot]
        mask = 1 << slot
        for step in (-1, 1):
            at = slot
            while True:
                edge = at if step < 0 else at + 1
                at += step
                if not 0 <= at < SLOTS or process.edges >> edge & 1:
                    break
                if row[at] & VMA_BITS != vma or contexts[at] is not context:
                    break
                if not Memory._continues(process, at if step < 0 else at - 1):
                    break
                mask |= 1 << at
        return mask

    def _duplicate_contexts(self, parent: Process, child: Process) -> list[tuple[Context, Context | Outcome]]:
        new: dict[Context, Context | Outcome] = {}
        row = child.row
        for slot, context in enumerate(parent.contexts):
            if context is None or not row[slot]:
                continue
            if context.features & FEATURE_EVENT_FORK:
                own = new.get(context)
                if own is None:
                    own = new[context] = Context(child, context.features)
                    context.changing += 1
                assert isinstance(own, Context)
                child.contexts[slot] = own
                if not row[slot] & REG_WP:
                    self._clear_wp(parent, row, slot)
            else:
                self._also(rules.FORK_UNREGISTERED)
                row[slot] &= ~REGISTERED
                self._clear_wp(parent, row, slot)
        if len(new) > 1:
            self._also(rules.FORK_EVENT_ORDER)
        return list(new.items())

    def _leave_stale(self, process: Process, slot: int, deviation: int) -> None:
        """The protection ends, but kernels leave its bit behind."""
        word = process.row[slot]
        if word & UFFD_WP:
            self._clear_wp(process, process.row, slot)
            key = process.number << SLOT_SHIFT | slot
            # a mark in the place of a page shows both bits; that of a child was not seen yet
            swap = (word ^ process.row[slot] if word & (PRESENT | SWAP | GUARD) else SWAP) & SWAP
            self._stale[key] = (key, UFFD_WP | swap, deviation, -1)

    @staticmethod
    def _clear_wp(process: Process, row: array[int], slot: int) -> None:
        """Clears the bit in a row of the process, or of the child that it is making."""
        row[slot] &= ~UFFD_WP
        if not row[slot] & (PRESENT | GUARD) and slot not in process.swapped and not process.poisoned >> slot & 1:
            row[slot] &= ~SWAP

    def _op_exit(self, op: Operation) -> Outcome:
        number = op[1] & PROCESS_MASK
        process = self._processes[number]
        assert process is not None
        if self._blocked and self._used_from_outside(process):
            self._rule = rules.SKIP_BUSY
            return BUSY
        self._rule = rules.EXIT
        for task in [task for task in self._blocked if task & PROCESS_MASK == number]:
            self._also(rules.EXIT_KILLS)
            self._kill(self._blocked.pop(task))
        self._discard(process)
        self._living.remove(process)
        self._live &= ~(1 << number)
        return DONE

    def _discard(self, process: Process) -> None:
        process.alive = False
        for slot, page in enumerate(process.pages):
            if page is not None:
                self._drop_page(process, slot, page)
            elif self._frames and slot not in process.swapped:
                self._let_go(process, slot)
        for slot in list(process.swapped):
            self._drop_swapped(process, slot)
        if self._stale:
            self._forget(process, 0, SLOTS)
        self._processes[process.number] = None

    def _kill(self, waiter: Waiter | EventWaiter) -> None:
        self._ended.append((waiter.task, waiter.index, _KILLED, 0, 0))
        if isinstance(waiter, Waiter):
            waiter.context.waiters.remove(waiter)
            self._abandon(waiter)
            return
        waiter.queue[0][0].events.remove(waiter)
        for context, _ in waiter.queue:
            self._changed(context)
        if isinstance(waiter, RemoveWaiter) and waiter.punches:
            self._punch_when_killed(waiter)
        if isinstance(waiter, ForkWaiter):
            self._discard(waiter.child)

    def _punch_when_killed(self, waiter: RemoveWaiter) -> None:
        """The task was to free pages of files, which it may do all the same on its way out: of all mappings, of none or
        of the first."""
        process, rule, how = waiter.process, self._rule, self._choose(3)
        self._also(rules.EXIT_REMOVES)
        shown, waiter.at = waiter.backing[waiter.at : waiter.stop], waiter.stop
        while how != 1:
            self._punch_backing(shown)
            while waiter.at < waiter.end and not process.row[waiter.at]:
                waiter.at += 1
            if how == 2 or waiter.at >= waiter.end or self._not_removable(process, waiter.at) is not None:
                break
            at, waiter.at = waiter.at, min(waiter.end, self._mapping_end(process, waiter.at))
            assert process.backing is not None
            shown = process.backing[at : waiter.at]
        self._rule = rule

    def _changed(self, context: Context) -> None:
        """One of the forks that the userfaultfd's page operations wait for is over."""
        context.changing = context.changing - 1 if self._holds[versions.CHANGING_COUNTED] else 0


assert PAGE_BITS & VMA_BITS == 0
