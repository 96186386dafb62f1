"""The rules of mappings, pages, accesses and processes."""

from __future__ import annotations

import errno
import signal
from array import array
from collections.abc import Callable, Collection
from typing import Final

from faultline.oracle import rules
from faultline.oracle.state import (
    ANON,
    CONTENT,
    EXCLUSIVE,
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
    UFFD_WP,
    VMA_BITS,
    WRITE,
    ZERO,
    Context,
    ForkWaiter,
    KsmPage,
    OpenBits,
    Page,
    Process,
    Waiter,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, FEATURES, PROCESSES, PROT, SLOTS
from faultline.program.trace import RECORD, FaultFlag, Skip, Status, Wait

Outcome = tuple[int, int, int]
"""Status, value, aux."""

#: The process of a task byte.
PROCESS_MASK: Final = PROCESSES - 1
FEATURE_EVENT_FORK, FEATURE_WP_ASYNC, FEATURE_WP_UNPOPULATED, FEATURE_SIGBUS = (
    1 << FEATURES.words.index(word) for word in ("event-fork", "wp-async", "wp-unpopulated", "sigbus")
)
#: Plain numbers: flags are put together on the hot path.
MESSAGE_WRITE: Final = int(FaultFlag.WRITE)
MESSAGE_WP: Final = int(FaultFlag.WP)

DONE: Final[Outcome] = (int(Status.DONE), 0, 0)
BLOCKED: Final[Outcome] = (int(Status.BLOCKED), int(Wait.FAULT), 0)
_BLOCKED_EVENT: Final[Outcome] = (int(Status.BLOCKED), int(Wait.EVENT), 0)
_SEGV: Final[Outcome] = (int(Status.SIGNAL), int(signal.SIGSEGV), 0)
_BUS: Final[Outcome] = (int(Status.SIGNAL), int(signal.SIGBUS), 0)
_KILLED: Final = int(Status.KILLED)
_DONE: Final = int(Status.DONE)
EXISTS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.EXISTS), 0)


def failed(error: int, aux: int = 0) -> Outcome:
    """The outcome of a call that failed with this errno."""
    return (int(Status.ERROR), error, aux)


_EINVAL: Final = failed(errno.EINVAL)
_ENOMEM: Final = failed(errno.ENOMEM)
_PROT_BITS: Final = tuple({"none": MAPPED, "r": MAPPED | READ, "rw": MAPPED | READ | WRITE}[w] for w in PROT.words)
_DONTNEED, _MERGEABLE, _UNMERGEABLE = (ADVICE.words.index(w) for w in ("dontneed", "mergeable", "unmergeable"))
#: What the kernel must have to know an advice; other advices are always known.
_ADVICE_NEEDS: Final = {_MERGEABLE: "ksm", _UNMERGEABLE: "ksm"}
_FRESH: Final = PRESENT | EXCLUSIVE


def unknown_advice(has: Collection[str]) -> frozenset[int]:
    """The values of ADVICE that a kernel which ``has`` these needs does not know."""
    return frozenset(advice for advice, need in _ADVICE_NEEDS.items() if need not in has)


