// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose turn it is to reclaim: at most reclaim_max batches run at once on this
 * host, and when more threads want to begin one, the VM that is furthest behind
 * its weight goes first (core/share.h).
 *
 * A turn is held for one batch and never across a wait for the server, so a VM
 * whose server is gone takes nothing from the others. But who holds one may be a
 * thread whose cgroup has used up its share of the CPU, and does not run until
 * the next period: so nobody waits for a turn for longer than TURN_WAIT.
 */
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/wait.h>

#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/turn.h"

static unsigned int reclaim_max;
module_param(reclaim_max, uint, 0644);
MODULE_PARM_DESC(reclaim_max,
		 "batches of pages given up at once, over all VMs (0: one for each CPU)");

/* Many times what a batch takes, and little beside a period of cpu.max. */
#define TURN_WAIT	msecs_to_jiffies(10)

struct turn {
	struct list_head node;
	struct hermit_region *region;
	wait_queue_head_t wq;
	bool given;
};

static DEFINE_SPINLOCK(turn_lock);	/* task context only */
static LIST_HEAD(turn_queue);
static unsigned int turns_taken;
static u64 host_pass;

static bool turn_is_free(void)
{
	lockdep_assert_held(&turn_lock);
	return turns_taken < (READ_ONCE(reclaim_max) ?: num_online_cpus());
}

/* May sleep, for TURN_WAIT at most. */
void hermit_turn_begin(struct hermit_region *r)
{
	struct turn t = { .region = r };

	spin_lock(&turn_lock);
	r->share.weight = READ_ONCE(r->policy.weight);
	hermit_share_join(&r->share, host_pass);
	if (list_empty(&turn_queue) && turn_is_free()) {
		turns_taken++;
		spin_unlock(&turn_lock);
		return;
	}
	init_waitqueue_head(&t.wq);
	list_add_tail(&t.node, &turn_queue);
	spin_unlock(&turn_lock);
	HERMIT_MARK(turn_waits);
	hermit_count(r, HERMIT_C_TURN_WAITS, 1);
	wait_event_timeout(t.wq, READ_ONCE(t.given), TURN_WAIT);
	spin_lock(&turn_lock);
	if (!t.given) {
		list_del(&t.node);
		turns_taken++;
	}
	spin_unlock(&turn_lock);
}

/* @pages: what the batch was good for. */
void hermit_turn_end(struct hermit_region *r, unsigned int pages)
{
	struct turn *t, *next;

	spin_lock(&turn_lock);
	hermit_share_charge(&r->share, pages, &host_pass);
	turns_taken--;
	while (!list_empty(&turn_queue) && turn_is_free()) {
		next = NULL;
		list_for_each_entry(t, &turn_queue, node)
			if (!next || hermit_share_before(&t->region->share,
							 &next->region->share))
				next = t;
		list_del(&next->node);
		turns_taken++;
		WRITE_ONCE(next->given, true);
		/* With the lock held: it is on the stack of who goes on then. */
		wake_up_all(&next->wq);
	}
	spin_unlock(&turn_lock);
}
