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
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/feedback.h"
#include "core/pageword.h"
#include "core/prefetch.h"
#include "core/sched.h"
#include "core/share.h"
#include "link/transport.h"
#include "uapi/hermit.h"

#define HERMIT_CHUNK_SHIFT	9
#define HERMIT_CHUNK_PAGES	(1UL << HERMIT_CHUNK_SHIFT)

/* Pages that one zap, one flush and one round of writes are shared by. */
#define HERMIT_BATCH		32
#define HERMIT_MAX_THREADS	16
#define HERMIT_DEFAULT_THREADS	4
/* One CPU's ready pages, and how many a refill brings (a shared lock each). */
#define HERMIT_PCP_PAGES	16
#define HERMIT_PCP_REFILL	8
/* Ready pages that reclaim leaves in the shared pool, at least; see pool.max. */
#define HERMIT_POOL_SHARED	128
/* Writes on the wire, at most; beyond it reclaim waits for the server. */
#define HERMIT_MAX_WRITES	512
/* A page that a fault brought is no victim for so long (design, section 6). */
#define HERMIT_FRESH_MS		12
/* Longer than what networks usually need to find another way. */
#define HERMIT_DEFAULT_TIMEOUT_MS 60000
#define HERMIT_EVENTS		64

struct hermit_idle_page;
struct mem_cgroup;
struct vhost_task;

struct hermit_chunk {
	atomic64_t words[HERMIT_CHUNK_PAGES];
};

struct hermit_pcp {
	unsigned int nr;
	unsigned int charged;		/* since this CPU last tuned the scheduler */
	struct page *pages[HERMIT_PCP_PAGES];
};

/* Counters that the fault and reclaim paths bump: per CPU, summed on reading. */
enum hermit_counter {
	HERMIT_C_FAULTS_GUEST,
	HERMIT_C_FAULTS_HOST,
	HERMIT_C_FIRST_TOUCH,
	HERMIT_C_FETCHES,
	HERMIT_C_EARLY,			/* of them: see core/sched.h */
	HERMIT_C_AWAY,			/* evictions since theirs, summed */
	HERMIT_C_CHARGED,		/* pages that left the room */
	HERMIT_C_PREFETCHES,
	HERMIT_C_PREFETCH_HITS,
	HERMIT_C_PREFETCH_MISSES,
	HERMIT_C_CONFLICTS,
	HERMIT_C_READ_ERRORS,
	HERMIT_C_INSTALLED,
	HERMIT_C_EVICTED_CLEAN,
	HERMIT_C_EVICTED_DIRTY,
	HERMIT_C_EVICTED_ZERO,
	HERMIT_C_RESCUED,
	HERMIT_C_PINNED,
	HERMIT_C_KEPT,
	HERMIT_C_WRITE_ERRORS,
	HERMIT_C_DISCARDED,
	HERMIT_C_ZAP_BATCHES,
	HERMIT_C_ZAPPED,
	HERMIT_C_SCANNED,
	HERMIT_C_ROOM_WAITS,
	HERMIT_C_TURN_WAITS,
	HERMIT_C_PARKED,
	HERMIT_C_SPUN,
	HERMIT_C_ASYNC,
	HERMIT_C_WAIT_KERNEL,
	HERMIT_C_WAIT_MMAP_LONG,
	HERMIT_C_STALL_NS,
	/* pages by state, as sums of +1 and -1 on any CPU */
	HERMIT_C_LOCAL,
	HERMIT_C_REMOTE,
	HERMIT_C_LOST,
	HERMIT_C_INFLIGHT,
	HERMIT_C_HOSTMAPPED,
	HERMIT_NR_COUNTERS
};

struct hermit_cpu_stats {
	long counter[HERMIT_NR_COUNTERS];
	u64 hist[HERMIT_HIST_BUCKETS];
};

struct hermit_events {
	spinlock_t lock;
	unsigned int head, tail;	/* free-running; empty when equal */
	struct hermit_event_record ring[HERMIT_EVENTS];
	wait_queue_head_t wq;
};

struct hermit_reclaimer {
	struct hermit_region *region;
	struct vhost_task *task;
	unsigned int index;
	unsigned int misses;		/* scans in a row that found too little */
	bool idle;			/* asleep, or about to look whether to */
	u64 reclaimed, busy_ns;		/* since its start; it alone writes them */
};

/* idle.c's; the work alone changes it */
struct hermit_idle {
	struct delayed_work work;
	struct hermit_idle_page *pages;	/* 64 for each block */
	u64 blocks, stride;		/* of the sample; in blocks */
	u64 next;			/* in the pass under way */
	u64 period_ns, busy_ns;
	bool blind;			/* in the pass under way: no telling */
	bool seen;			/* a pass is over */
	u32 hist[HERMIT_IDLE_BUCKETS];	/* of the pass under way */
	u32 shown[HERMIT_IDLE_BUCKETS];	/* of the last one */
};

