// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the local transport stores pages in.
 *
 *	slots[] ──► 256 entries each ──► nothing: reads as zeros
 *				     ├─► same: one word fills the page
 *				     ├─► object: in a zsmalloc pool of the
 *				     │	 region's own; PAGE_SIZE long if it is
 *				     │	 kept as it is
 *				     └─► page: a plain copy (no compressor)
 *
 * An entry is changed, and what it names is read or freed, under its own bit
 * lock. So a read that overlaps a discard (and will be thrown away) finds the
 * object or finds none, never one that is being freed. The lock is held for a
 * copy of a page at most, not while anything is compressed.
 *
 * Order: entry lock > zsmalloc's. Everything under both spins; a kernel whose
 * spinlocks sleep (PREEMPT_RT) cannot run this.
 *
 * The source of a store may change while it is read: its page was rescued and
 * the guest writes to it, or a device has it pinned. Compressors do not promise
 * to stay within their output, or to end, when the input changes between two
 * looks at it. They never see that: they work on a copy that nobody else has,
 * and so does the search for one repeated word. The copy may be a mixture of
 * two moments, as a page sent over a wire would be, but what is stored of it
 * decompresses to just that mixture. And nobody will read it: the page word of
 * a rescued page stays LOCAL, and its dirty bit has it written again.
 */
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/bit_spinlock.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/zsmalloc.h>

#include "link/local/comp.h"
#include "link/local/compat.h"
#include "link/local/pool.h"

#define SLOT_SHIFT	8
#define SLOT_PAGES	(1UL << SLOT_SHIFT)

/* Nobody waits for memory: without any the page stays where it is. */
#define POOL_GFP	(GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

enum entry_type {
	ENTRY_NONE,
	ENTRY_SAME,
	ENTRY_OBJECT,
	ENTRY_PAGE,
};

#define ENTRY_LOCK_BIT	0
#define ENTRY_TYPE	1		/* shift of two bits */
#define ENTRY_LEN	16		/* shift; ENTRY_OBJECT: bytes */

struct pool_entry {
	unsigned long state;
	unsigned long value;		/* the word, a zsmalloc handle, a page */
};

struct pool_slot {
	struct pool_entry entries[SLOT_PAGES];
};

enum pool_counter {
	POOL_PAGES,
	POOL_SAME,
	POOL_RAW,
	POOL_BYTES,
	POOL_COMPRESS_NS,
	POOL_DECOMPRESS_NS,
	POOL_NR_COUNTERS
};

struct pool_cpu {
	long counter[POOL_NR_COUNTERS];
};

struct hermit_local_pool {
	struct hermit_local_comp *comp;	/* NULL: plain copies */
	struct zs_pool *zs;
	unsigned int huge;		/* longer ones take a page anyway */
	struct pool_slot **slots;
	u64 nr_slots;
	atomic_long_t slots_used;
	atomic_long_t plain;		/* pages */
	u64 max_pages;			/* 0: no bound */
	struct mem_cgroup *memcg;
	struct pool_cpu __percpu *cpu;
};

static void pool_count(struct hermit_local_pool *p, enum pool_counter c, long n)
{
	this_cpu_add(p->cpu->counter[c], n);
}

/*
 * Allocate for the VM, not for the task: into its cgroup, and without the
 * reserves and the charges above memory.max that PF_MEMALLOC would give to
 * reclaim threads. What they evict makes room for their own VM, not for the
 * host; POOL_GFP does not reclaim, so nothing can recurse.
 *
 * zsmalloc's pages are charged one by one, which is exact since the pool is one
 * VM's alone; but a page that the host's compaction moves is not charged anew.
 */
struct pool_context {
	struct mem_cgroup *memcg;
	unsigned int memalloc;
};

static struct pool_context pool_enter(struct hermit_local_pool *p)
{
	struct pool_context c = {
		.memcg = set_active_memcg(p->memcg),
		.memalloc = current->flags & PF_MEMALLOC,
	};

	current->flags &= ~PF_MEMALLOC;
	return c;
}

static void pool_leave(struct pool_context c)
{
	current->flags |= c.memalloc;
	set_active_memcg(c.memcg);
}

/* --- entries ------------------------------------------------------------- */

