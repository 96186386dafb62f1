"""The operation table: the one definition of what a program can do.

Names, operands, wire codes and text forms of all operations stand here and nowhere else.  The text
parser, the wire codec, the C decoder (through the header that :mod:`faultline.program.cheader` writes at
build time), the generators, the oracle's dispatch and docs/operations.md derive from this table.

Wire form: an operation is :data:`OP_SIZE` bytes: code, task, then one byte per operand in table order, the rest
zero.  Every byte string decodes to a valid program: a byte is reduced by its operand's kind
(``lo + byte % count``), a page count is clipped to the end of the region, a trailing fragment is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

#: Bytes of one operation in the wire form.
OP_SIZE: Final = 8
#: Operands that fit into one wire operation.
OPERANDS_MAX: Final = OP_SIZE - 2
#: Page slots of the address region, ``a0`` .. ``a31``.
SLOTS: Final = 32
#: The slot at which a new page table begins, so that ranges can cross a PMD boundary.
SLOT_TABLE_EDGE: Final = 16
#: Pages of a huge page in the profiles that have them: a page table has as many entries there.
HUGE_PAGES: Final = 8
#: Processes ``p0`` .. ``p7`` and tasks of each, ``p0.0`` .. ``p0.3``.
PROCESSES: Final = 8
TASKS: Final = 4
#: userfaultfd handles ``u0`` .. ``u7``.
UFFDS: Final = 8
#: Handles ``k0`` .. ``k7`` of pins and references.
PINS: Final = 8
#: Files ``f0`` .. ``f7``; a program works on the first FILE_PAGES pages of each, ``@0`` .. ``@31``.
FILES: Final = 8
FILE_PAGES: Final = 32
#: Operations that one program may have; longer input is cut.
OPS_MAX: Final = 256
#: The task byte of an operation that the monitor runs.
TASK_MONITOR: Final = 0x80
#: Set in the task byte of an operation that overlaps with those beside it that have it too.
TASK_OVERLAPS: Final = 0x40


class Form(Enum):
    """How an operand reads in the text form."""

    SLOT = "a{}"
    """A page slot; printed together with a following PAGES operand as ``a3+2``."""
    PAGES = "+{}"
    """A page count, part of the range that the slot before it begins; 1 is not printed."""
    VALUE = "={}"
    """A plain number: the byte that fills a page, a size."""
    PROCESS = "p{}"
    UFFD = "u{}"
    PIN = "k{}"
    NTH = "n{}"
    FILE = "f{}"
    OFFSET = "@{}"
    """A page of a file, or where it ends, in pages."""
    CHOICE = "choice"
    """Exactly one of the kind's words."""
    FLAGS = "flags"
    """A set of the kind's words, comma separated; an empty set is not printed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of operand.

    The operand's value is ``lo + byte % count``.  For CHOICE, ``words[value - lo]`` is its text; for FLAGS,
    ``words[i]`` stands for bit ``i`` of the value.
    """

    name: str
    form: Form
    count: int
    lo: int = 0
    words: tuple[str, ...] = ()
    doc: str = ""


