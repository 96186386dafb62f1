"""The rules of moving and resizing mappings, and of guard pages in them."""

from __future__ import annotations

import errno
from itertools import pairwise
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import (
    DONE,
    ENOMEM,
    FEATURE_EVENT_REMAP,
    PROCESS_MASK,
    Memory,
    failed,
)
from faultline.oracle.state import (
    GUARD,
    REGISTERED,
    SLOT_SHIFT,
    SWAP,
    UFFD_WP,
    VMA_BITS,
    Context,
    Outcome,
    Process,
)
from faultline.program.codec import Operation
from faultline.program.ops import REMAP_FLAGS, SLOTS
from faultline.program.trace import Event, Status

_EFAULT: Final = failed(errno.EFAULT)
_EINVAL: Final = failed(errno.EINVAL)
_DONTUNMAP: Final = 1 << REMAP_FLAGS.words.index("dontunmap")
_EVENT_REMAP: Final = int(Event.REMAP)
_DONE: Final = int(Status.DONE)
_ERROR: Final = int(Status.ERROR)

Events = list[tuple[Context, "Context | Outcome"]]
"""Userfaultfds that are owed an event, each with its message."""


class _Move:
    """The operands of a move, and the events that it owes: before, of the move itself, and after."""

    __slots__ = ("dontunmap", "doubt", "early", "late", "new", "pages", "process", "remap", "start", "target")

    def __init__(self, process: Process, op: Operation) -> None:
        _, _, self.start, self.pages, self.target, self.new, flags = op
        self.process = process
        self.dontunmap = bool(flags & _DONTUNMAP)
        self.early: Events = []
        self.remap: Events = []
        self.late: Events = []
        self.doubt = -1
        """The deviation by which kernels leave the last of the events out."""

    @property
    def events(self) -> Events:
        return self.early + self.remap + self.late


