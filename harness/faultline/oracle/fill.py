"""The rules of UFFDIO_MOVE and UFFDIO_POISON."""

from __future__ import annotations

import errno
from typing import Final

from faultline.oracle import rules
from faultline.oracle.memory import PROCESS_MASK, Outcome, failed
from faultline.oracle.state import (
    CONTENT,
    EXCLUSIVE,
    GUARD,
    HUGE,
    PRESENT,
    READ,
    SLOT_SHIFT,
    SWAP,
    UFFD_WP,
    VMA_BITS,
    WRITE,
    ZERO,
    Context,
    KsmPage,
    Process,
)
from faultline.oracle.userfault import Userfault
from faultline.program.codec import Operation
from faultline.program.ops import MOVE_MODE, OPS, SLOTS, WAKE_MODE
from faultline.program.trace import Status

_DONTWAKE: Final = 1 << WAKE_MODE.words.index("dontwake")
_MOVE_DONTWAKE, _HOLES = (1 << MOVE_MODE.words.index(word) for word in ("dontwake", "holes"))
#: What makes a slot hold something, for UFFDIO_MOVE.
_HELD: Final = PRESENT | SWAP | UFFD_WP | GUARD
#: After these a page may look shared, or is pinned.
_SHARERS: Final = frozenset(
    op.code for op in OPS if op.name in ("fork", "ksm-merge", "ksm-scan") or op.family == "pins"
)
#: These may put pages into swap.
_SWAPPERS: Final = frozenset(op.code for op in OPS if op.name in ("swap-out", "madvise"))


def _invalid() -> Outcome:
    return failed(errno.EINVAL, -errno.EINVAL)


