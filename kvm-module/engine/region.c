// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a region: create, end, free.
 *
 * It is born dead, and lives when it is whole: until then its uuid is taken, but
 * nobody can find it. A create that fails half-way ends it as any other.
 *
 * Closing the control fd ends it: faults fail, reclaim stops, the link is
 * closed (every request completed, the server told to forget), then every page
 * is taken out of all page tables and freed. What holds the structure after
 * that (memory fd, bindings, query handles, waiters) finds it dead.
 */
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>

#include "engine/discard.h"
#include "engine/event.h"
#include "engine/limit.h"
#include "engine/mark.h"
#include "engine/mover.h"
#include "engine/wset.h"
#include "engine/policy.h"
#include "engine/pool.h"
#include "engine/reclaim.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/server.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/unmap.h"
#include "engine/watchdog.h"
#include "engine/word.h"
#include "memory.h"

static LIST_HEAD(regions);
static DEFINE_MUTEX(regions_lock);

/*
 * The least limit that always makes progress: what one instruction of each CPU
 * can need at once (its pages and those of the page walks that find them, on
 * both sides of a page boundary: 64 is generous), each CPU's pool, the victims
 * of each reclaim thread, and what devices hold for an I/O.
 */
static long region_floor(unsigned int threads)
{
	return num_possible_cpus() * (64L + HERMIT_PCP_PAGES) +
	       threads * 2L * HERMIT_BATCH + 256;
}

static int region_check(struct hermit_create *c, struct hermit_region *r,
			unsigned int threads)
{
	u64 limit = c->limit >> PAGE_SHIFT;
	unsigned int i, j;

	c->floor = (u64)region_floor(threads) << PAGE_SHIFT;
	if (!c->region_size || !PAGE_ALIGNED(c->region_size) ||
	    c->region_size > 1ULL << 46) {
		snprintf(c->error, sizeof(c->error),
			 "size %llu: must be a multiple of 4096, above 0 and at most 64 TiB",
			 c->region_size);
		return -EINVAL;
	}
	if (!PAGE_ALIGNED(c->limit) || c->limit > c->region_size) {
		snprintf(c->error, sizeof(c->error),
			 "limit %llu: must be a multiple of 4096 and at most the size, %llu",
			 c->limit, c->region_size);
		return -EINVAL;
	}
	/* A region smaller than the floor is all local: nothing to wait for. */
	if (c->limit < c->floor && c->limit < c->region_size) {
		snprintf(c->error, sizeof(c->error),
			 "limit %llu: below %llu bytes (the pages that this host's CPUs and reclaim threads may need at once) the guest could not go on",
			 c->limit, c->floor);
		return -ERANGE;
	}
	if (uuid_is_null((uuid_t *)c->uuid)) {
		strscpy(c->error, "uuid: must not be all zeros");
		return -EINVAL;
	}
	if (c->nr_servers > HERMIT_MAX_SERVERS) {
		snprintf(c->error, sizeof(c->error),
			 "server: %u given; at most %u", c->nr_servers,
			 HERMIT_MAX_SERVERS);
		return -EINVAL;
	}
	for (i = 0; i < c->nr_servers; i++)
		for (j = 0; j < i; j++)
			if (!strcmp(c->servers[i], c->servers[j])) {
				snprintf(c->error, sizeof(c->error),
					 "server %s: given twice; two copies on one server are as good as one",
					 c->servers[i]);
				return -EINVAL;
			}
	if (c->replicas > max(c->nr_servers, 1U)) {
		snprintf(c->error, sizeof(c->error),
			 "replicas %u: more than servers, %u", c->replicas,
			 max(c->nr_servers, 1U));
		return -EINVAL;
	}
	if (c->key_len > HERMIT_KEY_LEN) {
		snprintf(c->error, sizeof(c->error),
			 "key: %u bytes; at most %u", c->key_len, HERMIT_KEY_LEN);
		return -EINVAL;
	}
	if (c->flags & ~HERMIT_CREATE_SEAL) {
		snprintf(c->error, sizeof(c->error),
			 "flags %#x: not known; use a matching hermit.ko",
			 c->flags & ~HERMIT_CREATE_SEAL);
		return -EINVAL;
	}
	r->npages = c->region_size >> PAGE_SHIFT;
	hermit_limit_init(r, limit);
	r->floor = c->floor >> PAGE_SHIFT;
	return 0;
}

