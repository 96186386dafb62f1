/* SPDX-License-Identifier: GPL-2.0-only */
/* Huge pages, transparent ones and those of hugetlbfs; what the profile leaves out has nothing to do: its operations are skipped. */
#ifndef FL_HOST_HUGE_H
#define FL_HOST_HUGE_H

#include "host/host.h"

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
void fl_huge_boot(void);
void fl_huge_files_boot(void);
void fl_huge_cleanup(void);
void fl_khugepaged(struct mm_struct *mm, unsigned long start, unsigned long end);
void fl_canary_huge(struct mm_struct *mm);
#else
static inline void fl_huge_boot(void) { }
static inline void fl_huge_cleanup(void) { }
static inline void fl_khugepaged(struct mm_struct *mm, unsigned long start, unsigned long end) { }
static inline void fl_canary_huge(struct mm_struct *mm) { }
#endif

#ifdef CONFIG_HUGETLB_PAGE
void fl_hugetlb_boot(void);
void fl_hugetlbfs_boot(void);
void fl_hugetlb_check(void);
void fl_hugetlb_promise(void);
bool fl_hugetlb_unknown(const struct fl_operation *op);
#else
static inline void fl_hugetlb_boot(void) { }
static inline void fl_hugetlbfs_boot(void) { }
static inline void fl_hugetlb_check(void) { }
static inline void fl_hugetlb_promise(void) { }
static inline bool fl_hugetlb_unknown(const struct fl_operation *op) { return false; }
#endif

#endif