class Mremap(Memory):
    """mremap, and guard pages."""

    _stops: tuple[int, int] | None
    """The memory ends in the present move, which has come so far and cleared its target so far; None: it does not."""

    # --- moving ---

    def _op_mremap(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        move = _Move(process, op)
        wrong = self._wrong_operands(move)
        if wrong is not None:
            return wrong
        if not process.row[move.start]:
            self._rule = rules.MREMAP_FAULT
            if not self._holds[versions.MREMAP_LOOKS_FIRST]:
                self._half_done(move)
            return self._after_events(op[1], move.events, _EFAULT)
        if self._is_no_private(move):
            self._rule = rules.MREMAP_PRIVATE
            self._half_done(move)
            outcome = _EINVAL
        elif self._holds[versions.MREMAP_MANY] and move.pages == move.new:
            outcome = self._move_many(move)
        else:
            outcome = self._move_one(move)
        return self._after_events(op[1], move.events, outcome, move.doubt)

    def _wrong_operands(self, move: _Move) -> Outcome | None:
        if move.dontunmap and move.pages != move.new:
            self._rule = rules.MREMAP_SIZE
            return _EINVAL
        if move.start < move.target + move.new and move.target < move.start + move.pages:
            self._rule = rules.MREMAP_OVERLAP
            if not move.process.row[move.start] and self._says(_EFAULT, not self._holds[versions.MREMAP_MANY]):
                self._rule = rules.MREMAP_FAULT
                return _EFAULT
            return _EINVAL
        return None

    def _is_no_private(self, move: _Move) -> bool:
        """Whether the kernel moves private anonymous memory alone with MREMAP_DONTUNMAP, and this is none."""
        if not move.dontunmap or self._holds[versions.DONTUNMAP_ANY]:
            return False
        return move.process.backing is not None and move.process.backing[move.start] is not None

    def _says(self, outcome: Outcome, otherwise: bool) -> bool:
        """Whether the backend reports this outcome, one of several allowed ones; ``otherwise`` without a backend."""
        seen = self._seen_record()
        return otherwise if seen is None else (seen[1], seen[3]) == outcome[:2]

    def _move_one(self, move: _Move) -> Outcome:
        """The move of what has to be one mapping."""
        process, kept = move.process, min(move.pages, move.new)
        end = move.start + kept
        moves = self._is_one(process, move.start, end)
        if moves is None:
            self._also(rules.MREMAP_TYPES)
            moves = self._moved(move)
        cut_off_hole = not all(process.row[end : move.start + move.pages])
        if moves and cut_off_hole:
            moves = self._passes(move)
        if not moves:
            self._rule = rules.MREMAP_FAULT
            self._half_done(move)
            return _EFAULT
        self._rule = rules.MREMAP_DONTUNMAP if move.dontunmap else rules.MREMAP
        self._clear_target(move, move.target, move.new)
        self._cut_off(move)
        self._carry(move, move.start, move.target, kept, move.new)
        return DONE

    def _is_one(self, process: Process, start: int, end: int) -> bool | None:
        """Whether the range is one mapping; None: that is the kernel's choice."""
        row = process.row
        if not all(row[start:end]):
            return False
        if self._mapping_end(process, start) < end or process.edges & self._mask(start + 1, end):
            return None
        return True

    def _moved(self, move: _Move) -> bool:
        """Whether the backend shows that the move was made."""
        seen = self._seen_record()
        if seen is None or seen[1] == _ERROR:
            return False
        word = self._seen_word(move.process, move.target)
        return seen[1] == _DONE or bool(word)

    def _passes(self, move: _Move) -> bool:
        """Whether kernels pass over a hole, against their documentation, in what is cut off."""
        if not self._moved(move):
            return False
        self._met[rules.MREMAP_HOLE] = None
        return True

    def _half_done(self, move: _Move) -> None:
        """What the failed call unmapped all the same."""
        process, cut = move.process, move.start + min(move.pages, move.new)
        default = not self._holds[versions.MREMAP_MANY]
        self._also(rules.MREMAP_FAILED)
        if self._gone(process, move.target, move.target + move.new, default):
            self._clear_target(move, move.target, move.new)
        if self._gone(process, cut, move.start + move.pages, default):
            self._cut_off(move)

    def _gone(self, process: Process, start: int, end: int, default: bool) -> bool:
        seen = [self._seen_word(process, slot) for slot in range(start, end) if process.row[slot]]
        return default if None in seen or not seen else not any(seen)

    def _clear_target(self, move: _Move, target: int, pages: int) -> None:
        move.early += self._unmap_events(move.process, target, target + pages)
        self._unmap(move.process, target, target + pages)

    def _cut_off(self, move: _Move) -> None:
        start, end = move.start + min(move.pages, move.new), move.start + move.pages
        if start < end:
            move.late += self._unmap_events(move.process, start, end)
            self._unmap(move.process, start, end)

    def _move_many(self, move: _Move) -> Outcome:
        """The move of mappings that keep their size, one after another."""
        process = move.process
        if self._stops is not None:
            return self._move_first(move, *self._stops)
        pieces = self._pieces(process, move.start, move.start + move.pages)
        self._rule = rules.MREMAP_DONTUNMAP if move.dontunmap else rules.MREMAP
        if len(pieces) == 1 and pieces[0] == (move.start, move.start + move.pages):
            edges = process.edges & self._mask(move.start + 1, move.start + move.pages)
            if process.contexts[move.start] is None or not edges or self._moved(move):
                for start, end in self._told_apart(move, edges):
                    self._move_piece(move, start, end)
                return DONE
            self._rule = rules.MREMAP_FAULT
            return _EFAULT
        self._also(rules.MREMAP_TYPES)
        for start, end in pieces:
            if process.contexts[start] is not None:
                self._rule = rules.MREMAP_FAULT
                return _EFAULT
            self._move_piece(move, start, end)
        return DONE

    def _told_apart(self, move: _Move, edges: int) -> list[tuple[int, int]]:
        """The mappings that are moved, which may or may not have been joined: events of what was at the target tell."""
        process, start, end = move.process, move.start, move.start + move.pages
        told = self._unmap_events(process, move.target, move.target + move.new)
        if not edges or not told or process.contexts[start] is not None or not self._choose(2):
            return [(start, end)]
        cuts = [start, *(slot for slot in range(start + 1, end) if edges >> slot & 1), end]
        return list(pairwise(cuts))

    def _move_piece(self, move: _Move, start: int, end: int) -> None:
        process, target, dontunmap = move.process, move.target + start - move.start, move.dontunmap
        edges = process.edges & self._mask(start + 1, end)
        self._clear_target(move, target, end - start)
        self._carry(move, start, target, end - start, end - start)
        process.edges |= self._shifted(edges, target - start) | (edges if move.dontunmap else 0)
        move.dontunmap = dontunmap  # of the next mapping, whatever became of this one

    def _move_first(self, move: _Move, stop: int, cleared: int) -> Outcome:
        """The first mappings have moved when the memory ends."""
        for start, end in self._pieces(move.process, move.start, stop):
            self._move_piece(move, start, end)
        self._clear_target(move, move.target + stop - move.start, cleared - stop)
        self._rule = rules.MREMAP
        self._also(rules.MREMAP_FAILED)
        return ENOMEM

    @staticmethod
    def _shifted(edges: int, slots: int) -> int:
        return edges << slots if slots >= 0 else edges >> -slots

    def _pieces(self, process: Process, start: int, end: int) -> list[tuple[int, int]]:
        """The mappings of a range, as far as they are surely more than one."""
        pieces = []
        while start < end:
            if process.row[start]:
                stop = min(end, self._mapping_end(process, start))
                pieces.append((start, stop))
                start = stop
            else:
                start += 1
        return pieces

    def _carry(self, move: _Move, start: int, target: int, kept: int, new: int) -> None:
        """The pages of one mapping go to the target, which is free."""
        process = move.process
        row, contexts = process.row, process.contexts
        context = contexts[start]
        follows = context is not None and bool(context.features & FEATURE_EVENT_REMAP)
        if context is not None:
            self._also(rules.MREMAP_FOLLOWS if follows else rules.MREMAP_UNREGISTERED)
            if follows:
                message = (_DONE, _EVENT_REMAP | start << 16, target | self._told_pages(move, kept) << 8)
                move.remap.append((context, message))
        had = row[start]
        vma = had & VMA_BITS & ~(0 if follows or context is None else REGISTERED)
        beside = context is not None and self._is_beside(process, start, target, target + new)
        for slot in range(start, start + kept):
            if self._unmerge(process, slot, slot - start + target):
                self._also(rules.MREMAP_KSM)
        held = bool(self._extent(process, start) & process.touched)
        for i in range(kept):
            self._carry_slot(process, start + i, target + i)
            if context is not None and not follows:
                row[target + i] &= ~REGISTERED
                if self._holds[versions.MREMAP_CLEARS]:
                    self._clear_wp(process, row, target + i)
                    self._stale.pop(process.number << SLOT_SHIFT | target + i, None)
                else:
                    self._leave_stale(process, target + i, rules.MREMAP_BIT)
        self._carry_backing(process, start, target, new)
        for slot in range(target, target + new):
            row[slot] = row[slot] or vma
            contexts[slot] = context if follows else None
        process.touched |= held << target
        if process.nohuge:
            self._carry_nohuge(process, start, target, kept, new)
        process.edges &= ~self._mask(target + 1, target + new)
        self._leave_source(move, start, start + kept)
        if context is not None and not follows:
            self._neighbours(move, context, vma | had & REGISTERED, range(start, start + kept))
            if move.late and beside:
                move.doubt = rules.MREMAP_MERGED
        self._cut(process, target, target + new)

    @staticmethod
    def _carry_backing(process: Process, start: int, target: int, pages: int) -> None:
        """The slots from the target on show what those from ``start`` on do, and what follows there."""
        backing = process.backing[start] if process.backing is not None else None
        if backing is not None and process.backing is not None:
            file, first, shared = backing
            process.backing[target : target + pages] = [(file, first + i, shared) for i in range(pages)]

    def _carry_nohuge(self, process: Process, start: int, target: int, kept: int, new: int) -> None:
        """Huge pages stay forbidden where the mapping goes, and are where it grows."""
        forbidden = process.nohuge & self._mask(start, start + kept)
        if process.nohuge >> start & 1:
            forbidden |= self._mask(start + kept, start + new)
        process.nohuge |= self._shifted(forbidden, target - start)

    def _is_beside(self, process: Process, start: int, target: int, end: int) -> bool:
        """Whether the target touches the mapping that moves, or equal ones beside that."""
        first = start
        while first and self._mapping_end(process, first - 1) > start:
            first -= 1
        return target == self._mapping_end(process, start) or end == first

    def _neighbours(self, move: _Move, context: Context, vma: int, left: range) -> None:
        """Kernels may unregister what the mapping merges with at its new place, be it the rest of itself."""
        process = move.process
        row, contexts = process.row, process.contexts
        for at, step in ((move.target - 1, -1), (move.target + move.new, 1)):
            while 0 <= at < SLOTS:
                if at not in left or move.dontunmap:
                    seen = self._seen_word(process, at)
                    if contexts[at] is not context or row[at] & VMA_BITS != vma or seen is None or seen & REGISTERED:
                        break
                    self._met[rules.MREMAP_MERGED] = None
                    contexts[at] = None
                    row[at] &= ~REGISTERED
                    self._leave_stale(process, at, rules.MREMAP_MERGED)
                at += step

    def _told_pages(self, move: _Move, kept: int) -> int:
        """The length that the event tells: the mapping's original one."""
        return kept if self._holds[versions.MREMAP_MANY] else move.pages

    def _carry_slot(self, process: Process, source: int, target: int) -> None:
        row, pages = process.row, process.pages
        row[target], row[source] = row[source], row[source] & VMA_BITS
        page = pages[target] = pages[source]
        pages[source] = None
        base = process.number << SLOT_SHIFT
        if page:
            assert isinstance(page, list)
            page[page.index(base | source)] = base | target
        elif source in process.swapped:
            self._carry_swapped(process, source, target)
        if self._huge and (page or target in process.swapped):
            process.homes[target] = process.homes.pop(source, source)
        if self._frames:
            self._frame_moves(base | source, base | target)
        process.lazy = process.lazy & ~(1 << source | 1 << target) | (process.lazy >> source & 1) << target
        if process.poisoned >> source & 1:
            process.poisoned ^= 1 << source | 1 << target
        if source in process.doomed:
            process.doomed[target] = process.doomed.pop(source)
        if self._stale and base | source in self._stale:
            self._stale[base | target] = (base | target, *self._stale.pop(base | source)[1:])

    def _leave_source(self, move: _Move, start: int, end: int) -> None:
        process = move.process
        left = end if move.dontunmap else self._left_up_to(process, start, end)
        if left > start:
            move.dontunmap = True
            process.edges &= ~self._mask(start + 1, left)
            self._cut(process, start, left)
        move.late += self._unmap_events(process, left, end)
        self._unmap(process, left, end)

    def _left_up_to(self, process: Process, start: int, end: int) -> int:
        """Up to where the backend shows the range mapped that has moved, for want of memory to split its mapping: the
        first one, if it may be several."""
        if not self._may_fail or not self._seen_word(process, start):
            return start
        self._met[rules.MREMAP_LEFT] = None
        edges = (slot for slot in range(start + 1, end) if process.edges >> slot & 1)
        return next((slot for slot in edges if not self._seen_word(process, slot)), end)

    # --- resizing ---

    def _op_mremap_resize(self, op: Operation) -> Outcome:
        _, task, start, pages, size = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        row, size = process.row, min(size, SLOTS - start)
        end = start + pages
        hole = not all(row[start:end])
        if (not row[start] and self._holds[versions.MREMAP_LOOKS_FIRST]) or (hole and size > pages):
            self._rule = rules.MREMAP_FAULT
            return _EFAULT
        self._rule = rules.MREMAP_RESIZE
        if size > pages:
            return self._expand(process, start, end, start + size)
        if hole:
            if self._says(_EFAULT, True):
                self._rule = rules.MREMAP_FAULT
                return _EFAULT
            self._met[rules.MREMAP_HOLE] = None
        if size == pages:
            return DONE
        events = self._unmap_events(process, start + size, end)
        self._unmap(process, start + size, end)
        return self._after_events(task, events)

    def _expand(self, process: Process, start: int, end: int, new_end: int) -> Outcome:
        row, contexts = process.row, process.contexts
        one = self._is_one(process, start, end)
        if one is None:
            self._also(rules.MREMAP_TYPES)
            if self._says(_EFAULT, True):
                self._rule = rules.MREMAP_FAULT
                return _EFAULT
        if any(row[end:new_end]):
            self._rule = rules.MREMAP_NO_ROOM
            return ENOMEM
        self._carry_backing(process, start, start, new_end - start)
        if process.nohuge >> start & 1:
            process.nohuge |= self._mask(end, new_end)
        for slot in range(end, new_end):
            row[slot] = row[start] & VMA_BITS
            contexts[slot] = contexts[start]
        process.edges &= ~self._mask(start + 1, new_end)
        process.edges |= 1 << new_end
        process.packed = None
        return DONE

    # --- guard pages ---

    def _op_guard_install(self, op: Operation) -> Outcome:
        process, slots, outcome = self._guarded(op)
        self._rule = rules.GUARD_INSTALL
        for slot in slots:
            page = process.pages[slot]
            if page is not None:
                self._drop_page(process, slot, page)
            elif slot in process.swapped:
                self._drop_swapped(process, slot)
                process.row[slot] &= ~SWAP
            self._keep(process, slot)
            if self._stale:
                self._forget(process, slot, slot + 1)
            process.poisoned &= ~(1 << slot)
            swap = SWAP if process.row[slot] & GUARD else 0
            process.row[slot] = process.row[slot] & (VMA_BITS | swap) | GUARD
            if not swap:
                self._marks_missing(process, slot)
            process.touched |= 1 << slot
        return outcome

    def _op_guard_remove(self, op: Operation) -> Outcome:
        process, slots, outcome = self._guarded(op)
        self._rule = rules.GUARD_REMOVE
        for slot in slots:
            if process.row[slot] & GUARD:
                process.row[slot] &= ~(GUARD | SWAP | UFFD_WP)
        return outcome

    def _guarded(self, op: Operation) -> tuple[Process, list[int], Outcome]:
        """The process, the slots of the range that are mapped, and the outcome."""
        _, task, start, pages = op
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        process.packed = None
        slots = [slot for slot in range(start, start + pages) if process.row[slot]]
        if len(slots) == pages:
            return process, slots, DONE
        self._also(rules.MADVISE_HOLE)
        return process, slots, ENOMEM
