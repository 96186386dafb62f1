"""The rules of pins and references, of access from outside, of populating and migrating.

A page that somebody holds has a frame.  A pin follows the page: it sees what the process stores, and the process sees
what the device stores, until the process maps the page no longer.  A plain reference need not follow: it shows what was
there when it was taken, or what its process stored since, but never what another process stores.
"""

from __future__ import annotations

import errno
from typing import Final

from faultline.oracle import rules, versions
from faultline.oracle.memory import DONE, PROCESS_MASK, Memory, Outcome, failed
from faultline.oracle.state import (
    CONTENT,
    EXCLUSIVE,
    HUGE,
    HUGE_PAGES,
    MAPPED,
    PRESENT,
    READ,
    SLOT_MASK,
    SLOT_SHIFT,
    UFFD_WP,
    WRITE,
    File,
    FilePage,
    Frame,
    Hold,
    KsmPage,
    Page,
    Pin,
    Process,
    Waiter,
)
from faultline.program.codec import Operation, process_of
from faultline.program.ops import BY_NAME, PIN_FLAGS, PINS, POPULATE
from faultline.program.trace import Skip, Status

_WRITE, _LONGTERM, _FORCE, _LOCKED = (
    1 << PIN_FLAGS.words.index(word) for word in ("write", "longterm", "force", "locked")
)
_POPULATE_READ: Final = POPULATE.lo + POPULATE.words.index("read")
_PIN, _REF, _PROCESS_READ, _PROCESS_WRITE = (
    BY_NAME[name].code for name in ("pin", "ref", "process-read", "process-write")
)
#: Operations that take hold of pages, and that are at work in another process's memory.
HOLDING: Final = frozenset((_PIN, _REF))
REMOTE: Final = frozenset((_PROCESS_READ, _PROCESS_WRITE))

_NO_PROCESS: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_PROCESS), 0)
_HANDLE_USED: Final[Outcome] = (int(Status.SKIPPED), int(Skip.HANDLE_USED), 0)
_NO_HANDLE: Final[Outcome] = (int(Status.SKIPPED), int(Skip.NO_HANDLE), 0)
_EFAULT: Final = failed(errno.EFAULT)
#: Python's errno does not know it: include/uapi/asm-generic/errno.h.
_EHWPOISON: Final = failed(133)
_EINVAL: Final = failed(errno.EINVAL)
_EIO: Final = failed(errno.EIO)
_ENOMEM: Final = failed(errno.ENOMEM)
_BLOCKED: Final = int(Status.BLOCKED)
_DONE: Final = int(Status.DONE)

#: What belongs to the state here, of the names that the oracle saves.
PIN_STATE: Final = ("_frames", "_orphans", "_pins")


