/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_SHIM_KERNEL_H
#define HERMIT_SHIM_KERNEL_H
/*
 * What link/handshake.c and link/tcp/{conn,queue,sender,slot}.c use of the kernel, for one
 * thread of a fuzzer: every header that they include is a link to this one.
 *
 *  stubs		locks (they are counted: no io may complete under one),
 *			work items, wait queues, task states
 *  duplicates		lists, ERR_PTR, min and max, strscpy: as in the kernel
 *  custom		a thread is a function that shim_run() calls, and that
 *			returns where it would sleep; time is a variable; the
 *			HMAC is GLib's
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/env.h"

/* --- stubs ----------------------------------------------------------------- */

/* One thread. */
#define smp_mb()		((void)0)
#define smp_store_release(p, v)	(*(p) = (v))
#define smp_load_acquire(p)	(*(p))
#define __releases(lock)
#define lockdep_assert_held(lock) shim_require((lock)->held)
#define WARN_ON_ONCE(condition) ({					\
	bool _warn = !!(condition);					\
									\
	shim_require(!_warn);						\
	_warn;								\
})

typedef struct {
	bool held;
} spinlock_t;

extern int shim_locks;	/* held now */

static inline void shim_require(bool promise)
{
	if (!promise)
		abort();
}

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = false;
}

static inline void spin_lock_bh(spinlock_t *lock)
{
	shim_require(!lock->held);
	lock->held = true;
	shim_locks++;
}

static inline void spin_unlock_bh(spinlock_t *lock)
{
	shim_require(lock->held);
	lock->held = false;
	shim_locks--;
}

#define spin_lock_irqsave(lock, flags) ((flags) = 0, spin_lock_bh(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), spin_unlock_bh(lock))

/* A task with softirqs on; shim_softirq: or where one runs. */
extern bool shim_softirq;
#define in_interrupt() shim_softirq
#define irqs_disabled() false
#define local_bh_disable() (shim_require(!shim_softirq), shim_softirq = true)
#define local_bh_enable() (shim_softirq = false)
#define cpu_relax() shim_require(false)	/* nobody is there to wait for */

typedef struct {
	int counter;
} atomic_t;

#define atomic_set(v, i) ((v)->counter = (i))
#define atomic_xchg(v, i) ({ int _was = (v)->counter; (v)->counter = (i); _was; })
#define atomic_cmpxchg(v, from, to) ({					\
	int _was = (v)->counter;					\
									\
	if (_was == (from))						\
		(v)->counter = (to);					\
	_was;								\
})

struct workqueue_struct;
struct delayed_work {
	unsigned int kicks;
};

static inline void mod_delayed_work(struct workqueue_struct *wq,
				    struct delayed_work *work,
				    unsigned long delay)
{
	work->kicks++;
}

typedef int wait_queue_head_t;
#define init_waitqueue_head(head) (*(head) = 0)
#define wake_up(head) ((*(head))++)
/* Nothing happens meanwhile but what the fuzzer does. */
#define wait_event_timeout(head, condition, timeout) do {		\
	shim_wait();							\
	(void)(condition);						\
} while (0)
void shim_wait(void);		/* the fuzzer's */

#define TASK_IDLE 0
#define TASK_RUNNING 0
#define set_current_state(state) ((void)(state))
#define __set_current_state(state) ((void)(state))
#define memalloc_noreclaim_save() 0
#define memalloc_noreclaim_restore(flags) ((void)(flags))

/* --- duplicates ------------------------------------------------------------ */

#define BIT(n) (1UL << (n))
#define __aligned(n) __attribute__((__aligned__(n)))
#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))
#define min(a, b) ({							\
	__typeof__(a) _a = (a);						\
	__typeof__(b) _b = (b);						\
									\
	_a < _b ? _a : _b;						\
})
#define max(a, b) ({							\
	__typeof__(a) _a = (a);						\
	__typeof__(b) _b = (b);						\
									\
	_a > _b ? _a : _b;						\
})
#define clamp(v, low, high) min(max(v, low), high)

#define IS_ERR(ptr) ((unsigned long)(ptr) >= (unsigned long)-4095)
#define PTR_ERR(ptr) ((long)(ptr))
#define ERR_PTR(error) ((void *)(long)(error))

/* The kernel's own, that errno.h does not have. */
#define ERESTARTSYS 512

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline void shim_list_insert(struct list_head *node,
				    struct list_head *prev,
				    struct list_head *next)
{
	next->prev = node;
	node->next = next;
	node->prev = prev;
	prev->next = node;
}

static inline void list_add(struct list_head *node, struct list_head *head)
{
	shim_list_insert(node, head, head->next);
}

static inline void list_add_tail(struct list_head *node, struct list_head *head)
{
	shim_list_insert(node, head->prev, head);
}

static inline void list_del_init(struct list_head *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
	INIT_LIST_HEAD(node);
}

static inline void list_del(struct list_head *node)
{
	list_del_init(node);
	node->next = node->prev = NULL;		/* poison */
}

static inline void list_move(struct list_head *node, struct list_head *head)
{
	list_del(node);
	list_add(node, head);
}