/* The faults of one vCPU or thread, for reading ahead. */
struct hermit_stream {
	struct hermit_prefetch p;
	unsigned int faults;		/* since p last heard what became of it all */
	long hits, misses;		/* the region's, as of then */
};

/*
 * Host threads share these by their number: QEMU's, vhost's, and without the
 * EPT hook all vCPUs. Only ever trylocked: a lost fault is a lost vote.
 */
#define HERMIT_HOST_STREAMS_SHIFT 4
#define HERMIT_HOST_STREAMS	(1 << HERMIT_HOST_STREAMS_SHIFT)

struct hermit_host_stream {
	struct mutex lock;
	pid_t who;			/* that the stream is of */
	struct hermit_stream stream;
};

struct hermit_region {
	struct kref ref;
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
	struct hermit_wait wait;	/* of guests' faults; races lose a sample */
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

	struct hermit_idle idle;
	struct hermit_events events;
	struct hermit_cpu_stats __percpu *stats;
};

/*
 * One read, write or discard of ours on the wire. A page left in io.page goes
 * back to the pool with the last reference.
 */
struct hermit_req {
	struct hermit_io io;
	struct kref ref;		/* the wire's, and each waiter's */
	struct hermit_region *region;
	u64 idx;
	u64 word;			/* READ: what the installer must find */
	u32 nr;				/* DISCARD: pages */
	bool done;
	bool prefetch;
	int status;
	u64 posted, finished;		/* ns, local_clock() */
	wait_queue_head_t wq;
};

static inline void hermit_count(struct hermit_region *r, enum hermit_counter c,
				long n)
{
	this_cpu_add(r->stats->counter[c], n);
}

/* The word of a page, or NULL if nothing of its chunk was ever touched. */
static inline atomic64_t *hermit_word(struct hermit_region *r, u64 idx)
{
	struct hermit_chunk *c = READ_ONCE(r->chunks[idx >> HERMIT_CHUNK_SHIFT]);

	return c ? &c->words[idx & (HERMIT_CHUNK_PAGES - 1)] : NULL;
}

static inline unsigned int hermit_stamp_now(void)
{
	/* Not jiffies_to_msecs(): this is in the fault path, and in a scan. */
	return (u64)jiffies * MSEC_PER_SEC / HZ >> 2;
}

static inline struct page *hermit_word_page(u64 w)
{
	return pfn_to_page(hermit_word_value(w));
}

static inline u64 hermit_next_generation(struct hermit_region *r)
{
	return atomic64_inc_return(&r->generation);
}

static inline wait_queue_head_t *hermit_word_wq(struct hermit_region *r, u64 idx)
{
	return &r->word_wq[idx & (ARRAY_SIZE(r->word_wq) - 1)];
}

/* After a change of the word that somebody may wait for. Any context. */
static inline void hermit_word_wake(struct hermit_region *r, u64 idx)
{
	wait_queue_head_t *wq = hermit_word_wq(r, idx);

	if (wq_has_sleeper(wq))
		wake_up_all(wq);
}

/*
 * Apply @ev to the word. Returns the value hermit_word_next() gave; the
 * words before and after in *@old and *@new, and whether it was stored only
 * by the two being different or the result 0. Lock-free, any context.
 */
static __always_inline int hermit_word_apply(atomic64_t *word,
					     enum hermit_event ev, u64 value,
					     u64 *old, u64 *new)
{
	unsigned int stamp = hermit_stamp_now();
	int r;

	*old = atomic64_read(word);
	do {
		r = hermit_word_next(*old, ev, value, stamp, new);
		if (r == -EINVAL || *new == *old)
			return r;
	} while (!atomic64_try_cmpxchg(word, (s64 *)old, *new));
	return r;
}

/* region.c */
struct hermit_region *hermit_region_create(struct hermit_create *c,
					   struct file **memory);
void hermit_region_end(struct hermit_region *r);
struct hermit_region *hermit_region_find(const u8 *uuid);
/* Fill in up to @room entries; returns how many regions there are. */
u32 hermit_region_list(struct hermit_list_entry *e, u32 room);
void hermit_region_free(struct kref *ref);
/* The word, its chunk allocated if need be (GFP_KERNEL); NULL without memory. */
atomic64_t *hermit_word_alloc(struct hermit_region *r, u64 idx);
u64 hermit_region_metadata(struct hermit_region *r);

static inline void hermit_region_get(struct hermit_region *r)
{
	kref_get(&r->ref);
}

static inline void hermit_region_put(struct hermit_region *r)
{
	kref_put(&r->ref, hermit_region_free);
}

