"""The rules of shared memory and files.

A file is an object with pages that processes map; what one stores through a shared mapping, all see.  Which pages that
are in the page cache are mapped beside the one that a read asks for is the kernel's choice, as is whether a child has
its parent's; the oracle takes over what the backend's snapshot says.
"""

from __future__ import annotations

import errno
import signal
from array import array
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import (
    DONE,
    LOADS,
    MESSAGE_MINOR,
    MESSAGE_WRITE,
    PROCESS_MASK,
    PROT_BITS,
    Memory,
    Outcome,
    failed,
)
from faultline.oracle.pins import HOLDING
from faultline.oracle.state import (
    ANON,
    CONTENT,
    EXCLUSIVE,
    FILE,
    FILES,
    GUARD,
    HUGE,
    HUGE_PAGES,
    PAGE_BITS,
    PRESENT,
    REG_MINOR,
    REG_MISSING,
    REG_WP,
    SLOT_MASK,
    SLOT_SHIFT,
    SWAP,
    UFFD_WP,
    VMA_BITS,
    WRITE,
    ZERO,
    Backing,
    Context,
    File,
    FilePage,
    Pin,
    Process,
)
from faultline.oracle.userfault import Userfault
from faultline.program.codec import Operation
from faultline.program.ops import ALLOCATE, BY_NAME, COPY_MODE, FILE_TYPE, MAP_TYPE, SLOTS
from faultline.program.trace import SNAPSHOT_HEAD, Skip, Status

_BUS: Final[Outcome] = (int(Status.SIGNAL), int(signal.SIGBUS), 0)
_NO_HANDLE: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_HANDLE), 0)
_HANDLE_USED: Final[Outcome] = (int(Status.SKIPPED), int(Skip.HANDLE_USED), 0)
_EINVAL: Final = failed(errno.EINVAL)
_EIO: Final = failed(errno.EIO)
_EACCES: Final = failed(errno.EACCES)
_MEMFD: Final = FILE_TYPE.words.index("memfd")
_SHARED: Final = MAP_TYPE.words.index("shared")
_EXTEND, _PUNCH = ALLOCATE.words.index("extend"), ALLOCATE.words.index("punch-hole")
_CONTINUE_WP, _CONTINUE_DONTWAKE = (1 << COPY_MODE.words.index(word) for word in ("wp", "dontwake"))
_ROW_SIZE: Final = SLOTS * 4 + 12
_MAPPED_PAGE: Final = PRESENT | FILE
_POPULATE: Final = BY_NAME["populate"].code
#: Accesses that leave what they store.
_STORES: Final = frozenset(BY_NAME[name].code for name in ("write", "guest-write", "process-write", "mem-write"))


