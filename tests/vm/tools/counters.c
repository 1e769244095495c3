// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each page is counted where it comes in and where it goes out:
 *
 *	first touch ──► local ──evicted──► remote ──► lost
 *			  ▲  ◄─── read ─────┤
 *			  └── on standby ───┘
 *	and from each of them to nothing: a discard, or an eviction of zeros
 */
#include <stdio.h>

#include "counters.h"

bool counters_fit(const struct hermit_stats *s, char *why, size_t size)
{
	/* What was read and became the page. */
	__u64 reads = s->fetches + s->prefetches, wasted = s->conflicts + s->read_errors;
	__u64 evicted = s->evicted_clean + s->evicted_dirty;
	const struct {
		const char *what;
		__u64 least, is, most;
	} rows[] = {
		{ "reads on the wire", 0, s->inflight, 0 },
		{ "resident pages, local and ready ones",
		  s->local + s->pool, s->resident, s->local + s->pool },
		{ "first touches, and pages that there are or that went for good",
		  s->local + s->remote + s->lost + s->evicted_zero + s->discarded,
		  s->first_touch,
		  s->local + s->remote + s->lost + s->evicted_zero + s->discarded },
		{ "reads in vain, and all of them", 0, wasted, reads },
		/* A frame with a memory error may make its page remote. */
		{ "remote pages and those that came back, and evicted ones",
		  evicted > s->discarded + s->lost ? evicted - s->discarded - s->lost : 0,
		  s->remote + reads - wasted + s->standby_hits,
		  evicted + s->poisoned },
		{ "pages in page tables of the host, and local ones",
		  0, s->host_mapped, s->local },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].is < rows[i].least || rows[i].is > rows[i].most) {
			snprintf(why, size, "%s: %llu, which is not from %llu to %llu",
				 rows[i].what, rows[i].is, rows[i].least, rows[i].most);
			return false;
		}
	return true;
}
