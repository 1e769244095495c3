/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SHIM_H
#define HERMIT_SHIM_H
/*
 * The part of the kernel that the engine needs, over fibers (fiber.h). All
 * kernel headers that it includes are this one. No logic of the engine is here.
 *
 * Each atomic, each load and store by READ_ONCE and WRITE_ONCE, each lock, wait
 * and wake is a switch point. Plain loads and stores are none: a race of plain
 * accesses is not seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/types.h>

#include "fiber.h"

typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32;
typedef unsigned long long u64;
typedef int8_t s8; typedef int16_t s16;
typedef int32_t s32; typedef long long s64;
typedef unsigned long pgoff_t;
typedef u64 gfn_t, gpa_t;
typedef unsigned int gfp_t, vm_fault_t;

#undef __always_inline
#define __always_inline		inline __attribute__((__always_inline__))
#define noinline		__attribute__((__noinline__))
#define __packed		__attribute__((__packed__))
#define __percpu
#define ____cacheline_aligned_in_smp __attribute__((__aligned__(64)))
#define fallthrough		__attribute__((__fallthrough__))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define hweight8(x)		((unsigned int)__builtin_popcount((u8)(x)))
#define barrier()		__asm__ volatile("" ::: "memory")
#define BUILD_BUG_ON(x)		_Static_assert(!(x), #x)
#define static_assert(x, ...)	_Static_assert(x, "" __VA_ARGS__)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define offsetofend(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define min(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define U8_MAX			UINT8_MAX
#define IS_ERR(p)		((unsigned long)(p) >= (unsigned long)-4095)
#define ERR_PTR(e)		((void *)(long)(e))
#define PTR_ERR(p)		((long)(p))
#define ERR_CAST(p)		((void *)(p))
#define NSEC_PER_SEC		1000000000L
#define NSEC_PER_MSEC		1000000L
#define MSEC_PER_SEC		1000L
#define PAGE_SHIFT		12
#define PAGE_SIZE		4096UL
#define PAGE_ALIGNED(x)		(!((x) & (PAGE_SIZE - 1)))
#define offset_in_page(x)	((unsigned long)(x) & (PAGE_SIZE - 1))
#define DECLARE_BITMAP(name, n)	unsigned long name[DIV_ROUND_UP(n, 64)]

static inline int ilog2(u64 v) { return 63 - __builtin_clzll(v); }
static inline u64 div64_u64(u64 a, u64 b) { return a / b; }
static inline u64 div_u64(u64 a, u32 b) { return a / b; }
#define hash_32(v, bits)	((u32)(v) * 0x61C88647u >> (32 - (bits)))
static inline int fls(unsigned int v) { return v ? 32 - __builtin_clz(v) : 0; }
#define test_bit(n, p)		((p)[(n) / 64] >> ((n) % 64) & 1)
#define __set_bit(n, p)		((p)[(n) / 64] |= 1UL << ((n) % 64))

#define strscpy(to, from)	((void)snprintf(to, sizeof(to), "%s", from))
void *memchr_inv(const void *p, int c, size_t n);

#define pr_warn(...)		((void)snprintf(NULL, 0, __VA_ARGS__))
#define pr_warn_ratelimited	pr_warn
#define WARN_ONCE(x, ...) ({						\
	bool _w = (x);							\
	if (_w)								\
		fiber_fail(__VA_ARGS__);				\
	_w; })
#define WARN_ON_ONCE(x)		WARN_ONCE(x, "WARN_ON: %s at %s:%d", #x, __FILE__, __LINE__)
#define EXPORT_SYMBOL_GPL(x)	_Static_assert(1, "")
#define module_param(...)	_Static_assert(1, "")
#define module_param_named(...)	_Static_assert(1, "")
#define MODULE_PARM_DESC(...)	_Static_assert(1, "")
#define THIS_MODULE		NULL
#define try_module_get(m)	true
#define module_put(m)		((void)(m))

#define TP_PROTO(...)		__VA_ARGS__
#define TRACE_EVENT(name, proto, ...)					\
	static inline void trace_##name(proto) { }			\
	static inline bool trace_##name##_enabled(void) { return false; }

/* Memory that fibers share. */
#define READ_ONCE(x) ({							\
	union { __typeof__(x) v; char c[sizeof(x)]; } _u;		\
	fiber_point();							\
	memcpy(_u.c, (const void *)&(x), sizeof(x));			\
	_u.v; })
