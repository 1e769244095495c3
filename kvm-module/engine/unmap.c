// SPDX-License-Identifier: GPL-2.0-only
/*
 * Take pages out of every page table: the first half of an eviction and of a
 * discard. The order matters (docs/architecture.md, section 2): the EPT entries of all
 * bindings with one flush, then host PTEs, and those only for host-mapped
 * pages (Hermit's reverse-map elimination: a page that only the guest touched
 * is in no host page table) and in merged runs. KVM's MMU notifier then finds
 * nothing left to flush.
 */
#include <linux/pagemap.h>

#include "engine/region.h"
#include "engine/stats.h"
#include "engine/unmap.h"
#include "engine/word.h"
#include "kvm/mmu.h"

/* [v, v + n) are adjacent pages, locked by us. */
static void unmap_run(struct hermit_region *r, struct hermit_victim *v, int n)
{
	u64 old, new;
	int i;

	unmap_mapping_pages(r->mapping, v->idx, n, false);
	for (i = 0; i < n; i++) {
		/*
		 * Under the page lock, so no ->fault is between its check of
		 * the word and its PTE; after the unmap, so H is never clear
		 * while a PTE exists.
		 */
		hermit_word_apply(hermit_word(r, v[i].idx),
				  HERMIT_EV_HOST_UNMAP, 0, &old, &new);
		unlock_page(v[i].page);
	}
	hermit_count(r, HERMIT_C_HOSTMAPPED, -n);
}

void hermit_unmap(struct hermit_region *r, struct hermit_victim *v, int n,
		  bool wait)
{
	int i, run = 0;

	hermit_mmu_zap(r, v, n);

	for (i = 0; i < n; i++) {
		bool locked = false;

		if (v[i].word & HERMIT_W_HOSTMAPPED) {
			if (wait) {
				/* Adjacent locked pages first: no lock order. */
				if (run)
					unmap_run(r, &v[i - run], run);
				run = 0;
				lock_page(v[i].page);
				locked = true;
			} else {
				locked = trylock_page(v[i].page);
				v[i].keep |= !locked;
			}
		}
		if (run && (!locked || v[i].idx != v[i - 1].idx + 1)) {
			unmap_run(r, &v[i - run], run);
			run = 0;
		}
		run += locked;
	}
	if (run)
		unmap_run(r, &v[n - run], run);
}
