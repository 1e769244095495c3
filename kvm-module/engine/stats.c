// SPDX-License-Identifier: GPL-2.0-only
/* Counters of a region: per CPU, summed on reading. */
#include <linux/cpumask.h>

#include "engine/region.h"
#include "engine/stats.h"

long hermit_stat(struct hermit_region *r, enum hermit_counter c)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(r->stats, cpu)->counter[c]);
	return sum;
}
