// SPDX-License-Identifier: GPL-2.0-only
/*
 * No server: the pages stay on this host, in a pool of the region's own
 * (pool.c). Useful alone, like a zswap per VM, and the default.
 *
 *	local:[ALGORITHM][:MAX]
 *
 * ALGORITHM is lz4 if not given, lzo-rle or zstd; plain copies each page, which
 * saves nothing and is for measuring what everything but the wire costs. MAX
 * bounds the pool, as 64M or 2G: a full pool is a full server.
 *
 * zsmalloc is no place for softirqs. They cannot come here either: every io is
 * completed inside submit(), so whoever submits is a task, all the way down.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "link/local/comp.h"
#include "link/local/compat.h"
#include "link/local/pool.h"
#include "link/transport.h"

static const char *const algorithms[] = { "lz4", "lzo-rle", "zstd" };

enum local_counter {
	LOCAL_READS,
	LOCAL_WRITES,
	LOCAL_DISCARDS,
	LOCAL_ERRORS,
	LOCAL_NR_COUNTERS
};

struct local_cpu {
	u64 counter[LOCAL_NR_COUNTERS];
};

struct local_link {
	struct hermit_link link;
	struct hermit_local_comp *comp;
	struct hermit_local_pool *pool;
	struct local_cpu __percpu *cpu;
	const struct hermit_link_user_ops *user_ops;
	void *user;
	bool full;			/* a write was refused within the last second */
	unsigned long refused;		/* jiffies: the last one */
	struct delayed_work state_work;
	enum hermit_server_state told;
};

static void local_state(struct work_struct *work)
{
	struct local_link *l = container_of(to_delayed_work(work),
					    struct local_link, state_work);
	enum hermit_server_state state = HERMIT_SERVER_FULL;

	if (time_after_eq(jiffies, READ_ONCE(l->refused) + HZ)) {
		state = HERMIT_SERVER_UP;
		WRITE_ONCE(l->full, false);
	}
	if (state != l->told) {
		l->told = state;
		l->user_ops->state(l->user, state);
	}
	if (state == HERMIT_SERVER_FULL)
		schedule_delayed_work(&l->state_work, HZ / 4);
}

static void local_refused(struct local_link *l)
{
	WRITE_ONCE(l->refused, jiffies);
	if (!READ_ONCE(l->full)) {
		WRITE_ONCE(l->full, true);
		mod_delayed_work(system_percpu_wq, &l->state_work, 0);
	}
}

static void local_submit_one(struct hermit_link *link, struct hermit_io *io)
{
	struct local_link *l = container_of(link, struct local_link, link);
	u64 idx = io->offset >> PAGE_SHIFT, i;
	enum local_counter c = LOCAL_READS;

	if (WARN_ON_ONCE(in_interrupt())) {
		io->status = -EIO;
		goto done;
	}
	io->status = 0;
	switch (io->op) {
	case HERMIT_IO_READ:
		io->status = hermit_local_pool_load(l->pool, idx, io->page);
		break;
	case HERMIT_IO_WRITE:
		c = LOCAL_WRITES;
		io->status = hermit_local_pool_store(l->pool, idx, io->page);
		if (unlikely(io->status))
			local_refused(l);
		break;
	case HERMIT_IO_DISCARD:
		c = LOCAL_DISCARDS;
		for (i = 0; i < io->length >> PAGE_SHIFT; i++)
			hermit_local_pool_drop(l->pool, idx + i);
		break;
	}
	this_cpu_inc(l->cpu->counter[c]);
done:
	if (unlikely(io->status))
		this_cpu_inc(l->cpu->counter[LOCAL_ERRORS]);
	io->done(io);
}

static void local_submit(struct hermit_link *link, struct list_head *ios)
{
	struct hermit_io *io, *next;

	list_for_each_entry_safe(io, next, ios, node) {
		list_del_init(&io->node);
		local_submit_one(link, io);
	}
}

static u64 local_sum(struct local_link *l, enum local_counter c)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(l->cpu, cpu)->counter[c]);
	return sum;
}