#define WRITE_ONCE(x, val) do {						\
	__typeof__(x) _v = (val);					\
	fiber_store((void *)&(x), &_v, sizeof(_v));			\
} while (0)
/* On x86 plain loads and stores have this order already. */
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	WRITE_ONCE(*(p), v)
#define smp_mb()		do { fiber_drain(); fiber_point(); } while (0)
#define smp_mb__before_atomic()	barrier()
#define smp_rmb()		barrier()	/* x86 does not reorder loads */
/* A locked operation on *p, which may be named _p in @op: drains, then acts. */
#define shim_locked(p, op) ({						\
	__typeof__(p) _p = (p);						\
	fiber_point();							\
	fiber_drain();							\
	op; })
#define cmpxchg(p, old, new) shim_locked(p, ({				\
	__typeof__(*(p)) _was = *_p;					\
	if (_was == (old))						\
		*_p = (new);						\
	_was; }))

#define SHIM_ATOMIC(name, type, s)					\
typedef struct { s counter; } type;					\
static inline s name##_read(const type *v) { return READ_ONCE(v->counter); } \
static inline void name##_set(type *v, s n) { WRITE_ONCE(v->counter, n); } \
static inline s name##_add_return(s n, type *v)			\
{ return shim_locked(&v->counter, *_p += n); }				\
static inline void name##_add(s n, type *v) { name##_add_return(n, v); } \
static inline void name##_sub(s n, type *v) { name##_add_return(-n, v); } \
static inline void name##_inc(type *v) { name##_add_return(1, v); }	\
static inline void name##_dec(type *v) { name##_add_return(-1, v); }	\
static inline s name##_inc_return(type *v) { return name##_add_return(1, v); } \
static inline s name##_dec_return(type *v) { return name##_add_return(-1, v); } \
static inline bool name##_dec_and_test(type *v)				\
{ return !name##_add_return(-1, v); }					\
static inline s name##_cmpxchg(type *v, s old, s new)			\
{ return cmpxchg(&v->counter, old, new); }				\
static inline bool name##_try_cmpxchg(type *v, s *old, s new)		\
{									\
	s was = cmpxchg(&v->counter, *old, new);			\
	bool ok = was == *old;						\
	*old = was;							\
	return ok;							\
}
SHIM_ATOMIC(atomic, atomic_t, int)
SHIM_ATOMIC(atomic64, atomic64_t, s64)
SHIM_ATOMIC(atomic_long, atomic_long_t, long)

struct kref { atomic_t count; };
static inline void kref_init(struct kref *k) { k->count.counter = 1; }
void kref_get(struct kref *k);
int kref_put(struct kref *k, void (*release)(struct kref *k));

/* Lists. */
struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD_INIT(l)	{ &(l), &(l) }
#define LIST_HEAD(l)		struct list_head l = LIST_HEAD_INIT(l)
static inline void INIT_LIST_HEAD(struct list_head *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list_head *l) { return l->next == l; }
static inline void list_add_tail(struct list_head *n, struct list_head *l)
{
	n->next = l;
	n->prev = l->prev;
	l->prev->next = n;
	l->prev = n;
}
#define list_add(n, l)		list_add_tail(n, (l)->next)
static inline void list_del(struct list_head *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	n->next = n->prev = NULL;
}
#define list_del_init(n)	do { list_del(n); INIT_LIST_HEAD(n); } while (0)
#define list_splice_tail_init(f, t) for (struct list_head *_n; _n = (f)->next, _n != (f); list_add_tail(_n, t)) list_del(_n)
#define list_entry(p, type, member) container_of(p, type, member)
#define list_first_entry(l, type, member) list_entry((l)->next, type, member)
/* The head is in no entry: no member of one may be named. */
#define shim_is_head(p, l, m) \
	((char *)(p) + offsetof(__typeof__(*(p)), m) == (char *)(l))
#define list_for_each_entry(p, l, m)					\
	for (p = list_entry((l)->next, __typeof__(*p), m); !shim_is_head(p, l, m); \
	     p = list_entry(p->m.next, __typeof__(*p), m))
#define list_for_each_entry_safe(p, n, l, m)				\
	for (p = list_entry((l)->next, __typeof__(*p), m),		\
	     n = list_entry(p->m.next, __typeof__(*p), m); !shim_is_head(p, l, m); \
	     p = n, n = list_entry(n->m.next, __typeof__(*n), m))

/*
 * Locks. Each class, named by where the lock was set up, has an order to each
 * other class; against it, in a softirq with a class that tasks take with
 * softirqs on, or asleep in a spinlock: the walk fails.
 */
struct shim_lock {
	const char *class;
	struct fiber *owner;		/* the writer */
	int readers;
};
typedef struct { struct shim_lock l; } spinlock_t;
struct mutex { struct shim_lock l; }; struct rw_semaphore { struct shim_lock l; };
#define SHIM_STR2(x)		#x
#define SHIM_STR(x)		SHIM_STR2(x)
#define SHIM_HERE		__FILE__ ":" SHIM_STR(__LINE__)
#define SHIM_LOCK_INIT		{ .l = { .class = SHIM_HERE } }
#define DEFINE_SPINLOCK(n)	spinlock_t n = SHIM_LOCK_INIT
#define DEFINE_MUTEX(n)		struct mutex n = SHIM_LOCK_INIT
#define spin_lock_init(s)	(*(s) = (spinlock_t)SHIM_LOCK_INIT)
#define mutex_init(m)		(*(m) = (struct mutex)SHIM_LOCK_INIT)
#define init_rwsem(s)		(*(s) = (struct rw_semaphore)SHIM_LOCK_INIT)

void shim_lock(struct shim_lock *l, bool spin, bool read);
bool shim_trylock(struct shim_lock *l, bool read);
void shim_unlock(struct shim_lock *l, bool read);
bool shim_held(const struct shim_lock *l, bool read);

#define spin_lock(s)		do { fiber_preempt_off(); shim_lock(&(s)->l, true, false); } while (0)
#define spin_trylock(s) ({						\
	fiber_preempt_off();						\
	shim_trylock(&(s)->l, false) || (fiber_preempt_on(), false); })
