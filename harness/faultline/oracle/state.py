"""What the oracle knows: processes with their pages and mappings, userfaultfds, and who waits for what.

A process's part of a snapshot is kept ready as it goes into the trace: one word per slot (see
:class:`~faultline.program.trace.Bit`), then the counters.  What user space cannot see stands beside it.
"""

from __future__ import annotations

from array import array
from typing import Final, TypeAlias

from faultline.program import trace
from faultline.program.codec import Operation
from faultline.program.ops import HUGE_PAGES as HUGE_PAGES
from faultline.program.ops import SLOTS

CONTENT: Final = int(trace.Bit.CONTENT)
MAPPED: Final = int(trace.Bit.MAPPED)
READ: Final = int(trace.Bit.READ)
WRITE: Final = int(trace.Bit.WRITE)
PRESENT: Final = int(trace.Bit.PRESENT)
SWAP: Final = int(trace.Bit.SWAP)
FILE: Final = int(trace.Bit.FILE)
UFFD_WP: Final = int(trace.Bit.UFFD_WP)
EXCLUSIVE: Final = int(trace.Bit.EXCLUSIVE)
REG_MISSING: Final = int(trace.Bit.REG_MISSING)
REG_WP: Final = int(trace.Bit.REG_WP)
REG_MINOR: Final = int(trace.Bit.REG_MINOR)
MERGEABLE: Final = int(trace.Bit.MERGEABLE)
DONTFORK: Final = int(trace.Bit.DONTFORK)
WIPEONFORK: Final = int(trace.Bit.WIPEONFORK)
GUARD: Final = int(trace.Bit.GUARD)
HUGE: Final = int(trace.Bit.HUGE)

REGISTERED: Final = REG_MISSING | REG_WP | REG_MINOR
#: The bits that describe the mapping, not the page.
VMA_BITS: Final = MAPPED | READ | WRITE | REGISTERED | MERGEABLE | DONTFORK | WIPEONFORK
#: The bits of a page without a mapping's.
PAGE_BITS: Final = CONTENT | PRESENT | SWAP | FILE | UFFD_WP | EXCLUSIVE | GUARD

#: Where the counts of resident anonymous pages and of swap entries stand in a row, after the slots' words.
ANON: Final = SLOTS
SWAP_ENTRIES: Final = SLOTS + 2
#: And that of resident pages of files and shared memory.
FILES: Final = SLOTS + 1
_ROW: Final = bytes(SLOTS * 4 + trace.COUNTERS.size)
#: A slot of all processes is ``process << SLOT_SHIFT | slot``: what the sharing map calls a slot.
SLOT_SHIFT: Final = SLOTS.bit_length() - 1
SLOT_MASK: Final = SLOTS - 1

Outcome: TypeAlias = tuple[int, int, int]
"""Status, value, aux."""
Page: TypeAlias = "list[int] | tuple[()] | None"
"""The slots that map an anonymous page; ZERO: the zero page; None: no page is mapped."""
ZERO: Final[tuple[()]] = ()


#: The home of a page that is a folio of its own: a copy that was made for a store.
ALONE: Final = -1


def home_of(slot: int, index: int = -1) -> int:
    """The home of a page that was made in a slot by the operation with this index; -1: by any.

    Pages of one folio are made by one operation.
    """
    return (index + 1) * SLOTS + slot


class KsmPage(list[int]):
    """The slots that map a page that KSM made."""


class StuckPage(KsmPage):
    """The slot that maps a page which KSM made and may not have unmerged, by a deviation."""


class HugetlbPage(list[int]):
    """The slots that map this part of a huge page of hugetlbfs; it counts as no page of its process."""


class SwapEntry:
    """A page in swap, for as long as slots refer to it there.

    Such a slot maps no page, so its ``Process.pages`` is None; ``Process.swapped`` leads here.
    """

    __slots__ = ("bad", "content", "merged", "page", "unread", "users")

    def __init__(self, content: int, page: list[int]) -> None:
        self.merged = isinstance(page, KsmPage) and len(page) > 1
        """Its page was one that KSM made: who comes from swap may or may not share one."""
        self.bad = False
        """A read of it may have failed: it may be lost."""
        self.unread = False
        """Its page may be one that was mapped although it could not be read."""
        self.content = content
        """What a load would return."""
        self.page = page
        """The slots that map the page that the swap cache may still hold; who comes from swap may join them."""
        self.users: list[int] = []
        """The slots that refer to the page in swap."""