static void local_stats(struct hermit_link *link, struct hermit_server_stats *st)
{
	struct local_link *l = container_of(link, struct local_link, link);

	st->state = READ_ONCE(l->full) ? HERMIT_SERVER_FULL : HERMIT_SERVER_UP;
	st->reads = local_sum(l, LOCAL_READS);
	st->writes = local_sum(l, LOCAL_WRITES);
	st->discards = local_sum(l, LOCAL_DISCARDS);
	st->errors = local_sum(l, LOCAL_ERRORS);
	hermit_local_pool_stats(l->pool, st);
}

static void local_free(struct local_link *l)
{
	if (!IS_ERR_OR_NULL(l->pool))
		hermit_local_pool_destroy(l->pool);
	if (!IS_ERR_OR_NULL(l->comp))
		hermit_local_comp_put(l->comp);
	free_percpu(l->cpu);
	kfree(l);
}

static void local_close(struct hermit_link *link, bool end)
{
	struct local_link *l = container_of(link, struct local_link, link);

	cancel_delayed_work_sync(&l->state_work);
	local_free(l);
}

/* "[ALGORITHM][:MAX]": NULL in *@name for plain copies. */
static int local_parse(const struct hermit_link_params *params,
		       const char **name, u64 *max)
{
	const char *address = params->address;
	size_t len = strcspn(address, ":");
	char *end;
	int i;

	*name = algorithms[0];
	*max = 0;
	if (len == strlen("plain") && !strncmp(address, "plain", len)) {
		*name = NULL;
	} else if (len) {
		for (i = 0; i < ARRAY_SIZE(algorithms); i++)
			if (len == strlen(algorithms[i]) &&
			    !strncmp(address, algorithms[i], len))
				break;
		if (i == ARRAY_SIZE(algorithms)) {
			snprintf(params->error, HERMIT_ERROR_LEN,
				 "server \"local:%s\": no such pool; use local:[lz4|lzo-rle|zstd|plain][:MAX]",
				 address);
			return -EINVAL;
		}
		*name = algorithms[i];
	}
	if (!address[len])
		return 0;
	*max = memparse(address + len + 1, &end);
	if (*end || !PAGE_ALIGNED(*max) || !*max) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server \"local:%s\": after the second colon give the most bytes the pool may take, a multiple of 4096, as 64M or 2G",
			 address);
		return -EINVAL;
	}
	return 0;
}

static struct hermit_link *local_connect(const struct hermit_link_params *params)
{
	struct local_link *l;
	const char *name;
	int ret;
	u64 max;

	ret = local_parse(params, &name, &max);
	if (ret)
		return ERR_PTR(ret);
	l = kzalloc(sizeof(*l), GFP_KERNEL_ACCOUNT);
	if (!l)
		goto no_memory;
	l->user_ops = params->user_ops;
	l->user = params->user;
	l->told = HERMIT_SERVER_UP;
	INIT_DELAYED_WORK(&l->state_work, local_state);
	l->cpu = alloc_percpu(struct local_cpu);
	if (!l->cpu)
		goto free;
	if (name) {
		l->comp = hermit_local_comp_get(name);
		if (IS_ERR(l->comp)) {
			ret = PTR_ERR(l->comp);
			if (ret == -ENOMEM)
				goto free;
			snprintf(params->error, HERMIT_ERROR_LEN,
				 "server \"local:%s\": this kernel has no compressor %s (error %d); load its module (modprobe %s) or use another one",
				 params->address, name, ret, name);
			local_free(l);
			return ERR_PTR(ret);
		}
	}
	l->pool = hermit_local_pool_create(params->uuid,
					   params->region_size >> PAGE_SHIFT,
					   max, l->comp);
	if (IS_ERR(l->pool))
		goto free;
	return &l->link;
free:
	local_free(l);
no_memory:
	snprintf(params->error, HERMIT_ERROR_LEN,
		 "server \"local:%s\": no memory on this host for the pool's tables",
		 params->address);
	return ERR_PTR(-ENOMEM);
}

const struct hermit_transport_ops hermit_transport_local = {
	.scheme = "local",
	.owner = THIS_MODULE,
	.synchronous = true,
	.connect = local_connect,
	.submit = local_submit,
	.submit_one = local_submit_one,
	.stats = local_stats,
	.close = local_close,
};
/* So that tools which gather modules for a small root take it along. */
MODULE_SOFTDEP("pre: lz4");
