// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host asks of all regions when it is short of memory.
 *
 * The shrinker gives what costs nothing: what the shared pools have. It is called
 * whenever the host reclaims, also for the sake of a backup's page cache, and with
 * any lock held; so it waits for nothing, and never takes a page that a VM uses.
 *
 * Before the OOM killer looks for a victim it asks for what else there is. The
 * limits of all regions go down by 1/16 of what they use, and it is told how many
 * pages have gone to the system since it asked last, no more: a promise of pages
 * that threads will free would put off the kill for ever. Each answer lowers
 * limits, and none rises within OOM_HOLD: at the floors there is nothing to tell,
 * and the kill comes.
 */
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#include "engine/limit.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/pressure.h"
#include "engine/region.h"

#define OOM_HOLD	(10UL * HZ)
#define OOM_SHIFT	4
#define OOM_MIN		64L
/* How long to wait for reclaim threads, in steps of a tick. */
#define OOM_WAIT	(HZ / 10)
/* Enough to try the allocation again. */
#define OOM_ENOUGH	256L

static struct shrinker *shrinker;

static void count_pool(struct hermit_region *r, void *arg)
{
	*(long *)arg += hermit_pool_free(r);
}

static unsigned long pressure_count(struct shrinker *s, struct shrink_control *sc)
{
	long n = 0;

	hermit_region_each(count_pool, &n);
	return n;
}

struct give {
	long left, given;
};

static void give_pool(struct hermit_region *r, void *arg)
{
	struct give *g = arg;
	long n = hermit_pool_give(r, g->left);

	g->left -= n;
	g->given += n;
}

static unsigned long pressure_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct give g = { .left = sc->nr_to_scan };

	hermit_region_each(give_pool, &g);
	if (!g.given)
		return SHRINK_STOP;
	HERMIT_MARK(shrinker_gives);
	mm_account_reclaimed_pages(g.given);
	return g.given;
}

static void oom_squeeze(struct hermit_region *r, void *arg)
{
	long used = atomic_long_read(&r->used);

	hermit_limit_squeeze(r, max(used >> OOM_SHIFT, OOM_MIN), OOM_HOLD);
	hermit_pool_give(r, LONG_MAX);
}

/* Under oom_lock, and with any other lock of who wants memory. */
static int pressure_oom(struct notifier_block *nb, unsigned long action, void *data)
{
	unsigned long *freed = data;
	long given = 0;
	int i;

	hermit_region_each(oom_squeeze, NULL);
	for (i = 0; i <= OOM_WAIT && given < OOM_ENOUGH; i++) {
		if (i)
			schedule_timeout_uninterruptible(1);
		given += hermit_pool_given();
	}
	*freed += given;
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = { .notifier_call = pressure_oom };

int hermit_pressure_init(void)
{
	int ret;

	shrinker = shrinker_alloc(0, "hermit-pool");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = pressure_count;
	shrinker->scan_objects = pressure_scan;
	ret = register_oom_notifier(&oom_notifier);
	if (ret) {
		shrinker_free(shrinker);
		return ret;
	}
	shrinker_register(shrinker);
	return 0;
}

void hermit_pressure_exit(void)
{
	unregister_oom_notifier(&oom_notifier);
	shrinker_free(shrinker);
}
