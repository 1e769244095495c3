/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_FAULT_H
#define HERMIT_FAULT_H
/* Bring a page. */
#include <linux/types.h>

#include "engine/wait.h"

struct page;

#define HERMIT_FAULT_HOST	4	/* beside KVM_PROVIDER_* of kvm_mem_provider.h */

/*
 * The page of idx, with a reference for the caller, if that takes no waiting:
 * 0, or -EAGAIN (then hermit_fault_prepare()), -EHWPOISON (LOST), -EFAULT
 * (region ended). Task context; does not sleep, neither for memory nor for I/O.
 * With a synchronous link it fetches.
 */
int hermit_fault_get(struct hermit_region *r, u64 idx, struct page **page);
/*
 * After -EAGAIN: bring the page, or start what will, and say in @w what to wait
 * for. w->kind is NONE only if the word has changed, so the caller should just
 * ask again: its loop ends by a fatal signal all the same. Not sleeping for I/O.
 * @w keeps a request across calls and must be dropped at the end.
 */
void hermit_fault_prepare(struct hermit_region *r, u64 idx, unsigned int flags,
			  struct hermit_waiter *w);
/* The fault of @idx that took @ns is over: latency statistics. Any context. */
void hermit_fault_account(struct hermit_region *r, u64 idx, u64 ns);
/*
 * The read of page @idx into @page, posted at @now (ns), to be installed if the
 * word is @word then; NULL without memory.
 */
struct hermit_req *hermit_fault_read_alloc(struct hermit_region *r, u64 idx,
					   u64 word, struct page *page,
					   u64 now);

#endif /* HERMIT_FAULT_H */