class Memory:
    """The state, and the operations of tasks on their memory.  A handler returns the outcome and sets ``_rule``."""

    _observed: bytes | None
    _out: bytearray
    _index: int
    _rule: int
    _processes: list[Process | None]
    """By number: the live ones and the children of forks under way."""
    _living: list[Process]
    """The live ones, ascending."""
    _live: int
    """The same as a mask."""
    _blocked: dict[int, Waiter | ForkWaiter]
    """By task byte."""
    _woken: list[Waiter]
    """Tasks that go on when the operation is over."""
    _ended: list[tuple[int, int, int, int, int]]
    """Operations that end with this one: task byte, index, outcome."""
    _once: list[OpenBits]
    """What the next snapshot may decide."""
    _stale: dict[int, OpenBits]
    """By slot of all processes: what every snapshot may decide, until the bit is gone."""
    _met: dict[int, None]
    """Deviations met."""
    _unknown_advice: frozenset[int]
    """Advice that the kernel does not know."""
    _accesses: dict[int, Callable[[Operation, int], Outcome]]
    """By operation: an access that a fault may stop, and that is repeated when its task is woken."""

    # --- choices ---

    def _also(self, rule: int) -> None:
        """Notes one more rule for the present operation."""
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

    # --- pages ---

    def _drop_page(self, process: Process, slot: int, page: Page) -> None:
        """The slot maps the page no longer; its word is the caller's."""
        process.pages[slot] = None
        if page:
            process.row[ANON] -= 1
            assert isinstance(page, list)
            self._leave(page, process.number << SLOT_SHIFT | slot)

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
                process.contexts[slot] = None
                row[slot] = 0
        if self._stale:
            self._forget(process, start, end)
        process.touched &= ~self._mask(start, end)
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

    def _op_mmap(self, op: Operation) -> Outcome:
        _, task, start, pages, prot = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        end = start + pages
        self._unmap(process, start, end)
        process.row[start:end] = array("I", (_PROT_BITS[prot],)) * pages
        process.edges &= ~self._mask(start + 1, end)
        self._rule = rules.MMAP
        return DONE

    def _op_munmap(self, op: Operation) -> Outcome:
        _, task, start, pages = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        self._unmap(process, start, start + pages)
        self._rule = rules.MUNMAP
        return DONE

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
                return _ENOMEM
            row[slot] = word & ~(READ | WRITE) | _PROT_BITS[prot]
        return DONE

    def _op_madvise(self, op: Operation) -> Outcome:
        _, task, start, pages, advice = op
        if advice in self._unknown_advice:
            self._rule = rules.MADVISE_UNKNOWN
            return _EINVAL
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        slots = [slot for slot in range(start, start + pages) if process.row[slot]]
        process.packed = None
        if advice == _DONTNEED:
            self._dontneed(process, slots)
        else:
            self._cut(process, start, start + pages)
            self._advise_ksm(process, slots, advice)
        if len(slots) < pages:
            self._also(rules.MADVISE_HOLE)
            return _ENOMEM
        return DONE

    def _dontneed(self, process: Process, slots: list[int]) -> None:
        row = process.row
        self._rule = rules.DONTNEED
        for slot in slots:
            if row[slot] & UFFD_WP:
                self._also(rules.DONTNEED_WP)
            row[slot] &= VMA_BITS
            page = process.pages[slot]
            if page is not None:
                self._drop_page(process, slot, page)
            if self._stale:
                self._forget(process, slot, slot + 1)

    def _advise_ksm(self, process: Process, slots: list[int], advice: int) -> None:
        row = process.row
        self._rule = rules.MERGEABLE if advice == _MERGEABLE else rules.UNMERGEABLE
        for slot in slots:
            if advice == _MERGEABLE:
                row[slot] |= MERGEABLE
                continue
            page = process.pages[slot]
            if row[slot] & MERGEABLE and isinstance(page, KsmPage):
                self._leave(page, process.number << SLOT_SHIFT | slot)
                process.pages[slot] = [process.number << SLOT_SHIFT | slot]
                row[slot] |= EXCLUSIVE
            row[slot] &= ~MERGEABLE

    # --- accesses ---

    def _op_read(self, op: Operation) -> Outcome:
        return self._load(op, self._index)

    def _op_write(self, op: Operation) -> Outcome:
        return self._store(op, self._index)

    def _retry(self, waiter: Waiter) -> Outcome:
        """A task that was woken repeats its access."""
        return self._accesses[waiter.op[0]](waiter.op, waiter.index)

    def _load(self, op: Operation, index: int) -> Outcome:
        task, slot = op[1], op[2]
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        word = process.row[slot]
        if not word & READ:
            self._rule = rules.SEGV_READ
            return _SEGV
        if word & PRESENT:
            self._rule = rules.READ
            return (_DONE, word & CONTENT, 0)
        if word & REG_MISSING:
            self._rule = rules.FAULT_MISSING
            return self._fault(op, index, process, slot, 0)
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

    def _store(self, op: Operation, index: int) -> Outcome:
        task, slot = op[1], op[2]
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        row = process.row
        word = row[slot]
        if not word & WRITE:
            self._rule = rules.SEGV_WRITE
            return _SEGV
        key = process.number << SLOT_SHIFT | slot
        process.packed = None
        if not word & PRESENT:
            process.touched |= 1 << slot
            if word & REG_MISSING:
                self._rule = rules.FAULT_MISSING
                return self._fault(op, index, process, slot, MESSAGE_WRITE)
            word = row[slot] = self._populated(word, _FRESH)
            process.pages[slot] = [key]
            row[ANON] += 1
            self._rule = rules.WRITE_FRESH
        else:
            self._rule = rules.WRITE
        if word & UFFD_WP and word & REG_WP:
            outcome = self._store_protected(op, index, process, slot, key)
            if outcome is not None:
                return outcome
            word = row[slot]
        page = process.pages[slot]
        if not page or len(page) > 1 or isinstance(page, KsmPage):
            word &= ~UFFD_WP
            self._copy_page(process, slot, key, page)
        row[slot] = word & ~CONTENT | _FRESH | op[3]
        return DONE

    def _store_protected(self, op: Operation, index: int, process: Process, slot: int, key: int) -> Outcome | None:
        """None: the store goes on."""
        context = process.contexts[slot]
        assert context is not None
        if context.features & FEATURE_WP_ASYNC:
            self._also(rules.WP_ASYNC)
            process.row[slot] &= ~UFFD_WP
            return None
        if key in self._stale:
            seen = self._saw(index)
            if seen is not None and seen[0] == _DONE:
                self._met[self._stale[key][2]] = None
                return None
        self._rule = rules.FAULT_WP
        return self._fault(op, index, process, slot, MESSAGE_WRITE | MESSAGE_WP)

    def _copy_page(self, process: Process, slot: int, key: int, page: Page) -> None:
        process.pages[slot] = [key]
        process.touched |= 1 << slot
        if page:
            assert isinstance(page, list)
            self._rule = rules.WRITE_COPY
            self._leave(page, key)
        else:
            process.row[ANON] += 1

    def _fault(self, op: Operation, index: int, process: Process, slot: int, flags: int) -> Outcome:
        context = process.contexts[slot]
        assert context is not None
        word = process.row[slot]
        if not word & REG_WP and word & UFFD_WP and not word & PRESENT:
            process.row[slot] = word & ~(UFFD_WP | SWAP)
            process.packed = None
        if context.features & FEATURE_SIGBUS:
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
            return _BLOCKED_EVENT
        self._born(child, open_bits)
        return DONE

    def _born(self, child: Process, open_bits: list[OpenBits]) -> None:
        self._living.append(child)
        self._living.sort(key=lambda process: process.number)
        self._live |= 1 << child.number
        self._once += open_bits

    def _duplicate(
        self, parent: Process, child: Process, open_bits: list[OpenBits]
    ) -> list[tuple[Context, Context]]:
        """Fills the child; the userfaultfds that owe an event, each with the child's."""
        child.row[:] = parent.row
        child.edges = parent.edges
        parent.packed = None
        queue = self._duplicate_contexts(parent, child) if any(parent.contexts) else []
        base = child.number << SLOT_SHIFT
        child_row, parent_row = child.row, parent.row
        for slot, page in enumerate(parent.pages):
            if page:
                assert isinstance(page, list)
                page.append(base | slot)
                child.pages[slot] = page
                parent_row[slot] &= ~EXCLUSIVE
                child_row[slot] &= ~EXCLUSIVE
            elif page is not None:
                self._duplicate_zero(parent, child, slot, open_bits)
        if self._stale:
            self._inherit_stale(parent, child)
        child.touched = parent.touched
        return queue

    def _inherit_stale(self, parent: Process, child: Process) -> None:
        base = parent.number << SLOT_SHIFT
        for key in [key for key in self._stale if key >> SLOT_SHIFT == parent.number]:
            slot = key - base
            if child.row[slot] & REG_WP:
                key = child.number << SLOT_SHIFT | slot
                self._stale[key] = (key, *self._stale[base | slot][1:])
            else:
                self._clear_wp(child.row, slot)

    def _duplicate_zero(self, parent: Process, child: Process, slot: int, open_bits: list[OpenBits]) -> None:
        """The parent's zero page may or may not be in the child: kernels copy mappings with anonymous pages only."""
        child.pages[slot] = ZERO
        if child.row[slot] & REG_WP:
            return
        if not self._extent(parent, slot) & parent.touched:
            child.row[slot] &= ~PRESENT
            child.pages[slot] = None
        open_bits.append((child.number << SLOT_SHIFT | slot, PRESENT, -1, rules.FORK_ZERO_PAGE))

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
                mask |= 1 << at
        return mask

    def _duplicate_contexts(self, parent: Process, child: Process) -> list[tuple[Context, Context]]:
        new: dict[Context, Context] = {}
        row = child.row
        for slot, context in enumerate(parent.contexts):
            if context is None:
                continue
            if context.features & FEATURE_EVENT_FORK:
                if context not in new:
                    new[context] = Context(child, context.features)
                    context.changing += 1
                child.contexts[slot] = new[context]
                if not row[slot] & REG_WP:
                    self._clear_wp(row, slot)
            else:
                self._also(rules.FORK_UNREGISTERED)
                row[slot] &= ~REGISTERED
                self._clear_wp(row, slot)
        if len(new) > 1:
            self._also(rules.FORK_EVENT_ORDER)
        return list(new.items())

    @staticmethod
    def _clear_wp(row: array[int], slot: int) -> None:
        row[slot] &= ~UFFD_WP
        if not row[slot] & PRESENT:
            row[slot] &= ~SWAP

    def _op_exit(self, op: Operation) -> Outcome:
        number = op[1] & PROCESS_MASK
        process = self._processes[number]
        assert process is not None
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
            if page:
                self._drop_page(process, slot, page)
        if self._stale:
            self._forget(process, 0, SLOTS)
        self._processes[process.number] = None

    def _kill(self, waiter: Waiter | ForkWaiter) -> None:
        self._ended.append((waiter.task, waiter.index, _KILLED, 0, 0))
        if isinstance(waiter, Waiter):
            waiter.context.waiters.remove(waiter)
            return
        waiter.queue[0][0].events.remove(waiter)
        for context, _ in waiter.queue:
            context.changing -= 1
        self._discard(waiter.child)


assert PAGE_BITS & VMA_BITS == 0
