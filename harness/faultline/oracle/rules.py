"""The rules that the oracle follows, each with its source, and the known deviations of kernels from them.

A rule is known by its number (an index into :data:`RULES`) inside the oracle, where speed counts, and by its id
everywhere else.  ``python -m faultline.oracle.rules`` writes the tables of docs/oracle.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faultline.oracle.versions import DIFFERENCES, Version

#: The document in a work tree.
PATH: Final = Path(__file__).parents[3] / "docs" / "oracle.md"


@dataclass(frozen=True, slots=True)
class Rule:
    """What decides an outcome.

    ``text`` is one sentence.  ``source`` names the document that says so; where none does, it begins with OBSERVED and
    names the kernel on which the behaviour was seen.
    """

    id: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class KnownDeviation:
    """A behaviour of real kernels that contradicts their documentation.

    The oracle expects what ``documented`` says; if it sees ``kernel`` instead, it goes on with that and
    :attr:`Expectation.deviations` names the deviation.  ``trees``: where it was seen, as "5.10, 6.1 up to 6.1.190, 6.12
    from 6.12.10 on"; ``evidence``: a program that shows it, in text form.
    """

    id: str
    documented: str
    source: str
    kernel: str
    trees: str
    evidence: str

    def was_seen_on(self, version: Version) -> bool:
        """Whether it was seen on kernels of this version, with its stable release."""
        for series, how, release in _SERIES.findall(self.trees):
            if _numbers(series) == version[:2]:
                return not how or (version <= _numbers(release) if how == "up to" else version >= _numbers(release))
        return False


def _numbers(version: str) -> Version:
    return tuple(map(int, version.split(".")))


_SERIES: Final = re.compile(r"(?<![.\d])(\d+\.\d+)(?![.\d])(?: (up to|from) (\d+\.\d+\.\d+))?")

OBSERVED: Final = "observed: live kernel 6.18"
RULES: Final[list[Rule]] = []

_UFFD: Final = "userfaultfd(2)"
_IOCTL: Final = "ioctl_userfaultfd(2), "
_ADMIN: Final = "Documentation/admin-guide/mm/"
_UAPI: Final = "include/uapi/linux/userfaultfd.h"
_CONTRACT: Final = "faultline/program/trace.py"


def _rule(name: str, text: str, source: str) -> int:
    RULES.append(Rule(name, text, source))
    return len(RULES) - 1


# --- what a program may do at all ---
SKIP_PROCESS: Final = _rule(
    "skip-process", "An operation by, or at, a process that does not live is skipped.", _CONTRACT
)
SKIP_BUSY: Final = _rule("skip-busy", "A task that is blocked in an operation starts no other.", _CONTRACT)
SKIP_EXISTS: Final = _rule(
    "skip-exists", "A fork is skipped if the child lives or a fork that makes it is under way.", _CONTRACT
)
SKIP_USED: Final = _rule("skip-used", "A userfaultfd handle that is in use is not given out again.", _CONTRACT)
SKIP_SWAPOFF: Final = _rule(
    "skip-swapoff", "swapoff is skipped while a task is blocked, as it waits for who stopped on the way.",
    _CONTRACT,
)
SKIP_LACKS: Final = _rule("skip-lacks", "What the kernel lacks by its configuration or age is skipped.", _CONTRACT)
SKIP_HUGETLB: Final = _rule(
    "skip-hugetlb", "What is not known yet of memory of hugetlbfs is skipped there.", _CONTRACT
)
SKIP_BLOCKED: Final = _rule(
    "skip-blocked", "Memory of hugetlbfs is not mapped while a task is blocked, which might go on there.", _CONTRACT
)
SKIP_NO_HANDLE: Final = _rule("skip-no-handle", "An operation on a handle that is not open is skipped.", _CONTRACT)

# --- mappings ---
MMAP: Final = _rule(
    "mmap", "The range holds a fresh private anonymous mapping; what was mapped there is discarded.",
    "mmap(2), MAP_FIXED, MAP_ANONYMOUS",
)
MUNMAP: Final = _rule(
    "munmap", "The mappings in the range are deleted; it is no error if there are none.", "munmap(2)"
)
MPROTECT: Final = _rule("mprotect", "The pages of the range get the protection; contents stay.", "mprotect(2)")
MPROTECT_HOLE: Final = _rule(
    "mprotect-hole", "A page of the range that is not mapped is ENOMEM.", "mprotect(2), ERRORS"
)
MPROTECT_BEFORE_HOLE: Final = _rule(
    "mprotect-before-hole", "The pages before the first hole get the protection, those after it do not.", OBSERVED
)
MADVISE_HOLE: Final = _rule(
    "madvise-hole", "Parts that are not mapped are ignored, the advice applies to the rest, the result is ENOMEM.",
    "madvise(2), Linux notes",
)
DONTNEED: Final = _rule(
    "dontneed", "The pages of the range are dropped; the next access finds zeroes.", "madvise(2), MADV_DONTNEED"
)
DONTNEED_WP: Final = _rule(
    "dontneed-wp", "Dropping an anonymous page drops its userfaultfd write protection.",
    _ADMIN + "userfaultfd.rst, Write Protect Notifications",
)
HUGETLB: Final = _rule(
    "hugetlb", "The mapping has huge pages only; its length is rounded up to whole ones.",
    "mmap(2), MAP_HUGETLB and Huge page (Huge TLB) mappings",
)
HUGETLB_ALIGNED: Final = _rule(
    "hugetlb-aligned", "EINVAL: a mapping of huge pages begins at a huge page.",
    "mmap(2), EINVAL; " + _ADMIN + "hugetlbpage.rst",
)
HUGETLB_CUT: Final = _rule(
    "hugetlb-cut", "EINVAL: what a call is about must not begin or end within a huge page, if that would change.",
    _ADMIN + "hugetlbpage.rst; munmap(2), mmap(2), Huge page (Huge TLB) mappings; madvise(2), MADV_DONTNEED",
)
HUGETLB_FAULT: Final = _rule(
    "hugetlb-fault", "An access to a missing huge page brings a whole one, which holds zeroes.",
    _ADMIN + "hugetlbpage.rst; mmap(2), MAP_ANONYMOUS",
)
HUGETLB_COPY: Final = _rule(
    "hugetlb-copy", "A store to a huge page that others map makes a copy of the whole.",
    "mmap(2), MAP_PRIVATE; fork(2)",
)
HUGETLB_DONTNEED: Final = _rule(
    "hugetlb-dontneed", "Of a huge page that the range names in part, the whole goes, or nothing.",
    "madvise(2), MADV_DONTNEED (rounded up); " + _ADMIN + "hugetlbpage.rst (excluded)",
)
HUGEPAGE: Final = _rule("hugepage", "Huge pages may be used in the range.", "madvise(2), MADV_HUGEPAGE")
NOHUGEPAGE: Final = _rule("nohugepage", "No huge pages are used in the range.", "madvise(2), MADV_NOHUGEPAGE")
COLLAPSE: Final = _rule(
    "collapse", "The range is mapped by huge pages as far as that can be; contents stay.", "madvise(2), MADV_COLLAPSE"
)
COLLAPSE_REFUSED: Final = _rule(
    "collapse-refused", "It may fail for want of memory or of a suitable range, or for the time being.",
    "madvise(2), ERRORS, EAGAIN, EBUSY, EINVAL, ENOMEM",
)
COLLAPSE_COPIES: Final = _rule(
    "collapse-copies", "The pages of a huge page that was collapsed are its process's own.",
    _ADMIN + "transhuge.rst, max_ptes_shared",
)
KHUGEPAGED: Final = _rule(
    "khugepaged", "Pages may be collapsed into huge ones, holes among them filled; contents stay.",
    _ADMIN + "transhuge.rst, Khugepaged controls",
)
HUGE_PINNED: Final = _rule(
    "huge-pinned", "A folio that is pinned in part is copied at fork as a whole.",
    "Documentation/core-api/pin_user_pages.rst, the count is the folio's",
)
SPLIT: Final = _rule("split", "Splitting a huge page changes no content.", "Documentation/mm/transhuge.rst")
SPLIT_ZERO: Final = _rule(
    "split-zero", "Splitting may give back pages of zeroes.", _ADMIN + "transhuge.rst, shrink_underused"
)
HUGE_HELD: Final = _rule(
    "huge-held", "A held page that is cut from its file may be cleared with its huge page, and stay the file's.",
    "truncate(2), fallocate(2) (say nothing of it)",
)
HUGE_FILLS: Final = _rule(
    "huge-fills", "A huge page makes the missing pages around resident, with zeroes.",
    _ADMIN + "transhuge.rst, Need of application restart",
)
MADVISE_UNKNOWN: Final = _rule(
    "madvise-unknown", "Advice that the kernel was not configured for is EINVAL.", "madvise(2), ERRORS, EINVAL"
)
MERGEABLE: Final = _rule("mergeable", "The range is registered with KSM.", "madvise(2), MADV_MERGEABLE")
UNMERGEABLE: Final = _rule(
    "unmergeable", "KSM unmerges what it had merged in the range; contents stay.", "madvise(2), MADV_UNMERGEABLE"
)

DONTFORK: Final = _rule(
    "dontfork", "The range is not there in children forked from now on.", "madvise(2), MADV_DONTFORK"
)
DOFORK: Final = _rule("dofork", "MADV_DONTFORK ends.", "madvise(2), MADV_DOFORK")
WIPEONFORK: Final = _rule(
    "wipeonfork", "In children forked from now on the range holds zeroes; they inherit the setting.",
    "madvise(2), MADV_WIPEONFORK",
)
KEEPONFORK: Final = _rule("keeponfork", "MADV_WIPEONFORK ends.", "madvise(2), MADV_KEEPONFORK")

# --- moving and resizing mappings ---
MREMAP: Final = _rule(
    "mremap", "The mapping has moved with its pages and all that was advised about it; nothing is mapped where it was, "
    "and what was mapped at the target is unmapped.", "mremap(2), DESCRIPTION, MREMAP_FIXED",
)
MREMAP_DONTUNMAP: Final = _rule(
    "mremap-dontunmap", "The pages have moved; an empty mapping stays, with its registration.",
    "mremap(2), MREMAP_DONTUNMAP",
)
MREMAP_SIZE: Final = _rule(
    "mremap-size", "MREMAP_DONTUNMAP with another size is EINVAL.", "mremap(2), ERRORS, EINVAL"
)
MREMAP_OVERLAP: Final = _rule(
    "mremap-overlap", "A new range that overlaps the old one is EINVAL.", "mremap(2), ERRORS, EINVAL"
)
MREMAP_PRIVATE: Final = _rule(
    "mremap-private", "MREMAP_DONTUNMAP of what is not private anonymous memory is EINVAL.", "mremap(2), ERRORS, EINVAL"
)
MREMAP_FAULT: Final = _rule(
    "mremap-fault", "A page of the old range that is not mapped is EFAULT; so may be mappings of different types.",
    "mremap(2), ERRORS, EFAULT",
)
MREMAP_TYPES: Final = _rule(
    "mremap-types", "Whether mappings side by side can be moved or resized together is the kernel's choice.",
    "mremap(2), ERRORS, EFAULT (can also)",
)
MREMAP_FAILED: Final = _rule(
    "mremap-failed", "What an mremap that fails has unmapped by then, at the target and of what is cut off, is the "
    "kernel's choice.", "mremap(2) (says nothing of it)",
)
MREMAP_UNREGISTERED: Final = _rule(
    "mremap-unregistered", "Without the remap event a moved range is not registered and not write-protected.",
    _IOCTL + "UFFD_FEATURE_EVENT_REMAP; " + _ADMIN + "userfaultfd.rst, Non-cooperative userfaultfd (the monitor does "
    "not know the new place); " + OBSERVED,
)
MREMAP_FOLLOWS: Final = _rule(
    "mremap-follows", "With the remap event the registration follows the move, and mremap waits for the read.",
    _ADMIN + "userfaultfd.rst, Non-cooperative userfaultfd",
)
MREMAP_KSM: Final = _rule(
    "mremap-ksm", "KSM's pages in a range that is moved are unmerged; the range stays mergeable.", OBSERVED
)
MREMAP_NO_ROOM: Final = _rule(
    "mremap-no-room", "Expanding over what is mapped behind is ENOMEM.", "mremap(2), ERRORS, ENOMEM"
)
MREMAP_RESIZE: Final = _rule(
    "mremap-resize", "The mapping has its new size; new pages hold zeroes, what was cut off is unmapped.",
    "mremap(2), DESCRIPTION",
)

# --- guard regions ---
GUARD_INSTALL: Final = _rule(
    "guard-install", "The pages of the range are dropped; access to it is a fatal signal.",
    "include/uapi/asm-generic/mman-common.h, MADV_GUARD_INSTALL",
)
GUARD_REMOVE: Final = _rule(
    "guard-remove", "Guard pages of the range are missing pages again; other pages stay.",
    "include/uapi/asm-generic/mman-common.h, MADV_GUARD_REMOVE",
)
GUARD_ACCESS: Final = _rule(
    "guard-access", "Access to a guard page is SIGSEGV.", "include/uapi/asm-generic/mman-common.h, MADV_GUARD_INSTALL"
)
GUARD_WP: Final = _rule(
    "guard-wp",
    "Whether a guard page that PAGEMAP_SCAN was to protect shows as write-protected is the kernel's choice.",
    _ADMIN + "pagemap.rst (says nothing of it)",
)
DONTNEED_GUARD: Final = _rule("dontneed-guard", "Dropping pages leaves guard pages.", OBSERVED)
# --- reclaim and swap ---
RECLAIM: Final = _rule(
    "reclaim", "Reclaim may move pages of the range to swap, with each of their mappings or some; contents stay.",
    "madvise(2), MADV_PAGEOUT; " + _ADMIN + "concepts.rst, Reclaim",
)
SWAP_IN: Final = _rule(
    "swap-in", "A page in swap exists: an access brings it back with its contents and its write protection.",
    _ADMIN + "concepts.rst, Reclaim; " + _ADMIN + "pagemap.rst, bit 62; "
    + _ADMIN + "userfaultfd.rst, Write Protect Notifications",
)
KSM_SWAP: Final = _rule(
    "ksm-swap", "Who shared a page by KSM may have other pages, or share one again, when it comes back from swap.",
    _ADMIN + "ksm.rst, Overview (sharing is broken when they are swapped back in)",
)
SWAPOFF: Final = _rule("swapoff", "Every page in swap comes back; contents and protection stay.", "swapoff(2)")
DROP_SWAP_CACHE: Final = _rule(
    "drop-swap-cache", "What the swap cache holds beside is no matter of user space.", _ADMIN + "concepts.rst, Reclaim"
)
LAZY_FREE: Final = _rule(
    "lazy-free", "A page that was given up and not written since may be discarded; then zeroes are found.",
    "madvise(2), MADV_FREE",
)
COLD: Final = _rule("cold", "The pages are likelier to be reclaimed; contents stay.", "madvise(2), MADV_COLD")

# --- accesses ---
SEGV_READ: Final = _rule(
    "segv-read", "Reading a page that is not mapped or not readable is SIGSEGV.", "mmap(2), SIGSEGV; mprotect(2)"
)
SEGV_WRITE: Final = _rule(
    "segv-write", "Writing to a page that is not mapped or not writable is SIGSEGV.", "mmap(2), SIGSEGV; mprotect(2)"
)
READ: Final = _rule("read", "A load sees what was last stored in this process's page.", "mmap(2), MAP_PRIVATE; fork(2)")
READ_ZERO: Final = _rule(
    "read-zero", "Reading a page that is not there yet maps the zero page, which counts as no resident page.",
    "mmap(2), MAP_ANONYMOUS; " + _ADMIN + "userfaultfd.rst, Resolving Userfaults",
)
WRITE_FRESH: Final = _rule(
    "write-fresh", "Writing to a page that is not there yet makes a fresh anonymous page.", "mmap(2), MAP_ANONYMOUS"
)
WRITE: Final = _rule("write", "A store to a page that this process alone maps changes it.", "mmap(2), MAP_PRIVATE")
WRITE_COPY: Final = _rule(
    "write-copy", "A store to a page with other mappers goes to a copy; the others keep theirs.",
    "fork(2); mmap(2), MAP_PRIVATE; " + _ADMIN + "ksm.rst",
)

# --- processes ---
FORK: Final = _rule("fork", "The child has the same mappings and contents; pages are shared until written.", "fork(2)")
FORK_UNREGISTERED: Final = _rule(
    "fork-unregistered", "Without the fork event the child's ranges are not registered and not write-protected.",
    _IOCTL + "UFFD_FEATURE_EVENT_FORK",
)
FORK_EVENT: Final = _rule(
    "fork-event", "With the fork event the child's ranges belong to a new userfaultfd, and fork waits for the read.",
    _UFFD + ", Usage; " + _ADMIN + "userfaultfd.rst, Non-cooperative userfaultfd",
)
FORK_EVENT_ORDER: Final = _rule(
    "fork-event-order", "The events of several userfaultfds come one after another, by lowest registered address.",
    OBSERVED,
)
EXIT: Final = _rule("exit", "All tasks of the process end and its memory is given back.", "exit_group(2)")
EXIT_KILLS: Final = _rule(
    "exit-kills", "An operation in which a task of the process was blocked never completes, nor does its fork.",
    "exit_group(2)",
)
EXIT_REMOVES: Final = _rule(
    "exit-removes", "Which pages of files a MADV_REMOVE that is killed frees all the same is the kernel's choice.",
    "exit_group(2), madvise(2) (say nothing of it)",
)

# --- userfaultfd: the object ---
UFFD_OPEN: Final = _rule(
    "uffd-open", "A userfaultfd with the features asked for is made if the kernel has them all.", _IOCTL + "UFFDIO_API"
)
UFFD_FEATURE: Final = _rule(
    "uffd-feature", "Asking for a feature that the kernel lacks is EINVAL.", _IOCTL + "UFFDIO_API"
)
UFFD_CLOSE: Final = _rule(
    "uffd-close", "All ranges are unregistered, unread events are flushed, all who waited go on.",
    _UFFD + ", DESCRIPTION",
)
UFFD_GONE: Final = _rule(
    "uffd-gone", "Filling pages of a process that has exited is ESRCH.", _IOCTL + "UFFDIO_COPY, UFFDIO_ZEROPAGE"
)
UFFD_GONE_RANGE: Final = _rule(
    "uffd-gone-range", "(Un)registering in a process that has exited is ENOMEM, write-protecting ESRCH.", OBSERVED
)
UFFD_CHANGING: Final = _rule(
    "uffd-changing", "While a fork waits for its event to be read, page operations are EAGAIN.", OBSERVED
)

# --- userfaultfd: registration ---
REGISTER: Final = _rule(
    "register", "Accesses in the range that fit the mode are forwarded to the userfaultfd.", _IOCTL + "UFFDIO_REGISTER"
)
REGISTER_AGAIN: Final = _rule(
    "register-again", "Registering again replaces the mode, unless the old mode includes the new one.", OBSERVED
)
REGISTER_EMPTY: Final = _rule(
    "register-empty", "A range without any mapping is EINVAL.", _IOCTL + "UFFDIO_REGISTER"
)
REGISTER_BUSY: Final = _rule(
    "register-busy", "A mapping registered with another userfaultfd is EBUSY.", _IOCTL + "UFFDIO_REGISTER"
)
REGISTER_DROPS: Final = _rule(
    "register-drops", "Registering again without the write protection that the range is registered for is EBUSY.",
    _ADMIN + "userfaultfd.rst, UFFDIO_REGISTER, note on registering again",
)
UNREGISTER: Final = _rule(
    "unregister", "The range is no longer registered nor write-protected.", _IOCTL + "UFFDIO_UNREGISTER"
)
UNREGISTER_EMPTY: Final = _rule(
    "unregister-empty", "A range without any mapping is EINVAL.", _IOCTL + "UFFDIO_UNREGISTER"
)
UNREGISTER_OTHER: Final = _rule(
    "unregister-other",
    "A range of another userfaultfd of the process is unregistered too before 6.17, EINVAL since.",
    OBSERVED + ", tree 6.12",
)
UNREGISTER_WAKES: Final = _rule(
    "unregister-wakes", "Waiters in the part that was registered for missing pages go on, others wait for a wake.",
    OBSERVED,
)

# --- userfaultfd: faults and messages ---
FAULT_MISSING: Final = _rule(
    "fault-missing", "Accessing a missing page registered for that stops the task and queues a message.",
    _UFFD + ", UFFDIO_REGISTER_MODE_MISSING",
)
FAULT_WP: Final = _rule(
    "fault-wp", "Writing to a write-protected page registered for that stops the task and queues a message.",
    _UFFD + ", UFFDIO_REGISTER_MODE_WP",
)
FAULT_SIGBUS: Final = _rule(
    "fault-sigbus", "With the SIGBUS feature the task gets SIGBUS, and no message is queued.",
    _IOCTL + "UFFD_FEATURE_SIGBUS",
)
WP_ASYNC: Final = _rule(
    "wp-async", "In async mode a write ends the protection by itself, without a message.",
    _ADMIN + "userfaultfd.rst, Write Protect Notifications; " + _UAPI,
)
WP_POPULATES: Final = _rule(
    "wp-populates", "Access to a write-protected missing page maps a protected page first.", OBSERVED
)
MESSAGE: Final = _rule(
    "message", "A message says what happened where: missing, write, write to a protected page, fork.",
    _UFFD + ", Reading from the userfaultfd structure",
)
MESSAGE_ORDER: Final = _rule(
    "message-order", "Any message that is waiting may be the next.", _UFFD + " (says nothing of the order)"
)
MESSAGE_NONE: Final = _rule(
    "message-none", "Reading without a message waiting is EAGAIN; a fault resolved meanwhile has none.",
    "read(2), EAGAIN; " + _ADMIN + "userfaultfd.rst, QEMU/KVM",
)
MESSAGE_FORK: Final = _rule(
    "message-fork", "A fork event brings the child's userfaultfd, and fork goes on.", _UFFD + ", Usage"
)
EVENT_WAITS: Final = _rule(
    "event-waits", "Unmapping or moving memory whose userfaultfd asked for such events waits until they are read.",
    _UFFD + ", UFFD_EVENT_UNMAP, UFFD_EVENT_REMAP; " + _ADMIN + "userfaultfd.rst, Non-cooperative userfaultfd",
)
EVENT_REMOVE: Final = _rule(
    "event-remove", "With the remove event pages are dropped when it is read, one mapping after another.",
    _UFFD + ", UFFD_EVENT_REMOVE; " + OBSERVED,
)
REMOVE_GONE: Final = _rule(
    "remove-gone", "If the memory was unmapped while the remove event waited, the call is ENOMEM.", "madvise(2), ENOMEM"
)
REMOVE_SPLIT: Final = _rule(
    "remove-split",
    "If the mapping was split while the remove event waited, the rest is dropped after another event since 6.17; "
    "before that it may stay.", "madvise(2) (says nothing of it); " + OBSERVED + ", tree 6.12",
)
MESSAGE_EVENT: Final = _rule(
    "message-event", "An event says which range was removed or unmapped, or from where to where it moved.",
    _UFFD + ", Reading from the userfaultfd structure",
)
RETRY: Final = _rule(
    "retry", "A task that was woken repeats its access, which may stop it again.",
    _ADMIN + "userfaultfd.rst, Resolving Userfaults",
)
RETRY_ORDER: Final = _rule(
    "retry-order", "Tasks that are woken together go on in any order.", _UFFD + " (says nothing of the order)"
)

# --- userfaultfd: page operations ---
WP: Final = _rule(
    "wp", "The pages of the range that exist are write-protected.", _IOCTL + "UFFDIO_WRITEPROTECT"
)
WP_UNPOPULATED: Final = _rule(
    "wp-unpopulated", "With the feature missing pages are write-protected too.",
    _UAPI + ", UFFD_FEATURE_WP_UNPOPULATED; " + _ADMIN + "userfaultfd.rst, Write Protect Notifications",
)
RESOLVE: Final = _rule(
    "resolve", "The protection of the range ends, and its waiters go on unless DONTWAKE is given.",
    _IOCTL + "UFFDIO_WRITEPROTECT",
)
WP_RANGE: Final = _rule(
    "wp-range", "A range that is not mapped, or not registered for write protection, is ENOENT.",
    _IOCTL + "UFFDIO_WRITEPROTECT",
)
WP_BEFORE: Final = _rule(
    "wp-before", "The pages before the first one that is not registered so are changed, no waiter goes on.", OBSERVED
)
COPY: Final = _rule(
    "copy", "The missing pages of the range are filled, and waiters go on unless DONTWAKE is given.",
    _IOCTL + "UFFDIO_COPY",
)
COPY_WP: Final = _rule(
    "copy-wp", "With COPY_MODE_WP the new pages are write-protected.", _IOCTL + "UFFDIO_COPY_MODE_WP"
)
COPY_WP_MODE: Final = _rule(
    "copy-wp-mode",
    "A MODE_WP in a range that is not registered for write protection, or that the kernel does not know, is EINVAL.",
    _IOCTL + "UFFDIO_COPY_MODE_WP",
)
FILL_EXISTS: Final = _rule(
    "fill-exists", "A page that exists stops the ioctl: EEXIST if it is the first of the range.", OBSERVED
)
FILL_PART: Final = _rule(
    "fill-part", "If only some pages were filled, the ioctl is EAGAIN and tells how many; their waiters go on.",
    _IOCTL + "UFFDIO_COPY, EAGAIN",
)
FILL_RANGE: Final = _rule(
    "fill-range", "A range that is not within one registered mapping is ENOENT.", OBSERVED
)
FILL_GUARD: Final = _rule(
    "fill-guard",
    "Whether UFFDIO_COPY and UFFDIO_CONTINUE put a page in the place of a guard page is the kernel's choice.",
    _IOCTL + "UFFDIO_COPY, UFFDIO_CONTINUE (say nothing of it)",
)
FILL_MAPPINGS: Final = _rule(
    "fill-mappings", "Whether equal mappings side by side count as one is the kernel's choice.",
    "mmap(2) (says nothing of it)",
)
ZEROPAGE: Final = _rule(
    "zeropage",
    "The missing pages of the range are mapped to the zero page, and waiters go on unless DONTWAKE is given.",
    _IOCTL + "UFFDIO_ZEROPAGE",
)
WAKE: Final = _rule("wake", "The waiters of the userfaultfd in the range go on.", _IOCTL + "UFFDIO_WAKE")

POISON: Final = _rule(
    "poison", "Accesses to the missing pages of the range are SIGBUS, and waiters go on unless DONTWAKE is given.",
    _ADMIN + "userfaultfd.rst, Memory Poisoning Emulation; UFFDIO_POISON(2const)",
)
POISONED: Final = _rule(
    "poisoned", "An access to a poisoned page is SIGBUS.", _ADMIN + "userfaultfd.rst, Memory Poisoning Emulation"
)
POISON_FILL: Final = _rule(
    "poison-fill", "Whether a poisoned page counts as a page that exists is the kernel's choice.",
    _IOCTL + "UFFDIO_COPY, UFFDIO_ZEROPAGE (says nothing of it)",
)
POISON_WP: Final = _rule(
    "poison-wp", "Whether a poisoned page shows as write-protected is the kernel's choice.",
    _ADMIN + "pagemap.rst (says nothing of it)",
)
MOVE: Final = _rule(
    "move", "The pages of the source go to the missing pages of the range, and leave a hole.", "UFFDIO_MOVE(2const)"
)
MOVE_OWN: Final = _rule(
    "move-own", "Moving pages of another process is EINVAL.", OBSERVED
)
MOVE_RANGE: Final = _rule(
    "move-range",
    "Both ranges lie within one private writable mapping each, of equal protection, the target's registered with this "
    "userfaultfd: else EINVAL; ENOENT if nothing is mapped at the start of one.",
    OBSERVED,
)
MOVE_EXISTS: Final = _rule("move-exists", "A page in the target stops the move: EEXIST.", "UFFDIO_MOVE(2const), EEXIST")
MOVE_HOLE: Final = _rule(
    "move-hole", "A missing page of the source stops the move unless ALLOW_SRC_HOLES is given: ENOENT.",
    "UFFDIO_MOVE(2const), ENOENT",
)
MOVE_SWAPPED: Final = _rule(
    "move-swapped", "Whether a page in swap keeps its write protection when it is moved is the kernel's choice.",
    "UFFDIO_MOVE(2const) (says nothing of it)",
)
MOVE_BUSY: Final = _rule(
    "move-busy", "A page that is not exclusive to the process, or was shared before, stops the move: EBUSY.",
    "UFFDIO_MOVE(2const), EBUSY",
)
MOVE_MARKER: Final = _rule(
    "move-marker", "A poisoned, or a write-protected missing, page of the source stops the move: EFAULT.", OBSERVED
)

# --- what user space reads and steers through /proc ---
CLEAR_SOFT_DIRTY: Final = _rule(
    "clear-soft-dirty", "No page of the process is soft-dirty any more; a write makes its page soft-dirty.",
    _ADMIN + "soft-dirty.rst",
)
CLEAR_REFERENCED: Final = _rule(
    "clear-referenced", "The pages of the process count as not referenced.",
    "Documentation/filesystems/proc.rst, clear_refs",
)
SOFT_DIRTY_FORK: Final = _rule(
    "soft-dirty-fork", "The child's copy of a page that the parent wrote is soft-dirty; other pages may be.",
    _ADMIN + "soft-dirty.rst (says nothing of the child)",
)
SOFT_DIRTY_FILL: Final = _rule(
    "soft-dirty-fill", "A page that was copied or moved to where none was is soft-dirty, as the memory there changed.",
    _ADMIN + "soft-dirty.rst (its purpose)",
)
SOFT_DIRTY_TABLE: Final = _rule(
    "soft-dirty-table", "Pages that move together, with their page table, may keep the bits that they had.",
    _ADMIN + "soft-dirty.rst (says nothing of mremap)",
)
SOFT_DIRTY_MERGE: Final = _rule(
    "soft-dirty-merge", "Where mappings change, pages may become soft-dirty that nobody wrote.",
    _ADMIN + "soft-dirty.rst; pagemap.rst, PAGE_IS_WRITTEN",
)
SOFT_DIRTY_HUGE: Final = _rule(
    "soft-dirty-huge",
    "Pages that a huge page maps, or that were brought in together, may become soft-dirty with one of them.",
    _ADMIN + "soft-dirty.rst (the bit is one of a page table entry)",
)
SCAN: Final = _rule(
    "scan", "The mapped pages of the range that are of the category, or with `inverted` are not, are found.",
    _ADMIN + "pagemap.rst, PAGEMAP_SCAN",
)
SCAN_WRITTEN: Final = _rule(
    "scan-written", "Only in a range that is registered for write protection are pages told to be written.",
    _ADMIN + "pagemap.rst, PAGE_IS_WRITTEN",
)
SCAN_WP: Final = _rule(
    "scan-wp", "With WP_MATCHING the found pages that were written are write-protected; others are passed over.",
    _ADMIN + "pagemap.rst, PM_SCAN_WP_MATCHING",
)
SCAN_CHECK: Final = _rule(
    "scan-check", "With CHECK_WPASYNC a page without asynchronous write protection is EPERM.",
    _ADMIN + "pagemap.rst, PM_SCAN_CHECK_WPASYNC",
)
SCAN_UNSURE: Final = _rule(
    "scan-unsure", "Whether a missing page counts as written, and a marker as swapped, is the kernel's choice.",
    _ADMIN + "pagemap.rst (says nothing of it)",
)

# --- KSM ---
KSM: Final = _rule(
    "ksm", "Pages of equal content in mergeable ranges may be replaced by one shared page; contents stay.",
    _ADMIN + "ksm.rst, Overview",
)

# --- failure injection ---
FAIL: Final = _rule(
    "fail", "The nth request for memory of the next operation fails.",
    "Documentation/fault-injection/fault-injection.rst",
)
SWAP_READ_ERROR: Final = _rule(
    "swap-read-error",
    "A page that cannot be read from swap is SIGBUS, or the error of a bad address where there is no signal; it may be "
    "lost for good, but nothing else is ever found in its place.",
    "sigaction(2), BUS_OBJERR (hardware error); Documentation/fault-injection/fault-injection.rst, fail_make_request",
)
SWAPOFF_ERROR: Final = _rule(
    "swapoff-error", "After swapoff an access to a page that could not be read is SIGBUS.",
    "swapoff(2) (says nothing of it); observed: tree 6.1 and tree 6.12 (unuse_pte())",
)
FAIL_NO_MEMORY: Final = _rule(
    "fail-no-memory",
    "For want of memory an operation fails with ENOMEM, or with EAGAIN where its page says so, and has done its work "
    "on the first pages of its range or on none.",
    "mmap(2), mprotect(2), madvise(2), fork(2), ioctl_userfaultfd(2), ERRORS",
)

# --- secondary MMU ---
GUEST_FAULT: Final = _rule(
    "guest-fault", "An access that its task could not make is EFAULT through a secondary MMU.",
    "Documentation/core-api/pin_user_pages.rst (get_user_pages() follows the rules of the address space)",
)

# --- pins, references, access from outside, migration ---
_PIN: Final = "Documentation/core-api/pin_user_pages.rst"
PIN: Final = _rule(
    "pin", "The pages of the range are faulted in and pinned, as many as can be from its start.", _PIN
)
PIN_FAULT: Final = _rule(
    "pin-fault", "If the first page cannot be had, pinning or referencing is EFAULT.",
    "Documentation/core-api/mm-api.rst, get_user_pages()",
)
PIN_EXCLUSIVE: Final = _rule(
    "pin-exclusive", "A page that is shared for copy-on-write is copied before it is pinned, also for reading.",
    OBSERVED + " (process_vm_readv), since 5.19",
)
PIN_ZERO: Final = _rule(
    "pin-zero", "A long-term pin for reading does not pin the zero page: the process gets a page of its own.",
    "Documentation/core-api/mm-api.rst, pin_user_pages(); since 6.2",
)
PIN_READ: Final = _rule(
    "pin-read", "A device sees what the process stores, as long as that maps the page; afterwards the page stays.", _PIN
)
PIN_WRITE: Final = _rule(
    "pin-write", "The process sees what a device stores, as long as it maps the page; nobody else does.", _PIN
)
REF: Final = _rule(
    "ref", "Plain references are taken to the pages of the range, as many as can be from its start.", "vmsplice(2)"
)
REF_READ: Final = _rule(
    "ref-read",
    "A plain reference shows what the page held when it was taken, or what its process stored there since; never what "
    "another process stores.",
    "vmsplice(2); fork(2); CVE-2020-29374",
)
UNPIN: Final = _rule("unpin", "The pages are given back; the process's memory does not change.", _PIN)
FORK_PINNED: Final = _rule(
    "fork-pinned", "A page that may be pinned is copied for the child at once; the parent keeps it.", _PIN
)
PROCESS_READ: Final = _rule(
    "process-read", "The bytes of the process's page are copied, faulting it in.", "process_vm_readv(2)"
)
PROCESS_WRITE: Final = _rule(
    "process-write", "The process's page is written to as if by itself.", "process_vm_readv(2)"
)
PROCESS_FAULT: Final = _rule(
    "process-fault", "A page that is not mapped, or lacks the permission, is EFAULT.", "process_vm_readv(2), ERRORS"
)
MEM_READ: Final = _rule(
    "mem-read", "A debugger reads the process's page whatever its protection.", "proc(5), /proc/pid/mem; ptrace(2)"
)
MEM_WRITE: Final = _rule(
    "mem-write", "A debugger writes the process's private page whatever its protection.",
    "proc(5), /proc/pid/mem; ptrace(2)",
)
MEM_FAULT: Final = _rule(
    "mem-fault", "A page that is not mapped, or whose fault a userfaultfd would hold, is EIO.", OBSERVED
)
POPULATE_READ: Final = _rule(
    "populate-read", "The pages are faulted in as if each were read.", "madvise(2), MADV_POPULATE_READ"
)
POPULATE_WRITE: Final = _rule(
    "populate-write", "The pages are faulted in as if each were written.", "madvise(2), MADV_POPULATE_WRITE"
)
POPULATE_ERROR: Final = _rule(
    "populate-error",
    "The first page that is not mapped is ENOMEM, that lacks the permission EINVAL, that would get SIGBUS EFAULT; "
    "those before it are populated.",
    "madvise(2), ERRORS",
)
MIGRATE: Final = _rule(
    "migrate", "Pages may move to other frames; contents, bits and counters stay, pinned pages are left alone.",
    "Documentation/mm/page_migration.rst",
)

# --- bits of a snapshot that documentation leaves open ---
NUMA_HINT: Final = _rule(
    "numa-hint", "That pages are hinted changes nothing that a process sees: contents, protection, bits, counters.",
    "Documentation/admin-guide/sysctl/kernel.rst, numa_balancing (page faults trap accesses, pages may migrate)",
)
FORK_ZERO_PAGE: Final = _rule(
    "fork-zero-page", "Whether a zero page of the parent is mapped in the child is the kernel's choice.",
    "fork(2), " + _ADMIN + "pagemap.rst (say nothing of it)",
)
RECLAIM_UNBORN: Final = _rule(
    "reclaim-unborn",
    "After reclaim worked on pages of a fork under way, whether the one process that is seen to map such a page maps "
    "it exclusively is not known until the child is born.",
    _ADMIN + "concepts.rst, Reclaim; " + _ADMIN + "pagemap.rst, bit 56 (the child cannot be looked at)",
)
KSM_UNBORN: Final = _rule(
    "ksm-unborn",
    "After KSM worked beside a fork under way, or may have merged pages with one in the swap cache, whether "
    "pages are mapped exclusively is not known.",
    _ADMIN + "ksm.rst (the sharing map cannot name the child, nor a page that none maps)",
)

# --- shared memory and files ---
MMAP_SHARED: Final = _rule(
    "mmap-shared", "The range holds fresh memory of zeroes that a fork shares.", "mmap(2), MAP_SHARED, MAP_ANONYMOUS"
)
MMAP_FILE: Final = _rule(
    "mmap-file", "The range shows the file from the given page on; the mapping keeps the file after a close.", "mmap(2)"
)
BUS_BEYOND: Final = _rule("bus-beyond", "An access to a page beyond the end of the file is SIGBUS.", "mmap(2), SIGBUS")
READ_FILE: Final = _rule(
    "read-file", "A load sees what was last stored in the file's page; it counts as a resident page of a file.",
    "mmap(2), MAP_SHARED; Documentation/filesystems/proc.rst, RssFile and RssShmem",
)
MAP_AROUND: Final = _rule(
    "map-around", "Which pages in the page cache a process maps without an access of its own is the kernel's choice.",
    "mmap(2), fork(2), " + _ADMIN + "pagemap.rst (say nothing of it)",
)
WRITE_SHARED: Final = _rule(
    "write-shared", "A store through a shared mapping changes the file; all who map the page see it.",
    "mmap(2), MAP_SHARED",
)
WRITE_FILE_COPY: Final = _rule(
    "write-file-copy", "The first store through a private mapping makes a private copy of the file's page.",
    "mmap(2), MAP_PRIVATE",
)
DONTNEED_FILE_WP: Final = _rule(
    "dontneed-file-wp", "Dropping a page of a file mapping keeps its userfaultfd write protection.",
    _ADMIN + "userfaultfd.rst, Write Protect Notifications (information is not lost when an entry is dropped)",
)
WP_UNPOPULATED_FILE: Final = _rule(
    "wp-unpopulated-file", "In mappings of files missing pages are write-protected like present ones.",
    _ADMIN + "userfaultfd.rst, Write Protect Notifications",
)
MERGEABLE_SHARED: Final = _rule(
    "mergeable-shared", "Only private mappings are registered with KSM.",
    "madvise(2), MADV_MERGEABLE (private anonymous pages)",
)
REGISTER_KIND: Final = _rule(
    "register-kind",
    "Memory that does not fit the mode is EINVAL: a file other than shared memory (but for asynchronous write "
    "protection), minor faults of anything but shared memory; and so is a mode that the kernel does not know.",
    _IOCTL + "UFFDIO_REGISTER, EINVAL",
)
UNREGISTER_KIND: Final = _rule(
    "unregister-kind", "Memory that could not be registered as it is cannot be unregistered: EINVAL.",
    _IOCTL + "UFFDIO_UNREGISTER, EINVAL",
)
FAULT_MISSING_FILE: Final = _rule(
    "fault-missing-file", "Accessing a hole of shared memory registered for missing pages stops the task.",
    _UFFD + ", UFFDIO_REGISTER_MODE_MISSING",
)
FAULT_MINOR: Final = _rule(
    "fault-minor", "Accessing a page that is in the page cache but not mapped stops the task, if registered for that.",
    _UFFD + ", UFFDIO_REGISTER_MODE_MINOR; " + _ADMIN + "userfaultfd.rst",
)
FILL_KIND: Final = _rule("fill-kind", "Only memory that the ioctl supports can be filled: else EINVAL.", OBSERVED)
FILL_BEYOND: Final = _rule("fill-beyond", "Filling a page beyond the end of the file is EFAULT or ENOMEM.", OBSERVED)
CONTINUE: Final = _rule(
    "continue", "Pages that are in the page cache are mapped, and waiters go on unless DONTWAKE is given.",
    _IOCTL + "UFFDIO_CONTINUE",
)
CONTINUE_MISSING: Final = _rule(
    "continue-missing", "A page that is not in the page cache is EFAULT.", _IOCTL + "UFFDIO_CONTINUE, EFAULT"
)
CONTINUE_BEYOND: Final = _rule("continue-beyond", "A page beyond the end of the file is EINVAL or EFAULT.", OBSERVED)
REMOVE: Final = _rule(
    "remove", "The pages and what the file holds there are freed; later accesses see zeroes.", "madvise(2), MADV_REMOVE"
)
REMOVE_ANON: Final = _rule("remove-anon", "Memory without a file is EINVAL.", "madvise(2), MADV_REMOVE")
REMOVE_PRIVATE: Final = _rule(
    "remove-private", "A mapping that is not shared and writable is EACCES.", "madvise(2), EACCES, MADV_REMOVE"
)
LAZY_FREE_KIND: Final = _rule(
    "lazy-free-kind", "Memory that is not private and anonymous is EINVAL.", "madvise(2), MADV_FREE"
)
FORCE_SHARED: Final = _rule(
    "force-shared", "Writing by force does not go through a shared mapping that is not writable.", OBSERVED
)
WIPEONFORK_KIND: Final = _rule(
    "wipeonfork-kind", "Memory that is not private and anonymous is EINVAL.", "madvise(2), EINVAL, MADV_WIPEONFORK"
)
PIN_FILE_COPY: Final = _rule(
    "pin-file-copy", "A long-term pin of a private mapping of a file is of a copy that no write can take away.",
    "Documentation/core-api/pin_user_pages.rst",
)
PIN_DIRTY: Final = _rule(
    "pin-dirty", "Pages of a file with a store cannot be pinned for long for writing: EFAULT.",
    "Documentation/core-api/pin_user_pages.rst",
)
FILE_OPEN: Final = _rule(
    "file-open", "The file holds zeroes up to its end.", "memfd_create(2); open(2), O_TMPFILE; truncate(2)"
)
FILE_CLOSE: Final = _rule("file-close", "The handle is gone, mappings stay.", "close(2); mmap(2)")
FILE_READ: Final = _rule("file-read", "Reads what the file holds; nothing at its end.", "pread(2)")
FILE_WRITE: Final = _rule("file-write", "Changes the file, which grows if need be.", "pwrite(2)")
FILE_TRUNCATE: Final = _rule(
    "file-truncate",
    "What lies beyond the new end is lost, for private copies too; a file that grows holds zeroes there.",
    "truncate(2); mmap(2), SIGBUS",
)
FILE_ALLOCATE: Final = _rule(
    "file-allocate", "The range is allocated, as zeroes where there was nothing; without KEEP_SIZE the file may grow.",
    "fallocate(2), Allocating disk space",
)
FILE_ALLOCATE_EMPTY: Final = _rule("file-allocate-empty", "An empty range is EINVAL.", "fallocate(2), EINVAL")
FILE_PUNCH: Final = _rule(
    "file-punch", "The range reads as zeroes afterwards; private copies and the file's size stay.",
    "fallocate(2), Deallocating file space",
)
FILE_SYNC: Final = _rule("file-sync", "Nothing that a process sees changes.", "fsync(2)")
FILE_DROP: Final = _rule("file-drop", "Nothing that a process sees changes.", "posix_fadvise(2), POSIX_FADV_DONTNEED")

# --- deviations ---
DEVIATIONS: Final[list[KnownDeviation]] = []


def _deviation(name: str, documented: str, source: str, kernel: str, trees: str, evidence: str) -> int:
    DEVIATIONS.append(KnownDeviation(name, documented, source, kernel, trees, evidence))
    return len(DEVIATIONS) - 1


_BIT_57: Final = _ADMIN + "pagemap.rst, bit 57"

MARKER_SWAP: Final = _deviation(
    "marker-reads-as-swapped",
    "pagemap bit 62 means that the page is swapped.",
    _ADMIN + "pagemap.rst, bit 62",
    "Bit 62 is also set for a missing page that is write-protected (WP_UNPOPULATED), without any swap.",
    "6.12 (source), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0 rw
p0.0 uffd-open u0 wp-unpopulated
m uffd-register u0 a0 wp
m uffd-wp u0 a0
""",
)
REREGISTER_BIT: Final = _deviation(
    "wp-survives-reregister",
    "pagemap bit 57 means that the page is write-protected by userfaultfd.",
    _BIT_57,
    "Registering a range again without WP leaves the bit on its pages.  Writes then pass, and go on passing without a "
    "message after the range is registered for WP again, with the bit still shown.",
    "5.10, 6.1, 6.12 (source), 6.18 (live), 7.2 (machine)",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 uffd-open u0
m uffd-register u0 a0 wp
m uffd-wp u0 a0
m uffd-register u0 a0 missing
p0.0 write a0 =2
m uffd-register u0 a0 wp
p0.0 write a0 =3
""",
)
UNREGISTER_BIT: Final = _deviation(
    "wp-survives-unregister",
    "pagemap bit 57 means that the page is write-protected by userfaultfd.",
    _BIT_57,
    "Unregistering leaves the protection's bit on the pages.  Writes then pass, and go on passing without a message "
    "after the range is registered for WP again.",
    "5.10 (source: userfaultfd_unregister())",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 uffd-open u0
m uffd-register u0 a0 wp
m uffd-wp u0 a0
m uffd-unregister u0 a0
""",
)
MREMAP_BIT: Final = _deviation(
    "wp-survives-mremap",
    "pagemap bit 57 means that the page is write-protected by userfaultfd.",
    _BIT_57,
    "Moving a range without the remap event, which ends its registration, leaves the protection's bit on the pages.  "
    "Writes then pass, and go on passing without a message after the range is registered for WP again.",
    "5.10, 6.1 up to 6.1.190 (source: move_ptes())",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 uffd-open u0
m uffd-register u0 a0 wp
m uffd-wp u0 a0
p0.0 mremap a0 a1
""",
)
FLUSHED_BIT: Final = _deviation(
    "wp-survives-flushed-fork",
    "pagemap bit 57 means that the page is write-protected by userfaultfd; the child's userfaultfd is gone with the "
    "flushed event.",
    _BIT_57 + "; userfaultfd(2), DESCRIPTION",
    "If the userfaultfd is closed while a fork event waits, the child is not registered but keeps the bit.",
    "5.10, 6.1, 6.12 (source), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 uffd-open u0 event-fork
m uffd-register u0 a0 wp
m uffd-wp u0 a0
p0.0 fork p1
m uffd-close u0
""",
)
KSM_BIT: Final = _deviation(
    "ksm-drops-wp",
    "Writing to a write-protected page registered for that queues a message; KSM is transparent.",
    "userfaultfd(2), UFFDIO_REGISTER_MODE_WP; " + _ADMIN + "ksm.rst, Overview",
    "Replacing a page by a KSM page drops its write protection: bit 57 is gone and the next write passes unnoticed.",
    "5.10, 6.1, 6.12 (source: replace_page()), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0+2 rw
p0.0 write a0 =7
p0.0 write a1 =7
p0.0 madvise a0+2 mergeable
p0.0 uffd-open u0
m uffd-register u0 a0+2 wp
m uffd-wp u0 a0+2
m ksm-merge p0 a0+2
p0.0 write a0 =8
""",
)
WP_HOLE: Final = _deviation(
    "wp-over-hole",
    "UFFDIO_WRITEPROTECT is ENOENT if an address of the range does not exist.",
    "ioctl_userfaultfd(2), UFFDIO_WRITEPROTECT, ENOENT",
    "Holes are passed over without an error as long as one mapping lies in the range.",
    "6.12 (source), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0 rw
p0.0 uffd-open u0
m uffd-register u0 a0 wp
m uffd-wp u0 a0+2
""",
)
MARKER_ZEROPAGE: Final = _deviation(
    "zeropage-over-marker",
    "A fault on a missing page can be resolved by UFFDIO_ZEROPAGE.",
    _ADMIN + "userfaultfd.rst, Resolving Userfaults",
    "If the missing page is write-protected (WP_UNPOPULATED), UFFDIO_ZEROPAGE is EEXIST; UFFDIO_COPY works.",
    "6.12 (source), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0 rw
p0.0 uffd-open u0 wp-unpopulated
m uffd-register u0 a0 missing,wp
m uffd-wp u0 a0
p0.0 read a0
m uffd-zeropage u0 a0
""",
)
UNMERGE_WP: Final = _deviation(
    "wp-stays-merged",
    "MADV_UNMERGEABLE unmerges whatever KSM had merged in the range.",
    "madvise(2), MADV_UNMERGEABLE",
    "A page that is write-protected by userfaultfd, or whose mapping allows no access, stays merged, without an error, "
    "for unmerging is a write to it.",
    "5.10, 6.1 (source: break_ksm())",
    """\
p0.0 mmap a0+2 rw
p0.0 write a0 =7
p0.0 write a1 =7
p0.0 madvise a0+2 mergeable
m ksm-merge p0 a0+2
p0.0 uffd-open u0
m uffd-register u0 a0+2 wp
m uffd-wp u0 a0+2
p0.0 madvise a0+2 unmergeable
""",
)
FREE_SHARED: Final = _deviation(
    "free-discards-shared-page",
    "MADV_FREE gives up the caller's pages; a child's and a parent's contents are separate.",
    "madvise(2), MADV_FREE; fork(2)",
    "A page that a read brought back from a synchronous swap device, as zram, is clean.  If parent and child share "
    "it and one of them gives it up, reclaim discards it: the other finds zeroes.",
    "5.10, 6.1, 6.12 (source: madvise_free_pte_range() looks at the mapcount of dirty pages only), 6.18 (live)",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =7
p0.0 madvise a0 pageout
p0.0 read a0
p0.0 madvise a0 cold
p0.0 fork p1
p1.0 madvise a0 free
p1.0 exit
p0.0 madvise a0 pageout
p0.0 read a0
""",
)
FREE_MERGED: Final = _deviation(
    "free-discards-merged-page",
    "MADV_FREE gives up the pages of its range; KSM is transparent.",
    "madvise(2), MADV_FREE; " + _ADMIN + "ksm.rst, Overview",
    "If the last mapping of a KSM page gives it up, the page stays in KSM's tree, clean.  Pages merged with it after "
    "that are discarded by reclaim: their owners find zeroes.",
    "5.10, 6.1, 6.12 (source: madvise_free_pte_range(), replace_page()), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0+3 rw
p0.0 madvise a0+3 mergeable
p0.0 write a0 =7
p0.0 write a1 =7
m ksm-merge p0 a0+3
p0.0 write a0 =9
p0.0 madvise a1 free
p0.0 write a2 =7
m ksm-merge p0 a0+3
p0.0 munmap a1
p0.0 madvise a2 pageout
p0.0 read a2
""",
)
REF_LEAK: Final = _deviation(
    "ref-sees-sibling",
    "Stores to a private mapping are not visible to other processes.",
    "mmap(2), MAP_PRIVATE; fork(2)",
    "If a process holds a page by a plain reference and unmaps it, and the last process that maps it stores to it as "
    "it comes back from the swap cache, or as it is mapped by a huge entry, the page is not copied: the reference "
    "shows the store.",
    "5.10 (source: reuse_swap_page() looks at mappings and swap alone)",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =1
p0.0 fork p1
p0.0 ref k0 a0
p0.0 munmap a0
m swap-out p1 a0
m swap-out p1 a0
p1.0 write a0 =2
m pin-read k0 a0
""",
)
FORCE_WP: Final = _deviation(
    "force-passes-wp",
    "Writing to a write-protected page registered for that is held, or fails where it cannot wait.",
    "userfaultfd(2), UFFDIO_REGISTER_MODE_WP",
    "A debugger's write to a page in swap, of a mapping that is not writable, goes to the page although it is "
    "write-protected; so does a forced pin.",
    "5.10 (source: reuse_swap_page() and FOLL_COW)",
    """\
p0.0 mmap a0 rw
p0.0 uffd-open u0
m uffd-register u0 a0 wp
p0.0 write a0 =1
m swap-out p0 a0
m uffd-wp u0 a0
p0.0 mprotect a0 r
m mem-write p0 a0 =1
""",
)
SWAPOFF_BITS: Final = _deviation(
    "swapoff-drops-bits",
    "pagemap bits 55 and 57 mean that the page was written since the bits were cleared, and that it is write-protected "
    "by userfaultfd; swap keeps both.",
    _BIT_57 + "; " + _ADMIN + "soft-dirty.rst",
    "swapoff maps the pages that it brings back without the two bits: a write-protected page can be written to.",
    "5.10 (source: unuse_pte())",
    """\
p0.0 mmap a0 rw
p0.0 uffd-open u0
m uffd-register u0 a0 wp
p0.0 write a0 =1
m uffd-wp u0 a0
m swap-out p0 a0
m swap-out p0 a0
m swapoff sync
""",
)
TRUNCATE_LOST: Final = _deviation(
    "truncate-keeps-lost-page",
    "A file that grows after it was cut reads as zeroes there.",
    "truncate(2)",
    "If a page of shared memory could not be read from swap, it is counted no longer, and cutting the file may pass "
    "over its last pages: when the file grows again, they are there, and accesses to the lost one are SIGBUS.",
    "6.1, 6.12, 7.2, 7.3 (source: shmem_set_folio_swapin_error(), shmem_setattr())",
    """\
p0.0 file-open f0 memfd @2
p0.0 mmap-file a0 rw f0 @0 shared
p0.0 write a0 =1
p0.0 madvise a0 pageout
m fail swap-read n1
p0.0 write a0 =1
p0.0 file-truncate f0 @0
p0.0 file-truncate f0 @3
p0.0 read a0
""",
)
SWAPOFF_UNREAD: Final = _deviation(
    "swapoff-maps-unread-page",
    "Every page in swap comes back with its contents, or accesses to it are SIGBUS.",
    "swapoff(2); Documentation/admin-guide/mm/concepts.rst, Reclaim",
    "If swapoff cannot read a page from the disk, it maps the page all the same, with what that memory held before.",
    "5.10 (source: unuse_pte_range())",
    """\
p0.0 mmap a0 rw
p0.0 write a0 =1
m swap-out p0 a0
m fail swap-read n1
m swapoff sync
""",
)
MREMAP_HOLE: Final = _deviation(
    "mremap-over-hole",
    "mremap is EFAULT if part of the old range is not mapped.",
    "mremap(2), ERRORS, EFAULT",
    "Holes are passed over where the mapping shrinks, and where it keeps its size and place.",
    "5.10, 6.1, 6.12 (source), 6.18 (live), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0 rw
p0.0 mremap-resize a0+2 =1
p0.0 mremap a0+2 a8
""",
)
MREMAP_MERGED: Final = _deviation(
    "mremap-unregisters-neighbour",
    "A range stays registered until it is unregistered, unmapped or moved.",
    "userfaultfd(2), DESCRIPTION",
    "If a range moves without the remap event to where it merges with a mapping of the same userfaultfd, that one is "
    "unregistered as well; its pages keep bit 57.  If it merges with the rest of itself, the unmap event is missing.",
    "5.10, 6.1, 6.12 (source: mremap_userfaultfd_prep() of the merged mapping), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0+3 rw
p0.0 uffd-open u0
m uffd-register u0 a0+3 wp
p0.0 mremap a0 a1
""",
)
KSM_SOFT_DIRTY: Final = _deviation(
    "ksm-drops-soft-dirty",
    "pagemap bit 55 means that the page was written since the bits were cleared; KSM is transparent.",
    _ADMIN + "soft-dirty.rst; " + _ADMIN + "ksm.rst, Overview",
    "Replacing a page by a KSM page drops its soft-dirty bit.",
    "5.10, 6.1, 6.12 (source: replace_page(); machine), 7.2, 7.3 (machine)",
    """\
p0.0 mmap a0+2 rw
p0.0 madvise a0+2 mergeable
p0.0 clear-refs soft-dirty
p0.0 write a0 =7
p0.0 write a1 =7
m ksm-merge p0 a0+2
""",
)
PIN_SOFT_DIRTY: Final = _deviation(
    "pin-drops-soft-dirty",
    "pagemap bit 55 means that the page was written since the bits were cleared.",
    _ADMIN + "soft-dirty.rst",
    "Clearing the bits leaves a pinned page writable.  If its bit was not set (a long-term pin for reading made it, "
    "and mprotect() made it writable while its mapping was new), a write to it does not set it.",
    "6.12, 7.2, 7.3 (machine; source: clear_soft_dirty(), maybe_change_pte_writable())",
    """\
p0.0 mmap a0 rw
p0.0 pin k0 a0 longterm
p0.0 mprotect a0 r
p0.0 mprotect a0 rw
p0.0 clear-refs soft-dirty
p0.0 write a0 =1
""",
)
RESOLVE_SOFT_DIRTY: Final = _deviation(
    "resolve-hides-writes",
    "pagemap bit 55 means that the page was written since the bits were cleared.",
    _ADMIN + "soft-dirty.rst",
    "Resolving the write protection of shared memory makes its pages writable: what is written then shows no bit.",
    "6.1 (source: uffd_wp_range())",
    """\
p0.0 file-open f0 memfd @1
p0.0 mmap-file a0 rw f0 @0 shared
p0.0 uffd-open u0
m uffd-register u0 a0 wp
p0.0 write a0 =1
p0.0 clear-refs soft-dirty
m uffd-resolve u0 a0
p0.0 write a0 =1
""",
)
MPROTECT_SOFT_DIRTY: Final = _deviation(
    "mprotect-hides-writes",
    "pagemap bit 55 means that the page was written since the bits were cleared.",
    _ADMIN + "soft-dirty.rst",
    "mprotect() that allows writing makes dirty pages of shared mappings writable, although their bits were cleared: "
    "what is written then shows no bit.",
    "5.10 (source: change_pte_range())",
    """\
p0.0 file-open f0 tmpfile @2
p0.0 mmap-file a0 rw f0 @0 shared
p0.0 write a0 =1
p0.0 clear-refs soft-dirty
p0.0 mprotect a0 r
p0.0 mprotect a0 rw
p0.0 write a0 =1
""",
)
FAILED_FORK: Final = _deviation(
    "event-of-failed-fork",
    "The fork event hands over the userfaultfd of a child.",
    "userfaultfd(2), UFFD_EVENT_FORK; " + _ADMIN + "userfaultfd.rst, Non-cooperative userfaultfd",
    "A fork that has no memory left for the child's page tables sends its event all the same, waits until it is read, "
    "and fails then.",
    "5.10, 6.1 (source: dup_mmap())",
    """\
p0.0 mmap a0 rw
p0.0 uffd-open u0 event-fork
m uffd-register u0 a0 missing
m uffd-copy u0 a0 =1
m fail table n2
p0.0 fork p1
m uffd-read u0 u1
""",
)
FAILED_MMAP: Final = _deviation(
    "event-of-failed-mmap",
    "The unmap event tells that memory was unmapped.",
    "userfaultfd(2), UFFD_EVENT_UNMAP; " + _ADMIN + "userfaultfd.rst, Non-cooperative userfaultfd",
    "munmap(), or mmap() or mremap() over a mapping, that has no memory to split it sends the event all the same, "
    "waits until it is read, and fails then; nothing is unmapped.  So does mremap() that has no memory to move the "
    "pages, of the new place.",
    "6.12, 7.2, 7.3 (machine; source: vms_gather_munmap_vmas(), move_vma(), unmap_source_vma())",
    """\
p0.0 mmap a0+3 rw
p0.0 uffd-open u0 event-unmap
m uffd-register u0 a0 missing
m fail slab n2
p0.0 mmap a0+2 r
m uffd-read u0 u1
""",
)
MREMAP_BACK: Final = _deviation(
    "failed-mremap-drops-wp",
    "A range stays registered, and its pages protected, until it is unregistered, resolved, unmapped or moved.",
    "userfaultfd(2), DESCRIPTION; " + _BIT_57,
    "mremap() that has no memory to move all pages moves those back that it has moved, without their protection: "
    "writes to them pass unnoticed, although the range is still registered.",
    "6.1 from 6.1.191 on, 6.12, 7.2, 7.3 (machine; source: move_ptes() with need_clear_uffd_wp, move_vma())",
    """\
p0.0 mmap a9+2 rw
p0.0 write a9 =1
p0.0 uffd-open u0
m uffd-register u0 a9+2 wp
m uffd-wp u0 a9
m fail table n1
p0.0 mremap a9+2 a15+2
p0.0 write a9 =2
""",
)
MREMAP_LEFT: Final = _deviation(
    "mremap-leaves-source",
    "mremap moves a mapping.",
    "mremap(2), DESCRIPTION",
    "If there is no memory to split the mapping that a part moves from, the part stays mapped there as well, without "
    "its pages, and the call succeeds.",
    "5.10, 6.1, 6.12 (source: move_vma())",
    """\
p0.0 mmap a0+2 rw
m fail slab n2
p0.0 mremap a0 a3
m fail slab n6
p0.0 mremap a0 a5
""",
)
HUGE_BEYOND: Final = _deviation(
    "huge-beyond-end",
    "Access to a page of the mapping that lies beyond the end of the file is SIGBUS.",
    "mmap(2), SIGBUS",
    "Where a huge page of shared memory is mapped, in newer trees also page by page, pages beyond the file's end can "
    "be read and written; in the newest tree also where a smaller folio is mapped around a read.",
    "the machine with huge pages (profile thp), and by hand in 6.18",
    """\
p0.0 file-open f0 memfd @7
p0.0 mmap-file a0+8 rw f0 @0 shared
p0.0 madvise a0+8 hugepage
p0.0 write a0 =1
p0.0 read a7
""",
)
HUGE_FILE_WP: Final = _deviation(
    "huge-file-loses-wp",
    "pagemap bit 57 means that the page is write-protected by userfaultfd.",
    _ADMIN + "pagemap.rst, bit 57 and PM_SCAN_WP_MATCHING",
    "PAGEMAP_SCAN protects a huge page of shared memory as a whole; a write to one of its pages, in asynchronous mode,"
    " ends the protection of all.",
    "the machine with huge pages (profile thp; source: __split_huge_pmd_locked() leaves no markers)",
    """\
p0.0 mmap-shared a0+8 rw
p0.0 write a0 =1
p0.0 madvise a0+8 collapse
p0.0 uffd-open u0 wp-async
m uffd-register u0 a0+8 wp
p0.0 pagemap-scan a0+8 written wp
p0.0 write a0 =1
""",
)
BATCH_SOFT_DIRTY: Final = _deviation(
    "protecting-sets-soft-dirty",
    "pagemap bit 55 means that the page was written since the bits were cleared.",
    _ADMIN + "soft-dirty.rst",
    "Changing the protection of several pages of a large folio that is mapped page by page sets the bit of all of them "
    "if one but the first is dirty; so does reclaim that finds the folio, which was given up by MADV_FREE, written to.",
    "the newest tree with profile thp (machine; source: modify_prot_start_ptes(), try_to_unmap_one(), pte_mkdirty())",
    """\
p0.0 mmap a0+4 rw
p0.0 write a0 =1
p0.0 fork p1
p1.0 uffd-open u0
m uffd-register u0 a0+2 wp
p1.0 clear-refs soft-dirty
m uffd-wp u0 a0+2
""",
)
NOHUGE_ZERO: Final = _deviation(
    "nohugepage-huge-zero-page",
    "MADV_NOHUGEPAGE ensures that memory in the range is not backed by transparent huge pages.",
    "madvise(2), MADV_NOHUGEPAGE",
    "A write to the huge zero page that was mapped before allocates a huge page.",
    "the newest tree with profile thp (machine; source: do_huge_zero_wp_pmd() does not ask the mapping)",
    """\
p0.0 mmap a0+8 rw
p0.0 read a0
p0.0 madvise a0+8 nohugepage
p0.0 write a0 =1
""",
)
PIN_HUGE_WP: Final = _deviation(
    "pin-drops-huge-wp",
    "Writing to a write-protected page registered for that queues a message.",
    "userfaultfd(2), UFFDIO_REGISTER_MODE_WP",
    "A long-term pin for reading of the huge zero page makes a huge page of it, without its write protection: bit 57 "
    "is gone, and writes pass unnoticed.",
    "the newest tree with profile thp (machine; source: do_huge_zero_wp_pmd(), map_anon_folio_pmd_nopf())",
    """\
p0.0 mmap a0+8 rw
p0.0 read a0
p0.0 uffd-open u0
m uffd-register u0 a0+8 wp
m uffd-wp u0 a0+8
p0.0 pin k0 a0 longterm
p0.0 write a1 =1
""",
)
FILL_SOFT_DIRTY: Final = _deviation(
    "fill-leaves-soft-dirty",
    "pagemap bit 55 means that the page was written since the bits were cleared.",
    _ADMIN + "soft-dirty.rst",
    "UFFDIO_COPY to a shared mapping that is not writable does not set the bit of the page that it puts there.",
    "5.10 (source: shmem_mfill_atomic_pte())",
    """\
p0.0 file-open f0 memfd @8
p0.0 mmap-file a0 none f0 @0 shared
p0.0 uffd-open u0
m uffd-register u0 a0 missing
p0.0 clear-refs soft-dirty
m uffd-copy u0 a0 =1
""",
)
HUGE_MIGRATION_WP: Final = _deviation(
    "huge-migration-drops-wp",
    "pagemap bit 57 means that the page is write-protected by userfaultfd.",
    _BIT_57,
    "Migrating a huge page drops its protection: writes then pass unnoticed.",
    "the oldest tree with profile thp (machine; source: set_pmd_migration_entry())",
    """\
p0.0 mmap a0+8 rw
p0.0 uffd-open u0
m uffd-register u0 a0+8 wp
p0.0 write a0 =1
m uffd-wp u0 a0+8
m migrate p0 a0
""",
)
MERGE_SOFT_DIRTY: Final = _deviation(
    "merge-drops-soft-dirty",
    "New memory regions are always marked as soft-dirty.",
    _ADMIN + "soft-dirty.rst",
    "The mark of a new mapping whose pages are not written, or are pages of a file that were read before, is lost when "
    "mprotect or the end of a registration makes an older one beside it join it, or when a part of it moves to where "
    "it and an older one join.",
    "5.10, 6.1, 6.12 (source: mprotect_fixup() gives the joined mapping the flags of the changed one; machine)",
    """\
p0.0 mmap a0 r
p0.0 clear-refs soft-dirty
p0.0 mmap a1 rw
p0.0 mprotect a0 rw
""",
)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def rules_table() -> str:
    """The rules as a Markdown table."""
    return _table(("rule", "says", "source"), [(f"`{r.id}`", r.text, r.source) for r in RULES])