static void region_free(struct kref *ref)
{
	struct hermit_region *r = container_of(ref, struct hermit_region, ref);

	/*
	 * A fault that was past its look at `dead` may have installed a page
	 * behind hermit_discard_all(). No file, binding or request is left.
	 */
	if (r->chunks && r->mapping)
		hermit_discard_all(r);
	hermit_word_free_all(r);
	hermit_pool_destroy(r);
	if (r->mapping)
		iput(r->mapping->host);
	WARN_ONCE(atomic_long_read(&r->used), "hermit: %s: %ld pages leaked\n",
		  r->name, atomic_long_read(&r->used));
	if (r->memcg)
		mem_cgroup_put(r->memcg);
	hermit_req_unreserve(r);
	free_percpu(r->stats);
	kfree(r);
}

struct hermit_region *hermit_region_create(struct hermit_create *c,
					   const u8 *client_id,
					   struct file **memory)
{
	unsigned int threads = c->reclaim_threads ?: HERMIT_DEFAULT_THREADS, i;
	struct hermit_region *r, *other;
	long lacks;
	int ret;

	if (threads > HERMIT_MAX_THREADS) {
		snprintf(c->error, sizeof(c->error),
			 "reclaim-threads %u: at most %u", threads,
			 HERMIT_MAX_THREADS);
		return ERR_PTR(-EINVAL);
	}
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return ERR_PTR(-ENOMEM);
	kref_init(&r->ref);
	r->dead = true;
	r->release = region_free;
	INIT_LIST_HEAD(&r->node);
	INIT_LIST_HEAD(&r->bindings);
	init_rwsem(&r->bind_lock);
	init_rwsem(&r->sweep_lock);
	init_waitqueue_head(&r->write_wq);
	for (i = 0; i < HERMIT_PAGE_HASH; i++) {
		init_waitqueue_head(&r->word_wq[i]);
		r->read_backoff[i] = jiffies;
	}
	for (i = 0; i < ARRAY_SIZE(r->host); i++)
		mutex_init(&r->host[i].lock);
	spin_lock_init(&r->events.lock);
	hermit_policy_init(r, threads);
	init_waitqueue_head(&r->events.wq);
	INIT_DELAYED_WORK(&r->watchdog, hermit_watchdog);
	hermit_mover_init(r);
	mutex_init(&r->change_lock);
	hermit_server_work_init(r);
	spin_lock_init(&r->servers_lock);
	hermit_poison_init(r);
	memcpy(r->uuid, c->uuid, sizeof(r->uuid));
	strscpy(r->name, c->name);
	r->fault_timeout = (u64)(c->fault_timeout_ms ?: HERMIT_DEFAULT_TIMEOUT_MS) *
			   NSEC_PER_MSEC;
	r->limit_set = ktime_get_ns();
	r->mismatch_told = jiffies - HZ;
	ret = hermit_pool_init(r);
	if (ret)
		goto free;
	ret = region_check(c, r, threads);
	if (ret)
		goto free;
	ret = hermit_standby_init(r);
	if (ret)
		goto free;
	hermit_server_init(r, c, client_id);
	ret = hermit_req_reserve(r, r->replicas);
	if (ret)
		goto free;

	ret = hermit_word_init(r, c->flags & HERMIT_CREATE_SEAL);
	if (ret)
		goto free;
	ret = -ENOMEM;
	r->stats = alloc_percpu(struct hermit_cpu_stats);
	if (!r->stats)
		goto free;
	r->memcg = get_mem_cgroup_from_mm(current->mm);
	lacks = hermit_limit_lacks(r);
	if (lacks) {
		snprintf(c->error, sizeof(c->error),
			 "the cgroup of this process lacks %lu KiB below memory.max or memory.high for the least that a VM needs here, %lu KiB: raise them (libvirt: memtune)",
			 lacks << (PAGE_SHIFT - 10),
			 min(r->limit, r->floor) << (PAGE_SHIFT - 10));
		goto free;
	}

	mutex_lock(&regions_lock);
	ret = 0;
	list_for_each_entry(other, &regions, node)
		if (!memcmp(other->uuid, r->uuid, sizeof(r->uuid)))
			ret = -EEXIST;
	if (!ret)
		list_add_tail(&r->node, &regions);
	mutex_unlock(&regions_lock);
	if (ret) {
		snprintf(c->error, sizeof(c->error),
			 "uuid %pUb: another region of this host has it",
			 r->uuid);
		goto free;
	}

