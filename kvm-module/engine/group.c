// SPDX-License-Identifier: GPL-2.0-only
/* What the VM's memory cgroup says; the kernel's own counters, read without locks. */
#include <linux/memcontrol.h>
#include <linux/page_counter.h>

#include "engine/limit.h"

long hermit_group_over_high(struct mem_cgroup *memcg)
{
	long over = 0;
#ifdef CONFIG_MEMCG
	/* A group that we hold holds those above it. */
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long high = READ_ONCE(memcg->memory.high);

		if (high < PAGE_COUNTER_MAX)
			over = max(over, (long)page_counter_read(&memcg->memory) -
					 (long)high);
	}
#endif
	return over;
}