class Fill(Userfault):
    """Newer ways to fill missing pages."""

    # --- poison ---

    def _op_uffd_poison(self, op: Operation) -> Outcome:
        _, _, handle, start, pages, mode = op
        context = self._fillable(handle, start, start + pages)
        if not isinstance(context, Context):
            return context
        process = context.mm
        backing = process.backing[start] if process.backing is not None else None
        if backing is not None and not backing[0].shmem:
            self._rule = rules.FILL_KIND
            return _invalid()
        self._rule = rules.POISON
        slot, error = start, 0
        while slot < start + pages and not error:
            error = self._poison_slot(process, slot)
            slot += not error
        self._marks = self._closely = True
        process.touched |= 1 << start
        return self._filled(context, start, slot - start, pages, bool(mode & _DONTWAKE), error)

    def _poison_slot(self, process: Process, slot: int) -> int:
        """0, or the errno."""
        backing = process.backing[slot] if process.backing is not None else None
        if process.row[slot] & HUGE:
            return errno.EEXIST  # also beyond the end of the file
        if backing is not None and backing[1] >= backing[0].size:
            self._rule = rules.FILL_BEYOND
            return errno.EFAULT
        if self._holds_something(process, slot):
            return errno.EEXIST
        process.poisoned |= 1 << slot
        if backing is not None:
            process.row[slot] |= SWAP
        return 0

    @staticmethod
    def _holds_something(process: Process, slot: int) -> bool:
        return bool(process.row[slot] & _HELD or process.poisoned >> slot & 1)

    # --- move ---

    def _op_uffd_move(self, op: Operation) -> Outcome:
        _, task, handle, start, pages, source, _ = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        if context.changing:
            self._rule = rules.UFFD_CHANGING
            return failed(errno.EAGAIN, -errno.EAGAIN)
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        if context.mm is not process:
            self._rule = rules.MOVE_OWN
            return failed(errno.EINVAL)
        outcome = self._move_error(context, process, start, source, pages)
        return outcome if outcome is not None else self._move_range(context, process, op)

    def _move_error(
        self, context: Context, process: Process, start: int, source: int, pages: int
    ) -> Outcome | None:
        """What forbids moving any page of the range."""
        row = process.row
        self._rule = rules.MOVE_RANGE
        if not row[start] or not row[source]:
            if row[start]:
                process.touched |= 1 << start
            return failed(errno.ENOENT, -errno.ENOENT)
        process.touched |= 1 << start
        if context is not process.contexts[start] or not row[source] & WRITE:
            return _invalid()
        if process.backing is not None and (process.backing[start] or process.backing[source]):
            return _invalid()
        if (row[start] ^ row[source]) & (READ | WRITE):
            return _invalid()
        sides = [self._in_one_mapping(process, first, first + pages) for first in (start, source)]
        if False in sides:
            return _invalid()
        if None in sides:
            self._also(rules.FILL_MAPPINGS)
            seen = self._seen_record()
            if seen is not None and seen[1] == Status.ERROR and seen[3] == errno.EINVAL:
                return _invalid()
        return None

    @staticmethod
    def _in_one_mapping(process: Process, start: int, end: int) -> bool | None:
        """None: the kernel may have made one of it, or not."""
        row, contexts = process.row, process.contexts
        if end > SLOTS:
            return False
        for slot in range(start + 1, end):
            if (row[slot] ^ row[start]) & VMA_BITS or contexts[slot] is not contexts[start]:
                return False
        return None if process.edges & ((1 << end) - (1 << start + 1)) else True

    def _move_range(self, context: Context, process: Process, op: Operation) -> Outcome:
        _, _, _, start, pages, source, mode = op
        self._rule = rules.MOVE
        if self._huge:
            self._may_split(process, range(source, source + pages))
        moved = error = 0
        while moved < pages:
            error = self._move_page(process, source + moved, start + moved, moved, bool(mode & _HOLES))
            if error:
                break
            moved += 1
        if not moved:
            return failed(error, -error)
        if not mode & _MOVE_DONTWAKE:
            self._wake(context, start, start + moved)
        if moved == pages:
            return (int(Status.DONE), 0, moved)
        self._also(rules.FILL_PART)
        return failed(errno.EAGAIN, moved)

    def _move_page(self, process: Process, source: int, target: int, moved: int, holes: bool) -> int:
        """0, or why the page is not moved: an errno."""
        row = process.row
        empty = not self._holds_something(process, source)
        if self._holds_something(process, target):
            self._rule = rules.MOVE_EXISTS
            page = process.pages[source]
            if self._huge and page and self._stops_with(errno.EBUSY, moved) and self._is_busy(page, moved):
                self._rule = rules.MOVE_BUSY
                return errno.EBUSY
            return errno.ENOENT if empty and not holes and self._stops_with(errno.ENOENT, moved) else errno.EEXIST
        if empty:
            self._rule = rules.MOVE if holes else rules.MOVE_HOLE
            return 0 if holes else errno.ENOENT
        page = process.pages[source]
        if page is None and row[source] & PRESENT:
            page = ZERO
        if source in process.swapped:
            return self._move_swapped(process, source, target, moved)
        if page is None:
            self._rule = rules.MOVE_MARKER
            return errno.EFAULT
        if page and self._huge and self._moves_zeroes(process, source, target, moved):
            self._empty(process.number << SLOT_SHIFT | source)
            page = ZERO
        if page and self._is_busy(page, moved):
            self._rule = rules.MOVE_BUSY
            return errno.EBUSY
        if page:
            self._rename(page, process.number << SLOT_SHIFT | source, process.number << SLOT_SHIFT | target)
        process.pages[target], process.pages[source] = page, None
        process.lazy = process.lazy & ~(1 << source | 1 << target) | (process.lazy >> source & 1) << target
        self._word_moves(process, source, target)
        return 0

    def _move_swapped(self, process: Process, source: int, target: int, moved: int) -> int:
        """As for a page that is there; the kernel may keep its protection."""
        if len(process.swapped[source].users) > 1 or (self._stops_with(errno.EBUSY, moved) and self._was_shared()):
            self._rule = rules.MOVE_BUSY
            return errno.EBUSY
        self._carry_swapped(process, source, target)
        protected = process.row[source] & UFFD_WP
        self._word_moves(process, source, target)
        if protected and (self._seen_word(process, self._moves_on_to(target)) or 0) & UFFD_WP:
            self._also(rules.MOVE_SWAPPED)
            process.row[target] |= UFFD_WP
        return 0

    def _empty(self, key: int) -> None:
        """The slot of all processes, which held a page of zeroes, maps the zero page."""
        raise NotImplementedError

    def _moves_zeroes(self, process: Process, source: int, target: int, moved: int) -> bool:
        """Whether the page became the zero page first, as its folio was split for the move."""
        seen = self._seen_word(process, self._moves_on_to(target))
        if process.row[source] & CONTENT or seen is None or self._stops_with(errno.EBUSY, moved):
            return False
        if seen & (PRESENT | EXCLUSIVE | CONTENT) == PRESENT:
            return True
        # a task that was woken may have written there since, but what is shared is not moved
        page, record = process.pages[source], self._seen_record()
        return bool(page) and len(page or ()) > 1 and record is not None and record[4] > moved

    def _moves_on_to(self, slot: int) -> int:
        """Where the page that the present move put there is in the end: the ranges may overlap."""
        _, _, _, start, pages, source, _ = self._ops[self._index]
        seen = self._seen_record()
        if seen is not None and seen[1] == Status.ERROR:
            pages = max(seen[4], 0)
        while start > source and source <= slot < source + pages:
            slot += start - source
        return slot

    def _word_moves(self, process: Process, source: int, target: int) -> None:
        row = process.row
        if self._huge and (process.pages[target] or target in process.swapped):
            process.homes[target] = process.homes.pop(source, source)
        row[target] = row[target] & VMA_BITS | row[source] & ~(VMA_BITS | UFFD_WP)
        row[source] &= VMA_BITS
        process.touched |= 1 << target
        process.packed = None
        if self._stale:
            self._forget(process, source, source + 1)
            self._forget(process, target, target + 1)

    def _is_busy(self, page: list[int] | tuple[()], moved: int) -> bool:
        """Whether the page is not exclusive to the process, or the kernel takes it for shared because it once was."""
        if page is ZERO:
            return False
        if len(page) > 1:
            return True
        if isinstance(page, KsmPage):  # if it was in swap since, it may have come back as another page
            return not self._swap_was_used() or self._stops_with(errno.EBUSY, moved)
        return self._stops_with(errno.EBUSY, moved) and self._was_shared()

    def _swap_was_used(self) -> bool:
        return any(op[0] in _SWAPPERS for op in self._ops[: self._index])

    def _was_shared(self) -> bool:
        return any(op[0] in _SHARERS for op in self._ops[: self._index])

    def _stops_with(self, error: int, moved: int) -> bool:
        """Whether the backend reports that the move stops after so many pages, if after none with this errno."""
        seen = self._seen_record()
        return seen is not None and seen[1] == Status.ERROR and seen[4] == (moved or -error)

    def _rename(self, page: list[int] | tuple[()], old: int, new: int) -> None:
        assert isinstance(page, list)
        page[page.index(old)] = new
        if self._frames:
            self._frame_moves(old, new)
