// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read, write or discard of ours on the wire. The request, not the waiter,
 * owns the page it fills: an interrupted waiter drops its reference, and the
 * request installs when it completes.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "link/set.h"

/*
 * Kept for each region: what faults and reclaim go on with while the host is
 * short of memory. One VM whose server is away takes nothing from the others.
 */
#define REQ_RESERVE	128

/* The second one with what a set keeps of an io. */
struct req_of_set {
	struct hermit_req req;
	struct hermit_set_io set;
};

static struct kmem_cache *req_cache, *req_of_set_cache;

int hermit_req_init(void)
{
	req_cache = KMEM_CACHE(hermit_req, 0);
	if (!req_cache)
		return -ENOMEM;
	req_of_set_cache = KMEM_CACHE(req_of_set, 0);
	if (req_of_set_cache)
		return 0;
	kmem_cache_destroy(req_cache);
	return -ENOMEM;
}

void hermit_req_exit(void)
{
	kmem_cache_destroy(req_of_set_cache);
	kmem_cache_destroy(req_cache);
}

int hermit_req_reserve(struct hermit_region *r, bool set)
{
	r->req_pool = mempool_create_slab_pool(REQ_RESERVE, set ?
					       req_of_set_cache : req_cache);
	return r->req_pool ? 0 : -ENOMEM;
}

void hermit_req_unreserve(struct hermit_region *r)
{
	mempool_destroy(r->req_pool);
}

/* One reference, the wire's. */
struct hermit_req *hermit_req_alloc(struct hermit_region *r)
{
	struct hermit_req *req = mempool_alloc(r->req_pool,
					       GFP_NOWAIT | __GFP_NOWARN);

	if (!req)
		return NULL;
	memset(req, 0, sizeof(*req));
	kref_init(&req->ref);
	init_waitqueue_head(&req->wq);
	req->region = r;
	if (r->replicas)
		req->io.set = &container_of(req, struct req_of_set, req)->set;
	hermit_region_get(r);
	return req;
}

static void req_release(struct kref *ref)
{
	struct hermit_req *req = container_of(ref, struct hermit_req, ref);
	struct hermit_region *r = req->region;

	if (req->io.page)
		hermit_page_put(r, req->io.page);
	mempool_free(req, r->req_pool);
	hermit_region_put(r);
}

void hermit_req_put(struct hermit_req *req)
{
	kref_put(&req->ref, req_release);
}

/* The wire is done with it: wake the waiters, drop the wire's reference. */
void hermit_req_finish(struct hermit_req *req)
{
	struct hermit_region *r = req->region;

	req->status = req->io.status;
	/* Whoever sees done sees status, and what the completion did. */
	smp_store_release(&req->done, true);
	if (wq_has_sleeper(&req->wq))
		wake_up_all(&req->wq);
	atomic_dec(&r->requests);
	hermit_req_put(req);
}

int hermit_req_submit(struct hermit_region *r, struct hermit_req *req)
{
	/*
	 * The end of the region sets dead, then waits for an RCU grace period
	 * and closes the link: nothing is submitted to a closed link.
	 */
	rcu_read_lock();
	if (unlikely(READ_ONCE(r->dead))) {
		rcu_read_unlock();
		HERMIT_MARK(ends_before_a_request);
		return -EFAULT;
	}
	atomic_inc(&r->requests);
	r->link->ops->submit_one(r->link, &req->io);
	rcu_read_unlock();
	return 0;
}

bool hermit_req_ask_others(struct hermit_region *r, struct hermit_req *req)
{
	bool asked = false;

	if (!hermit_req_has_others(&req->io))
		return false;
	req->io.wrong |= 1U << req->io.server;
	rcu_read_lock();
	if (!READ_ONCE(r->dead)) {
		r->link->ops->submit_one(r->link, &req->io);
		asked = true;
	}
	rcu_read_unlock();
	return asked;
}

void hermit_req_poll(struct hermit_region *r)
{
	int (*poll)(struct hermit_link *link) = r->link->ops->poll;

	if (!poll)
		return;
	rcu_read_lock();
	if (likely(!READ_ONCE(r->dead)))
		poll(r->link);
	rcu_read_unlock();
}

void hermit_req_submit_list(struct hermit_region *r, struct list_head *ios)
{
	struct hermit_io *io, *next;

	list_for_each_entry(io, ios, node)
		atomic_inc(&r->requests);
	rcu_read_lock();
	if (likely(!READ_ONCE(r->dead))) {
		r->link->ops->submit(r->link, ios);
		rcu_read_unlock();
		return;
	}
	rcu_read_unlock();
	HERMIT_MARK(ends_before_a_batch);
	list_for_each_entry_safe(io, next, ios, node) {
		list_del_init(&io->node);
		io->status = -ECANCELED;
		io->done(io);
	}
}
