// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine checks. A frame that only the guest has mapped is in no page table
 * that the mm knows: a guest that runs into a memory error there which was known
 * before takes one machine check after another, and nobody's fault comes by. So
 * we are told of all of them, after the mm has set PG_hwpoison, and have the
 * frame taken out (engine/poison.c).
 */
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <asm/mce.h>

#include "engine/poison.h"
#include "engine/region.h"
#include "engine/word.h"
#include "machine_check.h"

#ifdef CONFIG_X86_MCE
/*
 * The frame may be anybody's, and change hands: its mapping is only compared,
 * and what counts is that the word of the page names the frame.
 */
static int machine_check(struct notifier_block *nb, unsigned long val,
			 void *data)
{
	struct mce *m = data;
	struct hermit_region *r;
	struct page *page;
	atomic64_t *word;
	u64 idx, w;

	if (!m || !mce_usable_address(m))
		return NOTIFY_DONE;
	page = pfn_to_online_page((m->addr & MCI_ADDR_PHYSADDR) >> PAGE_SHIFT);
	if (!page)
		return NOTIFY_DONE;
	r = hermit_region_of(READ_ONCE(page->mapping));
	if (!r)
		return NOTIFY_DONE;
	idx = READ_ONCE(page_folio(page)->index);
	word = idx < r->npages ? hermit_word(r, idx) : NULL;
	w = word ? atomic64_read(word) : 0;
	if (hermit_word_has_page(w) && hermit_word_page(w) == page)
		hermit_poison_report(r, idx);
	hermit_region_put(r);
	return NOTIFY_DONE;
}

/* Behind MCE_PRIO_UC, which calls memory_failure(). */
static struct notifier_block machine_check_nb = {
	.notifier_call = machine_check,
	.priority = MCE_PRIO_EDAC,
};

void hermit_machine_check_init(void)
{
	mce_register_decode_chain(&machine_check_nb);
}

void hermit_machine_check_exit(void)
{
	mce_unregister_decode_chain(&machine_check_nb);
}
#else
void hermit_machine_check_init(void)
{
}

void hermit_machine_check_exit(void)
{
}
#endif
