/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_UNMAP_H
#define HERMIT_UNMAP_H
/* Take pages out of all page tables. */
#include <linux/types.h>

struct hermit_region;
struct page;

/* Pages that one zap, one flush and one round of writes are shared by. */
#define HERMIT_BATCH		32

struct hermit_victim {
	u64 idx;
	u64 word;			/* as we left it */
	struct page *page;
	unsigned int flags;		/* HERMIT_MMU_* of all bindings */
	bool keep;
};

/*
 * Zap @n EVICTING or DISCARDING pages from the EPT with one flush, then from
 * host page tables. @wait: lock pages that are locked instead of setting
 * ->keep. Sleeps; takes bind_lock, folio locks, mmu_lock, i_mmap.
 */
void hermit_unmap(struct hermit_region *r, struct hermit_victim *v, int n,
		  bool wait);

#endif /* HERMIT_UNMAP_H */