/* memory.c: the memory fd */
extern const struct vm_operations_struct hermit_vm_ops;
struct file *hermit_memory_create(struct hermit_region *r);

/* turn.c: the host's cap on batches, shared by weight. Task context. */
void hermit_turn_begin(struct hermit_region *r);
void hermit_turn_end(struct hermit_region *r, unsigned int pages);

/* pool.c: pages and the budget */
int hermit_pool_init(struct hermit_region *r);
void hermit_pool_destroy(struct hermit_region *r);
/*
 * A page charged to the region, its contents undefined unless
 * hermit_page_is_zeroed(). Task context, does not wait for reclaim: NULL if
 * there is no room (wait on room_wq) or no memory.
 */
struct page *hermit_page_get(struct hermit_region *r);
/*
 * Give back a page that nobody maps. Any context. hermit_page_free() is for
 * pages that others may still have references to (a pinned page under a
 * discard): it never goes back to the pool.
 */
void hermit_page_put(struct hermit_region *r, struct page *page);
void hermit_page_free(struct hermit_region *r, struct page *page);
bool hermit_page_is_zeroed(struct page *page);
void hermit_page_publish(struct hermit_region *r, struct page *page, u64 idx);
long hermit_pool_pages(struct hermit_region *r);
/*
 * If this CPU's next page would have to be charged and allocated, do it now:
 * while a read is on its way (the paper's asynchronous I/O). Task context.
 */
void hermit_pool_top_up(struct hermit_region *r);
/* The limit was lowered: give free pages to the system down to it. */
void hermit_pool_shrink(struct hermit_region *r);
/* Pages that can be had without reclaim. */
long hermit_room(struct hermit_region *r);

/* fault.c: bring a page */
#define HERMIT_FAULT_HOST	4	/* beside HERMIT_GET_* of provider.h */

/* What a fault that found no page waits for. */
enum hermit_wait_kind {
	HERMIT_WAIT_NONE,
	HERMIT_WAIT_REQ,
	HERMIT_WAIT_WORD,
	HERMIT_WAIT_ROOM,
	HERMIT_WAIT_BACKOFF,
};

/* The clocks of two CPUs differ a little: never below 0. */
static inline u64 hermit_ns(u64 from, u64 to)
{
	return to > from ? to - from : 0;
}

struct hermit_waiter {
	struct hermit_region *region;	/* a reference, while set */
	enum hermit_wait_kind kind;
	u64 idx;
	u64 word;
	/* ns, local_clock(): this fault's first wait; what hermit_fault_wait() took */
	u64 since, began, ended;
	bool posted;			/* prepare posted a read */
	struct hermit_req *req;		/* a reference */
};

/*
 * The page of idx, with a reference for the caller, if that takes no waiting:
 * 0, or -EAGAIN, -EHWPOISON (LOST), -EFAULT (region ended). Task context; may
 * sleep for memory, not for I/O. With a synchronous link it fetches.
 */
int hermit_fault_get(struct hermit_region *r, u64 idx, unsigned int flags,
		     struct page **page);
/*
 * After -EAGAIN: start what will bring the page and say in @w what to wait
 * for; w->kind is NONE if the caller should just ask again. Not sleeping for
 * I/O. @w keeps a request across calls and must be dropped at the end.
 */
void hermit_fault_prepare(struct hermit_region *r, u64 idx, unsigned int flags,
			  struct hermit_waiter *w);
/*
 * Sleep as @state until the wait is over or @timeout jiffies: 0, -EINTR, -ETIME.
 * Sets w->began and w->ended.
 */
int hermit_fault_wait(struct hermit_waiter *w, unsigned int state, long timeout);
/* Somebody begins, or ends, to wait; @served: for the better. Any context. */
void hermit_wait_enter(struct hermit_region *r);
void hermit_wait_leave(struct hermit_region *r, bool served);
void hermit_fault_drop(struct hermit_waiter *w);
/*
 * Post what the faults of one vCPU or thread so far make likely to be wanted
 * next, as far as there is room to spare. After the demand read; does not sleep
 * for I/O.
 */
void hermit_fault_prefetch(struct hermit_region *r, u64 idx,
			   struct hermit_stream *s);
/* The same for a fault of the calling host thread. */
void hermit_fault_prefetch_host(struct hermit_region *r, u64 idx);
/* How long a guest's fault should spin for its read, in ns. */
u64 hermit_fault_spin(struct hermit_region *r);
/* Is a read worth an async page fault of the guest? */
bool hermit_fault_long(struct hermit_region *r);
/* The fault of @idx that began at @since (ns) is over: latency statistics. */
void hermit_fault_account(struct hermit_region *r, u64 idx, u64 ns);
/*
 * Read a REMOTE page into a page of its own without installing it: 0 and
 * (*@req)->io.page, freed by hermit_req_put(); -EAGAIN: look at the word
 * again. Sleeps killably.
 */
