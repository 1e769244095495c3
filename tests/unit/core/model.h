/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_MODEL_H
#define HERMIT_TEST_MODEL_H
/*
 * A model of the whole system around the page word, small enough to be run
 * into every corner: threads that do what the module's do, in the order of
 * design section 4, on a few pages and fewer page frames.
 *
 *	 vCPUs --TLB--> spte[]  \		     / reclaim threads
 *	 hosts --TLB--> hpte[]   >-- words[] --------  discards
 *	 pins, pread ----------- /     |	     \ sweep after a loss
 *				 frames[]
 *				       |
 *				 server: requests in any order, late, failing
 *
 *	model.c		what the threads do and what they must find
 *	model-engine.c	faults, fetch, reclaim, discard, completions
 *	model-mem.c	frames, shadow and host page tables, their TLBs
 *	model-server.c	the memory server and the wire
 *	model-sched.c	who runs when; how a violation is told
 *
 * Two schedulers. In serial mode one thread runs at a time and the next is
 * drawn at each step from the seed: a run can be repeated exactly. In free
 * mode the threads run as the machine lets them.
 *
 * A bug may be planted (--bug NAME) to prove that the model can fail.
 */
#include <stdatomic.h>
#include "core/pageword.h"

#define NPAGES		12
#define NFRAMES		10
#define PAGE_WORDS	6
#define NVCPUS		3
#define NHOSTS		2
#define NRECLAIM	3
#define NSERVERS	2
#define NTHREADS	(NVCPUS + NHOSTS + NRECLAIM + NSERVERS + 1)
#define BATCH		3

enum bug {
	BUG_NONE,
	BUG_NO_GENERATION,	/* REMOTE always holds the same generation */
	BUG_TWO_WRITES,		/* a word with W is selected for eviction */
	BUG_FREE_EARLY,		/* the page is freed when its write is posted */
	BUG_INSTALL_NO_CAS,	/* a fetch installs whatever the word is */
	BUG_NO_REREAD,		/* the word is not read again after try-get */
	BUG_NO_SEQ,		/* a zap between get and map goes unnoticed */
	BUG_NO_FLUSH,		/* TLBs are not flushed after a zap */
	BUG_NO_FREEZE,		/* a pinned page is evicted */
	BUG_KEEP_CLEAN,		/* a page kept loses its harvested dirty bit */
	BUG_FAIL_CLEAN,		/* a page whose write failed is clean */
	BUG_FOREIGN_COPY,	/* F does not keep a stale write from setting C */
	BUG_FOREIGN_LEAK,	/* F does not tell that the request owns its page */
	BUG_DISCARD_UNCOUNTED,	/* a discard on the wire does not set W */
	BUG_LOSE_KEEPS_COPY,	/* the sweep leaves C in LOCAL and EVICTING */
	BUG_RESCUE_STEALS,	/* a fault takes an EVICTING page from its owner */
	BUG_IGNORE_RESCUE,	/* the owner does not look at R */
	BUG_HOST_MAP_BLIND,	/* a host PTE is made without setting H */
	BUG_FAILED_READ,	/* a failed read completes the fault */
	BUG_PREAD_UNCHECKED,	/* pread keeps what it read though the word moved */
	BUG_DRAIN_REREADS,	/* discarding a stale copy hits what the page is now */
	NR_BUGS
};

extern enum bug bug;

/* model-sched.c */
extern bool free_running;
extern _Atomic bool stopping;		/* the applications are to end */
extern _Atomic uint64_t steps;
extern _Thread_local int self;		/* this thread's number, or -1 */

void sched_reset(uint64_t seed, uint64_t max_steps);
void sched_start(void *(*fn)(void *), void *arg);	/* serial: waits for its turn */
void sched_run(void);			/* run all that were started, to their end */
void step(void);			/* another thread may run here */
void step_wait(void);			/* another thread must */
uint64_t rnd(void);
static inline bool one_in(unsigned int n)
{
	return rnd() % n == 0;
}

struct lock {
	_Atomic int held;
};

void lock(struct lock *l);
bool trylock(struct lock *l);
void unlock(struct lock *l);

void trace(int page, const char *what, u64 old, u64 new);
void violation(int page, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* model-mem.c */
struct frame {
	_Atomic int ref;		/* 1 in the pool, 0 with the system */
	_Atomic bool out;		/* handed out */
	_Atomic bool dirty;		/* PG_dirty */
	_Atomic int io;			/* requests that carry it */
	struct lock lock;		/* the folio lock */
	_Atomic u64 data[PAGE_WORDS];
};

extern struct frame frames[NFRAMES];

static inline int frame_nr(const struct frame *f)
{
	return (int)(f - frames);
}

void mem_reset(void);
struct frame *frame_get_new(bool zero);	/* one reference; NULL: none left */
bool frame_tryget(struct frame *f);
void frame_unref(struct frame *f);	/* a reference that is not the region's */
void frame_give(struct frame *f, bool may_pool); /* the region's reference */
bool frame_freeze(struct frame *f);
void frame_unfreeze(struct frame *f);
bool frame_is_zero(struct frame *f);
int frames_missing(void);		/* neither in the pool nor with the system */

/* The guest's side: one mmu_lock, a TLB for each vCPU. */
uint64_t mmu_seq(void);
bool spte_map(int page, struct frame *f, bool write, uint64_t seq);
void spte_zap(const int *pages, int n, bool *dirty);
/* One instruction of a vCPU: false if it faults. */
bool guest_access(int vcpu, int page, int word, bool write, u64 *value);

/* The host's side: a PTE holds a reference and is made under the folio lock. */
bool hpte_map(int page, struct frame *f, bool write);
void hpte_unmap(int page);		/* folio lock held; feeds PG_dirty */
bool host_access(int host, int page, int word, bool write, u64 *value);
struct frame *host_pin(int page, bool write);	/* GUP-fast; NULL: fault first */

/* model-engine.c */
extern _Atomic u64 words[NPAGES];
extern _Atomic bool dedup;		/* go through FETCHING */
extern _Atomic unsigned long events[HERMIT_NR_EVENTS];

struct stats {
	_Atomic unsigned long evictions, rescued, conflicts, pinned, foreign,
		failed_writes, failed_reads, orphans, lost, ops;
};
extern struct stats stats;

struct req;
struct frame *req_frame(struct req *r);

void engine_reset(void);
/* A vCPU's fault: 0 (mapped, or try again) or -EHWPOISON. */
int guest_fault(int page, bool write);
void guest_prefetch(int page);
int host_fault(int page, bool write);
int engine_pread(int page, u64 *data);	/* 0 or -EHWPOISON */
void engine_discard(int page);
void engine_reclaim(void);
void engine_lose(void);			/* the sweep */
void engine_drain_copies(int page);	/* discard a stale copy left behind */
void req_done(struct req *r, int status);

/* model-server.c */
enum op { OP_READ, OP_WRITE, OP_DISCARD };

struct req {
	enum op op;
	int page;
	struct frame *frame;		/* READ, WRITE */
	u64 expected;			/* READ: the word before posting */
	bool prefetch, peek;		/* peek: nothing is installed */
	int status;
	_Atomic bool done;
	_Atomic int ref;		/* the wire's, and a waiter's */
	bool transferred, slow;		/* the server's */
};

extern _Atomic bool server_errors;
void server_reset(void);
void server_submit(struct req *r);
bool server_serve(void);		/* one request; false: nothing to do */
void server_lose(void);			/* comes back without its contents */
int server_pages(void);			/* that it holds */

#endif /* HERMIT_TEST_MODEL_H */