class File:
    """A file, or the object behind a shared anonymous mapping.  It lives for as long as something refers to it."""

    __slots__ = ("doubtful", "lost", "miscounted", "pages", "shmem", "size")

    def __init__(self, size: int, *, shmem: bool) -> None:
        self.size = size
        """In pages."""
        self.shmem = shmem
        """Its page cache is all there is of it, so that a hole can be told from a page of zeroes."""
        self.pages: dict[int, FilePage] = {}
        """Those that are no holes; of a file with a store, those that were looked at."""
        self.miscounted = False
        """A read of a page of it from swap may have failed: cutting may pass over its pages then, by a deviation."""
        self.lost: dict[int, int] = {}
        """The contents of pages that were cut off since."""
        self.doubtful: set[int] = set()
        """Holes that may have been filled with zeroes as parts of huge pages."""


class FilledPage(list[int]):
    """The slots that share a page of zeroes which nobody asked for: it came with a neighbour."""

    stored = False
    """Somebody stored to it since, be it zeroes; it may have been copied then."""


class FilePage(list[int]):
    """The slots that map a page of a file."""

    def __init__(self, content: int = 0) -> None:
        super().__init__()
        self.content = content
        self.frame: Frame | None = None
        """Whoever holds the page."""
        self.perhaps_hole = False
        """It may be a hole: reclaim drops zeroes that nobody wrote, splitting what lies beyond the end of the file."""
        self.written = False
        """Somebody wrote to it, if only zeroes."""
        self.bad = False
        """A read of it from swap may have failed: it may be lost."""
        self.perhaps_lost = False
        """It lay beyond the end of the file once."""


Backing: TypeAlias = "tuple[File, int, bool]"
"""What a slot of a file mapping shows: the file, its page, whether the mapping is shared."""