#define spin_unlock(s)		do { shim_unlock(&(s)->l, false); fiber_preempt_on(); } while (0)
#define spin_lock_bh(s)		do { fiber_bh_off(); shim_lock(&(s)->l, true, false); } while (0)
#define spin_unlock_bh(s)	do { shim_unlock(&(s)->l, false); fiber_bh_on(); } while (0)
#define spin_lock_irqsave(s, f)	do { (f) = 0; spin_lock_bh(s); } while (0)
#define spin_unlock_irqrestore(s, f) do { (void)(f); spin_unlock_bh(s); } while (0)
#define mutex_lock(m)		shim_lock(&(m)->l, false, false)
#define mutex_trylock(m)	shim_trylock(&(m)->l, false)
#define mutex_lock_interruptible(m) (mutex_lock(m), 0)
#define mutex_unlock(m)		shim_unlock(&(m)->l, false)
#define down_read(s)		shim_lock(&(s)->l, false, true)
#define up_read(s)		shim_unlock(&(s)->l, true)
#define down_write(s)		shim_lock(&(s)->l, false, false)
#define up_write(s)		shim_unlock(&(s)->l, false)
#define shim_assert(x)		do { if (!(x)) fiber_fail("not held: " #x); } while (0)
#define lockdep_assert_held(s)	shim_assert(shim_held(&(s)->l, false))
#define lockdep_assert_held_read(s) shim_assert(shim_held(&(s)->l, true))