SLOT: Final = Kind("slot", Form.SLOT, SLOTS, doc="a page slot of the region")
PAGES: Final = Kind("pages", Form.PAGES, SLOTS, lo=1, doc="a number of pages, clipped to the region's end")
VALUE: Final = Kind("value", Form.VALUE, 256, doc="the byte that fills the page")
PROCESS: Final = Kind("process", Form.PROCESS, PROCESSES, doc="a process")
UFFD: Final = Kind("uffd", Form.UFFD, UFFDS, doc="a userfaultfd handle")
FILE: Final = Kind("file", Form.FILE, FILES, doc="a file")
FILE_PAGE: Final = Kind("file-page", Form.OFFSET, FILE_PAGES, doc="a page of a file")
FILE_END: Final = Kind("file-end", Form.OFFSET, FILE_PAGES + 1, doc="the page before which a range, or a file, ends")
FILE_TYPE: Final = Kind(
    "file-type", Form.CHOICE, 2, words=("memfd", "tmpfile"),
    doc="memfd_create(), or a file without a name on a file system that has a store behind its page cache",
)
MAP_TYPE: Final = Kind("map-type", Form.CHOICE, 2, words=("shared", "private"), doc="MAP_SHARED, MAP_PRIVATE")
ALLOCATE: Final = Kind(
    "allocate", Form.CHOICE, 3, words=("extend", "keep-size", "punch-hole"),
    doc="mode 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE",
)
PROT: Final = Kind("prot", Form.CHOICE, 3, words=("none", "r", "rw"), doc="PROT_NONE, PROT_READ, PROT_READ|PROT_WRITE")
ADVICE: Final = Kind(
    "advice",
    Form.CHOICE,
    14,
    words=(
        "dontneed", "mergeable", "unmergeable", "dontfork", "dofork", "wipeonfork", "keeponfork",
        "free", "cold", "pageout", "remove", "hugepage", "nohugepage", "collapse",
    ),
    doc="MADV_DONTNEED, _MERGEABLE, _UNMERGEABLE, _DONTFORK, _DOFORK, _WIPEONFORK, _KEEPONFORK, _FREE, _COLD, "
    "_PAGEOUT, _REMOVE, _HUGEPAGE, _NOHUGEPAGE, _COLLAPSE",
)
FEATURES: Final = Kind(
    "features",
    Form.FLAGS,
    128,
    words=("event-fork", "wp-async", "wp-unpopulated", "sigbus", "event-remap", "event-remove", "event-unmap"),
    doc="UFFD_FEATURE_* asked of UFFDIO_API",
)
REGISTER_MODE: Final = Kind(
    "register-mode", Form.FLAGS, 7, lo=1, words=("missing", "wp", "minor"),
    doc="UFFDIO_REGISTER_MODE_MISSING, _WP, _MINOR",
)
FAULT: Final = Kind(
    "fault", Form.CHOICE, 5, words=("page", "table", "slab", "swap-read", "swap-write"),
    doc="what fails: a user page's allocation, any other page's, an object's; a read from or a write to swap",
)  # fmt: skip
NTH: Final = Kind("nth", Form.NTH, 32, lo=1, doc="the how manieth, counted from 1")
COPY_MODE: Final = Kind("copy-mode", Form.FLAGS, 4, words=("wp", "dontwake"), doc="UFFDIO_COPY_MODE_WP, _DONTWAKE")
SWAP_DEVICE: Final = Kind(
    "swap-device", Form.CHOICE, 4, words=("sync", "async", "small-sync", "small-async"),
    doc="a device that is done at once, or later; a small one has room for 4 pages",
)
WAKE_MODE: Final = Kind("wake-mode", Form.FLAGS, 2, words=("dontwake",), doc="the ioctl's MODE_DONTWAKE")
SIZE: Final = Kind("size", Form.VALUE, SLOTS, lo=1, doc="a number of pages; what reaches past the region's end is cut")
REMAP_FLAGS: Final = Kind("remap-flags", Form.FLAGS, 2, words=("dontunmap",), doc="MREMAP_DONTUNMAP")

PIN: Final = Kind("pin", Form.PIN, PINS, doc="a handle of pinned or referenced pages")
PIN_FLAGS: Final = Kind(
    "pin-flags",
    Form.FLAGS,
    32,
    words=("write", "longterm", "force", "fast", "locked"),
    doc="FOLL_WRITE, _LONGTERM, _FORCE; pin_user_pages_fast(), or pin_user_pages() under mmap_lock",
)
UNPIN_MODE: Final = Kind(
    "unpin-mode", Form.FLAGS, 2, words=("dirty",), doc="make_dirty of unpin_user_pages_dirty_lock()"
)
POPULATE: Final = Kind("populate", Form.CHOICE, 2, words=("read", "write"), doc="MADV_POPULATE_READ, _WRITE")

REFS: Final = Kind("refs", Form.CHOICE, 2, words=("soft-dirty", "referenced"), doc="4 or 1 written to clear_refs")
CATEGORY: Final = Kind(
    "category",
    Form.CHOICE,
    8,
    words=("written", "present", "pfnzero", "swapped", "soft-dirty", "wpallowed", "file", "huge"),
    doc="PAGE_IS_*",
)
SCAN_MODE: Final = Kind(
    "scan-mode",
    Form.FLAGS,
    16,
    words=("wp", "check", "inverted", "present"),
    doc="PM_SCAN_WP_MATCHING, PM_SCAN_CHECK_WPASYNC; the category inverted; PAGE_IS_PRESENT asked for too",
)
MOVE_MODE: Final = Kind(
    "move-mode", Form.FLAGS, 4, words=("dontwake", "holes"), doc="UFFDIO_MOVE_MODE_DONTWAKE, _ALLOW_SRC_HOLES"
)