static struct pool_entry *entry_find(struct hermit_local_pool *p, u64 idx)
{
	struct pool_slot *s = READ_ONCE(p->slots[idx >> SLOT_SHIFT]);

	return s ? &s->entries[idx & (SLOT_PAGES - 1)] : NULL;
}

static struct pool_entry *entry_alloc(struct hermit_local_pool *p, u64 idx)
{
	struct pool_slot **slot = &p->slots[idx >> SLOT_SHIFT], *s;

	if (!READ_ONCE(*slot)) {
		s = kzalloc(sizeof(*s), POOL_GFP);
		if (!s)
			return NULL;
		if (cmpxchg(slot, NULL, s))
			kfree(s);
		else
			atomic_long_inc(&p->slots_used);
	}
	return entry_find(p, idx);
}

static void entry_lock(struct pool_entry *e)
{
	bit_spin_lock(ENTRY_LOCK_BIT, &e->state);
}

static void entry_unlock(struct pool_entry *e)
{
	bit_spin_unlock(ENTRY_LOCK_BIT, &e->state);
}

static enum entry_type entry_type(unsigned long state)
{
	return (state >> ENTRY_TYPE) & 3;
}

static unsigned int entry_len(unsigned long state)
{
	return state >> ENTRY_LEN;
}

/* The lock is held; others may only be setting its bit, which is set. */
static void entry_set(struct pool_entry *e, enum entry_type type,
		      unsigned int len, unsigned long value)
{
	e->value = value;
	WRITE_ONCE(e->state, BIT(ENTRY_LOCK_BIT) |
			     (unsigned long)type << ENTRY_TYPE |
			     (unsigned long)len << ENTRY_LEN);
}

static void entry_account(struct hermit_local_pool *p, unsigned long state,
			  int sign)
{
	unsigned int len = entry_len(state);

	switch (entry_type(state)) {
	case ENTRY_NONE:
		return;
	case ENTRY_SAME:
		pool_count(p, POOL_SAME, sign);
		break;
	case ENTRY_OBJECT:
		pool_count(p, POOL_RAW, len == PAGE_SIZE ? sign : 0);
		pool_count(p, POOL_BYTES, sign * (long)len);
		break;
	case ENTRY_PAGE:
		pool_count(p, POOL_RAW, sign);
		pool_count(p, POOL_BYTES, sign * (long)PAGE_SIZE);
		break;
	}
	pool_count(p, POOL_PAGES, sign);
}

/* Store something else there and free what was. */
static void entry_replace(struct hermit_local_pool *p, struct pool_entry *e,
			  enum entry_type type, unsigned int len,
			  unsigned long value)
{
	unsigned long old, old_value;

	entry_lock(e);
	old = e->state;
	old_value = e->value;
	entry_set(e, type, len, value);
	entry_account(p, old, -1);
	entry_account(p, e->state, 1);
	entry_unlock(e);

	switch (entry_type(old)) {
	case ENTRY_OBJECT:
		zs_free(p->zs, old_value);
		break;
	case ENTRY_PAGE:
		put_page((struct page *)old_value);
		atomic_long_dec(&p->plain);
		break;
	default:
		break;
	}
}

/* --- compressed ---------------------------------------------------------- */

static bool same_filled(const unsigned long *p, unsigned long *word)
{
	const unsigned int last = PAGE_SIZE / sizeof(*p) - 1;
	unsigned int i;

	if (p[0] != p[last])
		return false;
	for (i = 1; i < last; i++)
		if (p[i] != p[0])
			return false;
	*word = p[0];
	return true;
}

/*
 * Over an object that is there already: if it is of the same size class, or if
 * there is no room for another one (@no_room) and it is large enough.
 */
static bool object_overwrite(struct hermit_local_pool *p, struct pool_entry *e,
			     void *data, unsigned int len, bool no_room)
{
	unsigned int old;
	bool fits = false;

	entry_lock(e);
	if (entry_type(e->state) == ENTRY_OBJECT) {
		old = entry_len(e->state);
		fits = no_room ? len <= old :
		       zs_lookup_class_index(p->zs, len) ==
		       zs_lookup_class_index(p->zs, old);
	}
	if (fits) {
		zs_obj_write(p->zs, e->value, data, len);
		entry_account(p, e->state, -1);
		entry_set(e, ENTRY_OBJECT, len, e->value);
		entry_account(p, e->state, 1);
	}
	entry_unlock(e);
	return fits;
}

