// SPDX-License-Identifier: GPL-2.0-only
/*
 * Discards: balloon, free page reporting, virtio-mem, and the end of a region.
 * The page is zeros afterwards, locally and, once the request is through, on
 * the server.
 */
#include <linux/sched.h>

#include "engine/discard.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/unmap.h"
#include "engine/word.h"

static void discard_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);
	struct hermit_region *r = req->region;
	enum hermit_event ev = io->status ? HERMIT_EV_DISCARD_FAIL :
					    HERMIT_EV_DISCARD_OK;
	u64 old, new;
	u32 i;

	for (i = 0; i < req->nr; i++) {
		WARN_ON_ONCE(hermit_word_apply(hermit_word(r, req->idx + i), ev,
					       0, &old, &new));
		hermit_word_wake(r, req->idx + i);
	}
	hermit_req_finish(req);
}

/* The words of the run have W for this, and nobody else clears it. */
void hermit_discard_copy(struct hermit_region *r, u64 idx, u64 nr)
{
	struct hermit_req *req = NULL;
	u64 i, old, new;

	if (!READ_ONCE(r->dead))
		req = hermit_req_alloc(r);
	if (req) {
		req->idx = idx;
		req->nr = nr;
		req->io.op = HERMIT_IO_DISCARD;
		req->io.offset = idx << PAGE_SHIFT;
		req->io.length = nr << PAGE_SHIFT;
		req->io.done = discard_done;
		if (!hermit_req_submit(r, req))
			return;
		hermit_req_put(req);
	}
	HERMIT_MARK(copy_stays);
	/* The server keeps a stale copy until the page is written again. */
	for (i = 0; i < nr; i++) {
		hermit_word_apply(hermit_word(r, idx + i),
				  HERMIT_EV_DISCARD_FAIL, 0, &old, &new);
		hermit_word_wake(r, idx + i);
	}
}

/* Discards of remote copies, merged into runs. */
struct discard_run {
	u64 idx, nr;
};

static void discard_run_flush(struct hermit_region *r, struct discard_run *run)
{
	if (run->nr)
		hermit_discard_copy(r, run->idx, run->nr);
	run->nr = 0;
}

static void discard_run_add(struct hermit_region *r, struct discard_run *run,
			    u64 idx)
{
	if (run->nr && run->idx + run->nr == idx && run->nr < 4096) {
		run->nr++;
		return;
	}
	discard_run_flush(r, run);
	run->idx = idx;
	run->nr = 1;
}

/* The victims are DISCARDING and ours. */
static void discard_victims(struct hermit_region *r, struct hermit_victim *v,
			    int n, struct discard_run *run)
{
	u64 old, new;
	int i;

	if (!n)
		return;
	hermit_unmap(r, v, n, true);
	for (i = 0; i < n; i++) {
		if (WARN_ON_ONCE(hermit_word_apply(hermit_word(r, v[i].idx),
						   HERMIT_EV_DISCARD_DONE, 0,
						   &old, &new)))
			continue;
		hermit_count(r, HERMIT_C_LOCAL, -1);
		/* With W and not F the write on the wire owns the page now. */
		if ((old & HERMIT_W_INFLIGHT) && !(old & HERMIT_W_FOREIGN))
			HERMIT_MARK(page_left_to_the_write);
		else
			hermit_page_free(r, v[i].page);
		if (!(old & HERMIT_W_INFLIGHT) && (new & HERMIT_W_INFLIGHT))
			discard_run_add(r, run, v[i].idx);
		hermit_word_wake(r, v[i].idx);
	}
}

/*
 * May sleep, for evictions and discards of others under way: none of those
 * waits for I/O. Does not wait for the server.
 */
int hermit_discard(struct hermit_region *r, u64 start, u64 nr)
{
	struct hermit_victim v[HERMIT_BATCH];
	struct discard_run run = {};
	u64 idx, old, new;
	int n = 0;

	for (idx = start; idx < start + nr; idx++) {
		atomic64_t *word = hermit_word(r, idx);
		int ret;

		/* What is not here costs little, but there may be terabytes of it. */
		if (!(idx % HERMIT_CHUNK_PAGES))
			cond_resched();
		if (!word) {
			idx |= HERMIT_CHUNK_PAGES - 1;
			continue;
		}
		ret = hermit_word_apply(word, HERMIT_EV_DISCARD_BEGIN, 0, &old,
					&new);
		if (ret == -EAGAIN) {
			HERMIT_MARK(discard_waits);
			/* Let go of ours first: the other may wait for them. */
			discard_victims(r, v, n, &run);
			n = 0;
			wait_event_timeout(*hermit_word_wq(r, idx),
					   atomic64_read(word) != new, HZ / 10);
			idx--;
			continue;
		}
		switch (hermit_word_state(old)) {
		case HERMIT_LOCAL:
		case HERMIT_EVICTING:
			v[n++] = (struct hermit_victim) {
				.idx = idx,
				.word = new,
				.page = hermit_word_page(new),
			};
			break;
		case HERMIT_REMOTE:
		case HERMIT_FETCHING:
			hermit_count(r, HERMIT_C_REMOTE, -1);
			hermit_holders_home(r, idx);
			discard_run_add(r, &run, idx);
			hermit_word_wake(r, idx);
			break;
		case HERMIT_LOST:
			HERMIT_MARK(lost_page_discarded);
			hermit_count(r, HERMIT_C_LOST, -1);
			break;
		default:
			if (old != new)
				discard_run_add(r, &run, idx);
			continue;
		}
		hermit_count(r, HERMIT_C_DISCARDED, 1);
		if (n == HERMIT_BATCH) {
			discard_victims(r, v, n, &run);
			n = 0;
		}
	}
	discard_victims(r, v, n, &run);
	discard_run_flush(r, &run);
	return 0;
}

void hermit_discard_all(struct hermit_region *r)
{
	hermit_discard(r, 0, r->npages);
}
