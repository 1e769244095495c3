// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a remote page into a page of its own, for those who only want a copy:
 * migration, snapshots, pread(). It stays where it is.
 */
#include <linux/page-flags.h>
#include <linux/sched/clock.h>

#include "engine/copy.h"
#include "engine/holder.h"
#include "engine/peek.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/wait.h"

static void peek_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);

	req->finished = local_clock();
	if (unlikely(PageHWPoison(io->page)))
		io->status = io->status ?: -EHWPOISON;
	if (!io->status)
		io->status = hermit_copy_check(req->region, req->idx, req->word,
					       io->page, io->server,
					       hermit_req_has_others(io));
	else
		io->status = hermit_copy_refused(req->region, req->idx, req->word,
						 io->page, io->status, io->server,
						 hermit_req_has_others(io));
	if (io->status == -ENOENT)
		hermit_copy_missing(req->region, req->idx, req->word);
	if (unlikely(io->status == -EBADMSG) &&
	    hermit_req_ask_others(req->region, req))
		return;
	hermit_count(req->region, HERMIT_C_INFLIGHT, -1);
	hermit_req_finish(req);
}

struct hermit_req *hermit_peek_begin(struct hermit_region *r, u64 idx,
				     u64 word, bool demand)
{
	struct page *page = hermit_page_get(r);
	struct hermit_req *req;

	if (IS_ERR(page))
		return ERR_CAST(page);
	req = hermit_req_alloc(r);
	if (!req) {
		hermit_page_put(r, page);
		return ERR_PTR(-EAGAIN);
	}
	req->idx = idx;
	req->word = word;
	req->io.op = HERMIT_IO_READ;
	req->io.page = page;		/* freed with the request */
	req->io.offset = idx << PAGE_SHIFT;
	req->io.length = PAGE_SIZE;
	req->io.demand = demand;
	req->io.done = peek_done;
	if (r->replicas)
		req->io.members = hermit_holders(r, idx);
	kref_get(&req->ref);
	hermit_count(r, HERMIT_C_INFLIGHT, 1);
	if (!hermit_req_submit(r, req))
		return req;
	hermit_count(r, HERMIT_C_INFLIGHT, -1);
	hermit_req_put(req);		/* the wire's */
	hermit_req_put(req);
	return ERR_PTR(-EFAULT);
}

int hermit_peek_wait(struct hermit_req *req)
{
	struct hermit_waiter w = {
		.region = req->region,
		.kind = HERMIT_WAIT_REQ,
		.req = req,
	};
	int ret = 0;

	/*
	 * Acquire pairs with hermit_req_finish(). Who comes late for an answer
	 * does not measure how long a wake-up takes.
	 */
	if (!smp_load_acquire(&req->done))
		ret = hermit_waiter_sleep(&w, TASK_KILLABLE,
					  MAX_SCHEDULE_TIMEOUT);
	return ret ?: req->status;
}

int hermit_peek_room(struct hermit_region *r, long why)
{
	struct hermit_waiter w = {
		.region = r,
		.kind = hermit_wait_for(why),
	};

	return hermit_waiter_sleep(&w, TASK_KILLABLE, HERMIT_NAP);
}