#define rcu_read_lock()		fiber_rcu_enter()
#define rcu_read_unlock()	fiber_rcu_leave()
#define synchronize_rcu()	fiber_rcu_wait()

/* Tasks and waiting. */
enum { TASK_RUNNING, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TASK_KILLABLE = 4 };
#define HZ			250
#define JIFFY_NS		(NSEC_PER_SEC / HZ)
#define MAX_SCHEDULE_TIMEOUT	LONG_MAX
#define jiffies			((unsigned long)(fiber_now() / JIFFY_NS))
#define time_after(a, b)	((long)((b) - (a)) < 0)
#define time_before(a, b)	time_after(b, a)
#define time_after_eq(a, b)	((long)((a) - (b)) >= 0)
#define msecs_to_jiffies(ms)	((unsigned long)DIV_ROUND_UP((ms) * HZ, 1000))
#define local_clock()		((u64)fiber_now())
#define ktime_get_ns()		((u64)fiber_now())
#define ktime_get_coarse_ns()	((u64)(fiber_now() / JIFFY_NS * JIFFY_NS))
#define set_current_state(s)	do { fiber_local()->state = (s); smp_mb(); } while (0)
#define __set_current_state(s)	(fiber_local()->state = (s))
#define fatal_signal_pending(t)	(fiber_local()->killed)
#define signal_pending(t)	(fiber_local()->signal || fatal_signal_pending(t))
#define signal_pending_state(s, t)					\
	(((s) & TASK_INTERRUPTIBLE) ? signal_pending(t) :		\
	 ((s) & TASK_KILLABLE) && fatal_signal_pending(t))
#define need_resched()		fiber_once_in(8)
#define cpu_relax()		fiber_yield()
#define might_sleep()		do { if (fiber_atomic()) fiber_fail("may not sleep here, " SHIM_HERE); } while (0)
#define cond_resched()		do { might_sleep(); fiber_local()->yields++; fiber_point(); } while (0)
#define PF_MEMALLOC		0x800u
#define shim_flags		(fiber_local()->flags)
#define memalloc_noreclaim_save() ({ unsigned int _set = PF_MEMALLOC & ~shim_flags; shim_flags |= _set; _set; })
#define memalloc_noreclaim_restore(f) ((void)(shim_flags &= ~(f)))
long schedule_timeout(long timeout);
#define schedule()		((void)schedule_timeout(MAX_SCHEDULE_TIMEOUT))
#define shim_sleep(s, t)	({ __set_current_state(s); schedule_timeout(t); })
#define schedule_timeout_interruptible(t) shim_sleep(TASK_INTERRUPTIBLE, t)
#define schedule_timeout_uninterruptible(t) shim_sleep(TASK_UNINTERRUPTIBLE, t)
#define schedule_timeout_killable(t) shim_sleep(TASK_KILLABLE, t)
void shim_wake_task(struct fiber *f);
/* Virtual time that tasks stalled for memory, all together. */
extern u64 shim_memstall_ns;
void psi_memstall_enter(unsigned long *flags);
void psi_memstall_leave(unsigned long *flags);

struct wait_queue_entry {
	struct list_head entry; struct fiber *task;
	int (*func)(struct wait_queue_entry *e, unsigned int mode, int flags, void *key);
};
typedef struct { spinlock_t lock; struct list_head head; } wait_queue_head_t;
#define init_waitqueue_head(w) do {					\
	spin_lock_init(&(w)->lock);					\
	INIT_LIST_HEAD(&(w)->head);					\
} while (0)
#define DEFINE_WAIT(n) struct wait_queue_entry n = {			\
	.entry = LIST_HEAD_INIT(n.entry), .task = fiber_self() }
