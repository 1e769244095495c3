/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_REGION_H
#define HERMIT_REGION_H
/*
 * A region: the memory of one QEMU object, of which at most `limit` bytes are
 * pages of this host. Internal to hermit.ko.
 *
 *	control fd ──┐			 ┌── binding (a KVM memslot)
 *	memory fd ───┼──► hermit_region ◄┼── request on the wire
 *	query fd ────┘	  │		 └── reclaim thread
 *			  ├─ chunks[] ──► 512 page words each, on first use
 *			  ├─ pool: ready pages, per CPU and shared
 *			  └─ link ──► transport ──► server
 *
 * Lock order, outermost first; a lock may be taken with any subset of those
 * above it held:
 *
 *	KVM slots_lock, mmap_lock
 *	  region->bind_lock (rwsem: read across zap and age, write by bind)
 *	    folio lock (trylock in reclaim)
 *	      i_mmap_rwsem, page table locks; kvm->mmu_lock
 *	  region->sweep_lock (rwsem: read by a reclaim batch, write by the
 *		sweep after a server lost its contents)
 *	region->tune_lock (trylock only)
 *	region->pool.lock, region->events.lock, wait queue locks: leaves
 *
 * A batch of reclaim holds a turn (turn.c), outside of all of these. Turns are
 * few and shared by all regions: nothing in a batch may wait for a server, or
 * for another region's batch.
 *
 * A page word is changed only by compare-exchange with a successor that
 * hermit_word_next() gave; that is what makes each transition atomic. No
 * lock is held for it.
 */
#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/feedback.h"
#include "core/sched.h"
#include "core/share.h"
#include "engine/ahead.h"
#include "engine/event.h"
#include "engine/wset.h"
#include "engine/threads.h"
#include "link/transport.h"
#include "uapi/hermit.h"

#define HERMIT_CHUNK_SHIFT	9
#define HERMIT_CHUNK_PAGES	(1UL << HERMIT_CHUNK_SHIFT)

/* Longer than what networks usually need to find another way. */
#define HERMIT_DEFAULT_TIMEOUT_MS 60000

struct hermit_chunk;
struct hermit_cpu_stats;
struct hermit_pcp;
struct mem_cgroup;

struct hermit_region {
	struct kref ref;
	void (*release)(struct kref *ref);
	struct list_head node;		/* in the registry */
	u8 uuid[16];
	char name[HERMIT_NAME_LEN];
	u64 npages;
	bool dead;			/* control fd closed; read under RCU by submitters */

	struct hermit_chunk **chunks;	/* set once each by cmpxchg, freed last */
	atomic_long_t nr_chunks;
	struct address_space *mapping;	/* of the memory fd's inode, which we hold */
	struct mem_cgroup *memcg;
	atomic64_t generation;

	/* budget: every page of ours is in `used`, whatever its state */
	atomic_long_t used;
	long limit;			/* pages */
	long floor;
	long used_max;
	struct {
		spinlock_t lock;	/* _bh: completions free pages */
		struct page *first;	/* the next one in page->lru.next */
		long nr;
		/*
		 * Beyond it pages go to the system: what the scheduler wants
		 * free, lest pages pass the page allocator on every round.
		 */
		long max;
	} pool;
	struct hermit_pcp __percpu *pcp;
	wait_queue_head_t room_wq;
	atomic_t room_waiters;

	struct hermit_link *link;
	char server[HERMIT_SERVER_LEN];
	bool sync;			/* the link completes reads inside submit */

	/* bindings */
	struct rw_semaphore bind_lock;
	struct list_head bindings;
	unsigned int nr_bindings;
	void *vm;			/* whose slots they are */

	/* reclaim */
	struct hermit_reclaimer reclaimers[HERMIT_MAX_THREADS];
	unsigned int nr_reclaimers;
	unsigned int threads_wanted;
	struct hermit_policy policy;
	spinlock_t tune_lock;		/* who feeds back; trylock */
	struct hermit_sched sched;
	struct hermit_share share;	/* turn_lock */
	struct hermit_trial eager;
	struct hermit_latency latency;	/* of guests' faults; races lose a sample */
	unsigned long async_pause;	/* jiffies: no async page faults before */
	u64 tuned_fetches, tuned_conflicts, tuned_away;
	u64 turnaround;			/* evictions between a page's own and its fetch */
	struct rw_semaphore sweep_lock;
	atomic64_t hand;		/* pages the clock passed, mod npages its place */
	atomic_t writes;		/* on the wire */
	wait_queue_head_t write_wq;
	unsigned long write_backoff;	/* jiffies: no writes before */
	atomic_t requests;		/* all ios that are not done */

	/* waiting */
	wait_queue_head_t word_wq[64];	/* by page, for words to change */
	atomic_t waiters;
	u64 progress;			/* coarse ns: last time any wait made sense */
	u64 fault_timeout;		/* ns */
	bool stalled;			/* the watchdog's, with stall_begun (ns) */
	u64 stall_begun;
	struct delayed_work watchdog;
	u64 stall_since;		/* coarse ns */
	u64 gave_up;			/* coarse ns: the last waiter left, in vain; or 0 */
	bool unreachable;		/* LIMIT_UNREACHABLE was said */
	u64 limit_set;			/* ns */

	struct hermit_host_stream host[HERMIT_HOST_STREAMS];

	struct hermit_wset wset;
	struct hermit_events events;
	struct hermit_cpu_stats __percpu *stats;
};

/*
 * Create and end: the control fd's. May sleep, long: for the server. The others
 * take regions_lock, a mutex. A reference keeps the structure, and no page.
 */
struct hermit_region *hermit_region_create(struct hermit_create *c,
					   struct file **memory);
void hermit_region_end(struct hermit_region *r);
struct hermit_region *hermit_region_find(const u8 *uuid);
/* Fill in up to @room entries; returns how many regions there are. */
u32 hermit_region_list(struct hermit_list_entry *e, u32 room);

static inline void hermit_region_get(struct hermit_region *r)
{
	kref_get(&r->ref);
}

/* Any context, but the last one: that sleeps. */
static inline void hermit_region_put(struct hermit_region *r)
{
	kref_put(&r->ref, r->release);
}

#endif /* HERMIT_REGION_H */
