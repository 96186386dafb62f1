"""What a kernel tree has: found by looking into it, so that a tree which nobody tried answers for itself.

Each fact becomes ``FL_HAVE_<NAME>`` in the configuration header of the build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from faultline.tree.patch import Overlay


@dataclass(frozen=True, slots=True)
class Fact:
    """Holds if ``pattern``, a multi-line regular expression, is found in one of the files that the tree has; without a
    pattern, if it has one of the files."""

    name: str
    files: tuple[str, ...]
    pattern: str = ""

    @property
    def macro(self) -> str:
        """Its name in C."""
        return "FL_HAVE_" + self.name.upper().replace("-", "_")


FACTS: Final = (
    Fact("maple-tree", ("lib/maple_tree.c",)),
    Fact("uffd-one-file", ("mm/userfaultfd.c",), r"^static int __init userfaultfd_init\("),
    Fact("generic-mk-pte", ("include/linux/mm.h",), r"^static inline pte_t mk_pte\("),
    Fact("generic-zero-page", ("include/linux/pgtable.h",), r"\b__zero_page;"),
    Fact("tlb-remove-page-ptdesc", ("include/asm-generic/tlb.h",), r"\btlb_remove_page_ptdesc\("),
    Fact("tlb-remove-ptdesc", ("include/asm-generic/tlb.h",), r"\btlb_remove_ptdesc\("),
    Fact("pagetable-dtor", ("include/linux/mm.h",), r"\bpagetable_dtor\("),
    Fact("rwsem-wait-list", ("include/linux/rwsem.h",), r"^\s+struct list_head\s+wait_list"),
    Fact("mutex-wait-list", ("include/linux/mutex.h", "include/linux/mutex_types.h"),
         r"^\s+struct list_head\s+wait_list"),
    Fact("mutex-init-generic", ("include/linux/mutex.h",), r"\bmutex_init_generic\("),
    Fact("might-resched", ("include/linux/kernel.h",), r"^extern void __might_resched\("),
    Fact("cant-sleep-offset", ("include/linux/kernel.h",), r"\b__cant_sleep\([^;]*\bpreempt_offset\);"),
    Fact("pte-marker", ("include/linux/swapops.h",), r"\bis_pte_marker_entry\b"),
    Fact("lock-vma-under-rcu", ("include/linux/mm.h", "include/linux/mmap_lock.h"), r"\block_vma_under_rcu\("),
    Fact("finish-rcuwait-inline", ("include/linux/rcuwait.h",), r"^static inline void finish_rcuwait\("),
    Fact("one-swap-space", ("mm/swap_state.c",), r"mapping_set_no_writeback_tags\(&swap_space\)"),
    Fact("rw-page", ("include/linux/blkdev.h",), r"\(\*rw_page\)"),
    Fact("blk-poll", ("include/linux/blkdev.h",), r"^int blk_poll\(struct request_queue \*q, blk_qc_t cookie, bool"),
    Fact("super-count", ("include/linux/fs.h", "include/linux/fs/super_types.h"), r"^\s+int\s+s_count;"),
    Fact("vma-refcnt", ("include/linux/mm_types.h",), r"^\s+refcount_t vm_refcnt\b"),
    Fact("folio-move-anon-rmap", ("include/linux/rmap.h",), r"^void folio_move_anon_rmap\("),
    Fact("mm-lock-seqcount", ("include/linux/mm_types.h",), r"^\s+seqcount_t mm_lock_seq;"),
    Fact("pte-map-rcu", ("include/linux/pgtable.h",), r"^static inline void pte_unmap\(pte_t \*pte\)\n\{\n\trcu_read_"),
    Fact("invalidate-lock", ("include/linux/fs.h",), r"^\s+struct rw_semaphore\s+invalidate_lock;"),
    Fact("softleaf", ("include/linux/leafops.h",)),
    Fact("generic-pgd-alloc", ("include/asm-generic/pgalloc.h",), r"\b__pgd_alloc\("),
    Fact("file-ref", ("include/linux/file_ref.h",)),
    Fact("slab-sheaf", ("include/linux/slab.h",), r"^struct slab_sheaf\b"),
    Fact("slab-bulk-bool", ("include/linux/slab.h",), r"^bool kmem_cache_alloc_bulk"),
    Fact("folio-test-ksm", ("include/linux/page-flags.h",), r"\bfolio_test_ksm\("),
    Fact("mmu-context-hooks", ("include/asm-generic/mmu_context.h",), r"^#ifndef init_new_context$"),
    Fact("cond-resched-extern", ("include/linux/sched.h",), r"^extern int _cond_resched\(void\);"),
    Fact("printk-wrapped", ("include/linux/printk.h",), r"^int _printk\("),
    Fact("ram-aops", ("include/linux/fs.h",), r"\bram_aops;"),
    Fact("reclaim-wait", ("include/linux/mmzone.h",), r"\breclaim_wait\["),
    Fact("jiffies-to-usecs-extern", ("include/linux/jiffies.h",), r"^extern unsigned int jiffies_to_usecs\("),
    Fact("task-state", ("include/linux/sched.h",), r"^\s+unsigned int\s+__state;"),
    Fact("ksm-mm-slot", ("mm/ksm.c",), r"^struct ksm_mm_slot\b"),
    Fact("rss-percpu", ("include/linux/mm_types.h",), r"\bstruct percpu_counter\s+rss_stat\["),
    Fact("iov-iter-ubuf", ("include/linux/uio.h",), r"\biov_iter_ubuf\("),
    Fact("compound-dtors", ("include/linux/mm.h",), r"\bcompound_page_dtors\["),
    Fact("compound-tail-inline", ("mm/internal.h",), r"^static inline void prep_compound_tail\("),
    Fact("compound-tail-and-head", ("mm/internal.h",), r"^static inline void prep_compound_tail\(struct page \*tail,"),
    Fact("pincount-available", ("include/linux/mm.h",), r"\bhpage_pincount_available\("),
    Fact("folio-isolate-bool", ("mm/internal.h",), r"^bool folio_isolate_lru\("),
    Fact("task-ioprio-extern", ("include/linux/ioprio.h",), r"^int __get_task_ioprio\("),
    Fact("buffers-with-block", ("include/linux/buffer_head.h",), r"^#ifdef CONFIG_BLOCK$"),
    Fact("pagemap-uffd-wp", ("fs/proc/task_mmu.c",), r"^#define PM_UFFD_WP\b"),
    Fact("anon-exclusive", ("include/linux/page-flags.h",), r"\bPG_anon_exclusive\b"),
    Fact("slab-node-inline", ("include/linux/slab.h",), r"^static __always_inline void \*kmem_cache_alloc_node\("),
    Fact("kmem-buckets", ("include/linux/slab.h",), r"\bkmem_buckets\b"),
    Fact("kmem-cache-args", ("include/linux/slab.h",), r"^struct kmem_cache_args\b"),
    Fact("alloc-noprof", ("include/linux/gfp.h", "mm/page_alloc.h"), r"\b__alloc_pages_noprof\b"),
    Fact("alloc-pages-nodemask", ("include/linux/gfp.h",), r"\b__alloc_pages_nodemask\b"),
    Fact("free-unref-page-order", ("mm/internal.h",), r"\bfree_unref_page\(struct page \*\w+, unsigned int order\)"),
    Fact("free-unref-folios", ("mm/internal.h", "mm/page_alloc.h"), r"\bfree_unref_folios\b"),
    Fact("kvfree-call-rcu-ptr", ("include/linux/rcutree.h", "include/linux/rcupdate.h"),
         r"\bkvfree_call_rcu\(struct (?:kvfree_)?rcu_head \*\w+, void \*"),
    Fact("kvfree-rcu-head", ("include/linux/types.h",), r"^struct kvfree_rcu_head\b"),
    Fact("alloc-frozen-flags", ("mm/page_alloc.h",), r"\b__alloc_frozen_pages_noprof\([^;]*\balloc_flags\);"),
    Fact("pte-uffd", ("include/asm-generic/pgtable_uffd.h",), r"\bpte_uffd\("),
    Fact("rmap-tree", ("include/linux/mm.h",), r"^#define mapping_rmap_tree_foreach\("),
    Fact("anon-pgoff", ("include/linux/mm.h",), r"\bvma_start_anon_pgoff\("),
    Fact("swap-ops", ("include/linux/swap_ops.h",)),
    Fact("swap-setup", ("include/linux/swap.h",), r"\bswap_setup\(void\)"),
    Fact("folio", ("include/linux/mm_types.h",), r"^struct folio \{"),
    Fact("guard-regions", ("include/uapi/asm-generic/mman-common.h",), r"^#define MADV_GUARD_INSTALL\b"),
    # pin_user_pages() also gave the vmas
    # a long-term pin may give mmap_lock up and wait
    Fact("numa-balancing-mode", ("include/linux/sched/sysctl.h",), r"\bsysctl_numa_balancing_mode;"),
    Fact("folio-numa", ("include/linux/sched/numa_balancing.h",), r"\bstruct folio \*folio"),
    Fact("honor-numa-fault", ("include/linux/mm_types.h",), r"^\s+FOLL_HONOR_NUMA_FAULT\b"),
    Fact("gup-unlockable", ("mm/internal.h",), r"\bFOLL_UNLOCKABLE\b"),
    Fact("gup-vmas", ("include/linux/mm.h",), r"^long pin_user_pages\([^;]*\*\*vmas"),
    Fact("new-folio-t", ("include/linux/migrate.h",), r"new_folio_t\("),
    Fact("migrate-succeeded", ("include/linux/migrate.h",), r"migrate_pages\([^;]*int \*ret\w*"),
    Fact("fault-completed", ("include/linux/mm_types.h",), r"\bVM_FAULT_COMPLETED\b"),
    Fact("fdget-function", ("include/linux/file.h",), r"^struct fd fdget\(unsigned int fd\);"),
    Fact("mnt-idmap", ("include/linux/mount.h",), r"struct mnt_idmap \*mnt_idmap;"),
    Fact("write-cache-pages", ("include/linux/writeback.h",), r"^int write_cache_pages\("),
    Fact("timer-init-key", ("include/linux/timer.h",), r"^void timer_init_key\("),
    Fact("writeback-page", ("include/linux/writeback.h",), r"\*writepage_t\)\(struct page"),
    # huge pages
    Fact("mkwrite-novma", ("include/linux/pgtable.h",), r"pmd_mkwrite_novma"),
    Fact("huge-anon-orders", ("include/linux/huge_mm.h",), r"huge_anon_orders_inherit"),
    Fact("hpage-collapse-scan-pmd", ("mm/khugepaged.c",), r"^static int hpage_collapse_scan_pmd\("),
    Fact("khugepaged-scan-pmd", ("mm/khugepaged.c",), r"^static int khugepaged_scan_pmd\("),
    Fact("collapse-single-pmd", ("mm/khugepaged.c",), r"^static enum scan_result collapse_single_pmd\("),
    Fact("deferred-split-lru", ("mm/huge_memory.c",), r"^static struct list_lru deferred_split_lru;"),
    Fact("huge-zero-folio-scan", ("mm/huge_memory.c",), r"^static unsigned long shrink_huge_zero_folio_scan\("),
    # pagemap shows what holds for the first page of a huge entry for all of them
    Fact("pagemap-of-first", ("fs/proc/task_mmu.c",), r"exclusively\(folio, page\)\)\s+cur_flags"),
    Fact("pagemap-huge-by-page", ("fs/proc/task_mmu.c",), r"^\s+u64 cur_flags = flags;"),
    Fact("fault-around-bytes", ("mm/memory.c",), r"^static unsigned long fault_around_bytes\b"),
    Fact("page-mapcount", ("include/linux/mm.h",), r"^static inline int page_mapcount\("),
    Fact("large-mapcount", ("include/linux/mm_types.h",), r"atomic_t _large_mapcount;"),
    Fact("page-rmappable-folio", ("mm/internal.h",), r"page_rmappable_folio\("),
)  # fmt: skip


def facts_of(overlay: Overlay) -> tuple[Fact, ...]:
    """The facts that hold for a tree, with its patches."""
    return tuple(fact for fact in FACTS if _holds(fact, overlay))


def _holds(fact: Fact, overlay: Overlay) -> bool:
    for path in fact.files:
        if overlay.exists(path) and (not fact.pattern or re.search(fact.pattern, overlay.read(path) or "", re.M)):
            return True
    return False