void prepare_to_wait(wait_queue_head_t *w, struct wait_queue_entry *e, unsigned int state);
void finish_wait(wait_queue_head_t *w, struct wait_queue_entry *e);
void wake_up_all(wait_queue_head_t *w);
/* Under the queue's lock; func is called by the wake, and takes itself off. */
#define init_waitqueue_func_entry(e, f) ((e)->func = (f))
#define __add_wait_queue(w, e)	list_add(&(e)->entry, &(w)->head)
#define __remove_wait_queue(w, e) list_del_init(&(e)->entry)
#define wake_up_interruptible(w) wake_up_all(w)
/* With the full barrier that the waker needs between its store and this look. */
bool wq_has_sleeper(wait_queue_head_t *w);
#define shim_wait(w, cond, st, timeout) ({				\
	DEFINE_WAIT(_wait);						\
	long _left = (timeout);						\
	might_sleep();							\
	for (;;) {							\
		bool _met;						\
		prepare_to_wait(&(w), &_wait, st);			\
		_met = (cond);						\
		if (_met && !_left && fiber_alone())			\
			fiber_fail("lost wake-up: %s", #cond);		\
		if (_met && !_left)					\
			_left = 1;					\
		if (_met || !_left || signal_pending_state(st, 0))	\
			break;						\
		_left = schedule_timeout(_left);			\
	}								\
	finish_wait(&(w), &_wait);					\
	_left; })
#define wait_event_timeout(w, c, t) shim_wait(w, c, TASK_UNINTERRUPTIBLE, t)
#define wait_event_interruptible_timeout(w, c, t) shim_wait(w, c, TASK_INTERRUPTIBLE, t)
#define wait_event(w, c) shim_wait(w, c, TASK_UNINTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT)

struct vhost_task;
struct vhost_task *vhost_task_create(bool (*fn)(void *), void (*killed)(void *),
				     void *arg, const char *name);
void vhost_task_start(struct vhost_task *t);
void vhost_task_stop(struct vhost_task *t);
void vhost_task_wake(struct vhost_task *t);
/* Does it sleep until it is woken? No switch point. */
bool shim_vhost_task_rests(struct vhost_task *t);

struct work_struct { void (*fn)(struct work_struct *w); };
struct delayed_work {
	struct work_struct work;
	struct fiber *fiber;		/* that will run, or runs it */
	bool pending, running, cancelled;
};
#define INIT_DELAYED_WORK(d, f)	(*(d) = (struct delayed_work){ .work.fn = (f) })
#define to_delayed_work(w)	container_of(w, struct delayed_work, work)
#define system_wq		NULL
bool queue_delayed_work(void *wq, struct delayed_work *d, unsigned long delay);
#define schedule_delayed_work(d, delay) queue_delayed_work(system_wq, d, delay)
bool cancel_delayed_work_sync(struct delayed_work *d);

/* Per CPU. */
#define num_possible_cpus()	FIBER_CPUS
#define num_online_cpus()	((unsigned int)FIBER_CPUS)
#define for_each_possible_cpu(c) for (c = 0; c < FIBER_CPUS; c++)
#define alloc_percpu(type)	((type *)shim_alloc(FIBER_CPUS * sizeof(type), GFP_KERNEL | __GFP_ZERO))
#define free_percpu(p)		free(p)
#define per_cpu_ptr(p, c)	(&(p)[c])
#define raw_cpu_ptr(p)		(&(p)[fiber_cpu()])
#define get_cpu_ptr(p)		({ fiber_preempt_off(); fiber_point(); raw_cpu_ptr(p); })
#define put_cpu_ptr(p)		({ fiber_point(); fiber_preempt_on(); })
/* One instruction: no switch inside. */
#define this_cpu_add(x, n)	((x) += (n))
#define this_cpu_inc(x)		((x)++)

