// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bring home what nobody touches: the pages of a range that are remote, for an
 * operator who wants to do without a server, or to have a VM at full speed
 * again before it needs to be.
 *
 * The thread that asks posts a window of reads and waits for them one after
 * another; it joins reads that are out already. It never makes room: where the
 * limit has none, it ends.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "engine/fault.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/recall.h"
#include "engine/region.h"
#include "engine/unmap.h"
#include "engine/wait.h"
#include "engine/word.h"

/* As many as reclaim writes at once, so that neither starves the other. */
#define RECALL_WINDOW	HERMIT_BATCH

static bool recall_remote(struct hermit_region *r, u64 idx)
{
	atomic64_t *word = hermit_word(r, idx);

	switch (word ? hermit_word_state(atomic64_read(word)) : HERMIT_ABSENT) {
	case HERMIT_REMOTE:
	case HERMIT_FETCHING:
		return true;
	default:
		return false;
	}
}

/* Wait until the page is not remote any more, whoever brought it. */
static int recall_wait(struct hermit_region *r, u64 idx, unsigned long deadline,
		       struct hermit_waiter *w)
{
	while (recall_remote(r, idx)) {
		if (READ_ONCE(r->dead))
			return -ENODEV;
		if (signal_pending(current))
			return -EINTR;
		if (time_after_eq(jiffies, deadline))
			return -ETIMEDOUT;
		hermit_fault_prepare(r, idx, HERMIT_FAULT_HOST, w);
		if (w->kind == HERMIT_WAIT_ROOM) {
			HERMIT_MARK(recall_without_room);
			return -ENOSPC;
		}
		if (w->kind != HERMIT_WAIT_NONE)
			hermit_waiter_sleep(w, TASK_INTERRUPTIBLE,
					  max(1L, (long)(deadline - jiffies)));
		cond_resched();
	}
	return 0;
}

int hermit_recall(struct hermit_region *r, u64 end, u64 *next, u64 *fetched)
{
	struct hermit_waiter *w;
	u64 idx[RECALL_WINDOW], look = *next;
	unsigned long deadline;
	int n, i, ret = 0;

	w = kcalloc(RECALL_WINDOW, sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	while (look < end && !ret) {
		deadline = jiffies + msecs_to_jiffies(HERMIT_RECALL_MS);
		for (n = 0; look < end && n < RECALL_WINDOW; look++) {
			if (!(look % HERMIT_CHUNK_PAGES))
				cond_resched();
			if (!recall_remote(r, look))
				continue;
			/* Where there is no room, waiting for it tells. */
			if (!r->sync)
				hermit_fault_prepare(r, look, HERMIT_FAULT_HOST,
						     &w[n]);
			idx[n++] = look;
		}
		for (i = 0; i < n && !ret; i++) {
			ret = recall_wait(r, idx[i], deadline, &w[i]);
			if (!ret)
				(*fetched)++;
			else
				look = idx[i];
		}
		for (i = 0; i < n; i++)
			hermit_waiter_drop(&w[i]);
		*next = look;
		if (!ret && signal_pending(current))
			ret = -EINTR;
	}
	kfree(w);
	return ret;
}
