"""The rules of soft-dirty bits and of PAGEMAP_SCAN.

Soft-dirty bits are shown from the first clearing on, so they are followed only in programs that clear them, and beside
everything else: by the change of the processes' words from record to record.  No other rule has to know of them.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import DONE, FEATURE_WP_ASYNC, PROCESS_MASK, Memory, Outcome, failed
from faultline.oracle.state import (
    GUARD,
    HUGE,
    HUGE_PAGES,
    MAPPED,
    MERGEABLE,
    PRESENT,
    REG_WP,
    REGISTERED,
    SLOT_SHIFT,
    SWAP,
    UFFD_WP,
    VMA_BITS,
    WRITE,
    ZERO,
    Context,
    EventWaiter,
    FilePage,
    Process,
    Waiter,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, BY_NAME, CATEGORY, OPS, REFS, SCAN_MODE, SLOTS, TASK_MONITOR
from faultline.program.trace import Bit, Status

_UNMERGEABLE, _PAGEOUT = (ADVICE.words.index(word) for word in ("unmergeable", "pageout"))
_CLEAR_SOFT_DIRTY: Final = REFS.words.index("soft-dirty")
CLEAR_REFS: Final = BY_NAME["clear-refs"].code
_KHUGEPAGED: Final = BY_NAME["khugepaged"].code
_FORK, _COPY, _MOVE, _SWAP_OUT = (BY_NAME[name].code for name in ("fork", "uffd-copy", "uffd-move", "swap-out"))
#: Operations that write to the page that they name first.
_WRITES: Final = frozenset(BY_NAME[name].code for name in ("write", "guest-write"))
#: Operations that put a page where there was none.
_FILLS: Final = frozenset(BY_NAME[name].code for name in ("uffd-copy", "uffd-move", "uffd-zeropage"))
_KSM: Final = frozenset(op.code for op in OPS if op.name.startswith("ksm-"))
#: Operations that map fresh memory.
_MAPPERS: Final = frozenset(op.code for op in OPS if op.name.startswith("mmap"))
#: Operations that leave all mappings as they are, and write to no page but as told here.
_PAGE_OPS: Final = frozenset(
    op.code
    for op in OPS
    if op.name.startswith(("guest-", "ksm-"))
    or op.name
    in (
        "read", "write", "fork", "exit", "uffd-open", "uffd-wp", "uffd-resolve", "uffd-copy", "uffd-zeropage",
        "uffd-wake", "uffd-read", "uffd-poison", "uffd-move", "clear-refs", "pagemap-scan", "swap-out",
        "drop-swap-cache", "swapoff", "khugepaged", "split",
    )
)  # fmt: skip
#: Operations that change mappings and write to no page.
_MAPPING_OPS: Final = frozenset(
    op.code
    for op in OPS
    if op.name.startswith(("mmap", "munmap", "mprotect", "madvise", "mremap", "guard-"))
    or op.name in ("uffd-register", "uffd-unregister", "uffd-close")
)
#: Of all others documentation does not say what pages they write to.
_KNOWN: Final = _PAGE_OPS | _MAPPING_OPS
#: Operations that give a mapping another place or size.
_REMAPPERS: Final = frozenset(op.code for op in OPS if op.name.startswith("mremap"))
_MREMAP, _MADVISE, _MPROTECT, _SWAPOFF = (BY_NAME[name].code for name in ("mremap", "madvise", "mprotect", "swapoff"))
#: Operations that end the write protection of pages.
_RESOLVERS: Final = frozenset(BY_NAME[name].code for name in ("uffd-resolve", "uffd-unregister"))
_CLOSE: Final = BY_NAME["uffd-close"].code
#: These change the protection of pages.
_PROTECTS: Final = frozenset(
    op.code
    for op in OPS
    if op.name in ("mprotect", "uffd-wp", "uffd-resolve", "uffd-unregister", "uffd-close", "numa-hint")
)
_PINS: Final = frozenset(op.code for op in OPS if op.family == "pins")
#: An operation that waits for an event has done its work.
_DOES: Final = (Status.DONE, Status.BLOCKED)
_FAILED: Final = (Status.SIGNAL, Status.ERROR)
_PAGE: Final = PRESENT | SWAP
_FILE: Final = int(Bit.FILE)
#: In which byte of a word the bit stands, and its value there.
SOFT_DIRTY_BYTE: Final = (int(Bit.SOFT_DIRTY).bit_length() - 1) // 8
SOFT_DIRTY_VALUE: Final = int(Bit.SOFT_DIRTY) >> 8 * SOFT_DIRTY_BYTE

_CATEGORY: Final = {word: 1 << i for i, word in enumerate(CATEGORY.words)}
_WPALLOWED, _WRITTEN, _SWAPPED = (_CATEGORY[word] for word in ("wpallowed", "written", "swapped"))
_SCAN_WP, _SCAN_CHECK, _SCAN_INVERTED, _SCAN_PRESENT = (
    1 << SCAN_MODE.words.index(word) for word in ("wp", "check", "inverted", "present")
)


def _slots(row: array[int], bits: int) -> int:
    """A mask of the slots whose word has one of the bits."""
    return sum(1 << slot for slot in range(SLOTS) if row[slot] & bits)


def _holding(process: Process) -> int:
    """A mask of the slots that hold a page, other than the zero page, or refer to one in swap."""
    return sum(1 << slot for slot, page in enumerate(process.pages) if page or slot in process.swapped)


class SoftDirtyBits:
    """The soft-dirty bits of a process whose bits were cleared; masks of slots."""

    __slots__ = (
        "adopted", "fixed", "hidden", "lost", "maybe", "poisoned", "row", "row_shown", "shown", "stray", "tried",
        "written",
    )

    def __init__(self, process: Process, shown: int, maybe: int, written: int) -> None:
        self.adopted = 0
        """Of ``shown``: those that the backend showed where they might be set, by a write or by the newness."""
        self.fixed = 0
        """Those whose page was pinned when the bits were cleared."""
        self.stray = 0
        """Those that kernels are known to set with this operation, by deviation."""
        self.shown = shown
        """Those that are set, for certain."""
        self.maybe = maybe
        """Those that may be set besides."""
        self.written = written
        """Of ``shown``: those that a write set, not the newness of the mapping."""
        self.hidden: dict[int, int] = {}
        """Those whose writes kernels are known not to see, by deviation."""
        self.lost: dict[int, int] = {}
        """Of ``shown``: those that kernels are known to lose with this operation, by deviation."""
        self.row = process.row[:SLOTS]
        """The words of the last record, before what huge pages made of them."""
        self.row_shown = self.row
        """The same after that."""
        self.poisoned = 0
        """Slots that were poisoned, or lost with swap, at the last record."""
        self.tried = 0
        """Slots that the present operation wrote to, or may have."""


class SoftDirty:
    """The soft-dirty bits of all processes, from the first clearing on."""

    __slots__ = ("bits", "living", "unborn")

    def __init__(self) -> None:
        self.bits: dict[int, SoftDirtyBits] = {}
        """By process; one that is not here was never cleared, so that all it maps is soft-dirty."""
        self.unborn: dict[int, SoftDirtyBits] = {}
        self.living: set[int] = set()


class Dirty(Memory):
    """clear-refs and pagemap-scan."""

    _soft: SoftDirty | None
    """None: no soft-dirty bits were cleared yet."""
    _closely: bool
    _drops: list[tuple[int, int, int]]
    """What tasks woken by the present operation dropped: after how many had ended, of which process, which slots."""
    _told: bytes | None
    """The backend's trace with its soft-dirty bits, if the program clears any."""
    _ops: Sequence[Operation]
    _handles: list[Context | None]
    _has: Collection[str]
    _snapshots: bool

    def _op_clear_refs(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        if op[2] != _CLEAR_SOFT_DIRTY:
            self._rule = rules.CLEAR_REFERENCED
            return DONE
        self._rule = rules.CLEAR_SOFT_DIRTY
        if self._soft is None:
            self._soft = SoftDirty()
            self._closely = True
            self._soft.living = {living.number for living in self._living}
        pinned = any(past[0] in _PINS for past in self._ops[: self._index])
        bits = SoftDirtyBits(process, 0, _slots(process.row, PRESENT) if pinned else 0, 0)
        if self._frames:
            bits.fixed = sum(1 << slot for slot in range(SLOTS) if self._pinned(process, slot))
        before = self._soft.bits.get(process.number)
        if before is not None and rules.MERGE_SOFT_DIRTY in before.hidden:
            # what the kernel takes for an old mapping it leaves as it is
            bits.hidden[rules.MERGE_SOFT_DIRTY] = before.hidden[rules.MERGE_SOFT_DIRTY]
        self._soft.bits[process.number] = bits
        return DONE

    # --- what an operation does to soft-dirty bits ---

    def _does(self, op: Operation, outcome: Outcome) -> bool:
        """Whether the operation has done its work, be it that it waits for an event; some fail after the event."""
        waiter = self._blocked.get(op[1])
        if isinstance(waiter, EventWaiter) and waiter.index == self._index:
            return waiter.outcome[0] in _DOES
        return outcome[0] in _DOES

    def _follow_soft_dirty(self, soft: SoftDirty, op: Operation, outcome: Outcome) -> None:
        self._meet_children(soft, op, outcome)
        acting = -1 if op[1] == TASK_MONITOR else op[1] & PROCESS_MASK
        written, tried = self._written(op, outcome), self._tried(op, outcome)
        dropped, since = self._dropped()
        codes = {self._ops[end[1]][0] for end in self._ended}
        codes |= {waiter.op[0] for waiter in self._blocked.values() if isinstance(waiter, Waiter)}
        if outcome[0] != Status.SKIPPED:
            codes.add(op[0])
        for number, bits in soft.bits.items():
            process = self._processes[number]
            assert process is not None
            bits.lost.clear()
            bits.stray = 0
            if codes <= _PAGE_OPS:
                self._follow_pages(process, bits, op)
            else:
                self._follow_mappings(process, bits, op, acting == number and self._does(op, outcome))
            self._follow_fill(process, bits, op, outcome[2])
            gone = bits.shown & dropped.get(number, 0)
            bits.shown ^= gone
            bits.maybe |= gone
            mapped = _slots(process.row, MAPPED)
            if not codes <= _KNOWN:
                bits.maybe = -1
            if op[0] in _KSM:
                row = process.row
                bits.lost[rules.KSM_SOFT_DIRTY] = bits.shown & _slots(row, MERGEABLE) & _slots(row, PRESENT)
            if op[0] in _KSM and not self._holds[versions.UNMERGE_READS]:
                # who leaves a page that cannot be merged is written to as well
                bits.maybe |= _slots(process.row, MERGEABLE) & _slots(process.row, PRESENT)
            if op[0] == _SWAPOFF and not self._holds[versions.SWAPOFF_KEEPS]:
                bits.lost[rules.SWAPOFF_BITS] = bits.shown & _slots(bits.row, SWAP)
            if bits.fixed:
                self._follow_fixed(process, bits, op, written.get(number, 0))
            self._hide_writes(process, bits, op, outcome)
            for deviation, hidden in bits.hidden.items():
                unseen = hidden & written.get(number, 0) & _slots(process.row, _FILE)
                bits.lost[deviation] = bits.lost.get(deviation, 0) | unseen
            unsure = bits.shown & (process.poisoned | bits.poisoned)
            bits.maybe |= unsure
            bits.shown ^= unsure
            bits.poisoned = process.poisoned
            wrote, may_have = written.get(number, 0), tried.get(number, 0)
            # what another woken task dropped after the write may have lost its bit again
            gone = wrote & (~_holding(process) | since.get(number, 0)) if wrote else 0
            # a page of a file that a new mapping shows is writable from the first read on: a store then leaves no mark
            # of its own, beside the mapping's
            unmarked = bits.shown & ~bits.written & _slots(bits.row, _FILE) & _slots(process.row, _FILE)
            bits.shown = (bits.shown | wrote & ~gone) & mapped
            bits.written = (bits.written | wrote & ~gone & ~unmarked) & bits.shown
            bits.maybe = (bits.maybe | may_have | gone) & mapped & ~bits.shown
            bits.tried = wrote | may_have
            bits.row = process.row[:SLOTS]

    def _follow_huge(self, soft: SoftDirty, op: Operation) -> None:
        """Pages that were mapped as one, or came as one, are tracked as one: a write to one of them may show for all.

        What nobody wrote may be the zero page again, and then be without the mark that its move gave it.  A file's page
        that is mapped anew loses its mark, as it does when it was unmapped.
        """
        for number, bits in soft.bits.items():
            process = self._processes[number]
            assert process is not None
            row, before = process.row, bits.row_shown
            bits.row = bits.row_shown = row[:SLOTS]
            reclaims = op[0] == _SWAP_OUT or (op[0] == _MADVISE and op[4] == _PAGEOUT)
            if (reclaims or op[0] in _PROTECTS) and self._holds[versions.PROTECT_BATCHES]:
                bits.stray = _slots(row, PRESENT)
            if op[0] == _KHUGEPAGED and op[2] == number and self._holds[versions.COLLAPSE_SMALLER]:
                # to a folio that is mapped page by page, which shows nowhere else
                self._also(rules.SOFT_DIRTY_HUGE)
                bits.maybe |= self._mask(op[3], op[3] + op[4]) & _slots(row, PRESENT) & ~bits.shown
            for start in range(0, SLOTS, HUGE_PAGES):
                slots = range(start, start + HUGE_PAGES)
                tried = bits.tried >> start & (1 << HUGE_PAGES) - 1
                for slot in slots:
                    was, now = before[slot], row[slot]
                    whole = (was | now) & HUGE and (tried or (was ^ now) & (HUGE | PRESENT))
                    came = now & PRESENT and not was & PRESENT and tried and process.pages[slot]
                    if whole or came:
                        self._also(rules.SOFT_DIRTY_HUGE)
                        bits.maybe |= 1 << slot & ~bits.shown
                    moved = op[0] == _MOVE and op[3] <= slot < op[3] + op[4]
                    remapped = (was ^ now) & (HUGE | PRESENT) and was & PRESENT and (was | now) & _FILE
                    parted = was & HUGE and not now & HUGE and not bits.written >> slot & 1
                    gone = remapped or ((moved or parted) and process.pages[slot] is ZERO)
                    if gone and bits.shown >> slot & 1:
                        bits.shown ^= 1 << slot
                        bits.maybe |= 1 << slot

    @staticmethod
    def _follow_fixed(process: Process, bits: SoftDirtyBits, op: Operation, written: int) -> None:
        """Clearing the bits left these pages writable."""
        if op[0] == _MREMAP and bits.fixed >> op[2] & (1 << op[3]) - 1:
            bits.fixed |= (1 << op[4] + op[5]) - (1 << op[4])
        bits.fixed &= _slots(process.row, _PAGE)
        bits.lost[rules.PIN_SOFT_DIRTY] = bits.fixed & (bits.shown | written)

    def _meet_children(self, soft: SoftDirty, op: Operation, outcome: Outcome) -> None:
        """A child has its parent's bits; documentation promises only those of pages that the parent wrote."""
        living = {process.number for process in self._living}
        for gone in soft.living - living:
            soft.bits.pop(gone, None)
        if op[0] == _FORK and outcome[0] in (Status.DONE, Status.BLOCKED):
            parent, child = soft.bits.get(op[1] & PROCESS_MASK), self._processes[op[2]]
            soft.unborn.pop(op[2], None)
            if parent is not None and child is not None:
                kept = parent.written & _slots(child.row, _PAGE) & ~_slots(child.row, _FILE)
                soft.unborn[op[2]] = SoftDirtyBits(child, kept, ~kept, kept)
                soft.unborn[op[2]].hidden = parent.hidden.copy()
        for born in living - soft.living:
            if born in soft.unborn:
                soft.bits[born] = soft.unborn.pop(born)
                self._also(rules.SOFT_DIRTY_FORK)
        soft.living = living

    def _written(self, op: Operation, outcome: Outcome) -> dict[int, int]:
        """By process the slots that a task has written."""
        masks: dict[int, int] = {}
        done = [op] if outcome[0] == Status.DONE else []
        done += [self._ops[end[1]] for end in self._ended if end[2] == Status.DONE]
        for ended in done:
            if ended[0] in _WRITES:
                number = ended[1] & PROCESS_MASK
                masks[number] = masks.get(number, 0) | 1 << ended[2]
        return masks

    def _dropped(self) -> tuple[dict[int, int], dict[int, int]]:
        """By process the slots that woken tasks dropped, and those of them that others of these had written by then."""
        dropped: dict[int, int] = {}
        since: dict[int, int] = {}
        for place, number, drops in self._drops:
            written = [self._ops[end[1]] for end in self._ended[:place] if end[2] == Status.DONE]
            slots = sum({1 << op[2] for op in written if op[0] in _WRITES and op[1] & PROCESS_MASK == number})
            dropped[number] = dropped.get(number, 0) | drops
            since[number] = since.get(number, 0) | slots & drops
        self._drops.clear()
        return dropped, since

    def _tried(self, op: Operation, outcome: Outcome) -> dict[int, int]:
        """By process the slots to which a write is under way, or failed: it may have put a page there first."""
        tries = [waiter.op for waiter in self._blocked.values() if isinstance(waiter, Waiter)]
        tries += [self._ops[end[1]] for end in self._ended if end[2] in _FAILED]
        if outcome[0] in _FAILED:
            tries.append(op)
        masks: dict[int, int] = {}
        for tried in tries:
            if tried[0] in _WRITES:
                number = tried[1] & PROCESS_MASK
                masks[number] = masks.get(number, 0) | 1 << tried[2]
        return masks

    @staticmethod
    def _follow_pages(process: Process, bits: SoftDirtyBits, op: Operation) -> None:
        """No mapping has changed, so a bit appears or goes only with a page."""
        row, before = process.row, bits.row
        for slot in range(SLOTS):
            bit = 1 << slot
            if not (row[slot] ^ before[slot]) & _PAGE:
                continue
            if bits.shown & bit and not row[slot] & _PAGE:
                bits.shown &= ~bit
                bits.maybe |= bit
            elif op[0] in _FILLS and row[slot] & _PAGE:
                bits.maybe |= bit

    def _follow_fill(self, process: Process, bits: SoftDirtyBits, op: Operation, moved: int) -> None:
        """Pages were put, or moved, to where there was none."""
        if op[0] in (_COPY, _MOVE) and moved > 0 and self._is_filled_by(process, op):
            for slot in range(op[3], op[3] + moved):
                if process.pages[slot] or slot in process.swapped:
                    self._also(rules.SOFT_DIRTY_FILL)
                    bits.shown |= 1 << slot
                    bits.written |= 1 << slot
                elif bits.shown >> slot & 1:  # of the page that was there before it moved itself
                    bits.shown ^= 1 << slot
                    bits.maybe |= 1 << slot
            bits.lost[rules.FILL_SOFT_DIRTY] = self._filled_clean(process, range(op[3], op[3] + moved))

    def _filled_clean(self, process: Process, slots: range) -> int:
        """The slots whose page of a file kernels map clean, as the mapping is not writable."""
        if self._holds[versions.FILL_IS_DIRTY]:
            return 0
        clean = (slot for slot in slots if isinstance(process.pages[slot], FilePage) and not process.row[slot] & WRITE)
        return sum(1 << slot for slot in clean)

    def _hide_writes(self, process: Process, bits: SoftDirtyBits, op: Operation, outcome: Outcome) -> None:
        """The operation may make shared pages writable that are not soft-dirty."""
        deviation, at = -1, 2
        if op[0] in _RESOLVERS and not self._holds[versions.RESOLVE_NOTES_WRITES]:
            deviation, at = rules.RESOLVE_SOFT_DIRTY if self._is_filled_by(process, op) else -1, 3
        elif op[0] == _MPROTECT and not self._holds[versions.MPROTECT_NOTES_WRITES]:
            deviation = rules.MPROTECT_SOFT_DIRTY if op[1] & PROCESS_MASK == process.number else -1
        if deviation >= 0 and outcome[0] in (Status.DONE, Status.ERROR):
            bits.hidden[deviation] = bits.hidden.get(deviation, 0) | self._mask(op[at], op[at] + op[at + 1])
        if op[0] == _CLOSE and not self._holds[versions.RESOLVE_NOTES_WRITES]:
            freed = _slots(bits.row, REG_WP) & ~_slots(process.row, REG_WP)
            bits.hidden[rules.RESOLVE_SOFT_DIRTY] = bits.hidden.get(rules.RESOLVE_SOFT_DIRTY, 0) | freed

    def _is_filled_by(self, process: Process, op: Operation) -> bool:
        context = self._handles[op[2]]
        return context is not None and context.mm is process

    def _follow_mappings(self, process: Process, bits: SoftDirtyBits, op: Operation, maps: bool) -> None:
        """Mappings may have been joined, which spreads the bit of a new one or loses it."""
        row, before, were = process.row, bits.row, bits.shown
        gone = 0  # of a page or of a mark in its place; the mapping may be new all the same
        for slot in range(SLOTS):
            bit = 1 << slot
            if row[slot] and not before[slot] and op[0] not in _REMAPPERS:
                bits.shown |= bit
                bits.written &= ~bit
            elif row[slot] and not before[slot]:
                bits.maybe |= bit
            elif before[slot] & _PAGE and not row[slot] & _PAGE:
                gone |= bits.shown & bit
                bits.shown &= ~bit
        bits.maybe |= gone
        if self._unmerges(op) and op[1] & PROCESS_MASK == process.number and not self._holds[versions.UNMERGE_READS]:
            bits.maybe |= _slots(before, MERGEABLE) & _slots(row, PRESENT)
        if maps and op[0] in _MAPPERS:
            fresh = (1 << op[2] + op[3]) - (1 << op[2])
            bits.shown |= fresh
            bits.written &= ~fresh
        if maps and op[0] == _MREMAP:
            moved = [op[4] + i for i in range(op[5]) if i >= op[3] or before[op[2] + i]]
            carried = sum(
                1 << slot
                for slot in moved
                if slot < op[4] + op[3] and process.pages[slot]
                and not (self._huge_files and isinstance(process.pages[slot], FilePage))
                and (were >> slot - op[4] + op[2] & 1 or not self._moves_table(op, slot))
            )
            target = sum(1 << slot for slot in moved)
            bits.shown = bits.shown & ~target | carried
            bits.written = bits.written & ~target | carried
            bits.maybe |= target
            gone |= sum(1 << slot for slot in moved if slot < op[4] + op[3] and were >> slot - op[4] + op[2] & 1)
            self._also(rules.SOFT_DIRTY_FILL)
        elif op[0] == _MREMAP and op[1] & PROCESS_MASK == process.number:
            # pages that a move had carried before it failed have come back
            bits.maybe |= self._mask(op[2], op[2] + op[3]) & _slots(row, _PAGE)
            if self._holds[versions.MREMAP_MANY]:  # a move that failed has moved the first mappings
                target = self._mask(op[4], op[4] + op[5])
                bits.maybe |= target
                bits.shown &= ~target
                gone |= target
        lost = unnoted = 0
        # KSM may have dropped the bits of pages, which then show the newness of the mapping alone
        merged = _slots(row, MERGEABLE) if any(past[0] in _KSM for past in self._ops[: self._index]) else 0
        joined = row[:SLOTS]
        if maps and op[0] == _MREMAP:  # it is in its old place until it is in the new one
            joined[op[2] : op[2] + op[3]] = before[op[2] : op[2] + op[3]]
        for run in self._runs(process, joined, moves=maps and op[0] == _MREMAP):
            fresh = run & bits.shown & ~bits.written
            if run & (bits.shown | gone) and (run != fresh or run & bits.adopted):
                bits.maybe |= run
                lost |= fresh | run & bits.shown & merged
                changed = any((row[slot] ^ before[slot]) & VMA_BITS for slot in range(SLOTS) if run >> slot & 1)
                unnoted |= run if fresh or changed else 0
        bits.lost[rules.MERGE_SOFT_DIRTY] = lost
        # pages of files that are read, meanwhile or then, anywhere in the mapping, are writable
        bits.hidden[rules.MERGE_SOFT_DIRTY] = bits.hidden.get(rules.MERGE_SOFT_DIRTY, 0) | lost | unnoted

    def _moves_table(self, op: Operation, target: int) -> bool:
        """The page that a mremap moves to this slot may go there with its whole page table."""
        together = self._huge and (op[4] - op[2]) % HUGE_PAGES == 0 and target | HUGE_PAGES - 1 < op[4] + op[3]
        if together:
            self._also(rules.SOFT_DIRTY_TABLE)
        return together

    @staticmethod
    def _unmerges(op: Operation) -> bool:
        return op[0] == _MREMAP or (op[0] == _MADVISE and op[4] == _UNMERGEABLE)

    @staticmethod
    def _runs(process: Process, row: array[int], *, moves: bool) -> Iterator[int]:
        """Masks of slots side by side that may be in one mapping, by their words.  What moves is registered in its new
        place as it was in the old one, until it has come."""
        contexts, run = process.contexts, 0
        differ = VMA_BITS & ~REGISTERED if moves else VMA_BITS
        for slot in range(SLOTS):
            other = contexts[slot] is not contexts[slot - 1] and not moves
            if run and (other or (row[slot] ^ row[slot - 1]) & differ):
                yield run
                run = 0
            if row[slot]:
                run |= 1 << slot
        if run:
            yield run

    # --- showing them ---

    def _show_soft_dirty(self, soft: SoftDirty, record: bytes, at: int, row_size: int) -> bytes:
        """The record with the soft-dirty bits in its snapshot.

        :param at: where the first process's words begin in the record.
        """
        shown = bytearray(record)
        for process in self._living:
            bits = soft.bits.get(process.number)
            mask = _slots(process.row, MAPPED) if bits is None else self._settled(bits, len(self._out) + at)
            for slot in range(SLOTS):
                if mask >> slot & 1:
                    shown[at + 4 * slot + SOFT_DIRTY_BYTE] |= SOFT_DIRTY_VALUE
            at += row_size
        return bytes(shown)

    def _settled(self, bits: SoftDirtyBits, at: int) -> int:
        """The bits that the backend shows, as far as they are allowed."""
        if self._told is None or at + 4 * SLOTS > len(self._told):
            return bits.shown
        seen = sum(
            1 << slot
            for slot in range(SLOTS)
            if self._told[at + 4 * slot + SOFT_DIRTY_BYTE] & SOFT_DIRTY_VALUE
        )
        for deviation, mask in bits.lost.items():
            if mask & bits.shown & ~seen:
                bits.shown &= ~(mask & ~seen)
                self._met[deviation] = None
        if bits.stray & seen & ~(bits.shown | bits.maybe):
            bits.shown |= bits.stray & seen
            self._met[rules.BATCH_SOFT_DIRTY] = None
        if bits.maybe & seen:
            self._also(rules.SOFT_DIRTY_MERGE)
        bits.adopted = bits.adopted & bits.shown | bits.maybe & seen & ~bits.shown
        bits.shown |= bits.maybe & seen
        bits.written &= bits.shown
        bits.maybe = 0
        return bits.shown

    # --- PAGEMAP_SCAN ---

    def _op_pagemap_scan(self, op: Operation) -> Outcome:
        _, task, start, pages, category, mode = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        seen = self._seen_record()
        claimed = seen[4] if seen is not None and seen[1] == Status.DONE else None
        found = 0
        self._rule = rules.SCAN
        for slot in range(start, start + pages):
            if not process.row[slot]:
                continue
            context = process.contexts[slot]
            allowed = context is not None and context.features & FEATURE_WP_ASYNC and process.row[slot] & REG_WP
            if not allowed and mode & _SCAN_CHECK:
                self._rule = rules.SCAN_CHECK
                return failed(errno.EPERM)
            if not allowed and mode & _SCAN_WP:
                continue
            if 1 << category == _WRITTEN and not process.row[slot] & REG_WP and self._holds[versions.SCAN_WRITTEN_WP]:
                self._also(rules.SCAN_WRITTEN)
            held, unsure = self._categories(process, slot)
            held |= _WPALLOWED if allowed else 0
            if self._huge:
                held, unsure = self._with_huge(process.row[slot], held, unsure, mode)
            claim = None if claimed is None else claimed >> slot & 1
            if claim is None and mode & _SCAN_WP and not process.row[slot] & UFFD_WP:
                word = self._seen_word(process, slot)  # of a scan that fails further on
                claim = word & UFFD_WP if word is not None else None
            if self._is_wanted(held, unsure, 1 << category, mode, claim):
                found |= 1 << slot
                if mode & _SCAN_WP:
                    self._scan_protects(process, slot, held, unsure)
        return (int(Status.DONE), found.bit_count(), found - (found >> 31 << 32))

    def _is_wanted(self, held: int, unsure: int, wanted: int, mode: int, claim: int | None) -> bool:
        inverted = wanted if mode & _SCAN_INVERTED else 0
        wanted |= _CATEGORY["present"] if mode & _SCAN_PRESENT else 0
        matches = {
            (categories ^ inverted) & wanted == wanted
            for categories in (held, held | unsure, *(held | bit for bit in _CATEGORY.values() if unsure & bit))
        }
        if len(matches) > 1:
            self._also(rules.SCAN_UNSURE)
            return claim is None or bool(claim)
        return matches.pop()

    def _categories(self, process: Process, slot: int) -> tuple[int, int]:
        """The page's categories, and those that it may have besides."""
        word, page = process.row[slot], process.pages[slot]
        bit, held, unsure = 1 << slot, 0, 0
        counts = word & REG_WP or not self._holds[versions.SCAN_WRITTEN_WP]
        written = _WRITTEN if counts and not word & UFFD_WP else 0
        if word & PRESENT:
            held |= _CATEGORY["present"] | written
            held |= _CATEGORY["file"] if word & _FILE else 0
            held |= _CATEGORY["pfnzero"] if not page and not word & _FILE else 0
        elif slot in process.swapped:
            held |= _SWAPPED | written
        elif word & (UFFD_WP | GUARD) or process.poisoned & bit:
            unsure = _SWAPPED | written
        else:
            unsure = written
        if "soft-dirty" in self._has:
            bits = self._soft.bits.get(process.number) if self._soft is not None else None
            held |= _CATEGORY["soft-dirty"] if bits is None or bits.shown & bit else 0
            unsure |= _CATEGORY["soft-dirty"] if bits is not None and bits.maybe & bit else 0
        return held, unsure

    def _with_huge(self, word: int, held: int, unsure: int, mode: int) -> tuple[int, int]:
        """The categories with the one of huge pages; to protect one in part, the kernel splits it."""
        if word & PRESENT and (mode & _SCAN_WP or not self._snapshots):
            return held, unsure | _CATEGORY["huge"]
        return held | (_CATEGORY["huge"] if word & HUGE else 0), unsure

    def _scan_protects(self, process: Process, slot: int, held: int, unsure: int) -> None:
        """The page was found, so it is write-protected if it was written."""
        word, key = process.row[slot], process.number << SLOT_SHIFT | slot
        if not (held | unsure) & _WRITTEN or word & UFFD_WP or process.poisoned >> slot & 1:
            return
        if word & GUARD:
            self._marks = self._closely = True
            return
        self._also(rules.SCAN_WP)
        process.packed = None
        process.row[slot] = word | UFFD_WP
        if self._stale:
            self._forget(process, slot, slot + 1)
        if not word & _PAGE:
            self._once.append((key, SWAP, rules.MARKER_SWAP, -1))
            self._once.append((key, UFFD_WP, -1, rules.SCAN_UNSURE))