/* Memory. An allocation that may fail does once in shim_fail_once_in (0: never). */
extern unsigned int shim_fail_once_in;
extern unsigned int shim_reclaim_once_in;	/* one that may reclaim asks the shrinker */
extern int shim_most_pages;		/* that there are, or a cgroup may have; 0: enough */
extern bool shim_mempool_dry;		/* the slab has nothing for any of them */
#define __GFP_DIRECT_RECLAIM	1u
#define __GFP_ZERO		2u
#define __GFP_NORETRY		4u
#define __GFP_NOWARN		8u
#define __GFP_ACCOUNT		16u
#define GFP_KERNEL		__GFP_DIRECT_RECLAIM
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_HIGHUSER		GFP_KERNEL
enum { GFP_NOWAIT, GFP_ATOMIC = 0, __GFP_RECLAIMABLE = 0 };
void *shim_alloc(size_t size, gfp_t gfp);
#define kmalloc(n, gfp)		shim_alloc(n, gfp)
#define kzalloc(n, gfp)		shim_alloc(n, (gfp) | __GFP_ZERO)
#define kcalloc(n, size, gfp)	shim_alloc((n) * (size), (gfp) | __GFP_ZERO)
#define kvcalloc(n, size, gfp)	kcalloc(n, size, gfp)
#define kfree(p)		free(p)
#define kvfree(p)		free(p)
#define __get_free_page(gfp)	((unsigned long)shim_alloc(PAGE_SIZE, gfp))
#define free_page(p)		free((void *)(p))
struct kmem_cache; typedef struct shim_mempool mempool_t;
/* No more than the size of its objects. */
#define KMEM_CACHE(s, f)	((struct kmem_cache *)sizeof(struct s))
#define kmem_cache_destroy(c)	((void)(c))
mempool_t *mempool_create_slab_pool(int min, struct kmem_cache *c);
void mempool_destroy(mempool_t *p);
void *mempool_alloc(mempool_t *p, gfp_t gfp);
void mempool_free(void *p, mempool_t *pool);
struct mem_cgroup;
static inline struct mem_cgroup *set_active_memcg(struct mem_cgroup *m) { return m; }
#define get_mem_cgroup_from_mm(m) ((struct mem_cgroup *)NULL)
#define mem_cgroup_put(m)	((void)(m))

