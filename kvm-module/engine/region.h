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
 *			  ├─ chunks[] ──► 256 page words each, on first use
 *			  ├─ pool: ready pages, per CPU and shared
 *			  └─ link ──► transport ──► server
 *
 * Lock order, outermost first; a lock may be taken with any subset of those
 * above it held:
 *
 *	region->change_lock (mutex: a server comes or goes, or the region ends)
 *	  the set's states (mutex: what servers tell)
 *	KVM slots_lock, mmap_lock
 *	  region->bind_lock (rwsem: read across zap and age, write by bind)
 *	    folio lock (trylock in reclaim)
 *	      i_mmap_rwsem, page table locks; kvm->mmu_lock
 *	  region->sweep_lock (rwsem: read by a reclaim batch, write by the
 *		sweep after a server lost its contents)
 *	region->tune_lock (trylock only)
 *	region->pool.lock, region->limit_lock, region->servers_lock,
 *		region->events.lock, wait queue locks: leaves
 *
 * A batch of reclaim holds a turn (turn.c), inside of sweep_lock and outside of
 * the others. Turns are few and shared by all regions: nothing in a batch may wait
 * for a server, or for another region's batch.
 *
 * A page word is changed only by compare-exchange with a successor that
 * hermit_word_next() gave; that is what makes each transition atomic. No
 * lock is held for it.
 */
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/feedback.h"
#include "core/sched.h"
#include "core/share.h"
#include "engine/ahead.h"
#include "engine/event.h"
#include "engine/drain.h"
#include "engine/mover.h"
#include "engine/poison.h"
#include "engine/wset.h"
#include "engine/threads.h"
#include "link/transport.h"
#include "uapi/hermit.h"

/* Words and what is kept beside them fill a page: word.h. */
#define HERMIT_CHUNK_SHIFT	8
#define HERMIT_CHUNK_PAGES	(1UL << HERMIT_CHUNK_SHIFT)

/* Of tables by page: two that meet in one wait a little for each other. */
#define HERMIT_PAGE_HASH	64

/* Longer than what networks usually need to find another way. */
#define HERMIT_DEFAULT_TIMEOUT_MS 60000

/* Of each page, on several servers. */
#define HERMIT_DEFAULT_REPLICAS	2

struct hermit_chunk;
struct hermit_chunk_seals;
struct hermit_cpu_stats;
struct hermit_pcp;
struct mem_cgroup;

struct hermit_region {
	/* What every fault reads: written at the start, and by who sets it. */
	u64 npages;
	struct hermit_chunk **chunks;	/* set once each by cmpxchg, freed last */
	struct address_space *mapping;	/* of the memory fd's inode, which we hold */
	struct hermit_cpu_stats __percpu *stats;
	struct hermit_pcp __percpu *pcp;
	struct hermit_link *link;
	long limit_now;			/* pages; see limit.c */
	bool dead;			/* not whole yet, or ended; read under RCU by submitters */
	bool sync;			/* the link completes reads inside submit */
	bool starved;			/* an allocation failed: a thread sees to it */
	u8 servers_up;			/* those that answer reads, a bit for each */
	unsigned int nr_bindings;

	u8 replicas;			/* of each page, on several servers; 0: there is one */
	u8 servers_writable;		/* those that have room, too */
	u8 servers_leaving;		/* those that are to become empty; see server.h */
	struct page **standby;		/* what has left, by page: standby.h; NULL: off */
	u64 standby_mask;
	struct list_head *standby_lists;	/* of each node, oldest first; pool.lock */

	struct hermit_policy policy;	/* its switches come first */
	struct mem_cgroup *memcg;
	unsigned long async_pause;	/* jiffies: no async page faults before */
	unsigned long write_backoff;	/* jiffies: no writes before */
	u64 fault_timeout;		/* ns */
	long limit;			/* pages: what the operator set */
	long floor;			/* pages */
	void *vm;			/* whose slots the bindings are */
	void (*release)(struct kref *ref);

	/* Budget: every page of ours is in `used`. Read by all, written by charges. */
	atomic_long_t used ____cacheline_aligned_in_smp;
	long used_max;
	atomic_t room_waiters, memory_waiters;
	wait_queue_head_t room_wq;

	/* The shared pool; the line of its lock. */
	struct {
		spinlock_t lock;	/* _bh: completions free pages */
		struct page **first;	/* of each node; the next one in page->lru.next */
		long nr, nr_standby;	/* ready ones; and those that hold what left */
		/*
		 * Beyond it pages go to the system: what the scheduler wants
		 * free, lest pages pass the page allocator on every round.
		 */
		long max;
		struct page *reserve;	/* see hermit_pool_lend() */
		long nr_reserve, max_reserve;
	} pool ____cacheline_aligned_in_smp;

