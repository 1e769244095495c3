/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_LOCAL_POOL_H
#define HERMIT_LOCAL_POOL_H
/*
 * The pages of one region that are kept on this host: compressed, or each
 * copied to a page of its own.
 */
#include <linux/types.h>
#include "uapi/hermit.h"

struct hermit_local_comp;
struct hermit_local_pool;
struct page;

/*
 * For pages 0 to @npages - 1, in at most @max bytes (0: no bound), charged to
 * the cgroup of the caller's process. @comp is NULL for plain copies; the pool
 * does not take it over. ERR_PTR. Sleeps.
 */
struct hermit_local_pool *hermit_local_pool_create(const u8 *uuid, u64 npages,
						   u64 max,
						   struct hermit_local_comp *comp);
/* Nobody uses it any more. Sleeps. */
void hermit_local_pool_destroy(struct hermit_local_pool *p);

/*
 * The rest: task context with softirqs on, any number at once, also of one
 * page; never sleeps. Of two that overlap on one page either comes first.
 *
 * store: 0, or -ENOSPC and what was stored before is still there. The contents
 * may change meanwhile; then some mixture of them is stored.
 * load: 0; -ENOENT: never stored, or dropped; -EIO.
 */
int hermit_local_pool_store(struct hermit_local_pool *p, u64 idx,
			    struct page *page);
int hermit_local_pool_load(struct hermit_local_pool *p, u64 idx,
			   struct page *page);
void hermit_local_pool_drop(struct hermit_local_pool *p, u64 idx);
/* bytes_used, pool_* and the times. */
void hermit_local_pool_stats(struct hermit_local_pool *p,
			     struct hermit_server_stats *st);

#endif /* HERMIT_LOCAL_POOL_H */
