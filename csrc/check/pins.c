// SPDX-License-Identifier: GPL-2.0-only
/* What a device holds stays: references are there, no page is freed under it; a migration leaves no entry behind. */
#include "host/pins.h"
#include "host/tree.h"
#include <linux/pgtable.h>
#include <linux/swap.h>

/* References that the handles hold on the page; a pin of a small page is GUP_PIN_COUNTING_BIAS of them. */
static long held(const struct page *page)
{
	long refs = 0;

	for (int k = 0; k < FL_PINS; k++)
		for (int i = 0; fl_pins[k].used && i < fl_pins[k].n; i++)
			if (fl_pins[k].page[i] == page && page != fl_zero_page)
				refs += fl_pins[k].ref || PageCompound((struct page *)page) ? 1 : GUP_PIN_COUNTING_BIAS;
	return refs;
}

void fl_check_pins(void)
{
	for (int k = 0; fl_pins_held && k < FL_PINS; k++)
		for (int i = 0; fl_pins[k].used && i < fl_pins[k].n; i++) {
			struct page *page = fl_pins[k].page[i];

			if (unlikely(page_ref_count(compound_head(page)) < held(page)))
				fl_report(FL_KIND_COUNTER_DRIFT, NULL, "k%d: the page of a%d has %d references, its holders %ld",
					  k, fl_pins[k].start + i, page_ref_count(compound_head(page)), held(page));
		}
}

/* When a page is freed. */
void fl_check_held_freed(const struct page *page)
{
	for (int k = 0; k < FL_PINS; k++)
		for (int i = 0; fl_pins[k].used && i < fl_pins[k].n; i++)
			if (unlikely(fl_pins[k].page[i] == page))
				fl_report(FL_KIND_USE_AFTER_FREE, NULL, "a page is freed while k%d holds it", k);
}

/* Documentation/mm/page_migration.rst: at the end every migration entry is a mapping again. */
void fl_check_migrated(void)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		for (unsigned int slot = 0; fl.process[p].mm && slot < FL_SLOTS; slot++) {
			pte_t pte = __pte(fl_pte_value(fl.process[p].mm, FL_REGION + slot * PAGE_SIZE));

			if (!pte_none(pte) && !pte_present(pte) && unlikely(fl_pte_is_migration(pte)))
				fl_report(FL_KIND_KERNEL_BUG, NULL, "p%d a%u: a migration entry is left over", p, slot);
		}
}
