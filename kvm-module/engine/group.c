// SPDX-License-Identifier: GPL-2.0-only
/* What the VM's memory cgroup says; the kernel's own counters, read without locks. */
#include <linux/memcontrol.h>
#include <linux/nodemask.h>
#include <linux/page_counter.h>

#include "engine/limit.h"

#ifdef CONFIG_MEMCG
/* Its page cache, which the kernel reclaims before it kills; without that below it. */
static long group_cache(struct mem_cgroup *memcg)
{
	long n = 0;
	int node, zone;

	for_each_online_node(node) {
		struct mem_cgroup_per_node *mz = memcg->nodeinfo[node];

		for (zone = 0; zone < MAX_NR_ZONES; zone++)
			n += READ_ONCE(mz->lru_zone_size[zone][LRU_INACTIVE_FILE]) +
			     READ_ONCE(mz->lru_zone_size[zone][LRU_ACTIVE_FILE]);
	}
	return n;
}
#endif

/*
 * The group of the VM, or the one that it is in: libvirt makes two. Further up
 * others' page cache counts as well, which is not seen here.
 */
#define GROUP_LEVELS	2

long hermit_group_room(struct mem_cgroup *memcg, long enough)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *own = memcg;
	unsigned long most;
	long room;
	int level;

	/* A group that we hold holds those above it. */
	for (level = 0; memcg && level < GROUP_LEVELS; level++) {
		most = min(READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));
		if (most < PAGE_COUNTER_MAX) {
			room = (long)most - (long)page_counter_read(&memcg->memory);
			if (room < enough)
				room += group_cache(own);
			if (room < enough && own != memcg)
				room += group_cache(memcg);
			return room;
		}
		memcg = parent_mem_cgroup(memcg);
	}
#endif
	return LONG_MAX;
}