static inline void list_move_tail(struct list_head *node,
				  struct list_head *head)
{
	list_del(node);
	list_add_tail(node, head);
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline void list_splice_tail_init(struct list_head *list,
					 struct list_head *head)
{
	while (!list_empty(list))
		list_move_tail(list->next, head);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define shim_list_for_each(pos, n, head, member, way)			\
	for (pos = list_entry((head)->way, __typeof__(*pos), member),	\
	     n = list_entry(pos->member.way, __typeof__(*pos), member);	\
	     &pos->member != (head);					\
	     pos = n, n = list_entry(n->member.way, __typeof__(*n), member))
#define list_for_each_entry_safe(pos, n, head, member)			\
	shim_list_for_each(pos, n, head, member, next)
#define list_for_each_entry_safe_reverse(pos, n, head, member)		\
	shim_list_for_each(pos, n, head, member, prev)

static inline void shim_strscpy(char *to, const char *from, size_t size)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

#define strscpy(to, from, size) shim_strscpy(to, from, size)
#define strscpy_pad(to, from)						\
	(memset(to, 0, sizeof(to)), shim_strscpy(to, from, sizeof(to)))

static inline const void *memchr_inv(const void *p, int c, size_t size)
{
	for (const u8 *at = p; size; at++, size--)
		if (*at != (u8)c)
			return at;
	return NULL;
}

/* --- memory ---------------------------------------------------------------- */

#define GFP_KERNEL 0
#define GFP_NOIO 0
#define PAGE_SIZE 4096UL

/* Aligned as kmalloc() does it, and of its own size for ASan. */
void *shim_alloc(size_t size);

#define kzalloc(size, flags) shim_alloc(size)
#define kvcalloc(n, size, flags) shim_alloc((n) * (size))
#define kfree(p) free(p)
#define kvfree(p) free(p)
#define memzero_explicit(p, size) memset(p, 0, size)

/* The address of a page is that of its bytes. */
struct page {
	u8 bytes[4096];
};

#define virt_to_page(p) ((struct page *)((uintptr_t)(p) & -PAGE_SIZE))
#define offset_in_page(p) ((unsigned int)((uintptr_t)(p) % PAGE_SIZE))
#define kmap_local_page(page) ((void *)(page))
#define kunmap_local(p) ((void)(p))

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len, bv_offset;
};

static inline void bvec_set_page(struct bio_vec *bv, struct page *page,
				 unsigned int len, unsigned int offset)
{
	*bv = (struct bio_vec){ page, len, offset };
}

struct sk_buff {
	const u8 *data;
	size_t len;
};

static inline int skb_copy_bits(const struct sk_buff *skb, int offset, void *to,
				int len)
{
	shim_require(offset >= 0 && len >= 0 && (size_t)offset + len <= skb->len);
	memcpy(to, skb->data + offset, len);
	return 0;
}

/* --- time and threads ------------------------------------------------------ */

#define HZ 250
#define jiffies shim_jiffies
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
extern unsigned long shim_jiffies;

static inline u64 ktime_get_ns(void)
{
	return (u64)shim_jiffies * (1000000000 / HZ);
}

#define MIN_NICE (-20)
#define set_user_nice(task, nice) ((void)(task))

struct task_struct {
	int (*fn)(void *data);
	void *data;
	bool parked, awake;
};

struct task_struct *kthread_create(int (*fn)(void *data), void *data,
				   const char *format, ...);
void kthread_stop(struct task_struct *task);
bool kthread_should_stop(void);
void schedule(void);

#define kthread_should_park() false
#define kthread_parkme() abort()
#define schedule_timeout(timeout) ((void)(timeout), schedule())

static inline void kthread_park(struct task_struct *task)
{
	task->parked = true;
}

static inline void kthread_unpark(struct task_struct *task)
{
	task->parked = false;
	task->awake = true;
}

static inline void wake_up_process(struct task_struct *task)
{
	task->awake = true;
}

/* The last one that was created. */
extern struct task_struct *shim_task;
/* Let @task go on until it sleeps, if it is awake. */
void shim_run(struct task_struct *task);

/* --- sockets: the fuzzer is the network ------------------------------------ */

#define sockaddr_storage __kernel_sockaddr_storage
#define SHUT_RDWR 2
struct socket;
int kernel_sock_shutdown(struct socket *sock, int how);

/* --- cryptography ---------------------------------------------------------- */

void get_random_bytes(void *to, size_t length);

struct crypto_shash;
struct shash_desc {
	struct crypto_shash *tfm;
	void *hmac;
};

#define SHASH_DESC_ON_STACK(name, tfm)					\
	struct shash_desc name##_space = { NULL, NULL }, *name = &name##_space

struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask);
void crypto_free_shash(struct crypto_shash *tfm);
int crypto_shash_setkey(struct crypto_shash *tfm, const u8 *key, u32 length);
int crypto_shash_init(struct shash_desc *desc);
int crypto_shash_update(struct shash_desc *desc, const void *data, u32 length);
int crypto_shash_final(struct shash_desc *desc, u8 *mac);
void shash_desc_zero(struct shash_desc *desc);
#define crypto_memneq(a, b, length) (memcmp(a, b, length) != 0)

#endif /* HERMIT_SHIM_KERNEL_H */
