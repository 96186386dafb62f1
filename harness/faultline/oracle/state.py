"""What the oracle knows: processes with their pages and mappings, userfaultfds, and who waits for what.

A process's part of a snapshot is kept ready as it goes into the trace: one word per slot (see
:class:`~faultline.program.trace.Bit`), then the counters.  What user space cannot see stands beside it.
"""

from __future__ import annotations

from array import array
from typing import Final, TypeAlias

from faultline.program import trace
from faultline.program.codec import Operation
from faultline.program.ops import SLOTS

CONTENT: Final = int(trace.Bit.CONTENT)
MAPPED: Final = int(trace.Bit.MAPPED)
READ: Final = int(trace.Bit.READ)
WRITE: Final = int(trace.Bit.WRITE)
PRESENT: Final = int(trace.Bit.PRESENT)
SWAP: Final = int(trace.Bit.SWAP)
UFFD_WP: Final = int(trace.Bit.UFFD_WP)
EXCLUSIVE: Final = int(trace.Bit.EXCLUSIVE)
REG_MISSING: Final = int(trace.Bit.REG_MISSING)
REG_WP: Final = int(trace.Bit.REG_WP)
MERGEABLE: Final = int(trace.Bit.MERGEABLE)

REGISTERED: Final = REG_MISSING | REG_WP
#: The bits that describe the mapping, not the page.
VMA_BITS: Final = MAPPED | READ | WRITE | REGISTERED | MERGEABLE
#: The bits of a page without a mapping's.
PAGE_BITS: Final = CONTENT | PRESENT | SWAP | UFFD_WP | EXCLUSIVE

#: Where the count of resident anonymous pages stands in a row, after the slots' words.
ANON: Final = SLOTS
_ROW: Final = bytes(SLOTS * 4 + trace.COUNTERS.size)
#: A slot of all processes is ``process << SLOT_SHIFT | slot``: what the sharing map calls a slot.
SLOT_SHIFT: Final = SLOTS.bit_length() - 1
SLOT_MASK: Final = SLOTS - 1

Page: TypeAlias = "list[int] | tuple[()] | None"
"""The slots that map an anonymous page; ZERO: the zero page; None: no page."""
ZERO: Final[tuple[()]] = ()


class KsmPage(list[int]):
    """The slots that map a page that KSM made."""


class Process:
    """An address space, and with it the process: live, or the child of a fork under way."""

    __slots__ = ("alive", "contexts", "edges", "number", "packed", "pages", "row", "touched")

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        self.row = array("I", _ROW)
        self.packed: bytes | None = None
        """The row as bytes; None after a change."""
        self.pages: list[Page] = [None] * SLOTS
        self.contexts: list[Context | None] = [None] * SLOTS
        self.edges = 0
        """Bit i: a mapping may begin at slot i although it equals the one before."""
        self.touched = 0
        """Bit i: slot i has held an anonymous page since it was mapped."""

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
        """Forks that wait for an event of this userfaultfd, now or in their turn."""
        self.waiters: list[Waiter] = []
        self.events: list[ForkWaiter] = []


class Waiter:
    """A task that a fault has stopped."""

    __slots__ = ("context", "flags", "index", "op", "read", "slot", "task")

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


class ForkWaiter:
    """A task whose fork waits until its events are read, one after another."""

    __slots__ = ("child", "index", "open_bits", "queue", "task")

    def __init__(self, task: int, index: int, child: Process, queue: list[tuple[Context, Context]]) -> None:
        self.task = task
        self.index = index
        self.child = child
        self.queue = queue
        """Userfaultfds of the parent whose event is still to be read, each with the child's."""
        self.open_bits: list[OpenBits] = []
        """Of the child's slots, for when it is born."""


OpenBits: TypeAlias = tuple[int, int, int, int]
"""A slot of all processes, bits of its word that are open, and why: a deviation or -1, a rule or -1."""