	/* Written by each fetch that waits. */
	struct kref ref ____cacheline_aligned_in_smp;
	mempool_t *req_pool;
	atomic_t requests;		/* all ios that are not done */
	atomic_t waiters;
	u64 progress;			/* coarse ns: last time any wait brought something */
	u64 stall_since;		/* coarse ns */
	u64 gave_up;			/* coarse ns: the last waiter left, in vain; or 0 */
	struct hermit_latency latency;	/* of guests' faults; races lose a sample */

	/* Written by each eviction. */
	atomic64_t generation ____cacheline_aligned_in_smp;
	atomic64_t hand;		/* pages the clock passed, mod npages its place */
	atomic_t writes;		/* on the wire */
	wait_queue_head_t write_wq;
	atomic_long_t nr_chunks;

	/* Taken for reading by each batch. */
	struct rw_semaphore sweep_lock ____cacheline_aligned_in_smp;
	struct rw_semaphore bind_lock;
	struct list_head bindings;

	/* The scheduler: read when threads may be wanted, written by feedback. */
	spinlock_t tune_lock ____cacheline_aligned_in_smp;	/* only tried */
	unsigned int nr_reclaimers;
	unsigned int threads_wanted;
	struct hermit_trial eager;
	struct hermit_sched sched;
	struct hermit_share share;	/* turn_lock */
	u64 tuned_fetches, tuned_conflicts, tuned_away;
	u64 turnaround;			/* evictions between a page's own and its fetch */

	wait_queue_head_t word_wq[HERMIT_PAGE_HASH]; /* by page, for words to change */
	unsigned long read_backoff[HERMIT_PAGE_HASH]; /* by page; jiffies: no reads before */
	struct hermit_reclaimer reclaimers[HERMIT_MAX_THREADS];
	struct hermit_host_stream host[HERMIT_HOST_STREAMS];

	/* Cold. */
	struct hermit_chunk_seals *seals;	/* word.c's, by chunk; NULL: not sealed */
	struct list_head node;		/* in the registry */
	u8 uuid[16];
	char name[HERMIT_NAME_LEN];
	struct mutex change_lock;
	spinlock_t servers_lock;	/* for the next three */
	char servers[HERMIT_MAX_SERVERS][HERMIT_SERVER_LEN];	/* ""; nobody has the number */
	unsigned int nr_servers;	/* the highest number, and one */
	u8 servers_drained;		/* of those that leave: that no page needs; the mover's */
	u8 servers_stuck;		/* that leave, or are to, and do not get further */
	u8 servers_asked;		/* that leave since their own operators want it; change_lock */
	u8 servers_kept;		/* that do not, though they want it: undrained; change_lock */
	unsigned long ask_again;	/* jiffies: whether one may leave that wants to; change_lock */
	struct hermit_drain drain;	/* change_lock */
	struct delayed_work server_work;	/* what servers want, and are told: server.c */
	u8 client_id[16];
	u8 server_states[HERMIT_MAX_SERVERS];	/* as the link told last */
	u64 server_since[HERMIT_MAX_SERVERS];	/* ns: that it has had its state */
	struct delayed_work watchdog;
	bool stalled;			/* the watchdog's, with stall_begun (ns) */
	bool unreachable;		/* LIMIT_UNREACHABLE was said */
	bool told;			/* the guest of its stall, at told_at (jiffies) */
	unsigned long told_at;
	u64 stall_begun;
	u64 limit_set;			/* ns */
	unsigned long mismatch_told;	/* jiffies: the last event of a wrong answer */
	spinlock_t limit_lock;		/* for the next two, and to write limit_now */
	long limit_cap;			/* pages */
	unsigned long limit_hold;	/* jiffies: no more before */
	struct hermit_wset wset;
	struct hermit_mover mover;
	struct hermit_events events;
	struct hermit_poison poison;
};

static_assert(offsetofend(struct hermit_region, nr_bindings) <= 64,
	      "what every fault reads is one cache line");

/*
 * Create and end: the control fd's. May sleep, long: for the server. @client_id:
 * 16 bytes, as whom the servers know it; who was interrupted (-EINTR) and begins
 * again is not another client with the same ones. The others take regions_lock, a
 * mutex. A reference keeps the structure, and no page.
 */
struct hermit_region *hermit_region_create(struct hermit_create *c,
					   const u8 *client_id,
					   struct file **memory);
void hermit_region_end(struct hermit_region *r);
struct hermit_region *hermit_region_find(const u8 *uuid);
/* The region whose memory has this mapping, with a reference; or NULL. */
struct hermit_region *hermit_region_of(const struct address_space *mapping);
/*
 * fn(each region that lives, arg), or none if the list is in use. @fn does not
 * sleep for memory: who asks may be short of it.
 */
void hermit_region_each(void (*fn)(struct hermit_region *r, void *arg), void *arg);
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