static int object_store(struct hermit_local_pool *p, struct pool_entry *e,
			void *data, unsigned int len)
{
	unsigned long handle;

	if (object_overwrite(p, e, data, len, false))
		return 0;
	handle = zs_malloc(p->zs, len, POOL_GFP, NUMA_NO_NODE);
	/* Asked afterwards: an object may fit where there is a gap. */
	if (!IS_ERR_VALUE(handle) && p->max_pages &&
	    zs_get_total_pages(p->zs) > p->max_pages) {
		zs_free(p->zs, handle);
		handle = -ENOSPC;
	}
	if (IS_ERR_VALUE(handle))
		return object_overwrite(p, e, data, len, true) ? 0 : -ENOSPC;
	zs_obj_write(p->zs, handle, data, len);
	entry_replace(p, e, ENTRY_OBJECT, len, handle);
	return 0;
}

static int store_compressed(struct hermit_local_pool *p, struct pool_entry *e,
			    struct page *page)
{
	struct hermit_local_stream *s = hermit_local_stream_get(p->comp);
	unsigned long word;
	unsigned int len;
	u64 begin;
	int ret = 0;

	copy_page(s->in, page_address(page));
	if (same_filled(s->in, &word)) {
		entry_replace(p, e, ENTRY_SAME, 0, word);
	} else {
		begin = local_clock();
		len = hermit_local_compress(s);
		pool_count(p, POOL_COMPRESS_NS, local_clock() - begin);
		if (len && len < p->huge)
			ret = object_store(p, e, s->out, len);
		else
			ret = object_store(p, e, s->in, PAGE_SIZE);
	}
	hermit_local_stream_put(p->comp);
	return ret;
}

/* Returns what is left to decompress from s->out, if anything. */
static int entry_copy_out(struct hermit_local_pool *p,
			  struct pool_entry *e, struct page *page,
			  struct hermit_local_stream *s)
{
	void *dst = page_address(page), *src;
	int len = 0;

	entry_lock(e);
	switch (entry_type(e->state)) {
	case ENTRY_NONE:
		len = -ENOENT;
		break;
	case ENTRY_SAME:
		memset_l(dst, e->value, PAGE_SIZE / sizeof(long));
		break;
	case ENTRY_PAGE:
		copy_page(dst, page_address((struct page *)e->value));
		break;
	case ENTRY_OBJECT:
		len = entry_len(e->state);
		src = zs_obj_read_begin(p->zs, e->value, len, s->out);
		if (len == PAGE_SIZE)
			copy_page(dst, src);
		else if (src != s->out)
			memcpy(s->out, src, len);
		zs_obj_read_end(p->zs, e->value, len, src);
		if (len == PAGE_SIZE)
			len = 0;
		break;
	}
	entry_unlock(e);
	return len;
}

/* --- plain --------------------------------------------------------------- */

static int store_plain(struct hermit_local_pool *p, struct pool_entry *e,
		       struct page *page)
{
	struct page *copy;

	entry_lock(e);
	if (entry_type(e->state) == ENTRY_PAGE) {
		copy_page(page_address((struct page *)e->value),
			  page_address(page));
		entry_unlock(e);
		return 0;
	}
	entry_unlock(e);
	if (atomic_long_inc_return(&p->plain) > p->max_pages && p->max_pages) {
		atomic_long_dec(&p->plain);
		return -ENOSPC;
	}
	copy = alloc_page(POOL_GFP);
	if (!copy) {
		atomic_long_dec(&p->plain);
		return -ENOSPC;
	}
	copy_page(page_address(copy), page_address(page));
	entry_replace(p, e, ENTRY_PAGE, 0, (unsigned long)copy);
	return 0;
}

/* --- the pool ------------------------------------------------------------ */

int hermit_local_pool_store(struct hermit_local_pool *p, u64 idx,
			    struct page *page)
{
	struct pool_context c = pool_enter(p);
	struct pool_entry *e = entry_alloc(p, idx);
	int ret = -ENOSPC;