	ret = hermit_server_connect(r, c);
	if (ret)
		goto end;
	ret = hermit_reclaim_start(r, threads);
	if (ret) {
		snprintf(c->error, sizeof(c->error),
			 "cannot start %u reclaim threads: error %d", threads,
			 ret);
		goto end;
	}
	ret = hermit_wset_start(r);
	if (ret) {
		strscpy(c->error, "no memory on this host for the estimate of the working set");
		goto end;
	}
	*memory = hermit_memory_create(r);
	if (IS_ERR(*memory)) {
		ret = PTR_ERR(*memory);
		goto end;
	}
	schedule_delayed_work(&r->watchdog, HZ / 10);
	/* Who finds it finds all of it. */
	mutex_lock(&regions_lock);
	WRITE_ONCE(r->dead, false);
	mutex_unlock(&regions_lock);
	return r;

end:
	hermit_region_end(r);
	return ERR_PTR(ret);
free:
	hermit_region_put(r);
	return ERR_PTR(ret);
}

/* By one or the other. A reference to the structure, which keeps no page alive. */
static struct hermit_region *region_find(const u8 *uuid,
					 const struct address_space *mapping)
{
	struct hermit_region *r, *found = NULL;

	mutex_lock(&regions_lock);
	list_for_each_entry(r, &regions, node) {
		if (READ_ONCE(r->dead) ||
		    (uuid ? memcmp(r->uuid, uuid, sizeof(r->uuid)) != 0 :
			    READ_ONCE(r->mapping) != mapping))
			continue;
		hermit_region_get(r);
		found = r;
		break;
	}
	mutex_unlock(&regions_lock);
	return found;
}

struct hermit_region *hermit_region_find(const u8 *uuid)
{
	return region_find(uuid, NULL);
}

struct hermit_region *hermit_region_of(const struct address_space *mapping)
{
	return mapping ? region_find(NULL, mapping) : NULL;
}

u32 hermit_region_list(struct hermit_list_entry *e, u32 room)
{
	struct hermit_region *r;
	u32 nr = 0;

	mutex_lock(&regions_lock);
	list_for_each_entry(r, &regions, node) {
		if (READ_ONCE(r->dead) || nr++ >= room)
			continue;
		memcpy(e->uuid, r->uuid, sizeof(e->uuid));
		strscpy(e->name, r->name);
		e->region_size = r->npages << PAGE_SHIFT;
		e->limit = (u64)READ_ONCE(r->limit) << PAGE_SHIFT;
		e->resident = atomic_long_read(&r->used);
		e++;
	}
	mutex_unlock(&regions_lock);
	return nr;
}

void hermit_region_each(void (*fn)(struct hermit_region *r, void *arg), void *arg)
{
	struct hermit_region *r;

	if (!mutex_trylock(&regions_lock))
		return;
	list_for_each_entry(r, &regions, node)
		if (!READ_ONCE(r->dead))
			fn(r, arg);
	mutex_unlock(&regions_lock);
}

static void region_wake_all(struct hermit_region *r)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->word_wq); i++)
		wake_up_all(&r->word_wq[i]);
	wake_up_all(&r->room_wq);
	wake_up_all(&r->write_wq);
	wake_up_all(&r->events.wq);
}

void hermit_region_end(struct hermit_region *r)
{
	mutex_lock(&regions_lock);
	list_del_init(&r->node);
	mutex_unlock(&regions_lock);

	WRITE_ONCE(r->dead, true);
	HERMIT_MARK(region_ends);
	/* Whoever saw it alive under RCU has submitted by now. */
	synchronize_rcu();
	region_wake_all(r);
	cancel_delayed_work_sync(&r->watchdog);
	hermit_poison_stop(r);
	hermit_wset_stop(r);
	hermit_threads_stop(r);
	/*
	 * The guest may still run on pages it has mapped; it gets no others.
	 * Every request is completed when this returns.
	 */
	hermit_server_close(r);
	hermit_mover_stop(r);
	region_wake_all(r);
	hermit_discard_all(r);
	hermit_region_put(r);
}
