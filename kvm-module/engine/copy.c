// SPDX-License-Identifier: GPL-2.0-only
/* Is what a server answers what was sent to it? */
#include <linux/highmem.h>
#include <linux/jiffies.h>

#include "core/crc.h"
#include "engine/copy.h"
#include "engine/event.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/word.h"

static u32 copy_crc(struct page *page)
{
	void *p = kmap_local_page(page);
	u32 crc = hermit_crc_page(p);

	kunmap_local(p);
	return crc;
}

void hermit_copy_note(struct hermit_region *r, u64 idx, struct page *page)
{
	WRITE_ONCE(hermit_word_copy(r, idx)->crc, copy_crc(page));
}

/* Each is counted; a server that damages all it sends has one event in a second. */
static noinline void copy_is_wrong(struct hermit_region *r, u64 idx)
{
	HERMIT_MARK(answer_is_wrong);
	hermit_count(r, HERMIT_C_MISMATCHES, 1);
	pr_warn_ratelimited("%s: server %s: the answer to a read of page %llu is not what was written there; it is not used, and read again. See to the memory of the server and to the network\n",
			    r->name, r->server, idx);
	if (time_before(jiffies, READ_ONCE(r->mismatch_told) + HZ))
		return;
	/* Two at once are told of twice. */
	WRITE_ONCE(r->mismatch_told, jiffies);
	hermit_event(r, HERMIT_EVENT_PAGE_MISMATCH, 0, idx);
}

int hermit_copy_check(struct hermit_region *r, u64 idx, u64 expected,
		      struct page *page)
{
	u32 crc = copy_crc(page);

	if (likely(crc == READ_ONCE(hermit_word_copy(r, idx)->crc)))
		return 0;
	/* The word after the CRC: if it is @expected the CRC was of that. */
	smp_rmb();
	if (atomic64_read(hermit_word(r, idx)) != expected) {
		HERMIT_MARK(wrong_for_another_word);
		return 0;
	}
	copy_is_wrong(r, idx);
	return -EBADMSG;
}