	if (e)
		ret = p->comp ? store_compressed(p, e, page) :
				store_plain(p, e, page);
	pool_leave(c);
	return ret;
}

int hermit_local_pool_load(struct hermit_local_pool *p, u64 idx,
			   struct page *page)
{
	struct pool_entry *e = entry_find(p, idx);
	struct hermit_local_stream *s;
	u64 begin;
	int ret;

	if (!e)
		return -ENOENT;
	if (!p->comp)
		return entry_copy_out(p, e, page, NULL);
	s = hermit_local_stream_get(p->comp);
	ret = entry_copy_out(p, e, page, s);
	if (ret > 0) {
		unsigned int len = ret;

		begin = local_clock();
		ret = hermit_local_decompress(s, len, page);
		pool_count(p, POOL_DECOMPRESS_NS, local_clock() - begin);
	}
	hermit_local_stream_put(p->comp);
	return ret;
}

void hermit_local_pool_drop(struct hermit_local_pool *p, u64 idx)
{
	struct pool_entry *e = entry_find(p, idx);

	if (e)
		entry_replace(p, e, ENTRY_NONE, 0, 0);
}

static u64 pool_sum(struct hermit_local_pool *p, enum pool_counter c)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(p->cpu, cpu)->counter[c]);
	return max(sum, 0L);
}

void hermit_local_pool_stats(struct hermit_local_pool *p,
			     struct hermit_server_stats *st)
{
	u64 pages = p->zs ? zs_get_total_pages(p->zs) :
			    atomic_long_read(&p->plain);

	st->bytes_used = (pages << PAGE_SHIFT) +
			 atomic_long_read(&p->slots_used) *
			 sizeof(struct pool_slot);
	st->pool_pages = pool_sum(p, POOL_PAGES);
	st->pool_same = pool_sum(p, POOL_SAME);
	st->pool_raw = pool_sum(p, POOL_RAW);
	st->pool_bytes = pool_sum(p, POOL_BYTES);
	st->compress_ns = pool_sum(p, POOL_COMPRESS_NS);
	st->decompress_ns = pool_sum(p, POOL_DECOMPRESS_NS);
}

void hermit_local_pool_destroy(struct hermit_local_pool *p)
{
	u64 i, j;

	for (i = 0; p->slots && i < p->nr_slots; i++) {
		if (!p->slots[i])
			continue;
		for (j = 0; j < SLOT_PAGES; j++)
			entry_replace(p, &p->slots[i]->entries[j], ENTRY_NONE,
				      0, 0);
		kfree(p->slots[i]);
		cond_resched();
	}
	kvfree(p->slots);
	if (p->zs)
		zs_destroy_pool(p->zs);
	if (p->memcg)
		mem_cgroup_put(p->memcg);
	free_percpu(p->cpu);
	kfree(p);
}

struct hermit_local_pool *hermit_local_pool_create(const u8 *uuid, u64 npages,
						   u64 max,
						   struct hermit_local_comp *comp)
{
	struct hermit_local_pool *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	static atomic_t serial;
	char name[64];

	if (!p)
		return ERR_PTR(-ENOMEM);
	p->comp = comp;
	p->max_pages = max >> PAGE_SHIFT;
	p->nr_slots = DIV_ROUND_UP(npages, SLOT_PAGES);
	p->memcg = get_mem_cgroup_from_mm(current->mm);
	p->cpu = alloc_percpu(struct pool_cpu);
	p->slots = kvcalloc(p->nr_slots, sizeof(*p->slots), GFP_KERNEL_ACCOUNT);
	if (!p->cpu || !p->slots)
		goto free;
	if (comp) {
		/*
		 * Its slabs and its shrinker carry the name. The pool of an
		 * earlier region with the UUID may still be going.
		 */
		snprintf(name, sizeof(name), "hermit-%pUb-%u", uuid,
			 atomic_inc_return(&serial));
		p->zs = zs_create_pool(name);
		if (!p->zs)
			goto free;
		p->huge = zs_huge_class_size(p->zs);
	}
	return p;
free:
	hermit_local_pool_destroy(p);
	return ERR_PTR(-ENOMEM);
}