/* Pages: PG_locked, PG_dirty, the reference count with freeze, contents. */
struct inode;
struct address_space { struct inode *host; const struct address_space_operations *a_ops; };
struct page {
	atomic_t refs; atomic_t locked; atomic_t dirty;
	atomic_t poisoned;		/* PG_hwpoison: for ever */
	struct address_space *mapping; unsigned long index, private; struct list_head lru;
	wait_queue_head_t wq;
	void *data;			/* PAGE_SIZE; poisoned while it is free */
};
enum { SHIM_PAGES = 1024, SHIM_PFN = 0x100000 };
extern struct page shim_pages[SHIM_PAGES];
/* Two nodes, of a CPU and every other page each. */
#define nr_node_ids		2
#define numa_mem_id()		(fiber_cpu() % 2)
#define page_to_nid(p)		((int)(((p) - shim_pages) % 2))
/* Of both; each page counts twice there, as a memfd's does. */
extern long shim_node_pages;
#define page_pgdat(p)		((struct pglist_data *)shim_pages)
enum { NR_FILE_PAGES, NR_SHMEM };
#define mod_node_page_state(node, item, n) ((void)(node), shim_node_pages += (n))
#define page_to_pfn(p)		((u64)((p) - shim_pages) + SHIM_PFN)
#define pfn_to_page(n)		(&shim_pages[shim_pfn(n)])
u64 shim_pfn(u64 pfn);
void shim_pages_init(void);
extern int shim_used;
#define shim_pages_used()	(shim_used + 0)
struct page *alloc_page(gfp_t gfp);
void put_page(struct page *p);
static inline void get_page(struct page *p) { atomic_inc(&p->refs); }
bool get_page_unless_zero(struct page *p);
#define page_ref_count(p)	atomic_read(&(p)->refs)
#define page_ref_freeze(p, n)	(atomic_cmpxchg(&(p)->refs, n, 0) == (n))
#define page_ref_unfreeze(p, n)	do { smp_mb(); atomic_set(&(p)->refs, n); } while (0)
/* Each page is a folio of its own. */
#define page_folio(p)		(p)
#define page_private(p)		((p)->private)
#define set_page_private(p, v)	((p)->private = (v))
#define PageDirty(p)		atomic_read(&(p)->dirty)
#define SetPageDirty(p)		shim_locked(&(p)->dirty.counter, *_p = 1)
#define ClearPageDirty(p)	shim_locked(&(p)->dirty.counter, *_p = 0)
#define TestClearPageDirty(p)	shim_locked(&(p)->dirty.counter, ({ int _w = *_p; *_p = 0; _w; }))
#define PageHWPoison(p)		atomic_read(&(p)->poisoned)
#define trylock_page(p)		(atomic_cmpxchg(&(p)->locked, 0, 1) == 0)
void lock_page(struct page *p);
void unlock_page(struct page *p);
#define kmap_local_page(p)	((p)->data)
#define kunmap_local(v)		((void)(v))
#define clear_highpage(p)	memset((p)->data, 0, PAGE_SIZE)
/* What the mm asks when it is short: the one shrinker, and the one OOM notifier. */
struct shrink_control { unsigned long nr_to_scan; };
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *s, struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *s, struct shrink_control *sc);
};
#define SHRINK_STOP		(~0UL)
#define shrinker_alloc(flags, name) ((struct shrinker *)kzalloc(sizeof(struct shrinker), GFP_KERNEL))
#define shrinker_register(s)	(shim_shrinker = (s))
#define shrinker_free(s)	(kfree(s), shim_shrinker = NULL)
#define mm_account_reclaimed_pages(n) ((void)(n))
struct notifier_block { int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data); };
#define NOTIFY_OK		1
#define register_oom_notifier(nb) (shim_oom = (nb), 0)
#define unregister_oom_notifier(nb) (shim_oom = NULL)
extern struct shrinker *shim_shrinker; extern struct notifier_block *shim_oom;
/* The user of the shim takes the pages out of its host page tables. */
void unmap_mapping_pages(struct address_space *m, pgoff_t start, pgoff_t n, bool cows);

/* The one process: its threads are fibers, and it has one file mapped. */
struct vm_fault;
struct vm_operations_struct {
	vm_fault_t (*fault)(struct vm_fault *vmf);
	vm_fault_t (*map_pages)(struct vm_fault *vmf, pgoff_t start, pgoff_t end);
	vm_fault_t (*page_mkwrite)(struct vm_fault *vmf);
};
struct vm_area_struct {
	unsigned long vm_start, vm_end, vm_pgoff, vm_flags;
	const struct vm_operations_struct *vm_ops; void *vm_private_data;
	struct file *vm_file;
	struct vm_area_struct *next;	/* the one above it */
};
struct vm_fault { struct vm_area_struct *vma; unsigned int flags; pgoff_t pgoff; struct page *page; };
enum { VM_FAULT_SIGBUS = 2, VM_FAULT_MAJOR = 4, VM_FAULT_HWPOISON = 16, VM_FAULT_NOPAGE = 256,
       VM_FAULT_LOCKED = 512, VM_FAULT_RETRY = 1024 };
enum { FAULT_FLAG_WRITE = 1, FAULT_FLAG_ALLOW_RETRY = 4, FAULT_FLAG_RETRY_NOWAIT = 8,
       FAULT_FLAG_KILLABLE = 0x10, FAULT_FLAG_TRIED = 0x20, FAULT_FLAG_USER = 0x40,
       FAULT_FLAG_INTERRUPTIBLE = 0x200 };