KINDS: Final = (
    *(SLOT, PAGES, VALUE, PROCESS, UFFD, PROT, ADVICE, FEATURES, REGISTER_MODE, COPY_MODE, WAKE_MODE),
    *(SIZE, REMAP_FLAGS),
    *(PIN, PIN_FLAGS, UNPIN_MODE, POPULATE),
    *(REFS, CATEGORY, SCAN_MODE, MOVE_MODE),
    *(FAULT, NTH),
    SWAP_DEVICE,
    *(FILE, FILE_PAGE, FILE_END, FILE_TYPE, MAP_TYPE, ALLOCATE),
)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a kernel has or lacks, by its configuration or its age, and without which operations are skipped.

    The built machine says what its kernel has (``csrc/host/needs.c``), by the bit that is the need's place here.
    """

    name: str
    doc: str


NEEDS: Final = (
    Need("uffd", "userfaultfd (CONFIG_USERFAULTFD)"),
    Need("uffd-wp", "write protection by userfaultfd (Linux 5.7)"),
    Need("ksm", "KSM (CONFIG_KSM)"),
    Need("fail", "failure injection (the built machine)"),
    Need("guest", "mmu notifiers (CONFIG_MMU_NOTIFIER)"),
    Need("guard", "guard regions (MADV_GUARD_INSTALL, Linux 6.13)"),
    Need("driver", "a driver that pins pages, on a kernel on which pins are reliable (Linux 5.19)"),
    Need("populate", "MADV_POPULATE_READ and _WRITE (Linux 5.14)"),
    Need("process-vm", "process_vm_readv(2) and process_vm_writev(2) (CONFIG_CROSS_MEMORY_ATTACH)"),
    Need("migration", "page migration (CONFIG_MIGRATION)"),
    Need("swap", "swap (CONFIG_SWAP)"),
    Need("shmem", "shared memory (CONFIG_SHMEM, CONFIG_TMPFS)"),
    Need("uffd-minor", "minor faults of shared memory by userfaultfd (Linux 5.14)"),
    Need("thp", "transparent huge pages (CONFIG_TRANSPARENT_HUGEPAGE)"),
    Need("hugetlb", "huge pages of hugetlbfs (CONFIG_HUGETLB_PAGE)"),
    Need("uffd-move", "UFFDIO_MOVE (Linux 6.8)"),
    Need("uffd-poison", "UFFDIO_POISON (Linux 6.6)"),
    Need("soft-dirty", "soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)"),
    Need("pagemap-scan", "PAGEMAP_SCAN (Linux 6.7, CONFIG_PROC_PAGE_MONITOR)"),
    Need("numa-hints", "NUMA hint faults (CONFIG_NUMA_BALANCING)"),
)
NEED_NAMES: Final = frozenset(need.name for need in NEEDS)


class Actor(Enum):
    """Who runs an operation."""

    TASK = "task"
    """A task of a process; its address space is the one acted upon."""
    MONITOR = "monitor"
    """The monitor ``m``: a process of its own to which every userfaultfd was passed; never blocks on a fault."""


@dataclass(frozen=True, slots=True)
class Op:
    """One row of the table.  ``call`` is the user API behind it; ``effect`` and ``errors`` go into the docs."""

    code: int
    name: str
    actor: Actor
    operands: tuple[tuple[str, Kind], ...]
    call: str
    effect: str
    errors: str = ""
    source: str = ""
    family: str = "core"
    """Operations that belong together; a generated program is made of some families."""
    needs: tuple[str, ...] = ()
    """Names of :data:`NEEDS`."""
    kinds: tuple[Kind, ...] = field(init=False)

    def __post_init__(self) -> None:
        assert len(self.operands) <= OPERANDS_MAX
        assert NEED_NAMES.issuperset(self.needs)
        object.__setattr__(self, "kinds", tuple(kind for _, kind in self.operands))


_RANGE = (("start", SLOT), ("pages", PAGES))
_UFFD_RANGE = (("uffd", UFFD), *_RANGE)


_Row = tuple[str, Actor, tuple[tuple[str, Kind], ...], str, str, str, str]


def _family(name: str, needs: tuple[str, ...], *rows: _Row) -> list[tuple[_Row, str, tuple[str, ...]]]:
    return [(row, name, needs) for row in rows]


_T, _M = Actor.TASK, Actor.MONITOR

#: All rows: name, actor, operands, call, effect, errors, source.
_ROWS: Final = [
    *_family(
        "core", (),
        ("mmap", _T, (*_RANGE, ("prot", PROT)), "mmap(MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED)",
         "Maps fresh zero-filled private memory; what was mapped there is unmapped first.", "", "mmap(2)"),
        ("munmap", _T, _RANGE, "munmap()", "Unmaps the range; holes are no error.", "", "munmap(2)"),
        ("mprotect", _T, (*_RANGE, ("prot", PROT)), "mprotect()", "Changes the protection of the range.",
         "ENOMEM: part of the range is not mapped", "mprotect(2)"),
        ("madvise", _T, (*_RANGE, ("advice", ADVICE)), "madvise()", "Gives advice about the range.",
         "ENOMEM: part of the range is not mapped", "madvise(2)"),
        ("read", _T, (("start", SLOT),), "a load", "Reads the page; the outcome is its byte.",
         "SIGSEGV, SIGBUS", "mmap(2), mprotect(2), userfaultfd(2)"),
        ("write", _T, (("start", SLOT), ("value", VALUE)), "stores", "Fills the page with the byte.",
         "SIGSEGV, SIGBUS", "mmap(2), mprotect(2), userfaultfd(2)"),
        ("fork", _T, (("child", PROCESS),), "fork()", "Creates the child process; skipped if it exists already.",
         "", "fork(2)"),
        ("exit", _T, (), "exit_group()", "Ends the process with all its tasks.", "", "exit_group(2)"),
    ),
    *_family(
        "uffd", ("uffd",),
        ("uffd-open", _T, (("uffd", UFFD), ("features", FEATURES)), "userfaultfd(O_NONBLOCK|O_CLOEXEC), UFFDIO_API",
         "Opens a userfaultfd for the calling process and passes it to the monitor; skipped if the handle is in use.",
         "EINVAL: a feature is not offered", "userfaultfd(2), UFFDIO_API(2const)"),
        ("uffd-register", _M, (*_UFFD_RANGE, ("mode", REGISTER_MODE)), "UFFDIO_REGISTER", "Registers the range.",
         "EINVAL, EBUSY, EPERM, ENOMEM", "UFFDIO_REGISTER(2const)"),
        ("uffd-unregister", _M, _UFFD_RANGE, "UFFDIO_UNREGISTER",
         "Unregisters the range; tasks that wait for missing pages in it go on.",
         "EINVAL", "UFFDIO_UNREGISTER(2const)"),
        ("uffd-close", _M, (("uffd", UFFD),), "close()", "Closes the userfaultfd; waiters go on.", "",
         "userfaultfd(2)"),
    ),
    *_family(
        "uffd", ("uffd", "uffd-wp"),
        ("uffd-wp", _M, _UFFD_RANGE, "UFFDIO_WRITEPROTECT, mode WP", "Write-protects the range.",
         "ENOENT: not registered in write-protect mode; EAGAIN; ESRCH", "UFFDIO_WRITEPROTECT(2const)"),
        ("uffd-resolve", _M, (*_UFFD_RANGE, ("mode", WAKE_MODE)), "UFFDIO_WRITEPROTECT, mode 0",
         "Ends the write protection of the range and wakes its waiters.", "ENOENT, EAGAIN, ESRCH",
         "UFFDIO_WRITEPROTECT(2const)"),
    ),
    *_family(
        "uffd", ("uffd",),
        ("uffd-copy", _M, (*_UFFD_RANGE, ("value", VALUE), ("mode", COPY_MODE)), "UFFDIO_COPY",
         "Fills missing pages, each with the byte; aux is the pages copied or the negated errno of `copy`.",
         "EEXIST, ENOENT, EINVAL, EAGAIN, ESRCH", "UFFDIO_COPY(2const)"),
        ("uffd-zeropage", _M, (*_UFFD_RANGE, ("mode", WAKE_MODE)), "UFFDIO_ZEROPAGE",
         "Fills missing pages with zeroes; aux is the pages filled or the negated errno of `zeropage`.",
         "EEXIST, ENOENT, EINVAL, EAGAIN, ESRCH", "UFFDIO_ZEROPAGE(2const)"),
        ("uffd-wake", _M, _UFFD_RANGE, "UFFDIO_WAKE", "Wakes the waiters in the range.", "EINVAL",
         "UFFDIO_WAKE(2const)"),
        ("uffd-read", _M, (("uffd", UFFD), ("child", UFFD)), "read() of one message",
         "Reads one message; the operation that an event is about goes on. The userfaultfd that a fork event brings "
         "becomes the handle `child`. Skipped if that handle is in use.",
         "EAGAIN: no message", "userfaultfd(2)"),
    ),
    *_family(
        "ksm", ("ksm",),
        ("ksm-merge", _M, (("process", PROCESS), *_RANGE), "ksmd, aimed at these pages",
         "KSM looks at each given page twice and merges what it may.", "", "Documentation/admin-guide/mm/ksm.rst"),
        ("ksm-scan", _M, (), "ksmd, one full scan", "KSM scans all mergeable memory once.", "",
         "Documentation/admin-guide/mm/ksm.rst"),
    ),
    # --- swap ---
    *_family(
        "swap", ("swap",),
        ("swap-out", _M, (("process", PROCESS), *_RANGE), "reclaim, aimed at these pages",
         "Reclaim tries to move the pages to swap, whoever maps them, and however often they are mapped.", "",
         "Documentation/admin-guide/mm/concepts.rst, Reclaim"),
        ("drop-swap-cache", _M, (), "reclaim, aimed at the swap cache",
         "Pages that only the swap cache holds are given back.", "",
         "Documentation/admin-guide/mm/concepts.rst, Reclaim"),
        ("swapoff", _M, (("device", SWAP_DEVICE),), "swapoff(), then swapon()",
         "Brings every page back from swap; then there is swap again, on a device of this kind. "
         "Skipped while a task is blocked.", "", "swapoff(2)"),
    ),

    # --- pins: pins, references, access from outside, migration ---
    *_family(
        "pins", ("driver",),
        ("pin", _T, (("pin", PIN), *_RANGE, ("flags", PIN_FLAGS)), "pin_user_pages_unlocked(), in a driver",
         "Pins the pages of the range for a device, faulting them in; aux is the pages pinned, which may be fewer. "
         "The pin outlives the mapping and the process. Skipped if the handle is in use.",
         "EFAULT: the first page is not mapped, lacks the permission, or its fault gets SIGBUS",
         "Documentation/core-api/pin_user_pages.rst"),
    ),
    *_family(
        "pins", (),
        ("ref", _T, (("pin", PIN), *_RANGE), "get_user_pages_fast(), as vmsplice()",
         "Takes plain references to the pages of the range, for reading; aux is the pages taken. "
         "Skipped if the handle is in use.",
         "EFAULT: as for a pin", "vmsplice(2)"),
        ("pin-read", _M, (("pin", PIN), ("slot", SLOT)), "a load by a device",
         "Reads the page that was pinned at the slot, by the pin; the outcome is its byte. "
         "Skipped if the handle has no page of that slot.", "", "Documentation/core-api/pin_user_pages.rst"),
        ("pin-write", _M, (("pin", PIN), ("slot", SLOT), ("value", VALUE)), "stores by a device",
         "Fills the page that was pinned at the slot. Skipped if the handle has no page of that slot for writing.", "",
         "Documentation/core-api/pin_user_pages.rst"),
        ("unpin", _M, (("pin", PIN), ("mode", UNPIN_MODE)), "unpin_user_pages_dirty_lock(), or put_page()",
         "Gives the pages back; for pages pinned for writing, they may be marked dirty.", "",
         "Documentation/core-api/pin_user_pages.rst"),
        ("mem-read", _M, (("process", PROCESS), ("start", SLOT)), "pread() of /proc/PID/mem",
         "Reads the page as a debugger; the outcome is its byte.", "EIO: not mapped, or its fault would wait",
         "proc(5), /proc/pid/mem"),
        ("mem-write", _M, (("process", PROCESS), ("start", SLOT), ("value", VALUE)), "pwrite() of /proc/PID/mem",
         "Fills the page as a debugger, also if it is not writable.", "EIO: not mapped, or its fault would wait",
         "proc(5), /proc/pid/mem"),
    ),
    *_family(
        "pins", ("process-vm",),
        ("process-read", _T, (("process", PROCESS), ("start", SLOT)), "process_vm_readv()",
         "Reads a page of the process; the outcome is its byte.", "EFAULT: not mapped or not readable",
         "process_vm_readv(2)"),
        ("process-write", _T, (("process", PROCESS), ("start", SLOT), ("value", VALUE)), "process_vm_writev()",
         "Fills a page of the process.", "EFAULT: not mapped or not writable", "process_vm_readv(2)"),
    ),
    *_family(
        "pins", ("populate",),
        ("populate", _T, (*_RANGE, ("access", POPULATE)), "madvise(MADV_POPULATE_READ|WRITE)",
         "Faults the pages of the range in, as by reading or writing each.",
         "ENOMEM: part of the range is not mapped; EINVAL: it lacks the permission; EFAULT: a fault gets SIGBUS",
         "madvise(2)"),
    ),
    *_family(
        "pins", ("migration",),
        ("migrate", _M, (("process", PROCESS), *_RANGE), "migrate_pages(), as compaction or move_pages(2)",
         "Moves the pages of the range to other frames, those that can be; aux is how many.", "",
         "Documentation/mm/page_migration.rst"),
    ),
    *_family(
        "pins", ("numa-hints",),
        ("numa-hint", _T, _RANGE, "task_numa_work(), aimed at this range",
         "NUMA balancing makes the pages of the range inaccessible, those it takes; the next access to each faults and "
         "makes it accessible again.", "", "Documentation/admin-guide/sysctl/kernel.rst, numa_balancing"),
    ),

    # --- move: mremap, soft-dirty, guard regions, page moves and poison by userfaultfd ---
    *_family(
        "move", (),
        ("mremap", _T, (*_RANGE, ("target", SLOT), ("new-pages", PAGES), ("flags", REMAP_FLAGS)),
         "mremap(MREMAP_MAYMOVE|MREMAP_FIXED)",
         "Moves the range to the target, where it has the new number of pages; what was mapped there is unmapped. "
         "With `dontunmap` an empty mapping stays behind.",
         "EINVAL: the ranges overlap, or dontunmap with another size; EFAULT: part of the range is not mapped, "
         "or it is no single mapping", "mremap(2)"),
        ("mremap-resize", _T, (*_RANGE, ("size", SIZE)), "mremap() without flags",
         "Shrinks or expands the mapping where it is.",
         "EFAULT: part of the range is not mapped, or it is no single mapping; ENOMEM: no room behind it", "mremap(2)"),
    ),
    *_family(
        "move", ("guard",),
        ("guard-install", _T, _RANGE, "madvise(MADV_GUARD_INSTALL)",
         "Makes the range guard pages: what was there is dropped, access is SIGSEGV.",
         "ENOMEM: part of the range is not mapped", "include/uapi/asm-generic/mman-common.h, MADV_GUARD_INSTALL"),
        ("guard-remove", _T, _RANGE, "madvise(MADV_GUARD_REMOVE)",
         "Guard pages of the range become missing pages; others stay.",
         "ENOMEM: part of the range is not mapped", "include/uapi/asm-generic/mman-common.h, MADV_GUARD_REMOVE"),
    ),
    *_family(
        "move", ("uffd", "uffd-move"),
        ("uffd-move", _T, (*_UFFD_RANGE, ("source", SLOT), ("mode", MOVE_MODE)), "UFFDIO_MOVE",
         "Moves pages of the calling process from the source into missing pages of the range; aux is the pages "
         "moved or the negated errno of `move`.",
         "EEXIST, ENOENT, EBUSY, EINVAL, EAGAIN", "UFFDIO_MOVE(2const)"),
    ),
    *_family(
        "move", ("uffd", "uffd-poison"),
        ("uffd-poison", _M, (*_UFFD_RANGE, ("mode", WAKE_MODE)), "UFFDIO_POISON",
         "Makes accesses to missing pages SIGBUS; aux is the pages poisoned or the negated errno of `updated`.",
         "EEXIST, ENOENT, EINVAL, EAGAIN, ESRCH", "UFFDIO_POISON(2const)"),
    ),
    *_family(
        "dirty", ("soft-dirty",),
        ("clear-refs", _T, (("refs", REFS),), "write() to /proc/self/clear_refs",
         "Clears the soft-dirty bits, or the referenced bits, of the process; snapshots show soft-dirty bits from the "
         "first clearing on.", "", "Documentation/admin-guide/mm/soft-dirty.rst, proc(5)"),
    ),
    *_family(
        "dirty", ("pagemap-scan",),
        ("pagemap-scan", _T, (*_RANGE, ("category", CATEGORY), ("mode", SCAN_MODE)),
         "PAGEMAP_SCAN of /proc/self/pagemap",
         "Finds the pages of the category (with `inverted`: the others); with `wp` those of them that were written are "
         "write-protected; the outcome is their number, aux the mask of their slots.",
         "EPERM: with `check`, a page that cannot be write-protected asynchronously",
         "Documentation/admin-guide/mm/pagemap.rst"),
    ),

    # --- files: shared memory and files ---
    *_family(
        "files", ("shmem",),
        ("mmap-shared", _T, (*_RANGE, ("prot", PROT)), "mmap(MAP_SHARED|MAP_ANONYMOUS|MAP_FIXED)",
         "Maps fresh zero-filled memory that a fork shares; what was mapped there is unmapped first.", "", "mmap(2)"),
        ("mmap-file", _T, (*_RANGE, ("prot", PROT), ("file", FILE), ("first", FILE_PAGE), ("type", MAP_TYPE)),
         "mmap(MAP_FIXED) of a file",
         "Maps the file from its page `first` on; what was mapped there is unmapped first. "
         "Pages beyond the file's end can be mapped, not accessed.", "", "mmap(2)"),
        ("file-open", _T, (("file", FILE), ("type", FILE_TYPE), ("end", FILE_END)),
         "memfd_create(), or open(O_TMPFILE|O_RDWR); ftruncate()",
         "Makes a file of that many pages that hold zeroes, for all processes; skipped if the handle is in use.", "",
         "memfd_create(2), open(2)"),
        ("file-close", _T, (("file", FILE),), "close()", "Gives the handle back; mappings of the file stay.", "",
         "close(2)"),
        ("file-read", _T, (("file", FILE), ("page", FILE_PAGE)), "pread() of a page",
         "The outcome is the page's byte; aux is 1, or 0 at the end of the file.",
         "EIO: the page was in swap and could not be read", "pread(2)"),
        ("file-write", _T, (("file", FILE), ("page", FILE_PAGE), ("value", VALUE)), "pwrite() of a page",
         "Fills the page with the byte; a file that ends before it grows.",
         "EIO: the page was in swap and could not be read", "pwrite(2)"),
        ("file-truncate", _T, (("file", FILE), ("end", FILE_END)), "ftruncate()",
         "Sets the file's end; pages beyond it are gone from all mappings, private copies too.", "", "truncate(2)"),
        ("file-allocate", _T, (("file", FILE), ("page", FILE_PAGE), ("end", FILE_END), ("mode", ALLOCATE)),
         "fallocate() of the pages up to `end`", "Allocates the pages of the range, or makes a hole there.",
         "EINVAL: the range is empty", "fallocate(2)"),
        ("file-sync", _T, (("file", FILE),), "fsync()", "Writes what is dirty to the store.", "", "fsync(2)"),
        ("file-drop", _T, (("file", FILE),), "posix_fadvise(POSIX_FADV_DONTNEED)",
         "Drops clean pages that nobody maps from the page cache.", "", "posix_fadvise(2)"),
    ),
    *_family(
        "files", ("shmem", "uffd", "uffd-minor"),
        ("uffd-continue", _M, (*_UFFD_RANGE, ("mode", COPY_MODE)), "UFFDIO_CONTINUE",
         "Maps pages that are in the page cache; aux is the pages mapped or the negated errno of `mapped`.",
         "EEXIST, EFAULT, ENOENT, EINVAL, EAGAIN, ESRCH", "UFFDIO_CONTINUE(2const)"),
    ),

    # --- huge: transparent huge pages ---
    *_family(
        "huge", ("thp",),
        ("khugepaged", _M, (("process", PROCESS), *_RANGE), "khugepaged, aimed at this range",
         "khugepaged looks at each huge page's worth of the range and collapses what it may.", "",
         "Documentation/admin-guide/mm/transhuge.rst"),
        ("split", _M, (("process", PROCESS), ("start", SLOT)), "split_huge_pages in debugfs, aimed at this page",
         "The large folio that the page belongs to is split if nothing holds it.", "",
         "Documentation/admin-guide/mm/transhuge.rst; Documentation/mm/transhuge.rst"),
    ),
    *_family(
        "hugetlb", ("hugetlb",),
        ("mmap-hugetlb", _T, (*_RANGE, ("prot", PROT)), "mmap(MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|MAP_FIXED)",
         "Maps fresh private memory of huge pages, which are of the pool; the length is rounded up to whole ones, and "
         "what was mapped there is unmapped first. Skipped while a task is blocked. Skipped in such memory is what is "
         "not known there yet: all but read, write, mmap, munmap, mprotect, dontneed, and what has no range.",
         "EINVAL: the range does not begin at a huge page", "mmap(2), MAP_HUGETLB"),
    ),

    # --- fail: failure injection, secondary MMU ---
    *_family(
        "fail", ("fail",),
        ("fail", _M, (("fault", FAULT), ("nth", NTH)), "fault injection (failslab, fail_page_alloc, fail_make_request)",
         "The nth such request of the next operation fails; nothing happens if there are fewer. That operation may go "
         "through all the same, or say ENOMEM (some EAGAIN, EIO, EFAULT or ENOSPC, as their manuals have it); an "
         "access is SIGBUS if its page cannot be read back from swap.", "",
         "Documentation/fault-injection/fault-injection.rst"),
    ),
    *_family(
        "guest", ("guest",),
        ("guest-read", _T, (("start", SLOT),), "a virtual machine's load, as KVM serves it",
         "Reads the page through a secondary MMU of the process, which finds it by get_user_pages() and keeps the "
         "translation until a notifier takes it back; the outcome is the page's byte.",
         "EFAULT: an access of the task itself would be a signal", "Documentation/mm/mmu_notifier.rst"),
        ("guest-write", _T, (("start", SLOT), ("value", VALUE)), "a virtual machine's stores, as KVM serves them",
         "Fills the page with the byte through the secondary MMU.",
         "EFAULT: an access of the task itself would be a signal", "Documentation/mm/mmu_notifier.rst"),
    ),

]  # fmt: skip

OPS: Final = tuple(Op(code, *row, family, needs) for code, (row, family, needs) in enumerate(_ROWS))

BY_NAME: Final = {op.name: op for op in OPS}
assert len(BY_NAME) == len(OPS) <= 256

#: Operations whose outcome is the byte of a page.
LOADS: Final = frozenset(
    BY_NAME[name].code for name in ("read", "guest-read", "pin-read", "mem-read", "process-read", "file-read")
)
#: The monitor's operations that a thread of the kernel does, one standing for them all.
BY_KTHREAD: Final = frozenset(("ksm-merge", "ksm-scan", "khugepaged", "split"))
assert BY_NAME.keys() >= BY_KTHREAD
#: Codes of the operations after which a record has a sharing map (:mod:`faultline.program.trace`).
SHARING: Final = frozenset(
    BY_NAME[name].code for name in ("ksm-merge", "ksm-scan", "split", "migrate", "swap-out", "uffd-move")
)


def lacking(ops: Iterable[tuple[int, ...]], has: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The operations of a program that a kernel skips because it lacks what they need: name -> what is lacking.

    ``ops``: the program; ``has``: what the kernel has, of :data:`NEEDS`.
    """
    missing = [(op, tuple(need for need in op.needs if need not in has)) for op in OPS]
    used = {op[0] for op in ops}
    return {op.name: needs for op, needs in missing if needs and op.code in used}
