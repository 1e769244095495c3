/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_AHEAD_H
#define HERMIT_AHEAD_H
/* Reading ahead of the faults of a vCPU, or of a thread of the host. */
#include <linux/mutex.h>
#include <linux/types.h>

#include "core/prefetch.h"

struct hermit_region;

/* The faults of one vCPU or thread, for reading ahead. */
struct hermit_stream {
	struct hermit_prefetch p;
	unsigned int faults;		/* since p last heard what became of it all */
	long hits, misses;		/* the region's, as of then */
};

/*
 * Host threads share these by their number: QEMU's, vhost's, and without the
 * EPT hook all vCPUs. Only ever trylocked: a fault that finds it taken does not
 * count for the stride.
 */
#define HERMIT_HOST_STREAMS_SHIFT 4
#define HERMIT_HOST_STREAMS	(1 << HERMIT_HOST_STREAMS_SHIFT)

struct hermit_host_stream {
	struct mutex lock;
	pid_t who;			/* that the stream is of */
	struct hermit_stream stream;
};

/*
 * Post what the faults of one vCPU or thread so far make likely to be wanted
 * next, as far as there is room to spare. After the demand read; does not sleep
 * for I/O.
 */
void hermit_ahead(struct hermit_region *r, u64 idx,
			   struct hermit_stream *s);
/* The same for a fault of the calling host thread. */
void hermit_ahead_host(struct hermit_region *r, u64 idx);

#endif /* HERMIT_AHEAD_H */