enum { VM_SHARED = 8, VM_DONTCOPY = 1 << 17, VM_DONTEXPAND = 1 << 18, VM_DONTDUMP = 1 << 26, VM_MIXEDMAP = 1 << 28 };
#define vma_pages(v)		(((v)->vm_end - (v)->vm_start) >> PAGE_SHIFT)
#define vm_flags_set(v, f)	((v)->vm_flags |= (f))
struct pid; enum { PIDTYPE_PID };
#define get_task_pid(t, type)	((struct pid *)NULL)
#define put_pid(p)		((void)(p))
#define pid_vnr(p)		1
struct shim_task { void *mm; int pid; struct vm_area_struct *vma; };
extern struct shim_task shim_current;
#define current			(&shim_current)
static inline struct vm_area_struct *find_vma(void *mm, unsigned long address)
{
	struct vm_area_struct *v = shim_current.vma;

	while (v && v->vm_end <= address)
		v = v->next;
	return v;
}
extern struct rw_semaphore shim_mmap_lock;
#define mmap_read_lock(mm)	down_read(&shim_mmap_lock)
#define mmap_read_unlock(mm)	up_read(&shim_mmap_lock)
#define release_fault_lock(vmf)	mmap_read_unlock(NULL)

/* A file of an inode of its own. */
struct inode {
	const struct inode_operations *i_op; struct address_space *i_mapping, i_data;
	unsigned int i_mode; loff_t i_size; atomic_t refs;
};
struct file {
	const struct file_operations *f_op; void *private_data;
	struct inode *inode; struct address_space *f_mapping;
	unsigned int f_flags, f_mode; atomic_t refs;
};
struct kiocb { struct file *ki_filp; loff_t ki_pos; }; struct iov_iter { char *to; size_t count; };
struct file_operations {
	void *owner; int (*mmap)(struct file *file, struct vm_area_struct *vma);
	ssize_t (*read_iter)(struct kiocb *iocb, struct iov_iter *to);
	long (*fallocate)(struct file *file, int mode, loff_t offset, loff_t len);
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
	int (*release)(struct inode *inode, struct file *file);
};
struct mnt_idmap; struct iattr; struct kstat; struct folio;
struct dentry { struct inode *d_inode; }; struct path { struct dentry *dentry; };
struct inode_operations {
	int (*setattr)(struct mnt_idmap *m, struct dentry *d, struct iattr *a);
	int (*getattr)(struct mnt_idmap *m, const struct path *p, struct kstat *s, u32, unsigned int);
};
struct address_space_operations { void *dirty_folio; bool (*release_folio)(struct folio *folio, gfp_t gfp); };
#define noop_dirty_folio	NULL
#define generic_fillattr(m, mask, inode, stat) ((void)(inode))
#define generic_file_llseek_size(file, offset, whence, most, eof) ((most) + (eof) - (most))
#define mapping_set_gfp_mask(m, gfp) ((void)(m))
#define mapping_set_unevictable(m) ((void)(m))
#define mapping_set_release_always(m) ((void)(m))
enum { FMODE_LSEEK = 4, FMODE_PREAD = 8, FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2 };
struct file *anon_inode_create_getfile(const char *name, const struct file_operations *fops, void *data, int flags, void *context);
#define file_inode(f)		((f)->inode)
#define get_file(f)		(atomic_inc(&(f)->refs), (f))
void fput(struct file *f);
#define ihold(i)		atomic_inc(&(i)->refs)
#define iput(i)			do { if (!atomic_dec_return(&(i)->refs)) kfree(i); } while (0)
/* Not in one go: what is written meanwhile is in one part, and not in the other. */
size_t copy_page_to_iter(struct page *p, size_t offset, size_t n, struct iov_iter *to);
size_t iov_iter_zero(size_t n, struct iov_iter *to);
#define iov_iter_count(i)	((i)->count)

typedef struct { u8 b[16]; } uuid_t;
#define uuid_is_null(u)		(!memchr_inv((u)->b, 0, sizeof((u)->b)))

#endif /* HERMIT_SHIM_H */
