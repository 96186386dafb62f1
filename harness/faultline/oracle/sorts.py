"""Sorts of operations by what they do to others beside them, and the words of their operands."""

from __future__ import annotations

import errno
from typing import Final

from faultline.program.codec import Operation, process_of
from faultline.program.ops import (
    ADVICE,
    BY_NAME,
    FEATURES,
    OPS,
    PAGES,
    PIN_FLAGS,
    POPULATE,
    SCAN_MODE,
    SLOT,
    SLOTS,
    Form,
)


def codes_of(*names: str) -> frozenset[int]:
    """The codes of these operations."""
    return frozenset(BY_NAME[name].code for name in names)


#: Where the number of pages stands in an operation.
PAGES_AT: Final = {op.code: op.kinds.index(PAGES) + 2 for op in OPS if PAGES in op.kinds}
#: Of these the outcome is the sum of those of the steps.
SUMMED: Final = codes_of("migrate", "pagemap-scan")
#: Of those with a step for each page no page's is sure to come before another's: what they forbid or take away TLBs may
#: allow until they return.  Source: Documentation/core-api/cachetlb.rst (a flush comes when the entries have changed).
FORBIDS: Final = codes_of("uffd-wp", "madvise", "mprotect", "pagemap-scan", "guard-install")
#: Best effort, as is MADV_PAGEOUT: may leave pages as they are.  Source: Documentation/admin-guide/mm/ksm.rst,
#: Documentation/mm/page_migration.rst (pages in use elsewhere are passed over), madvise(2), MADV_PAGEOUT.
BEST_EFFORT: Final = codes_of(
    "swap-out", "ksm-merge", "ksm-scan", "khugepaged", "split", "migrate", "drop-swap-cache", "numa-hint"
)
#: Reclaim takes pages, wherever they are mapped meanwhile, or leaves them: which are in swap is open.  Source: as
#: above.
RECLAIMS: Final = codes_of("swap-out", "drop-swap-cache", "madvise")
#: Which pages of a range are shared depends on where the operation was when others changed them.  Source: fork(2).
SHARES: Final = codes_of("fork")
#: What KSM merges of pages that change meanwhile is open.  Source: Documentation/admin-guide/mm/ksm.rst.
MERGES: Final = codes_of("ksm-merge", "ksm-scan")
#: Of these EAGAIN and ENOENT say the same: the layout of the process was changing; and so do EFAULT and ENOMEM: the
#: file ends before the page.  Source: ioctl_userfaultfd(2), ERRORS; rule fill-beyond.
FILLS: Final = codes_of(
    "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move", "uffd-wp", "uffd-resolve"
)
#: What brings pages and wakes who waits for them.
BRINGS: Final = codes_of("uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
#: What ends a registration wakes who waits.  Source: ioctl_userfaultfd(2), UFFDIO_UNREGISTER; userfaultfd(2).
UNREGISTERS: Final = codes_of("uffd-unregister", "uffd-close")
#: What wakes who waits for a page.  Source: ioctl_userfaultfd(2).
WAKES: Final = BRINGS | UNREGISTERS | codes_of("uffd-resolve", "uffd-wake")
#: What tells which pages have which bits.
SCANS: Final = codes_of("pagemap-scan")
#: Of this EINVAL says that, too.
CONTINUES: Final = codes_of("uffd-continue")
#: What cannot be moved for now it tells by one of several errors, by what it looks at first.  Source:
#: ioctl_userfaultfd(2), UFFDIO_MOVE, ERRORS.
MOVES: Final = codes_of("uffd-move")
CANNOT_MOVE: Final = (errno.EAGAIN, errno.ENOENT, errno.EBUSY, errno.EEXIST, errno.EFAULT)
#: While a mapping moves, its pages may be reached at both places, as those of UFFDIO_MOVE.  Source: mremap(2) and
#: ioctl_userfaultfd(2) tell of no moment at which they move.
TWO_PLACES: Final = codes_of("mremap")
#: An access that faults has two steps: the page is there, then the access is repeated, which may fault again.  Source:
#: what a fault is; Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults, for one that waits.
ACCESSES: Final = codes_of(
    "read", "write", "guest-read", "guest-write", "process-read", "process-write", "mem-read", "mem-write", "pin", "ref"
)
#: What sleeps for a page.
SLEEPERS: Final = ACCESSES | codes_of("populate")
#: Which messages there are to read depends on who waits.
EVENT: Final = BY_NAME["uffd-read"].code
WRITES: Final = codes_of("write", "guest-write", "process-write", "mem-write")
STORES: Final = codes_of("write", "guest-write")
_CHANGES: Final = FORBIDS | RECLAIMS | BEST_EFFORT | UNREGISTERS | WRITES | codes_of("uffd-resolve")
REMOTE: Final = codes_of("process-read", "process-write", "mem-read", "mem-write")
HOLDING: Final = codes_of("pin", "ref")
PIN_WRITE: Final = 1 << PIN_FLAGS.words.index("write")
READ, WRITE = (POPULATE.words.index(word) for word in ("read", "write"))
POPULATES: Final = BY_NAME["populate"].code
SCAN: Final = BY_NAME["pagemap-scan"].code
SCAN_WP: Final = 1 << SCAN_MODE.words.index("wp")


def _flag(name: str, word: str) -> tuple[int, int]:
    """The place of the operand with this flag in an operation, and the flag's bit."""
    for at, kind in enumerate(BY_NAME[name].kinds, 2):
        if kind.form is Form.FLAGS and word in kind.words:
            return at, 1 << kind.words.index(word)
    raise AssertionError(f"{name} has no flag {word}")


#: Who does not sleep yet when its page comes goes on without a wake-up.  Source:
#: Documentation/admin-guide/mm/userfaultfd.rst, Resolving Userfaults.
QUIET: Final = {
    BY_NAME[name].code: _flag(name, "dontwake")
    for name in ("uffd-resolve", "uffd-copy", "uffd-zeropage", "uffd-continue", "uffd-poison", "uffd-move")
}
_HOLES: Final = _flag("uffd-move", "holes")
WAKE, UNREGISTER, REGISTER = (BY_NAME[name].code for name in ("uffd-wake", "uffd-unregister", "uffd-register"))
MADVISE, MREMAP = BY_NAME["madvise"].code, BY_NAME["mremap"].code
_FREE, DONTNEED, REMOVE = (ADVICE.words.index(word) for word in ("free", "dontneed", "remove"))
OPEN, RESOLVE, PROTECT, POISON = (
    BY_NAME[name].code for name in ("uffd-open", "uffd-resolve", "uffd-wp", "uffd-poison")
)
GUARD, GUARD_REMOVE = BY_NAME["guard-install"].code, BY_NAME["guard-remove"].code
EVENT_REMOVE, UNPOPULATED = (1 << FEATURES.words.index(word) for word in ("event-remove", "wp-unpopulated"))
MIGRATE: Final = BY_NAME["migrate"].code
SWAP_OUT: Final = BY_NAME["swap-out"].code
PIN, UNPIN = BY_NAME["pin"].code, BY_NAME["unpin"].code


def passes_holes(op: Operation) -> bool:
    """Whether the operation may be done without a page to move.  Source: ioctl_userfaultfd(2), ALLOW_SRC_HOLES."""
    return op[0] in MOVES and bool(op[_HOLES[0]] & _HOLES[1])


def changed_by(op: Operation) -> set[int]:
    """The slots whose entries the operation may clear for a moment: a store copies, reclaim and migration unmap, what
    changes protection reads the entry and clears it in one."""
    writes = (op[0] == PIN and op[5] & PIN_WRITE) or (op[0] == POPULATES and op[4] == WRITE)
    if not writes and op[0] not in _CHANGES:
        return set()
    return slots_of(op) or set(range(SLOTS))


def process_at(op: Operation) -> int:
    """The process whose memory an access is about."""
    return op[2] if op[0] in REMOTE else process_of(op[1])


def slots_of(op: Operation) -> set[int]:
    """The slots that the operation names."""
    kinds = OPS[op[0]].kinds
    return {
        slot
        for at, (kind, following) in enumerate(zip(kinds, (*kinds, None)[1:], strict=True), 2)
        if kind is SLOT
        for slot in range(op[at], op[at] + (op[at + 1] if following is PAGES else 1))
    }


def given_up(op: Operation) -> set[int]:
    """The slots whose pages the operation gives up."""
    return slots_of(op) if op[0] == MADVISE and op[4] == _FREE else set()