class Files(Userfault, Memory):
    """The state of files, and the operations on them and their mappings."""

    _files: list[File | None]
    """By handle."""
    _pins: list[Pin | None]
    _perhaps: list[int]
    """Slots of all processes that may hold their file's page or not, as the next snapshot says."""

    # --- mappings ---

    def _op_mmap_shared(self, op: Operation) -> Outcome:
        _, task, start, pages, prot = op
        self._rule = rules.MMAP_SHARED
        return self._map_file(task, start, pages, prot, File(pages, shmem=True), 0, shared=True)

    def _op_mmap_file(self, op: Operation) -> Outcome:
        _, task, start, pages, prot, handle, first, kind = op
        file = self._files[handle]
        if file is None:
            return self._no_file()
        self._rule = rules.MMAP_FILE
        return self._map_file(task, start, pages, prot, file, first, shared=kind == _SHARED)

    def _map_file(
        self, task: int, start: int, pages: int, prot: int, file: File, first: int, *, shared: bool
    ) -> Outcome:
        process = self._processes[task & PROCESS_MASK]
        assert process is not None
        end = start + pages
        events = self._unmap_events(process, start, end)
        self._unmap(process, start, end)
        process.row[start:end] = array("I", (PROT_BITS[prot],)) * pages
        process.edges &= ~self._mask(start + 1, end)
        if process.backing is None:
            process.backing = [None] * SLOTS
            self._closely = True
        process.backing[start:end] = [(file, first + i, shared) for i in range(pages)]
        return self._after_events(task, events) if events else DONE

    def _no_file(self) -> Outcome:
        self._rule = rules.SKIP_NO_HANDLE
        return _NO_HANDLE

    # --- pages ---

    def _page_of(self, file: File, number: int) -> FilePage:
        """The file's page; a hole is filled with zeroes."""
        page = file.pages.get(number)
        if page is None:
            left = self._stays_lost(file, number)
            page = file.pages[number] = FilePage(file.lost[number] if left else 0)
            page.perhaps_lost = left
            if self._huge_files:
                self._doubt(file, number, number + 1)
        return page

    def _doubt(self, file: File, start: int, end: int) -> None:
        """Huge pages may hold the holes around these pages of the file, filled with zeroes."""
        first, last = start // HUGE_PAGES * HUGE_PAGES, (end - 1) // HUGE_PAGES * HUGE_PAGES + HUGE_PAGES
        if file.shmem:
            file.doubtful.update(range(first, last))
            file.doubtful -= file.pages.keys()

    @staticmethod
    def _is_doubtful(file: File, number: int) -> bool:
        """Whether what the backend says must tell if the file has a hole there."""
        page = file.pages.get(number)
        if page is None:
            return number in file.doubtful
        return not page and (page.perhaps_hole or page.perhaps_lost)

    @staticmethod
    def _is_hole(file: File, number: int, claim: bool | None) -> bool:
        """Whether the file has a hole there.

        :param claim: what the backend says of a page that may have been dropped, None for nothing.
        """
        page = file.pages.get(number)
        if page is not None and Files._is_doubtful(file, number):
            page.perhaps_hole = False
            if claim:
                del file.pages[number]
        elif number in file.doubtful:
            file.doubtful.discard(number)
            if claim is False:
                file.pages[number] = FilePage()
        return number not in file.pages

    def _enter(self, process: Process, slot: int, page: FilePage) -> None:
        """Maps the file's page; a protected slot stays protected."""
        page.perhaps_hole = False
        self._look_beyond(page, self._seen_word(process, slot))
        key = process.number << SLOT_SHIFT | slot
        word = process.row[slot] & (VMA_BITS | UFFD_WP)
        if not word & REG_WP:
            word &= ~UFFD_WP
        page.append(key)
        process.pages[slot] = page
        process.row[slot] = word | _MAPPED_PAGE | page.content
        process.row[FILES] += 1
        process.packed = None
        if len(page) == 1:
            process.row[slot] |= EXCLUSIVE
        elif len(page) == 2:
            other = self._processes[page[0] >> SLOT_SHIFT]
            assert other is not None
            other.row[page[0] & SLOT_MASK] &= ~EXCLUSIVE
            other.packed = None

    def _leave_file(self, process: Process, slot: int) -> None:
        page = process.pages[slot]
        assert isinstance(page, FilePage)
        self._drop_page(process, slot, page)
        process.row[slot] &= VMA_BITS
        process.packed = None

    def _resolve(self, op: Operation, index: int, process: Process, slot: int, flags: int) -> Outcome | FilePage:
        """The file's page for an access, or what stops it."""
        assert process.backing is not None
        backing = process.backing[slot]
        assert backing is not None
        file, number, _ = backing
        if number >= file.size:
            if not self._huge_files or not self._reaches_beyond(op, index, process, slot):
                self._rule = rules.BUS_BEYOND
                return _BUS
            self._met[rules.HUGE_BEYOND] = None
        word = process.row[slot]
        stopped = self._is_stopped(op, index, slot)
        if stopped and (self._seen_word(process, slot) or 0) & PRESENT:
            stopped = False  # by the write protection, or further on, as the page is there
        if self._stays_lost(file, number) and self._shows_bad_read(process, slot, index):
            self._lingers(file, number, True)
            return _BUS
        claim = stopped if word & REG_MISSING else None if stopped is None else not stopped
        if not word & (REG_MISSING | REG_MINOR) and number in file.pages and file.pages[number].perhaps_lost:
            claim = None  # what the page holds tells
        if stopped and word & REG_MISSING and word & REG_MINOR and self._is_doubtful(file, number):
            claim = not self._choose(2)  # as missing, or as minor: the message tells
        if self._stays_lost(file, number) and not stopped:
            if word & REG_MISSING and stopped is False:
                self._returns(file, number, file.lost[number])
            elif not flags & MESSAGE_WRITE:
                found = self._found(op, index, process, slot) or 0
                if found & PRESENT and found & CONTENT:
                    self._returns(file, number, found & CONTENT)
        if stopped and word & REG_MINOR and self._stays_lost(file, number):
            open_to_doubt = word & REG_MISSING or number in file.doubtful
            if self._lingers(file, number, not open_to_doubt or not self._choose(2)):
                self._rule = rules.FAULT_MINOR
                return self._fault(op, index, process, slot, flags | MESSAGE_MINOR)
        if self._is_hole(file, number, claim):
            if word & REG_MISSING:
                self._rule = rules.FAULT_MISSING_FILE
                return self._fault(op, index, process, slot, flags)
        elif file.pages[number].bad and self._shows_bad_read(process, slot, index):
            return _BUS
        elif word & REG_MINOR:
            self._rule = rules.FAULT_MINOR
            return self._fault(op, index, process, slot, flags | MESSAGE_MINOR)
        if word & UFFD_WP and word & REG_WP:
            self._also(rules.WP_POPULATES)
        page = self._page_of(file, number)
        seen = self._saw(index)
        if op[0] not in _STORES or (seen is not None and seen[0] != Status.DONE):  # else what it stored is shown
            self._look_beyond(page, self._found(op, index, process, slot))
        return page

    @staticmethod
    def _look_beyond(page: FilePage, seen: int | None) -> None:
        """What was stored beyond the end of the file is lost, if the word of a slot shows that."""
        if page.perhaps_lost and seen is not None and seen & PRESENT:
            page.perhaps_lost = False
            page.perhaps_hole = page.perhaps_hole and not seen & CONTENT
            page.content = page.content if seen & CONTENT else 0

    @staticmethod
    def _grow(file: File, end: int) -> None:
        """What a huge page let a process store beyond the old end may be there, by a deviation; or the page is gone."""
        for number, page in file.pages.items():
            if number >= file.size and not page:
                page.perhaps_lost = True
                page.perhaps_hole = page.perhaps_hole or not (page.frame is not None and page.frame.holds)
        file.size = max(file.size, end)

    def _shmem_reads_may_fail(self) -> None:
        """A read from swap fails in the present operation; which pages of shared memory are there is not known."""
        mapped = [backing[0] for process in self._living for backing in process.backing or () if backing is not None]
        for file in (*mapped, *self._files):
            if file is not None and file.shmem:
                file.miscounted = True
                for page in file.pages.values():
                    page.bad = True

    def _is_bad(self, file: File, start: int, end: int) -> bool:
        """Whether the backend shows that a page of this part of the file could not be read, as may be."""
        bad = any(page.bad for number, page in file.pages.items() if start <= number < end)
        lost = any(self._stays_lost(file, number) for number in range(start, end))
        if not (bad or lost) or self._saw(self._index) != _EIO:
            return False
        self._rule = rules.SWAP_READ_ERROR
        for number in range(start, end) if not bad else ():
            self._lingers(file, number, True)
        return True

    @staticmethod
    def _stays_lost(file: File, number: int) -> bool:
        """Whether the page may be lost although the file was cut before it, and grew: a deviation."""
        return number in file.lost and number not in file.pages

    def _found(self, op: Operation, index: int, process: Process, slot: int) -> int | None:
        """The slot's word as the access found it, which tells what it found; others may have stored there since."""
        seen = self._saw(index)
        if op[0] in LOADS and seen is not None and seen[0] == Status.DONE:
            return PRESENT | seen[1]
        return self._seen_word(process, slot)

    def _returns(self, file: File, number: int, content: int) -> None:
        """Such a page may be back, by that deviation: the backend shows that a page is there, with this content."""
        if self._stays_lost(file, number) and file.lost[number] == content:
            self._met[rules.TRUNCATE_LOST] = None
            file.pages[number] = FilePage(content)
            file.doubtful.discard(number)

    def _lingers(self, file: File, number: int, shows: bool) -> bool:
        """Whether such a page is there, by that deviation, if the backend shows it."""
        if not shows or not self._stays_lost(file, number):
            return False
        self._met[rules.TRUNCATE_LOST] = None
        return True

    def _reaches_beyond(self, op: Operation, index: int, process: Process, slot: int) -> bool:
        """Whether the access maps a huge page, or another folio as a whole, that the file's end lies in."""
        seen, word = self._saw(index), self._seen_word(process, slot)
        shown = PRESENT if self._holds[versions.FAULT_WHOLE] else HUGE
        # it does not wait for a page beyond the end
        passes = seen is not None and (seen[0] == Status.BLOCKED or not self._is_stopped(op, index, slot))
        return passes and word is not None and word & shown == shown

    def _stops_beyond(self, process: Process, slot: int, index: int) -> bool:
        backing = process.backing[slot] if process.backing is not None else None
        if backing is None or backing[1] < backing[0].size or not isinstance(process.pages[slot], FilePage):
            return False
        seen = self._saw(index)
        if seen is None or seen[0] == Status.BLOCKED or not self._is_stopped(self._ops[index], index, slot):
            return False
        if (self._seen_word(process, slot) or 0) & PRESENT:
            return False  # by the write protection, or further on
        self._rule = rules.BUS_BEYOND
        self._leave_file(process, slot)
        return True

    def _unmaps_first(self, op: Operation, index: int, process: Process, slot: int) -> bool:
        word = process.row[slot]
        if not word & FILE or not word & REG_MINOR or (word & UFFD_WP and word & REG_WP):
            return False
        if not self._is_stopped(op, index, slot):
            return False
        self._leave_file(process, slot)
        return True

    def _is_stopped(self, op: Operation, index: int, slot: int) -> bool | None:
        """Whether the backend reports that an operation does not get over the slot; None: it reports nothing."""
        seen = self._saw(index)
        if seen is None:
            return None
        if op[0] in HOLDING and seen[0] == Status.DONE:
            return slot >= op[3] + seen[2]
        if op[0] == _POPULATE and seen[0] == Status.ERROR and seen[1] != errno.EFAULT:
            return False  # by what is not mapped, or not allowed, further on
        return seen[0] in (Status.BLOCKED, Status.SIGNAL, Status.ERROR)

    # --- accesses ---

    def _load_file(self, op: Operation, index: int, process: Process, slot: int) -> Outcome:
        self._map_around(process, slot)
        page = self._resolve(op, index, process, slot, 0)
        if not isinstance(page, FilePage):
            return page
        self._enter(process, slot, page)
        self._rule = rules.READ_FILE
        return (int(Status.DONE), page.content, 0)

    def _map_around(self, process: Process, slot: int) -> None:
        """Pages of the file beside the one asked for may be mapped too."""
        if process.row[slot] & (REG_WP | REG_MINOR):
            return
        assert process.backing is not None
        backing = process.backing[slot]
        assert backing is not None
        base = process.number << SLOT_SHIFT
        for other, beside in enumerate(process.backing):
            if beside is not None and beside[0] is backing[0] and beside[1] - other == backing[1] - slot:
                self._perhaps.append(base | other)

    def _prepare_store(self, op: Operation, index: int, process: Process, slot: int) -> Outcome | None:
        page = self._resolve(op, index, process, slot, MESSAGE_WRITE)
        if not isinstance(page, FilePage):
            return page
        assert process.backing is not None
        backing = process.backing[slot]
        assert backing is not None
        if backing[2]:
            self._enter(process, slot, page)
        else:
            self._rule = rules.WRITE_FILE_COPY
            self._copy_out(process, slot, page.content)
        return None

    def _copy_out(self, process: Process, slot: int, content: int) -> None:
        """The slot gets an anonymous page of its own."""
        word = process.row[slot]
        process.row[slot] = word & VMA_BITS | PRESENT | EXCLUSIVE | content
        if word & REG_WP:
            process.row[slot] |= word & UFFD_WP
        process.pages[slot] = [process.number << SLOT_SHIFT | slot]
        process.row[ANON] += 1
        process.touched |= 1 << slot
        process.packed = None

    def _store_file(self, process: Process, slot: int, value: int | None) -> Outcome:
        page = process.pages[slot]
        assert isinstance(page, FilePage)
        if self._maps_shared(process, slot):
            self._rule = rules.WRITE_SHARED
            self._set(page, page.content if value is None else value)
            return DONE
        self._rule = rules.WRITE_FILE_COPY
        self._drop_page(process, slot, page)
        self._copy_out(process, slot, page.content if value is None else value)
        return DONE

    def _set(self, page: FilePage, content: int) -> None:
        """All who map the page see its new content."""
        page.written = True
        page.content = content
        page.perhaps_hole = False
        if page.frame is not None:
            page.frame.content = content
            for hold in page.frame.holds:
                hold.allowed.add(content)
        for key in page:
            process = self._processes[key >> SLOT_SHIFT]
            assert process is not None
            slot = key & SLOT_MASK
            process.row[slot] = process.row[slot] & ~CONTENT | content
            process.packed = None

    def _duplicate_file(self, parent: Process, child: Process, slot: int, page: FilePage) -> None:
        key = child.number << SLOT_SHIFT | slot
        self._perhaps.append(key)
        if child.row[slot] & REG_WP or self._extent(parent, slot) & parent.touched:
            child.pages[slot] = page
            page.append(key)
            for mapper in (parent, child):
                mapper.row[slot] &= ~EXCLUSIVE
            return
        child.row[slot] &= ~PAGE_BITS
        child.row[FILES] -= 1

    # --- what the backend's snapshot decides ---

    def _adopt_files(self, at: int) -> None:
        """Takes over, from the snapshot at this place of the backend's trace, which slots hold their file's page."""
        unborn: list[tuple[Process, int]] = []
        for key in dict.fromkeys(self._perhaps):
            process, slot = self._processes[key >> SLOT_SHIFT], key & SLOT_MASK
            if process is None:
                continue
            seen = self._seen_at(at, key)
            if seen is not None:
                self._adopt_mapped(process, slot, seen)
            elif process not in self._living:
                unborn.append((process, slot))
        for process, slot in unborn:  # when it is known what the living map
            self._adopt_unborn(process, slot, at)
        self._perhaps[:] = [process.number << SLOT_SHIFT | slot for process, slot in unborn]

    def _seen_at(self, at: int, key: int) -> int | None:
        """The word of a slot in the backend's snapshot; None if its process is not in it."""
        for row, process in enumerate(self._living if self._observed is not None else ()):
            if process.number == key >> SLOT_SHIFT:
                at += SNAPSHOT_HEAD.size + row * _ROW_SIZE + (key & SLOT_MASK) * 4
                assert self._observed is not None
                return int.from_bytes(self._observed[at : at + 4], "little")
        return None

    def _adopt_unborn(self, child: Process, slot: int, at: int) -> None:
        """Whether the child of a fork under way maps the page shows in the one mapping that is seen being exclusive."""
        backing = child.backing[slot] if child.backing is not None else None
        page = backing[0].pages.get(backing[1]) if backing is not None else None
        if page is None:
            return
        key = child.number << SLOT_SHIFT | slot
        others = [other for other in page if other != key]
        living = [other for other in others if self._live >> (other >> SLOT_SHIFT) & 1]
        seen = self._seen_at(at, living[0]) if len(living) == 1 else None
        if seen is None or seen & _MAPPED_PAGE != _MAPPED_PAGE or (others != living and not seen & EXCLUSIVE):
            return
        if not child.row[slot] & UFFD_WP:
            self._adopt_mapped(child, slot, 0 if seen & EXCLUSIVE else _MAPPED_PAGE)
        elif seen & EXCLUSIVE and key in page:
            self._zap(child, slot)

    def _adopt_mapped(self, process: Process, slot: int, seen: int) -> None:
        backing = process.backing[slot] if process.backing is not None else None
        word = process.row[slot]
        protected = word & UFFD_WP and word & (REG_WP | PRESENT)  # else the bit was left, and goes
        if backing is None or protected or slot in process.swapped:
            return
        file, number, _ = backing
        if word & _MAPPED_PAGE == _MAPPED_PAGE and not seen & PRESENT:
            self._leave_file(process, slot)
            stale = self._stale.get(process.number << SLOT_SHIFT | slot)
            if stale is not None and seen & UFFD_WP:  # the bit was left before the page went
                self._stale[stale[0]] = stale[0], stale[1] | SWAP, *stale[2:]
        elif not word & PRESENT and seen & _MAPPED_PAGE == _MAPPED_PAGE:
            if number >= file.size:
                if not self._huge_files or not (seen & HUGE or self._holds[versions.FAULT_WHOLE]):
                    return
                self._met[rules.HUGE_BEYOND] = None
            self._returns(file, number, seen & CONTENT)
            if file.shmem and number not in file.pages and number not in file.doubtful:
                return
            self._also(rules.MAP_AROUND)
            file.doubtful.discard(number)
            page = self._page_of(file, number)
            page.perhaps_lost = page.perhaps_lost or (number >= file.size and not page)
            self._look_beyond(page, seen)
            self._enter(process, slot, page)

    # --- the file itself ---

    def _op_file_open(self, op: Operation) -> Outcome:
        _, _, handle, kind, end = op
        if self._files[handle] is not None:
            self._rule = rules.SKIP_USED
            return _HANDLE_USED
        self._files[handle] = File(end, shmem=kind == _MEMFD)
        self._rule = rules.FILE_OPEN
        return DONE

    def _op_file_close(self, op: Operation) -> Outcome:
        if self._files[op[2]] is None:
            return self._no_file()
        self._files[op[2]] = None
        self._rule = rules.FILE_CLOSE
        return DONE

    def _op_file_read(self, op: Operation) -> Outcome:
        file = self._files[op[2]]
        if file is None:
            return self._no_file()
        self._rule = rules.FILE_READ
        if op[3] >= file.size:
            return DONE
        seen = self._seen_record()
        if seen is not None and seen[3]:
            self._returns(file, op[3], seen[3])
        page = file.pages.get(op[3])
        if self._is_bad(file, op[3], op[3] + 1):
            return _EIO
        if page is not None and page.perhaps_lost and seen is not None:
            self._look_beyond(page, PRESENT | seen[3])
        return (int(Status.DONE), page.content if page is not None else 0, 1)

    def _op_file_write(self, op: Operation) -> Outcome:
        file = self._files[op[2]]
        if file is None:
            return self._no_file()
        self._rule = rules.FILE_WRITE
        if self._is_bad(file, op[3], op[3] + 1):
            return _EIO
        self._grow(file, op[3] + 1)
        self._set(self._page_of(file, op[3]), op[4])
        return DONE

    def _op_file_truncate(self, op: Operation) -> Outcome:
        file = self._files[op[2]]
        if file is None:
            return self._no_file()
        self._rule = rules.FILE_TRUNCATE
        end = op[3]
        if end < file.size:
            self._unmap_file(file, end, None)
        if end <= file.size:
            # what a huge page still maps beyond the end goes only if the file shrinks
            for number in [number for number, page in file.pages.items() if number >= end and not page]:
                if file.miscounted:
                    file.lost[number] = file.pages[number].content
                self._take_away(file, number)
            if self._huge_files:
                self._zero_beyond(file, end)
                self._doubt(file, end, max(file.size, end + 1))
        self._grow(file, end)
        file.size = end
        return DONE

    def _zero_beyond(self, file: File, end: int) -> None:
        """What processes stored beyond the end, where a huge page let them, is lost, although they map it still."""
        for number, page in file.pages.items():
            if number >= end:
                self._set(page, 0)

    def _op_file_allocate(self, op: Operation) -> Outcome:
        file = self._files[op[2]]
        if file is None:
            return self._no_file()
        _, _, _, start, end, mode = op
        if end <= start:
            self._rule = rules.FILE_ALLOCATE_EMPTY
            return _EINVAL
        if mode == _PUNCH:
            self._rule = rules.FILE_PUNCH
            self._punch(file, start, end)
            return DONE
        self._rule = rules.FILE_ALLOCATE
        if self._is_bad(file, start, end):
            return _EIO
        if file.shmem:
            for number in range(start, end):
                self._page_of(file, number)
        if mode == _EXTEND:
            self._grow(file, end)
        return DONE

    def _op_file_sync(self, op: Operation) -> Outcome:
        if self._files[op[2]] is None:
            return self._no_file()
        self._rule = rules.FILE_SYNC
        return DONE

    def _op_file_drop(self, op: Operation) -> Outcome:
        if self._files[op[2]] is None:
            return self._no_file()
        self._rule = rules.FILE_DROP
        return DONE

    def _punch(self, file: File, start: int, end: int) -> None:
        self._unmap_file(file, start, end)
        for number in range(start, end):
            self._take_away(file, number)
        if self._huge_files:
            self._doubt(file, start, end)

    def _take_away(self, file: File, number: int) -> None:
        page = file.pages.pop(number, None)
        for pin in self._pins if page is not None else ():
            for hold in pin.holds if pin is not None else ():
                if hold.frame.cut == (file, number) and page is not None:
                    hold.frame.later = page.content
        if self._huge_files and file.shmem and page is not None and page.frame is not None:
            page.frame.cut = file, number

    def _unmap_file(self, file: File, start: int, end: int | None) -> None:
        """No process maps the file's pages from ``start`` on; with no ``end`` private copies go too."""
        for process in self._processes:
            if process is None or process.backing is None:
                continue
            for slot, backing in enumerate(process.backing):
                if backing is None or backing[0] is not file or backing[1] < start:
                    continue
                if process.row[slot] & GUARD:
                    continue
                copied = not process.row[slot] & FILE and bool(process.pages[slot] or slot in process.swapped)
                if end is None or (backing[1] < end and not copied):
                    poison = process.poisoned & 1 << slot
                    self._zap(process, slot)
                    if poison and self._stays_poisoned(process, slot):
                        process.poisoned |= poison

    def _stays_poisoned(self, process: Process, slot: int) -> bool:
        """No document says that it goes: as the backend shows, of a child when it is born."""
        if self._fork_of(process):
            return True
        if not (self._seen_word(process, slot) or 0) & SWAP:
            return False
        # a write protection that is left may show the same
        return not process.row[slot] & UFFD_WP or not self._choose(2)

    def _not_removable(self, process: Process, slot: int) -> Outcome | None:
        backing = process.backing[slot] if process.backing is not None else None
        if backing is None:
            self._rule = rules.REMOVE_ANON
            return _EINVAL
        if not backing[2] or not (self._holds[versions.REMOVE_READONLY] or process.row[slot] & WRITE):
            self._rule = rules.REMOVE_PRIVATE
            return _EACCES
        return None

    def _punch_slots(self, process: Process, slots: list[int]) -> None:
        assert process.backing is not None
        self._punch_backing([process.backing[slot] for slot in slots])

    def _punch_backing(self, shown: list[Backing | None]) -> None:
        for backing in shown:
            if backing is not None:
                self._punch(backing[0], backing[1], backing[1] + 1)

    # --- userfaultfd ---

    def _fill_file(self, context: Context, op: Operation, value: int, wp: int, dontwake: bool) -> Outcome:
        process, start, pages = context.mm, op[3], op[4]
        assert process.backing is not None
        first = process.backing[start]
        assert first is not None
        if not first[0].shmem:
            self._rule = rules.FILL_KIND
            return failed(errno.EINVAL, -errno.EINVAL)
        slot, error = start, 0
        while slot < start + pages and not error:
            error = self._fill_slot(process, slot, value, wp, slot - start)
            slot += not error
        return self._filled(context, start, slot - start, pages, dontwake, error)

    def _fill_slot(self, process: Process, slot: int, value: int, wp: int, filled: int) -> int:
        """The errno, 0 if the page was filled.

        :param filled: how many pages before it were.
        """
        assert process.backing is not None
        backing = process.backing[slot]
        assert backing is not None
        file, number, shared = backing
        row = process.row
        claim = None if (seen := self._seen_record()) is None else seen[4] > filled
        if row[slot] & HUGE:
            return errno.EEXIST
        if number >= file.size:
            self._rule = rules.FILL_BEYOND
            return errno.ENOMEM if shared and self._holds[versions.FILL_BEYOND] else errno.EFAULT
        if row[slot] & GUARD and not self._fills_guard(filled):
            return errno.EEXIST  # which tells nothing of the file
        if row[slot] & PRESENT or slot in process.swapped:
            return errno.EEXIST
        if shared and (self._lingers(file, number, claim is False) or not self._is_hole(file, number, claim)):
            return errno.EEXIST
        zeroes = not shared and value < 0
        if zeroes and row[slot] & UFFD_WP and self._stops_at_marker(filled):
            return errno.EEXIST
        if process.poisoned >> slot & 1:
            if self._stops_at_poison(filled, zeroes):
                return errno.EEXIST
            process.poisoned &= ~(1 << slot)
        if zeroes:
            row[slot] = row[slot] & VMA_BITS | PRESENT
            process.pages[slot] = ZERO
            return 0
        row[slot] = row[slot] & VMA_BITS | wp
        if shared:
            page = self._page_of(file, number)
            page.written = True
            page.content = max(value, 0)
            self._enter(process, slot, page)
        else:
            self._copy_out(process, slot, value)
        return 0

    def _op_uffd_continue(self, op: Operation) -> Outcome:
        _, _, handle, start, pages, mode = op
        context = self._handles[handle]
        if context is None:
            return self._no_handle()
        if mode & _CONTINUE_WP and not self._holds[versions.CONTINUE_WP] and not context.changing:
            self._rule = rules.COPY_WP_MODE
            return failed(errno.EINVAL)
        outcome = self._fill_error(context, start, start + pages)
        if outcome is not None:
            return outcome
        process = context.mm
        backing = process.backing[start] if process.backing is not None else None
        if backing is None or not backing[0].shmem:
            self._rule = rules.FILL_KIND
            return failed(errno.EINVAL, -errno.EINVAL)
        if mode & _CONTINUE_WP and not process.row[start] & REG_WP:
            self._rule = rules.COPY_WP_MODE
            return failed(errno.EINVAL, -errno.EINVAL)
        self._rule = rules.CONTINUE
        slot, error = start, 0
        while slot < start + pages and not error:
            error = self._continue_slot(process, slot, UFFD_WP if mode & _CONTINUE_WP else 0, slot - start)
            slot += not error
        return self._filled(context, start, slot - start, pages, bool(mode & _CONTINUE_DONTWAKE), error)

    def _continue_slot(self, process: Process, slot: int, wp: int, filled: int) -> int:
        """The errno, 0 if the page was mapped.

        :param filled: how many pages before it were.
        """
        assert process.backing is not None
        backing = process.backing[slot]
        assert backing is not None
        file, number, _ = backing
        if process.row[slot] & HUGE:
            return errno.EEXIST
        if number >= file.size:
            self._rule = rules.CONTINUE_BEYOND
            return errno.EFAULT if self._holds[versions.CONTINUE_BEYOND] else errno.EINVAL
        seen = self._seen_record()
        if self._stays_lost(file, number) and seen is not None and seen[4] > filled:
            shown = self._seen_word(process, slot) if number in file.doubtful else None  # that or the huge page's zero
            self._returns(file, number, file.lost[number] if shown is None else shown & CONTENT)
        exists = seen is not None and not filled and seen[3] == errno.EEXIST
        if self._is_hole(file, number, None if seen is None else seen[4] <= filled and not exists):
            self._rule = rules.CONTINUE_MISSING
            unreadable = not filled and seen is not None and seen[3] == errno.EIO
            return errno.EIO if self._lingers(file, number, unreadable) else errno.EFAULT
        error = errno.EFAULT if self._holds[versions.CONTINUE_UNREADABLE] else errno.EIO
        if process.row[slot] & PRESENT or slot in process.swapped:  # which of the two errors comes first is open
            fails = seen is not None and not filled and seen[3] == error
        else:
            fails = not exists and not (self._seen_word(process, slot) or PRESENT) & PRESENT
        if file.pages[number].bad and fails:
            self._rule = rules.SWAP_READ_ERROR
            return error
        if process.row[slot] & PRESENT or slot in process.swapped:
            return errno.EEXIST
        if process.row[slot] & GUARD and not self._fills_guard(filled):
            return errno.EEXIST
        if process.poisoned >> slot & 1:
            if self._stops_at_poison(filled, False):
                return errno.EEXIST
            process.poisoned &= ~(1 << slot)
        process.row[slot] = process.row[slot] & VMA_BITS & ~SWAP | wp
        page = file.pages[number]
        if page.perhaps_lost and (self._seen_word(process, slot) or 0) & CONTENT and self._choose(2):
            self._look_beyond(page, PRESENT)  # it held zeroes; who was woken has stored that since
        self._enter(process, slot, page)
        return 0
