// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a remote page into a page of its own, for those who only want a copy:
 * migration, snapshots, pread(). It stays where it is.
 */
#include <linux/sched/clock.h>

#include "engine/peek.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/wait.h"

static void fault_peek_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);

	req->finished = local_clock();
	hermit_count(req->region, HERMIT_C_INFLIGHT, -1);
	hermit_req_finish(req);
}

int hermit_peek(struct hermit_region *r, u64 idx, struct hermit_req **out)
{
	struct hermit_waiter w = { .region = r, .kind = HERMIT_WAIT_REQ };
	struct page *page = hermit_page_get(r);
	struct hermit_req *req;
	int ret;

	if (IS_ERR(page)) {
		w.kind = hermit_wait_for(PTR_ERR(page));
		return hermit_waiter_sleep(&w, TASK_KILLABLE, HERMIT_NAP) ?: -EAGAIN;
	}
	req = hermit_req_alloc(r);
	if (!req) {
		hermit_page_put(r, page);
		return -ENOMEM;
	}
	req->idx = idx;
	req->io.op = HERMIT_IO_READ;
	req->io.page = page;		/* freed with the request */
	req->io.offset = idx << PAGE_SHIFT;
	req->io.length = PAGE_SIZE;
	req->io.demand = true;
	req->io.done = fault_peek_done;
	kref_get(&req->ref);
	w.req = req;
	hermit_count(r, HERMIT_C_INFLIGHT, 1);
	if (hermit_req_submit(r, req)) {
		hermit_count(r, HERMIT_C_INFLIGHT, -1);
		hermit_req_put(req);
		ret = -EFAULT;
	} else {
		ret = hermit_waiter_sleep(&w, TASK_KILLABLE, MAX_SCHEDULE_TIMEOUT);
		if (!ret)
			ret = req->status;
	}
	if (ret)
		hermit_req_put(req);
	else
		*out = req;
	return ret;
}