class Process:
    """An address space, and with it the process: live, or the child of a fork under way."""

    __slots__ = (
        "advised", "alive", "backing", "contexts", "doomed", "edges", "homes", "hugetlb", "lazy", "nohuge", "number",
        "packed", "pages", "poisoned", "row", "swapped", "touched", "unseen",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        self.row = array("I", _ROW)
        self.packed: bytes | None = None
        """The row as bytes; None after a change."""
        self.pages: list[Page] = [None] * SLOTS
        self.backing: list[Backing | None] | None = None
        """By slot, once the process maps a file."""
        self.contexts: list[Context | None] = [None] * SLOTS
        self.edges = 0
        """Bit i: a mapping may begin at slot i although it equals the one before."""
        self.hugetlb = 0
        """Bit i: slot i belongs to a mapping of huge pages of hugetlbfs."""
        self.homes: dict[int, int] = {}
        """By slot: where and when the page that it maps, or has in swap, was made, as :func:`home_of` says; ALONE: in
        no folio; no entry: here, at any time."""
        self.nohuge = 0
        """Bit i: huge pages were forbidden for slot i."""
        self.touched = 0
        """Bit i: slot i has held an anonymous page since it was mapped."""
        self.advised = False
        """It has had advice about fork: some slots may be DONTFORK or WIPEONFORK."""
        self.lazy = 0
        """Bit i: the page of slot i was given up by MADV_FREE and not written since."""
        self.doomed: dict[int, int] = {}
        """By slot: another slot gave up the page that it maps, and why kernels may discard it: a deviation."""
        self.swapped: dict[int, SwapEntry] = {}
        """By slot: its page is in swap."""
        self.unseen = False
        """It is not born yet, and reclaim has worked on its pages meanwhile."""
        self.poisoned = 0
        """Bit i: accesses to slot i, which has no page, are SIGBUS."""

    def pack(self) -> bytes:
        packed = self.packed
        if packed is None:
            packed = self.packed = self.row.tobytes()
        return packed


class Context:
    """A userfaultfd."""

    __slots__ = ("changing", "closed", "events", "features", "mm", "waiters")

    def __init__(self, mm: Process, features: int) -> None:
        self.mm = mm
        self.features = features
        self.closed = False
        self.changing = 0
        """Operations that wait for an event of this userfaultfd, now or in their turn."""
        self.waiters: list[Waiter] = []
        self.events: list[EventWaiter] = []


class Waiter:
    """A task that a fault has stopped."""

    __slots__ = ("context", "flags", "hole", "index", "op", "read", "slot", "task", "until")

    def __init__(self, task: int, index: int, op: Operation, context: Context, slot: int, flags: int) -> None:
        self.task = task
        self.index = index
        self.op = op
        self.context = context
        self.slot = slot
        self.flags = flags
        """Of its message."""
        self.read = False
        """Its message was read."""
        self.hole = False
        """Part of the range before was not mapped."""
        self.until = 0
        """Where the mapping ended that it was populating."""


class EventWaiter:
    """A task whose operation waits until its events are read, one after another."""

    __slots__ = ("doubt", "index", "outcome", "queue", "task")

    def __init__(self, task: int, index: int, queue: list[tuple[Context, Context | Outcome]]) -> None:
        self.task = task
        self.index = index
        self.queue = queue
        """Userfaultfds whose event is still to be read, each with the message, or with the child's userfaultfd."""
        self.outcome: Outcome = (int(trace.Status.DONE), 0, 0)
        """Of the operation, when all are read."""
        self.doubt = -1
        """The deviation by which kernels leave the last event out; -1: none."""


class ForkWaiter(EventWaiter):
    """A task whose fork waits."""

    __slots__ = ("child", "may_fail", "open_bits")

    def __init__(self, task: int, index: int, child: Process, queue: list[tuple[Context, Context | Outcome]]) -> None:
        super().__init__(task, index, queue)
        self.child = child
        self.open_bits: list[OpenBits] = []
        """Of the child's slots, for when it is born."""
        self.may_fail = False
        """A request for memory may have failed in the fork, so that the child is never born."""


class RemoveWaiter(EventWaiter):
    """A task that drops the pages of [at, stop) when the event is read, then goes on with what is left of its range."""

    __slots__ = ("advice", "at", "backing", "edges", "end", "hole", "process", "punches", "stop")

    def __init__(self, task: int, index: int, process: Process, at: int, end: int, advice: int) -> None:
        super().__init__(task, index, [])
        self.advice = advice
        self.process = process
        self.at = at
        self.stop = at
        self.edges = 0
        """Of the process, when the event was sent: it may tell less than up to ``stop``."""
        self.end = end
        self.punches = False
        """The pages go from the file too."""
        self.backing: list[Backing | None] = []
        """By slot, when the event was sent."""
        self.hole = False
        """Part of the range before was not mapped."""


class Frame:
    """A page that somebody holds: a device by a pin, or another by a plain reference."""

    __slots__ = ("content", "cut", "holds", "key", "later", "left", "page", "reused")

    def __init__(self, key: int) -> None:
        self.key = key
        """The slot of all processes that maps it, -1 if that does no longer."""
        self.content = 0
        """Its byte, if no slot maps it."""
        self.page: FilePage | None = None
        """If it is the page of a file; then ``key`` is -1."""
        self.cut: tuple[File, int] | None = None
        """The place in a file that it was taken from, which it may hold still as part of a huge page."""
        self.later = 0
        """The content of the page that was there last, when that was taken away too."""
        self.holds: list[Hold] = []
        self.left: list[list[int]] = []
        """For each page that it was, the slots of others that mapped it when its own let it go."""
        self.reused = False
        """One of them may store to it."""


class Hold:
    """A hold on a page.  A strict one follows the page's content; a loose one shows something of ``allowed``, or by a
    known deviation of ``leaked``."""

    __slots__ = ("allowed", "frame", "leaked", "strict")

    def __init__(self, frame: Frame, strict: bool, content: int) -> None:
        self.frame = frame
        self.strict = strict
        self.allowed = {content}
        self.leaked: set[int] = set()


class Pin:
    """A handle of held pages."""

    __slots__ = ("holds", "ready", "start", "write")

    def __init__(self, start: int, write: bool) -> None:
        self.start = start
        self.write = write
        self.holds: list[Hold] = []
        self.ready = False
        """All its pages are held; False: the operation is under way."""


OpenBits: TypeAlias = tuple[int, int, int, int]
"""A slot of all processes, bits of its word that are open, and why: a deviation or -1, a rule or -1."""
