// SPDX-License-Identifier: GPL-2.0-only
/* What the VM's memory cgroup says; the kernel's own counters, read without locks. */
#include <linux/memcontrol.h>
#include <linux/page_counter.h>

#include "engine/limit.h"

struct hermit_group hermit_group_look(struct mem_cgroup *memcg)
{
	struct hermit_group g = { .room = LONG_MAX, .over_high = 0 };
#ifdef CONFIG_MEMCG
	/* A group that we hold holds those above it. */
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = READ_ONCE(memcg->memory.max);
		unsigned long high = READ_ONCE(memcg->memory.high);
		long used = page_counter_read(&memcg->memory);

		if (max < PAGE_COUNTER_MAX)
			g.room = min(g.room, (long)max - used);
		if (high < PAGE_COUNTER_MAX) {
			g.room = min(g.room, (long)high - used);
			g.over_high = max(g.over_high, used - (long)high);
		}
	}
#endif
	return g;
}