def versions_table() -> str:
    """The differences between kernel versions as a Markdown table."""
    rows: list[tuple[str, ...]] = [
        (f"`{d.id}`", ", ".join(".".join(map(str, first)) for first in (d.since, *d.stable)), d.text, d.source)
        for d in DIFFERENCES
    ]
    return _table(("difference", "since", "says", "source"), rows)


def deviations_table() -> str:
    """The known deviations as Markdown."""
    parts = []
    for d in DEVIATIONS:
        program = "".join(f"    {line}\n" for line in d.evidence.splitlines())
        parts.append(
            f"### `{d.id}`\n\nDocumented: {d.documented} ({d.source})\n\n"
            f"Kernel: {d.kernel} Seen in {d.trees}.\n\n{program}"
        )
    return "\n".join(parts)


def current(text: str) -> str:
    """The text of docs/oracle.md with its tables as they are now; each stands between a line ``<!-- NAME -->`` and
    the next ``<!-- end -->``, where the name is rules, versions or deviations."""
    tables = {"rules": rules_table(), "versions": versions_table(), "deviations": deviations_table()}
    for name, table in tables.items():
        head, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->\n")
        assert end, f"docs/oracle.md has no place for the {name}"
        text = f"{head}{mark}\n{table}\n{end}{tail}"
    return text


if __name__ == "__main__":
    PATH.write_text(current(PATH.read_text(encoding="utf-8")), encoding="utf-8")
