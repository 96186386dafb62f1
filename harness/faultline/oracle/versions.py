"""What kernels of different versions do differently, each named once, with its source.

A rule asks by name: ``self._holds[versions.UNREGISTER_OWN]``.  The answers are worked out once for an oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Version = tuple[int, ...]
"""Version and patch level of a kernel, and perhaps its stable release, as (6, 12, 117); without it: the latest one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Holds for kernels from ``since`` on, and for those of older series from a stable release on; not for others."""

    id: str
    since: Version
    text: str
    source: str
    stable: tuple[Version, ...] = ()
    """Stable releases from which on it holds in their series."""

    def holds(self, version: Version) -> bool:
        """Whether it holds for a kernel of this version."""
        series, release = version[:2], version[2:]
        return series >= self.since or any(
            series == first[:2] and (not release or release >= first[2:]) for first in self.stable
        )


DIFFERENCES: Final[list[Difference]] = []

_MAN: Final = "ioctl_userfaultfd(2), "
_UAPI: Final = "include/uapi/linux/userfaultfd.h"


def _difference(name: str, since: Version, text: str, source: str, stable: tuple[Version, ...] = ()) -> int:
    DIFFERENCES.append(Difference(name, since, text, source, stable))
    return len(DIFFERENCES) - 1


def holds(version: Version) -> tuple[bool, ...]:
    """For each difference whether it holds for a kernel of this version."""
    return tuple(difference.holds(version) for difference in DIFFERENCES)


EVENT_FORK: Final = _difference(
    "feature-event-fork", (4, 11), "UFFD_FEATURE_EVENT_FORK is offered.", _MAN + "UFFD_FEATURE_EVENT_FORK"
)
SIGBUS: Final = _difference(
    "feature-sigbus", (4, 14), "UFFD_FEATURE_SIGBUS is offered.", _MAN + "UFFD_FEATURE_SIGBUS"
)
WP_UNPOPULATED: Final = _difference(
    "feature-wp-unpopulated", (6, 4), "UFFD_FEATURE_WP_UNPOPULATED is offered.", _MAN + "UFFD_FEATURE_WP_UNPOPULATED"
)
WP_ASYNC: Final = _difference(
    "feature-wp-async", (6, 7), "UFFD_FEATURE_WP_ASYNC is offered.",
    "UFFD_FEATURE_WP_ASYNC in " + _UAPI + " of 6.7, absent in 6.6",
)
CHANGING_COUNTED: Final = _difference(
    "changing-counted", (5, 15),
    "Page operations are EAGAIN until the last of several forks has had its event read, not only the first.",
    "observed: tree 5.10 (mmap_changing is a flag), tree 6.1",
)
COPY_WP_READ_ONLY: Final = _difference(
    "copy-wp-read-only", (5, 19),
    "COPY_MODE_WP write-protects also in a mapping that is not writable.",
    "ioctl_userfaultfd(2), UFFDIO_COPY_MODE_WP; observed: tree 5.10 (mcopy_atomic_pte()), tree 6.1",
)
FORK_COPIES_WP: Final = _difference(
    "fork-copies-wp", (5, 19),
    "The child has the zero pages of a range that is registered for write protection, with their protection.",
    "observed: tree 5.10 (copy_page_range() leaves mappings without anonymous pages out), tree 6.1",
)
UNREGISTER_CLEARS: Final = _difference(
    "unregister-clears", (6, 0),
    "Unregistering clears the write protection of the pages.",
    "ioctl_userfaultfd(2), UFFDIO_UNREGISTER; observed: tree 5.10 (userfaultfd_unregister()), tree 6.1",
)
CLOSE_CLEARS: Final = _difference(
    "close-clears", (6, 9), "So does closing the userfaultfd.",
    "userfaultfd(2), DESCRIPTION; observed: trees 5.10, 6.1.190, 6.1.192 (userfaultfd_release())",
    stable=((6, 1, 191),),
)
EMPTY_RANGE: Final = _difference(
    "uffd-empty-range", (6, 3),
    "(Un)registering a range without a mapping is EINVAL also if no mapping lies above it, not ENOMEM.",
    "observed: tree 6.1 (userfaultfd_register() asks for the first mapping from the start on), tree 6.12",
)
WP_MAPPINGS: Final = _difference(
    "wp-several-mappings", (6, 3),
    "UFFDIO_WRITEPROTECT works on a range of several mappings, and is not ENOENT.",
    "observed: tree 6.1 (mwriteprotect_range() asks for one mapping), tree 6.12",
)
CHANGING_COUNT: Final = _difference(
    "fill-changing-count", (6, 12),
    "UFFDIO_COPY and UFFDIO_ZEROPAGE tell EAGAIN in their count too while a fork waits, and do not leave it alone.",
    "ioctl_userfaultfd(2), UFFDIO_COPY; observed: tree 6.1 (userfaultfd_copy()), tree 6.12",
)
PIN_EXCLUSIVE: Final = _difference(
    "pin-exclusive", (5, 19), "A page is exclusive to its process before it is pinned, also for reading.",
    "observed: live kernel 6.18; FAULT_FLAG_UNSHARE in include/linux/mm_types.h of 5.19",
)
PIN_WAITS: Final = _difference(
    "pin-waits", (6, 3), "A long-term pin waits for a userfaultfd, and is not EFAULT.",
    "observed: tree 6.1 (pin_user_pages_unlocked() warns of FOLL_LONGTERM), tree 6.12",
)
POPULATE_HOLE: Final = _difference(
    "populate-hole", (6, 9),
    "Populating stops at a page that is not mapped, and not only where the mapping that it is at is gone meanwhile.",
    "madvise(2), MADV_POPULATE_READ; observed: tree 6.1 (madvise_populate()), tree 6.12",
)
RESOLVE_NOTES_WRITES: Final = _difference(
    "resolve-notes-writes", (6, 2), "Resolving a write protection leaves shared memory's pages read-only.",
    "observed: tree 6.1 (uffd_wp_range() goes by the mapping's flags), tree 6.12 (by its vm_page_prot)",
)
MPROTECT_NOTES_WRITES: Final = _difference(
    "mprotect-notes-writes", (6, 0), "mprotect() leaves shared memory's pages read-only that are not soft-dirty.",
    "observed: tree 5.10 (change_pte_range() asks for the contrary), tree 6.1 (can_change_pte_writable())",
)
FORK_EVENT_LATE: Final = _difference(
    "fork-event-late", (6, 12), "A fork that fails sends no event.",
    "observed: tree 6.1 (dup_mmap()), tree 6.12 (dup_userfaultfd_fail())",
)
PIN_ZERO: Final = _difference(
    "pin-zero", (6, 2), "A long-term pin for reading does not pin the zero page.",
    "Documentation/core-api/mm-api.rst, pin_user_pages(); mm/gup.c of 6.2",
)
UNREGISTER_OWN: Final = _difference(
    "unregister-own", (6, 17), "A range of another userfaultfd is not unregistered: EINVAL.",
    "observed: live kernel 6.18, tree 6.12",
)
EVENTS: Final = _difference(
    "feature-events", (4, 11), "UFFD_FEATURE_EVENT_REMAP, _REMOVE and _UNMAP are offered.",
    _MAN + "UFFD_FEATURE_EVENT_REMAP, UFFD_FEATURE_EVENT_REMOVE, UFFD_FEATURE_EVENT_UNMAP",
)
MREMAP_MANY: Final = _difference(
    "mremap-many",
    (6, 17),
    "mremap() moves several mappings, and the holes between them, if their size stays and none is registered; "
    "what is wrong is found before anything is unmapped.",
    "observed: live kernel 6.18, tree 6.12",
)
REMOVE_REPEATS: Final = _difference(
    "remove-repeats",
    (6, 17),
    "If the mapping was split while its remove event waited, the rest of the range has an event of its own.",
    "observed: live kernel 6.18, tree 6.12",
)
WP_SHMEM: Final = _difference(
    "wp-shmem", (5, 19), "Shared memory can be registered for write protection.",
    _MAN + "UFFD_FEATURE_WP_HUGETLBFS_SHMEM",
)
REMOVE_READONLY: Final = _difference(
    "remove-readonly", (6, 1), "MADV_REMOVE works on a shared mapping that could be made writable.",
    "observed: tree 5.10, late tree 6.1 (madvise_remove()); madvise(2) asks for a shared and writable mapping",
)
PIN_FILE_COPY: Final = _difference(
    "pin-file-copy", (6, 2), "A long-term pin for reading of a private mapping of a file is of a private copy.",
    "observed: tree 6.1 and tree 6.12 (gup_must_unshare(), do_wp_page())",
)
PIN_DIRTY: Final = _difference(
    "pin-dirty", (6, 5), "Pages of a file system that tracks dirty pages cannot be pinned for long for writing.",
    "observed: tree 6.1 and tree 6.12 (writable_file_mapping_allowed())",
)
MREMAP_LOOKS_FIRST: Final = _difference(
    "mremap-looks-first",
    (5, 16),
    "mremap() of an address where nothing is mapped fails before anything is unmapped.",
    "observed: tree 5.10, tree 6.1 (sys_mremap())",
)
CONTINUE_WP: Final = _difference(
    "continue-wp", (6, 4), "UFFDIO_CONTINUE_MODE_WP is known, and not EINVAL.",
    "UFFDIO_CONTINUE_MODE_WP in " + _UAPI + " of 6.4, absent in tree 6.1",
)
REGISTER_MINOR: Final = _difference(
    "register-minor", (5, 13), "UFFDIO_REGISTER_MODE_MINOR is known, and not EINVAL whatever the range.",
    "UFFDIO_REGISTER_MODE_MINOR in " + _UAPI + " of 5.13, absent in tree 5.10",
)
DONTUNMAP_ANY: Final = _difference(
    "dontunmap-any", (5, 13), "MREMAP_DONTUNMAP moves any mapping, not private anonymous ones alone.",
    "mremap(2), MREMAP_DONTUNMAP and EINVAL; observed: tree 5.10 (vma_to_resize()), tree 6.1",
)
MREMAP_CLEARS: Final = _difference(
    "mremap-clears", (6, 13), "Moving a range without the remap event clears the write protection of its pages.",
    "observed: trees 5.10, 6.1.190, 6.1.192, 6.12.107 (move_ptes())", stable=((6, 1, 191), (6, 12, 10)),
)
FILL_IS_DIRTY: Final = _difference(
    "fill-is-dirty", (5, 19), "UFFDIO_COPY to shared memory marks the page soft-dirty also in a read-only mapping.",
    "observed: tree 5.10 (shmem_mfill_atomic_pte()), tree 6.1 (mfill_atomic_install_pte())",
)
HUGE_MIGRATION_KEEPS: Final = _difference(
    "huge-migration-keeps", (6, 1), "Migrating a huge page keeps its write protection.",
    "observed: tree 5.10, late tree 6.1 (set_pmd_migration_entry())",
)
SWAPOFF_KEEPS: Final = _difference(
    "swapoff-keeps", (5, 19), "swapoff keeps the write protection and the soft-dirty bit of what it brings back.",
    "observed: tree 5.10, tree 6.1 (unuse_pte())",
)
UNMERGE_READS: Final = _difference(
    "unmerge-reads", (6, 2), "Unmerging a page of KSM is no write to it, which makes it soft-dirty.",
    "observed: tree 5.10, tree 6.1, tree 6.12 (break_ksm())",
)
FILL_BEYOND: Final = _difference(
    "fill-beyond", (7, 2), "Filling a page of shared memory beyond the end of the file is ENOMEM, not EFAULT.",
    "observed: live kernel 6.18, tree 7.2 (shmem_mfill_folio_alloc())",
)
CONTINUE_BEYOND: Final = _difference(
    "continue-beyond", (7, 2), "UFFDIO_CONTINUE of a page beyond the end of the file is EFAULT, not EINVAL.",
    _MAN + "UFFDIO_CONTINUE, EFAULT; observed: live kernel 6.18, tree 7.2 (mfill_atomic_pte_continue())",
)
CONTINUE_UNREADABLE: Final = _difference(
    "continue-unreadable", (7, 2), "UFFDIO_CONTINUE of a page that does not come back from swap is EFAULT.",
    _MAN + "UFFDIO_CONTINUE, EFAULT; observed: tree 6.12, tree 7.2 (mfill_atomic_pte_continue())",
)
PROTECT_BATCHES: Final = _difference(
    "protect-batches", (6, 17), "The protection of pages side by side of a large folio is changed at once.",
    "observed: tree 6.12, tree 7.2 (change_pte_range())",
)
FAULT_WHOLE: Final = _difference(
    "fault-whole", (6, 11), "A fault maps a whole folio of shared memory, past the file's end, page by page as well.",
    "observed: tree 6.1, tree 6.12 (finish_fault())",
)
COLLAPSE_SMALLER: Final = _difference(
    "collapse-smaller", (7, 2), "khugepaged makes smaller large folios too.",
    "observed: tree 6.12, tree 7.2 (collapse_max_ptes_none())",
)
FORCE_ASKS: Final = _difference(
    "force-asks", (6, 0), "Access by force to a page that comes back from swap heeds its write protection.",
    "observed: tree 5.10 (FOLL_COW in faultin_page()), tree 6.1 (can_follow_write_pte())",
)
HUGE_ZERO_WRITE: Final = _difference(
    "huge-zero-write", (6, 13), "A write to the huge zero page makes a huge page of it.",
    "observed: tree 6.12, tree 7.2 (do_huge_zero_wp_pmd())",
)
LOST_IS_POISON: Final = _difference(
    "lost-is-poison", (6, 6), "A page that swapoff could not read is a poisoned one: populating it is EHWPOISON.",
    "observed: tree 6.1 (do_swap_page() knows it as a swap entry), tree 6.12 (handle_pte_marker())",
)
REGISTER_KEEPS_WP: Final = _difference(
    "register-keeps-wp", (7, 3),
    "A range that is registered for write protection is not registered again without it: EBUSY.",
    "Documentation/admin-guide/mm/userfaultfd.rst of 7.3, note on registering again; observed: tree 7.3",
)
SCAN_WRITTEN_WP: Final = _difference(
    "scan-written-wp", (7, 3),
    "PAGEMAP_SCAN tells of written pages in ranges that are registered for write protection alone.",
    "Documentation/admin-guide/mm/pagemap.rst of 7.3, PAGE_IS_WRITTEN; observed: tree 7.3 (pagemap_page_category())",
)
