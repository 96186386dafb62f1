"""What kernel code owes the machine: for each kind that a checker reports, the rule that was broken."""

from __future__ import annotations

from typing import Final

from faultline.kinds import FindingKind
from faultline.verdict.finding import Because

_LOCKDEP: Final = "Documentation/locking/lockdep-design.rst"

CONTRACTS: Final = {
    FindingKind.WRONG_DATA: Because("The zero page, which every process may read, is written to by nobody.", ""),
    FindingKind.REFERENCE_LEAK: Because("What a program took is given back when its processes have ended.", ""),
    FindingKind.USE_AFTER_FREE: Because("Freed memory is not touched.", "Documentation/dev-tools/kasan.rst"),
    FindingKind.STALE_TLB: Because(
        "A TLB entry is flushed before the page is freed and before the call that forbids the access returns.",
        "Documentation/core-api/cachetlb.rst",
    ),
    FindingKind.LOCK_NOT_HELD: Because(
        "What a lock protects is touched only by who holds it.", "Documentation/mm/process_addrs.rst"
    ),
    FindingKind.LOCK_LEAK: Because("A task holds no lock when it returns to user space.", _LOCKDEP),
    FindingKind.LOCK_RECURSION: Because("A task does not take a lock that it holds.", _LOCKDEP),
    FindingKind.LOCK_ORDER: Because("Locks are taken in one order.", _LOCKDEP),
    FindingKind.UNLOCK_NOT_OWNER: Because(
        "A lock is released once, by who holds it.", "Documentation/locking/mutex-design.rst, semantics"
    ),
    FindingKind.SLEEP_IN_ATOMIC: Because(
        "Code that holds a spin lock does not sleep.", "Documentation/kernel-hacking/locking.rst"
    ),
    FindingKind.PTE_UNLOCKED_ACCESS: Because(
        "A page table is changed under its lock.", "Documentation/mm/split_page_table_lock.rst"
    ),
    FindingKind.NOTIFIER_MISSED: Because(
        "Who listens to an address space is told before a mapping changes.", "Documentation/mm/mmu_notifier.rst"
    ),
    FindingKind.KERNEL_BUG: Because("No input makes the kernel BUG, WARN or fault.", ""),
    FindingKind.DATA_RACE: Because(
        "Where two tasks touch the same memory at once, and one of them writes, both accesses are marked.",
        "tools/memory-model/Documentation/access-marking.txt",
    ),
    FindingKind.HANG: Because("An operation that nothing holds up ends.", ""),
}
