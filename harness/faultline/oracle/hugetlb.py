"""The rules of memory from hugetlbfs, which the documentation calls huge pages.

Such a mapping has huge pages only: each is there as a whole, is copied as a whole and goes as a whole.  They come from
a pool that is big enough for all processes, and count neither as anonymous memory nor as that of a file.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable
from typing import Final

from faultline.oracle import rules
from faultline.oracle.memory import BUSY, DONE, PROCESS_MASK, PROT_BITS, Memory, Outcome, failed
from faultline.oracle.state import (
    CONTENT,
    EXCLUSIVE,
    HUGE,
    HUGE_PAGES,
    PRESENT,
    SLOT_SHIFT,
    Context,
    File,
    HugetlbPage,
    Process,
)
from faultline.program.codec import Operation
from faultline.program.ops import ADVICE, BY_NAME, OPS, SLOTS, TASK_MONITOR, Form
from faultline.program.trace import Skip, Status

_DONTNEED: Final = ADVICE.words.index("dontneed")
_MADVISE: Final = BY_NAME["madvise"].code
#: Operations that are not skipped in such memory.
_KNOWN: Final = frozenset(
    BY_NAME[name].code
    for name in ("read", "write", "mmap", "mmap-shared", "mmap-file", "mmap-hugetlb", "munmap", "mprotect")
)
_MPROTECT: Final = BY_NAME["mprotect"].code
_MMAP_FILE: Final = BY_NAME["mmap-file"].code
#: Those that may cut a mapping in two.
_CUTTING: Final = frozenset(
    (_MADVISE, _MPROTECT, _MMAP_FILE, *(BY_NAME[name].code for name in ("mmap", "mmap-shared", "munmap")))
)
_PROTECTION: Final = PROT_BITS[-1]
_EINVAL: Final = failed(errno.EINVAL)
_LACKS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.LACKS), 0)


def _ranges(op: Operation) -> list[range]:
    """The slots that the operation names."""
    kinds, found, pages = OPS[op[0]].kinds, [], 1
    for i, kind in enumerate(kinds):
        if kind.form is not Form.SLOT:
            continue
        if i + 1 < len(kinds) and kinds[i + 1].form is Form.PAGES:
            pages = op[3 + i]
        found.append(range(op[2 + i], min(op[2 + i] + pages, SLOTS)))
    return found


def _huge_page(slot: int) -> range:
    """The slots of the huge page that the slot belongs to."""
    first = slot // HUGE_PAGES * HUGE_PAGES
    return range(first, first + HUGE_PAGES)


class Hugetlb(Memory):
    """Mappings of huge pages, and accesses to them."""

    _handles: list[Context | None]
    _files: list[File | None]

    def _is_unknown_in_hugetlb(self, op: Operation) -> bool:
        """Whether the operation is skipped as it would act on such memory."""
        if op[0] in _KNOWN or (op[0] == _MADVISE and op[4] == _DONTNEED):
            return False
        process = self._acted_upon(op)
        if process is None or not process.hugetlb:
            return False
        return any(process.hugetlb >> slot & 1 for slots in _ranges(op) for slot in slots)

    def _acted_upon(self, op: Operation) -> Process | None:
        kinds = OPS[op[0]].kinds
        form = kinds[0].form if kinds else None
        if form is Form.PROCESS:
            return self._processes[op[2]] if self._live >> op[2] & 1 else None
        if form is Form.UFFD:
            context = self._handles[op[2]]
            return context.mm if context is not None and context.mm.alive else None
        return None if op[1] == TASK_MONITOR else self._processes[op[1] & PROCESS_MASK]

    def _op_mmap_hugetlb(self, op: Operation) -> Outcome:
        _, task, start, pages, prot = op
        if self._blocked:
            self._rule = rules.SKIP_BLOCKED
            return BUSY
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        self._rule = rules.HUGETLB
        if start % HUGE_PAGES:
            self._also(rules.HUGETLB_ALIGNED)
            return _EINVAL
        end = start + -(-pages // HUGE_PAGES) * HUGE_PAGES
        events = self._unmap_events(process, start, end)
        self._unmap(process, start, end)
        process.row[start:end] = array("I", (PROT_BITS[prot],)) * (end - start)
        process.edges &= ~self._mask(start + 1, end)
        process.hugetlb |= self._mask(start, end)
        return self._after_events(task, events) if events else DONE

    def _with_hugetlb(self, handler: Callable[[Operation], Outcome], op: Operation) -> Outcome:
        """An operation on a kernel that has such memory."""
        if self._is_unknown_in_hugetlb(op):
            self._rule = rules.SKIP_HUGETLB
            return _LACKS
        if op[0] not in _CUTTING or (op[0] == _MMAP_FILE and self._files[op[5]] is None):
            return handler(op)
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        if not process.hugetlb:
            return handler(op)
        if op[0] == _MPROTECT:
            process.packed = None
            refused = self._mprotect_hugetlb(process, op)
        else:
            refused = self._cuts(process, op[2]) or (op[0] != _MADVISE and self._cuts(process, op[2] + op[3]))
        if not refused:
            return handler(op)
        self._rule = rules.HUGETLB_CUT
        self._cut(process, op[2], op[2] + op[3])
        return _EINVAL

    @staticmethod
    def _cuts(process: Process, edge: int) -> bool:
        """Whether a mapping that ends at this slot would be part of a huge page."""
        return edge < SLOTS and bool(edge % HUGE_PAGES and process.hugetlb >> edge & 1)

    def _mprotect_hugetlb(self, process: Process, op: Operation) -> bool:
        """Whether a mapping of the range must not be cut; those before it have the new protection then."""
        _, _, start, pages, prot = op
        end, row, bits = start + pages, process.row, PROT_BITS[prot]
        if self._cuts(process, start) and row[start] & _PROTECTION != bits:
            return True
        if not self._cuts(process, end) or row[end] & _PROTECTION == bits:
            return False
        first = end - 1
        while first > start and (first % HUGE_PAGES or self._extent(process, first) >> (first - 1) & 1):
            first -= 1
        if not all(row[start:first]):
            return False
        while first < end and (seen := self._seen_word(process, first)) is not None and seen & _PROTECTION == bits:
            first += 1
        for slot in range(start, first):
            row[slot] = row[slot] & ~_PROTECTION | bits
        return True

    def _dontneed(self, process: Process, slots: list[int]) -> None:
        """Whether the length is rounded up or down to whole huge pages is told in two ways: as the backend does."""
        if process.hugetlb:
            named = frozenset(slots)
            part = [slot for slot in slots if process.hugetlb >> slot & 1 and not named.issuperset(_huge_page(slot))]
            if part:
                self._also(rules.HUGETLB_DONTNEED)
                seen = self._seen_word(process, part[0])
                goes = _huge_page(part[0]) if seen is not None and not seen & PRESENT else ()
                slots = sorted((named - set(part)) | set(goes))
        super()._dontneed(process, slots)

    # --- accesses ---

    def _load_hugetlb(self, process: Process, slot: int) -> Outcome:
        """A load where no huge page is."""
        self._rule = rules.HUGETLB_FAULT
        self._fill_hugetlb(process, slot)
        return DONE

    def _store_hugetlb(self, process: Process, slot: int, value: int | None) -> Outcome:
        row = process.row
        if not row[slot] & PRESENT:
            self._rule = rules.HUGETLB_FAULT
            self._fill_hugetlb(process, slot)
        elif row[slot] & EXCLUSIVE:
            self._rule = rules.WRITE
        else:
            self._rule = rules.HUGETLB_COPY
            for each in _huge_page(slot):
                page, key = process.pages[each], process.number << SLOT_SHIFT | each
                assert isinstance(page, HugetlbPage)
                self._leave(page, key)
                process.pages[each] = HugetlbPage([key])
                row[each] |= EXCLUSIVE
        if value is not None:
            row[slot] = row[slot] & ~CONTENT | value
        process.packed = None
        return DONE

    @staticmethod
    def _fill_hugetlb(process: Process, slot: int) -> None:
        for each in _huge_page(slot):
            process.row[each] |= PRESENT | EXCLUSIVE | HUGE
            process.pages[each] = HugetlbPage([process.number << SLOT_SHIFT | each])
        process.packed = None