class Pins(Memory):
    """The operations of devices, of other processes and of the kernel on a process's pages."""

    _holds: tuple[bool, ...]
    _pins: list[Pin | None]
    """By handle."""

    def _reset_pins(self) -> None:
        self._frames = {}
        self._orphans = []
        self._pins = [None] * PINS
        self._waits = True

    # --- frames ---

    @staticmethod
    def _content(process: Process, slot: int) -> int:
        swapped = process.swapped.get(slot)
        return process.row[slot] & CONTENT if swapped is None else swapped.content

    def _hold(self, pin: Pin, process: Process, slot: int, strict: bool) -> None:
        key, page = process.number << SLOT_SHIFT | slot, process.pages[slot]
        frame = page.frame if isinstance(page, FilePage) else self._frames.get(key)
        if frame is None and isinstance(page, FilePage):
            frame = page.frame = Frame(-1)
            frame.content, frame.page = page.content, page
        elif frame is None:
            frame = self._frames[key] = Frame(key)
        hold = Hold(frame, strict, self._content(process, slot))
        frame.holds.append(hold)
        pin.holds.append(hold)

    def _give_back(self, pin: Pin) -> None:
        for hold in pin.holds:
            frame = hold.frame
            if hold in frame.holds:
                frame.holds.remove(hold)
            if frame in self._orphans and not self._holds_of(frame):
                self._orphans.remove(frame)
            if not frame.holds and frame.key >= 0:
                del self._frames[frame.key]
                frame.key = -1

    def _stored(self, key: int, content: int) -> None:
        frame = self._frames.get(key)
        if frame is not None:
            for hold in frame.holds:
                hold.allowed.add(content)

    def _let_go(self, process: Process, slot: int) -> None:
        frame = self._frames.pop(process.number << SLOT_SHIFT | slot, None)
        if frame is not None:
            frame.content = self._content(process, slot)
            frame.key = -1
            swapped = process.swapped.get(slot)
            self._leave_behind(frame, process.pages[slot] if swapped is None else swapped.page)

    def _leave_behind(self, frame: Frame, page: Page) -> None:
        if isinstance(page, list) and not isinstance(page, FilePage) and not self._holds[versions.PIN_EXCLUSIVE]:
            frame.left.append(page)
            if frame not in self._orphans:
                self._orphans.append(frame)

    def _reuse(self, page: Page) -> None:
        for frame in self._orphans:
            frame.reused |= any(page is left for left in frame.left)

    def _leak(self, page: Page, content: int) -> None:
        for frame in self._orphans:
            if frame.reused and any(page is left for left in frame.left):
                for hold in self._holds_of(frame):
                    hold.leaked.add(content)

    def _holds_of(self, frame: Frame) -> list[Hold]:
        """All holds that were taken of the frame, also those that have turned out to follow it no longer."""
        return [hold for pin in self._pins if pin is not None for hold in pin.holds if hold.frame is frame]

    def _frame_moves(self, source: int, target: int) -> None:
        frame = self._frames.pop(source, None)
        if frame is not None:
            frame.key = target
            self._frames[target] = frame

    def _pinned(self, process: Process, slot: int) -> bool:
        frame = self._frames.get(process.number << SLOT_SHIFT | slot)
        return frame is not None and any(hold.strict for hold in frame.holds)

    def _frame_content(self, frame: Frame) -> int:
        if frame.key < 0:
            return frame.content
        process = self._processes[frame.key >> SLOT_SHIFT]
        assert process is not None
        return self._content(process, frame.key & SLOT_MASK)

    # --- faults of others ---

    def _fault_in(self, op: Operation, index: int, process: Process, slot: int, need: int) -> Outcome | None:
        """The page is there for reading: None; or what came instead."""
        if process.row[slot] & PRESENT:
            return None
        outcome = self._load(op, index, process, slot, need)
        return None if outcome[0] == _DONE else outcome

    def _fault_in_for_write(self, op: Operation, index: int, process: Process, slot: int, need: int) -> Outcome | None:
        """The page is there for writing: None; or what came instead."""
        outcome = self._store(op, index, process, slot, None, need)
        return None if outcome[0] == _DONE else outcome

    def _make_exclusive(self, process: Process, slot: int, zero_page: bool) -> bool:
        """Before the page is pinned for reading.  False: the pin need not follow it.

        :param zero_page: the zero page is not to be pinned.
        """
        page = process.pages[slot]
        if isinstance(page, FilePage):
            return self._follow_file(process, slot, page, zero_page)
        if not page and not (zero_page and self._holds[versions.PIN_ZERO]):
            return False
        if not self._holds[versions.PIN_EXCLUSIVE]:
            return False
        if not page or len(page) > 1 or isinstance(page, KsmPage) or (self._swap and self._is_cached(page)):
            self._copy_page(process, slot, process.number << SLOT_SHIFT | slot, page)
            process.row[slot] |= EXCLUSIVE
            process.packed = None
            self._also(rules.PIN_EXCLUSIVE if page else rules.PIN_ZERO)
        return True

    def _follow_file(self, process: Process, slot: int, page: FilePage, longterm: bool) -> bool:
        """Whether the pin follows a file's page; a long-term one is of the private copy that a write would make."""
        if self._maps_shared(process, slot):
            return True
        if longterm and self._holds[versions.PIN_FILE_COPY]:
            self._also(rules.PIN_FILE_COPY)
            self._store_file(process, slot, None)
            return True
        return False

    # --- pins and references ---

    def _op_pin(self, op: Operation) -> Outcome:
        return self._begin_hold(op, bool(op[5] & _WRITE))

    def _op_ref(self, op: Operation) -> Outcome:
        return self._begin_hold(op, False)

    def _begin_hold(self, op: Operation, write: bool) -> Outcome:
        if self._pins[op[2]] is not None:
            self._rule = rules.SKIP_USED
            return _HANDLE_USED
        self._pins[op[2]] = Pin(op[3], write)
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        return self._hold_pages(op, self._index, process)

    def _hold_pages(self, op: Operation, index: int, process: Process) -> Outcome:
        """Takes hold of one page after the other, until the range ends, a page cannot be had or a fault waits."""
        pin = self._pins[op[2]]
        assert pin is not None
        flags = op[5] if op[0] == _PIN else 0
        self._waits = not flags & _LOCKED and (not flags & _LONGTERM or self._holds[versions.PIN_WAITS])
        while len(pin.holds) < op[4] and not self._lacks_page(op, index, process, pin):
            outcome = self._hold_next(op, index, process, pin, flags)
            if outcome is not None and outcome[0] == _BLOCKED:
                return outcome
            if outcome is not None:
                break
        self._waits = True
        if not pin.holds:
            self._pins[op[2]] = None
            self._rule = rules.PIN_FAULT
            return _EFAULT
        self._rule = rules.PIN if op[0] == _PIN else rules.REF
        pin.ready = True
        return (_DONE, 0, len(pin.holds))

    def _come_before(self, op: Operation, index: int, process: Process, slot: int) -> None:
        """The page may be there, as the backend shows, though there was no memory for a copy of it."""
        raise NotImplementedError

    def _lacks_page(self, op: Operation, index: int, process: Process, pin: Pin) -> bool:
        """Whether a pin that was woken goes no further, as a request for memory failed in the present operation."""
        if not self._may_fail or index == self._index or not pin.holds:
            return False
        seen = self._saw(index)
        if seen is None or seen[0] != _DONE or seen[2] != len(pin.holds):
            return False
        self._also(rules.FAIL_NO_MEMORY)
        self._come_before(op, index, process, op[3] + len(pin.holds))
        return True

    def _hold_next(self, op: Operation, index: int, process: Process, pin: Pin, flags: int) -> Outcome | None:
        slot = pin.start + len(pin.holds)
        need = MAPPED if flags & _FORCE else WRITE if flags & _WRITE else READ
        if not process.row[slot] & need:
            return _EFAULT
        if flags & _WRITE and flags & _LONGTERM and self._tracks_dirty(process, slot):
            self._also(rules.PIN_DIRTY)
            return _EFAULT
        copies = flags & _LONGTERM and self._holds[versions.PIN_FILE_COPY] and not self._maps_shared(process, slot)
        if copies and process.row[slot] & HUGE:
            self._unmaps_first(op, index, process, slot)
        fault_in = self._fault_in_for_write if flags & _WRITE else self._fault_in
        outcome = fault_in(op, index, process, slot, need)
        if outcome is not None:
            return outcome
        strict = op[0] == _PIN
        if strict and not flags & _WRITE:
            strict = self._make_exclusive(process, slot, bool(flags & _LONGTERM))
        self._hold(pin, process, slot, strict)
        return None

    def _tracks_dirty(self, process: Process, slot: int) -> bool:
        """Whether a long-term pin for writing would pass the file system by."""
        backing = process.backing[slot] if process.backing is not None else None
        return backing is not None and backing[2] and not backing[0].shmem and self._holds[versions.PIN_DIRTY]

    def _set(self, page: FilePage, content: int) -> None:
        """All who map the page of a file see its new content."""
        raise NotImplementedError

    def _held(self, op: Operation) -> Hold | None:
        """The hold that a device's access names."""
        pin, slot = self._pins[op[2]], op[3]
        if pin is None or not pin.ready or not pin.start <= slot < pin.start + len(pin.holds):
            return None
        return pin.holds[slot - pin.start]

    def _op_pin_read(self, op: Operation) -> Outcome:
        hold = self._held(op)
        if hold is None:
            self._rule = rules.SKIP_NO_HANDLE
            return _NO_HANDLE
        content = self._frame_content(hold.frame)
        if hold.frame.cut is not None:
            content = self._cut_content(hold, content, *hold.frame.cut)
        if hold.strict:
            self._rule = rules.PIN_READ
            return (_DONE, content, 0)
        self._rule = rules.REF_READ
        return (_DONE, self._shown(hold, content), 0)

    def _cut_content(self, hold: Hold, content: int, file: File, number: int) -> int:
        """What a held page that was taken from its file shows: as part of a huge page it may be cleared, and stay."""
        page, seen = file.pages.get(number), self._seen_record()
        shown = {0, hold.frame.later, page.content if page is not None else 0}
        hold.allowed |= shown
        if hold.strict and seen is not None and seen[1] == _DONE and seen[3] in shown - {content}:
            self._also(rules.HUGE_HELD)
            hold.frame.content = content = seen[3]
        return content

    def _write_cut(self, file: File, number: int, value: int) -> None:
        """A device has written to a page that was taken from its file, and may be the file's still."""
        page = file.pages.get(number)
        if page is None:
            page = file.pages[number] = FilePage(value)
            page.perhaps_lost = page.perhaps_hole = True
            file.doubtful.discard(number)
        elif page.perhaps_lost:
            page.content = value
        elif page and not any(self._shows(key, value) for key in page):
            return
        elif page or self._choose(2):
            self._set(page, value)

    def _shows(self, key: int, value: int) -> bool:
        return (self._seen_word(*self._slot_of(key)) or 0) & (PRESENT | CONTENT) == PRESENT | value

    def _shown(self, hold: Hold, content: int) -> int:
        """What a loose hold shows; once that is not what the page holds, the hold is no longer at the page."""
        if content not in hold.allowed:
            content = min(hold.allowed)
        seen = self._seen_record()
        if seen is not None and seen[1] == _DONE and seen[3] in hold.allowed and seen[3] != content:
            hold.allowed = {seen[3]}
            if hold in hold.frame.holds:
                hold.frame.holds.remove(hold)
            return seen[3]
        if seen is not None and seen[1] == _DONE and seen[3] in hold.leaked:
            self._met[rules.REF_LEAK] = None
            return seen[3]
        return content

    def _op_pin_write(self, op: Operation) -> Outcome:
        hold, pin = self._held(op), self._pins[op[2]]
        if hold is None or pin is None or not pin.write:
            self._rule = rules.SKIP_NO_HANDLE
            return _NO_HANDLE
        self._rule = rules.PIN_WRITE
        frame, value = hold.frame, op[4]
        frame.content = value
        if frame.key >= 0:
            process = self._processes[frame.key >> SLOT_SHIFT]
            assert process is not None
            slot = frame.key & SLOT_MASK
            if slot in process.swapped:
                process.swapped[slot].content = value
            else:
                process.row[slot] = process.row[slot] & ~CONTENT | value
            process.packed = None
        if frame.page is not None:
            self._set(frame.page, value)
        if frame.cut is not None:
            self._write_cut(*frame.cut, value)
        for other in frame.holds:
            other.allowed.add(value)
        return DONE

    def _op_unpin(self, op: Operation) -> Outcome:
        pin = self._pins[op[2]]
        if pin is None or not pin.ready:
            self._rule = rules.SKIP_NO_HANDLE
            return _NO_HANDLE
        self._rule = rules.UNPIN
        self._pins[op[2]] = None
        self._give_back(pin)
        return DONE

    # --- waiting ---

    def _go_on_holding(self, waiter: Waiter) -> Outcome:
        return self._hold_pages(waiter.op, waiter.index, waiter.context.mm)

    def _remote_again(self, waiter: Waiter) -> Outcome:
        at_work = self._read_from_outside if waiter.op[0] == _PROCESS_READ else self._write_from_outside
        return at_work(waiter.op, waiter.index, waiter.context.mm)

    def _populate_again(self, waiter: Waiter) -> Outcome:
        return self._populate_pages(waiter.op, waiter.index, waiter.context.mm, waiter.slot, waiter)

    def _abandon(self, waiter: Waiter) -> None:
        if waiter.op[0] in HOLDING:
            pin = self._pins[waiter.op[2]]
            assert pin is not None
            self._pins[waiter.op[2]] = None
            self._give_back(pin)

    def _used_from_outside(self, process: Process) -> bool:
        return any(
            isinstance(waiter, Waiter)
            and waiter.op[0] in REMOTE
            and waiter.context.mm is process
            and process_of(waiter.task) != process.number
            for waiter in self._blocked.values()
        )

    # --- access from outside ---

    def _op_process_read(self, op: Operation) -> Outcome:
        process = self._target(op)
        return _NO_PROCESS if process is None else self._read_from_outside(op, self._index, process)

    def _read_from_outside(self, op: Operation, index: int, process: Process) -> Outcome:
        slot = op[3]
        if not process.row[slot] & READ:
            self._rule = rules.PROCESS_FAULT
            return _EFAULT
        outcome = self._fault_in(op, index, process, slot, READ)
        if outcome is not None:
            return outcome if outcome[0] == _BLOCKED else _EFAULT
        self._make_exclusive(process, slot, False)
        self._rule = rules.PROCESS_READ
        return (_DONE, self._content(process, slot), 0)

    def _op_process_write(self, op: Operation) -> Outcome:
        process = self._target(op)
        return _NO_PROCESS if process is None else self._write_from_outside(op, self._index, process)

    def _write_from_outside(self, op: Operation, index: int, process: Process) -> Outcome:
        if not process.row[op[3]] & WRITE:
            self._rule = rules.PROCESS_FAULT
            return _EFAULT
        outcome = self._store(op, index, process, op[3], op[4])
        if outcome[0] in (_DONE, _BLOCKED):
            self._also(rules.PROCESS_WRITE)
            return outcome
        return _EFAULT

    def _op_mem_read(self, op: Operation) -> Outcome:
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        self._waits = False
        mapped = process.row[op[3]] & MAPPED
        outcome = self._load(op, self._index, process, op[3], MAPPED)
        self._waits = True
        self._rule = rules.MEM_READ if mapped else rules.MEM_FAULT
        return outcome if outcome[0] == _DONE else _EIO

    def _op_mem_write(self, op: Operation) -> Outcome:
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        self._waits = False
        outcome = self._store(op, self._index, process, op[3], op[4], MAPPED)
        self._waits = True
        self._rule = rules.MEM_WRITE if outcome[0] == _DONE else rules.MEM_FAULT
        return outcome if outcome[0] == _DONE else _EIO

    # --- populating ---

    def _op_populate(self, op: Operation) -> Outcome:
        process = self._processes[op[1] & PROCESS_MASK]
        assert process is not None
        return self._populate_pages(op, self._index, process, op[2])

    def _populate_pages(
        self, op: Operation, index: int, process: Process, start: int, stopped: Waiter | None = None
    ) -> Outcome:
        """Populates the pages from ``start`` on.

        :param stopped: the waiter of the fault that stopped it there before.
        """
        hole, until = (stopped.hole, stopped.until) if stopped is not None else (False, start)
        reads = op[4] == _POPULATE_READ
        need = READ if reads else WRITE
        fault_in = self._fault_in if reads else self._fault_in_for_write
        ends_at = self._lacks_pages(op, index, process, start)
        for slot in range(start, op[2] + op[3]):
            word = process.row[slot]
            if slot == ends_at:
                self._rule = rules.FAIL_NO_MEMORY
                return _ENOMEM
            if not word and not self._holds[versions.POPULATE_HOLE] and slot >= until:
                hole = True
                continue
            if slot >= until:
                until = self._mapping_end(process, slot)
            if not word & need:
                self._rule = rules.POPULATE_ERROR
                return _EINVAL if word else _ENOMEM
            outcome = fault_in(op, index, process, slot, need)
            if outcome is not None:
                self._also(rules.POPULATE_ERROR)
                if process.poisoned >> slot & 1:
                    return _EHWPOISON if self._holds[versions.LOST_IS_POISON] else _EFAULT
                if outcome[0] == _BLOCKED:
                    waiter = self._blocked[op[1]]
                    assert isinstance(waiter, Waiter)
                    waiter.hole, waiter.until = hole, until
                    return outcome
                return _EFAULT
        self._rule = rules.POPULATE_READ if reads else rules.POPULATE_WRITE
        if hole:
            self._rule = rules.POPULATE_ERROR
            return _ENOMEM
        return DONE

    def _lacks_pages(self, op: Operation, index: int, process: Process, start: int) -> int:
        """The slot that there is no memory to populate, if the request that fails in the present operation is one of
        a task that was woken, and that is shown to have failed; -1: none."""
        if not self._may_fail or index == self._index or self._saw(index) != _ENOMEM:
            return -1
        slots = range(start, op[2] + op[3])
        ways = [(slot, back) for slot in slots for back in sorted({False, slot in process.swapped})]
        choice = self._choose(len(ways) + 1)
        if not choice:
            return -1
        slot, back = ways[choice - 1]
        if back and slot in process.swapped:
            self._swap_in(process, slot)  # there was no memory for a copy of it
        self._may_be_unprotected(process, slot)
        if process.backing is not None and process.backing[slot] is not None:
            self._map_around(process, slot)
        return slot

    # --- migration ---

    def _op_migrate(self, op: Operation) -> Outcome:
        process = self._target(op)
        if process is None:
            return _NO_PROCESS
        self._rule = rules.MIGRATE
        slots = range(op[3], op[3] + op[4])
        self._may_split(process, slots)
        if self._huge and not self._holds[versions.HUGE_MIGRATION_KEEPS]:
            self._may_unprotect(process, slots)
        most = len({id(process.pages[s]) for s in slots if process.pages[s] and not self._pinned(process, s)})
        seen = self._seen_record()
        limit = most * HUGE_PAGES if self._huge else most  # a folio moves as a whole, and each of its pages counts
        moved = seen[4] if seen is not None and 0 <= seen[4] <= limit else most
        return (_DONE, 0, moved)

    def _may_unprotect(self, process: Process, slots: range) -> None:
        """Kernels lose the write protection of a huge page that they migrate, in each process that maps it whole."""
        for slot in slots:
            for key in process.pages[slot] or ():
                number, at = key >> SLOT_SHIFT, (key & SLOT_MASK) // HUGE_PAGES * HUGE_PAGES
                other = self._processes[number]
                assert other is not None
                for each in range(at, at + HUGE_PAGES):
                    if other.row[each] & HUGE and other.row[each] & UFFD_WP:
                        self._once.append((number << SLOT_SHIFT | each, UFFD_WP, rules.HUGE_MIGRATION_WP, -1))

    def _op_numa_hint(self, _: Operation) -> Outcome:
        self._rule = rules.NUMA_HINT
        return DONE