int hermit_fault_peek(struct hermit_region *r, u64 idx, struct hermit_req **req);

struct hermit_req *hermit_req_alloc(struct hermit_region *r, gfp_t gfp);
void hermit_req_put(struct hermit_req *req);
int hermit_req_init(void);
void hermit_req_exit(void);
/* Submit unless the region has ended: then -EFAULT and nothing happened. */
int hermit_req_submit(struct hermit_region *r, struct hermit_req *req);
/* The same for several, which complete with -ECANCELED then. */
void hermit_req_submit_list(struct hermit_region *r, struct list_head *ios);
/* Handle completions of the link at once, if it knows how; does not sleep. */
void hermit_req_poll(struct hermit_region *r);
void hermit_req_finish(struct hermit_req *req);

/* unmap.c: take pages out of all page tables */
struct hermit_victim {
	u64 idx;
	u64 word;			/* as we left it */
	struct page *page;
	unsigned int flags;		/* HERMIT_MMU_* of all bindings */
	bool keep;
};

/*
 * Zap @n EVICTING or DISCARDING pages from the EPT with one flush, then from
 * host page tables. @wait: lock pages that are locked instead of setting
 * ->keep. Sleeps; takes bind_lock, folio locks, mmu_lock, i_mmap.
 */
void hermit_unmap(struct hermit_region *r, struct hermit_victim *v, int n,
		  bool wait);

/* policy.c: the techniques' switches, and the feedback that works them */
void hermit_policy_init(struct hermit_region *r, unsigned int threads);
/* Check and store what p->set names, fill in the rest: 0 or -EINVAL with a message. */
int hermit_policy_set(struct hermit_region *r, struct hermit_policy *p);
/* Learn from what was counted. Any task context; skipped if another one does. */
void hermit_tune(struct hermit_region *r);

/* reclaim.c */
int hermit_reclaim_start(struct hermit_region *r, unsigned int threads);
void hermit_reclaim_stop(struct hermit_region *r);
/* Decide how many threads should run, and wake them. Any task context. */
void hermit_reclaim_kick(struct hermit_region *r);
void hermit_write_done(struct hermit_io *io);
/* The server lost its contents: sweep the words. Sleeps. */
u64 hermit_reclaim_lose(struct hermit_region *r);

/* discard.c */
int hermit_discard(struct hermit_region *r, u64 start, u64 nr);
/* Drop every page; the link is closed, nothing is in flight. */
void hermit_discard_all(struct hermit_region *r);
/* Tell the server that a page's stale copy may go. Any context. */
void hermit_discard_copy(struct hermit_region *r, u64 idx, u64 nr);

/* stats.c */
long hermit_stat(struct hermit_region *r, enum hermit_counter c);
void hermit_stats_fill(struct hermit_region *r, struct hermit_stats *st);
void hermit_event(struct hermit_region *r, u32 type, u64 arg0, u64 arg1);
void hermit_watchdog(struct work_struct *work);

/* idle.c: the working set. start: 0 or -ENOMEM; stop sleeps, after start or not */
int hermit_idle_start(struct hermit_region *r);
void hermit_idle_stop(struct hermit_region *r);
void hermit_idle_fill(struct hermit_region *r, struct hermit_stats *st);

/*
 * recall.c: bring home what is remote from *@next up to @end, and move *@next
 * on. 0, -ENOSPC, -ETIMEDOUT, -EINTR or -ENODEV (the region ended). Task
 * context; sleeps.
 */
int hermit_recall(struct hermit_region *r, u64 end, u64 *next, u64 *fetched);

/* vcpu.c: who waited how long; the thread of the vCPU alone adds to it. */
struct hermit_vcpu {
	struct list_head node;
	void *vm;
	struct pid *thread;
	u64 waits;
	u64 stall_ns;
};

/* @v is zeroed; its thread is the caller. del: after add, any task. */
void hermit_vcpu_add(struct hermit_vcpu *v, void *vm);
void hermit_vcpu_del(struct hermit_vcpu *v);
void hermit_vcpu_waited(struct hermit_vcpu *v, u64 ns);
/* Those of the region's VM, up to @room; returns how many there are. */
u32 hermit_vcpu_list(struct hermit_region *r, struct hermit_vcpu_entry *e,
		     u32 room);

/* provider.c */
int hermit_provider_zap(struct hermit_region *r, struct hermit_victim *v, int n);
int hermit_provider_age(struct hermit_region *r, const u64 *idx, int n,
			unsigned long *accessed);

/* control.c */
int hermit_control_init(void);
void hermit_control_exit(void);

#endif /* HERMIT_REGION_H */
