// SPDX-License-Identifier: GPL-2.0-only
/* What HERMIT_GET_STATS tells. */
#include <linux/ktime.h>
#include <linux/math64.h>

#include "engine/wset.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/report.h"
#include "engine/server.h"
#include "engine/stats.h"
#include "engine/word.h"
#include "link/seal.h"

/* Gauges are sums of per-CPU differences, read without a lock. */
static u64 stat_gauge(struct hermit_region *r, enum hermit_counter c)
{
	return max(0L, hermit_stat(r, c));
}

static void stats_fill_servers(struct hermit_region *r, struct hermit_stats *st)
{
	unsigned int i;
	u64 since;

	st->replicas = r->replicas;
	spin_lock(&r->servers_lock);
	st->nr_servers = r->nr_servers;
	for (i = 0; i < r->nr_servers; i++)
		strscpy(st->servers[i].address, r->servers[i]);
	spin_unlock(&r->servers_lock);
	/* The region may be ending under a query handle: then it is dead. */
	rcu_read_lock();
	if (!READ_ONCE(r->dead) && r->link)
		r->link->ops->stats(r->link, st->servers);
	if (!READ_ONCE(r->dead) && r->link && r->seals)
		st->sealed = hermit_seal_numbers(r->link);
	rcu_read_unlock();
	for (i = 0; i < st->nr_servers; i++) {
		st->servers[i].state = hermit_server_shown(r, i, st->servers[i].state);
		since = READ_ONCE(r->server_since[i]);
		st->server_state_ns[i] = ktime_get_ns() - since;
	}
}

void hermit_report_fill(struct hermit_region *r, struct hermit_stats *st)
{
	int cpu, i;
	u64 rate;

	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	st->mode = READ_ONCE(r->nr_bindings) ? HERMIT_MODE_EPT :
					       HERMIT_MODE_STOCK;
	memcpy(st->uuid, r->uuid, sizeof(st->uuid));
	strscpy(st->name, r->name);
	st->region_size = r->npages << PAGE_SHIFT;
	st->limit = (u64)READ_ONCE(r->limit) << PAGE_SHIFT;
	st->floor = (u64)r->floor << PAGE_SHIFT;
	st->resident = atomic_long_read(&r->used);
	st->resident_max = READ_ONCE(r->used_max);
	st->pool = hermit_pool_pages(r);
	st->local = stat_gauge(r, HERMIT_C_LOCAL);
	st->inflight = stat_gauge(r, HERMIT_C_INFLIGHT);
	st->remote = stat_gauge(r, HERMIT_C_REMOTE);
	st->lost = stat_gauge(r, HERMIT_C_LOST);
	st->short_copies = stat_gauge(r, HERMIT_C_SHORT);
	st->moved = hermit_stat(r, HERMIT_C_MOVED);
	st->host_mapped = stat_gauge(r, HERMIT_C_HOSTMAPPED);
	st->metadata_bytes = hermit_word_metadata(r);
	st->faults_guest = hermit_stat(r, HERMIT_C_FAULTS_GUEST);
	st->faults_host = hermit_stat(r, HERMIT_C_FAULTS_HOST);
	st->first_touch = hermit_stat(r, HERMIT_C_FIRST_TOUCH);
	st->fetches = hermit_stat(r, HERMIT_C_FETCHES);
	st->prefetches = hermit_stat(r, HERMIT_C_PREFETCHES);
	st->prefetch_hits = hermit_stat(r, HERMIT_C_PREFETCH_HITS);
	st->conflicts = hermit_stat(r, HERMIT_C_CONFLICTS);
	st->read_errors = hermit_stat(r, HERMIT_C_READ_ERRORS);
	st->evicted_clean = hermit_stat(r, HERMIT_C_EVICTED_CLEAN);
	st->evicted_dirty = hermit_stat(r, HERMIT_C_EVICTED_DIRTY);
	st->evicted_zero = hermit_stat(r, HERMIT_C_EVICTED_ZERO);
	st->rescued = hermit_stat(r, HERMIT_C_RESCUED);
	st->pinned = hermit_stat(r, HERMIT_C_PINNED);
	st->kept = hermit_stat(r, HERMIT_C_KEPT);
	st->write_errors = hermit_stat(r, HERMIT_C_WRITE_ERRORS);
	st->discarded = hermit_stat(r, HERMIT_C_DISCARDED);
	st->zap_batches = hermit_stat(r, HERMIT_C_ZAP_BATCHES);
	st->zapped = hermit_stat(r, HERMIT_C_ZAPPED);
	st->scanned = hermit_stat(r, HERMIT_C_SCANNED);
	st->unaged = hermit_stat(r, HERMIT_C_UNAGED);
	st->room_waits = hermit_stat(r, HERMIT_C_ROOM_WAITS);
	st->reclaim_turn_waits = hermit_stat(r, HERMIT_C_TURN_WAITS);
	/* What the paper counts: faults that had to wait for reclaim. */
	st->direct_reclaims = st->room_waits;
	st->parked = hermit_stat(r, HERMIT_C_PARKED);
	st->spun = hermit_stat(r, HERMIT_C_SPUN);
	st->async_faults = hermit_stat(r, HERMIT_C_ASYNC);
	st->wait_srcu = hermit_stat(r, HERMIT_C_WAIT_KERNEL);
	st->wait_mmap_long = hermit_stat(r, HERMIT_C_WAIT_MMAP_LONG);
	st->stall_ns = hermit_stat(r, HERMIT_C_STALL_NS);
	st->threads_now = READ_ONCE(r->threads_wanted);
	st->threads_max = r->nr_reclaimers;
	st->bindings = READ_ONCE(r->nr_bindings);
	hermit_sched_marks(&r->sched, READ_ONCE(r->limit_now), &st->watermark_low,
			   &st->watermark_high);
	rate = READ_ONCE(r->sched.charge_rate);
	/* What leaves is what comes: evictions pass at the rate of charges. */
	st->turnaround_ns = rate ? div64_u64(READ_ONCE(r->turnaround) *
					     NSEC_PER_SEC, rate) : 0;
	st->poisoned = hermit_stat(r, HERMIT_C_POISONED);
	st->mismatches = hermit_stat(r, HERMIT_C_MISMATCHES);
	st->seal_refused = hermit_stat(r, HERMIT_C_SEAL_REFUSED);
	st->prefetch_misses = hermit_stat(r, HERMIT_C_PREFETCH_MISSES);
	st->refaults_early = hermit_stat(r, HERMIT_C_EARLY);
	st->eager_pauses = READ_ONCE(r->eager.switches);
	st->standby_hits = hermit_stat(r, HERMIT_C_STANDBY_HITS);
	for (i = 0; i < r->nr_reclaimers; i++)
		st->reclaim_busy_ns += READ_ONCE(r->reclaimers[i].busy_ns);
	for_each_possible_cpu(cpu)
		for (i = 0; i < HERMIT_HIST_BUCKETS; i++)
			st->fault_hist[i] +=
				READ_ONCE(per_cpu_ptr(r->stats, cpu)->hist[i]);
	hermit_wset_fill(r, st);
	stats_fill_servers(r, st);
}
