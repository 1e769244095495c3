/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, under events/hermit/ of tracefs. Off they cost a nop each; what
 * they show is computed only when they are on. docs/operators.md has examples.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hermit

#if !defined(HERMIT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HERMIT_TRACE_H

#include <linux/tracepoint.h>

#include "engine/pool.h"
#include "engine/region.h"

/* A fault got a page of zeros: one for each count of first_touch. */
TRACE_EVENT(hermit_first_touch,
	TP_PROTO(struct hermit_region *r, u64 page),
	TP_ARGS(r, page),
	TP_STRUCT__entry(
		__string(region, r->name)
		__field(u64, page)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->page = page;
	),
	TP_printk("region=%s page=%llu", __get_str(region), __entry->page)
);

/* A fault that had to fetch or to wait is over: one for each in fault_hist. */
TRACE_EVENT(hermit_fault,
	TP_PROTO(struct hermit_region *r, u64 page, u64 ns),
	TP_ARGS(r, page, ns),
	TP_STRUCT__entry(
		__string(region, r->name)
		__field(u64, page)
		__field(u64, ns)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->page = page;
		__entry->ns = ns;
	),
	TP_printk("region=%s page=%llu ns=%llu", __get_str(region),
		  __entry->page, __entry->ns)
);

/*
 * One batch of one reclaim thread: of `scanned` pages `victims` were unmapped
 * with one flush; dropped clean, forgotten as zeros, being written, or kept
 * (touched again, pinned, no room on the server).
 */
TRACE_EVENT(hermit_evict,
	TP_PROTO(struct hermit_region *r, int scanned, int victims, int clean,
		 int zero, int written, u64 ns),
	TP_ARGS(r, scanned, victims, clean, zero, written, ns),
	TP_STRUCT__entry(
		__string(region, r->name)
		__field(int, scanned)
		__field(int, victims)
		__field(int, clean)
		__field(int, zero)
		__field(int, written)
		__field(u64, ns)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->scanned = scanned;
		__entry->victims = victims;
		__entry->clean = clean;
		__entry->zero = zero;
		__entry->written = written;
		__entry->ns = ns;
	),
	TP_printk("region=%s scanned=%d victims=%d clean=%d zero=%d written=%d kept=%d ns=%llu",
		  __get_str(region), __entry->scanned, __entry->victims,
		  __entry->clean, __entry->zero, __entry->written,
		  __entry->victims - __entry->clean - __entry->zero -
		  __entry->written, __entry->ns)
);

/*
 * Another number of reclaim threads is wanted, and why: pages that are not
 * free, the limit, the scheduler's marks, and the rates (pages a second) that
 * they come from. Two CPUs may decide at once.
 */
TRACE_EVENT(hermit_sched,
	TP_PROTO(struct hermit_region *r, unsigned int before,
		 unsigned int threads),
	TP_ARGS(r, before, threads),
	TP_STRUCT__entry(
		__string(region, r->name)
		__field(unsigned int, before)
		__field(unsigned int, threads)
		__field(long, used)
		__field(long, limit)
		__field(u64, low)
		__field(u64, high)
		__field(u64, charge_rate)
		__field(u64, thread_rate)
		__field(int, waiters)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->before = before;
		__entry->threads = threads;
		__entry->limit = READ_ONCE(r->limit_now);
		__entry->used = __entry->limit - hermit_room(r);
		hermit_sched_marks(&r->sched, __entry->limit, &__entry->low,
				   &__entry->high);
		__entry->charge_rate = READ_ONCE(r->sched.charge_rate);
		__entry->thread_rate = READ_ONCE(r->sched.thread_rate);
		__entry->waiters = atomic_read(&r->room_waiters);
	),
	TP_printk("region=%s before=%u threads=%u used=%ld limit=%ld low=%llu high=%llu charge_rate=%llu thread_rate=%llu waiters=%d",
		  __get_str(region), __entry->before, __entry->threads,
		  __entry->used, __entry->limit, __entry->low, __entry->high,
		  __entry->charge_rate, __entry->thread_rate,
		  __entry->waiters)
);

#endif /* HERMIT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH engine
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
