"""The trace: what a backend says of a run, as bytes.

A trace is a sequence of records, little endian, one per operation in program order, then (from the built machine) at
most one end.  The oracle produces the same bytes, so that agreement is one comparison.

Record:
    ``<HBBii``  op index, status, count of completions, value, aux
    completions, each ``<HBxii``  op index, status, value, aux: operations that blocked earlier and ended now,
        ascending by (process, task)
    after a ksm operation, a split, a migration, a swap-out or a uffd-move, only if snapshots are on: the sharing map
        (see below)
    a snapshot, if asked for
    an internals block, if asked for (never produced by the oracle)

Value and aux:
    read: DONE, value is the byte read, or :data:`VALUE_MIXED` if the page is not filled with one byte
    copy, zeropage: aux is the count of pages the ioctl reported (0 if it was not reached), or a negated errno
    uffd-read: DONE, value is ``event | flags << 8 | slot << 16``; event is UFFD_EVENT_*, flags UFFD_PAGEFAULT_FLAG_*
        (0 unless a page fault), slot the first one concerned (0 for a fork event); aux is 0 for a page fault, the new
        handle + 1 for a fork, the pages for a remove or unmap event, ``target slot | pages << 8`` for a remap event
    ERROR: value is the errno; SIGNAL: value is the signal number; SKIPPED: value is a :class:`Skip`
    BLOCKED: value is a :class:`Wait`
    uffd-close, wake, ...: DONE, 0, 0

Snapshot:
    ``<I`` bit mask of live processes; for each of them, ascending: SLOTS words ``<I`` (see :class:`Bit`; all 0 where
    nothing is mapped), then ``<iii``: resident anonymous pages, resident file and shmem pages, swap entries.

Internals block: for each live process, ascending, SLOTS words ``<I`` (see :class:`Internal`; 0: nothing is mapped);
    ``<IIH``: TLB flushes, page faults, locks with a name of their own that were taken since the last record; a byte for
    each of these, of the first NOTES_MAX: the number of its name (``fl_lock_name_of()``), with :data:`SHARED` if it was
    taken for reading.  Nothing in it depends on what ran before the program.

Sharing map: one byte per slot for each live process, ascending: the lowest ``process * SLOTS + slot`` that maps the
    same page, its own number if the page is not shared or the slot holds no page.  It is what pagemap's PFNs tell root.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Final

RECORD: Final = struct.Struct("<HBBii")
COMPLETION: Final = struct.Struct("<HBxii")
SNAPSHOT_HEAD: Final = struct.Struct("<I")
COUNTERS: Final = struct.Struct("<iii")
INTERNALS_TAIL: Final = struct.Struct("<IIH")
#: Locks of one operation that an internals block names: FL_NOTES_MAX.
NOTES_MAX: Final = 255
SHARED: Final = 0x80
VALUE_MIXED: Final = 256


class Status(IntEnum):
    DONE = 0
    BLOCKED = 1
    SKIPPED = 2
    SIGNAL = 3
    ERROR = 4
    KILLED = 5


class Skip(IntEnum):
    NO_PROCESS = 1
    """The acting or named process does not live."""
    BUSY = 2
    """The task is still blocked in an earlier operation; for swapoff: some task is."""
    EXISTS = 3
    """The child process lives, or its number is taken by a fork still under way."""
    HANDLE_USED = 4
    NO_HANDLE = 5
    LACKS = 6
    """The kernel lacks what the operation needs."""


class Wait(IntEnum):
    FAULT = 1
    """A page fault that a userfaultfd holds."""
    EVENT = 2
    """An event that the monitor has not read yet."""
    LOCK = 3
    """A sleeping lock that a blocked task holds."""


class Event(IntEnum):
    """The event of a message that uffd-read delivers: UFFD_EVENT_* of linux/userfaultfd.h."""

    PAGEFAULT = 0x12
    FORK = 0x13
    REMAP = 0x14
    REMOVE = 0x15
    UNMAP = 0x16


class FaultFlag(IntFlag):
    """The flags of a page fault's message: UFFD_PAGEFAULT_FLAG_* of linux/userfaultfd.h; none: a missing page, read."""

    WRITE = 1 << 0
    WP = 1 << 1
    MINOR = 1 << 2


class Met(IntEnum):
    """What a page fault met, in ``struct fl_cost``."""

    NOTHING = 0
    """There was no fault."""
    MISSING = 1
    """No entry."""
    SWAP_ENTRY = 2
    """An entry that is not present: for swap, migration or a marker."""
    NUMA_HINT = 3
    UFFD_WP = 4
    """A write, of a page that a userfaultfd write-protects."""
    WRITE_PROTECTED = 5
    """A write, of any other page with an entry that does not allow it."""
    PRESENT = 6
    """An entry that allows it."""


class Bit(IntFlag):
    """Bits of a slot's word; the low byte is the content (what a load would return, 0 for a page not there yet)."""

    CONTENT = 0xFF
    MAPPED = 1 << 8
    READ = 1 << 9
    """The vma allows reading (/proc/PID/maps)."""
    WRITE = 1 << 10
    PRESENT = 1 << 11
    """pagemap bit 63."""
    SWAP = 1 << 12
    """pagemap bit 62."""
    FILE = 1 << 13
    """pagemap bit 61."""
    UFFD_WP = 1 << 14
    """pagemap bit 57."""
    EXCLUSIVE = 1 << 15
    """pagemap bit 56."""
    SOFT_DIRTY = 1 << 16
    """pagemap bit 55; 0 where the profile has no soft-dirty."""
    MIXED = 1 << 17
    """The page is not filled with one byte."""
    REG_MISSING = 1 << 18
    """smaps VmFlags `um`."""
    REG_WP = 1 << 19
    """smaps VmFlags `uw`."""
    MERGEABLE = 1 << 20
    """smaps VmFlags `mg`."""
    REG_MINOR = 1 << 21
    """smaps VmFlags `ui`."""
    DONTFORK = 1 << 22
    """smaps VmFlags `dc`."""
    WIPEONFORK = 1 << 23
    """smaps VmFlags `wf`."""
    GUARD = 1 << 24
    """pagemap bit 58 (since Linux 6.15)."""
    HUGE = 1 << 25
    """A huge page table entry maps the page (smaps AnonHugePages, ShmemPmdMapped, FilePmdMapped)."""


class Internal(IntFlag):
    """Bits of a slot's word in an internals block: what user space cannot see of its entry and its page."""

    PRESENT = 1 << 0
    WRITE = 1 << 1
    YOUNG = 1 << 2
    DIRTY = 1 << 3
    PROT_NONE = 1 << 4
    SPECIAL = 1 << 5
    UFFD_WP = 1 << 6
    SOFT_DIRTY = 1 << 7
    ANON_EXCLUSIVE = 1 << 8
    """The page's own flag, or that of an entry in swap."""
    KSM = 1 << 9
    """KSM made the page."""
    PAGE_DIRTY = 1 << 10
    """Of a page: its content is newer than what is behind it."""
    PAGE_REFERENCED = 1 << 11
    SWAP_BACKED = 1 << 12
    """Of a page: it is not lazily freed."""
    SWAP_CACHE = 1 << 13
    MAPCOUNT = 0x7F << 16
    REFERENCES = 0xFF << 24
