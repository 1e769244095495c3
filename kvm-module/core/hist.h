/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_HIST_H
#define HERMIT_CORE_HIST_H
/*
 * Histograms by powers of two: bucket i counts values in [2^i, 2^(i+1)), and
 * bucket 0 also 0. The last bucket takes whatever is larger. One add per
 * sample, and good for percentiles within a bucket's width; the buckets are
 * the caller's, per CPU or not.
 */
#include "env.h"

/* Shares are given in parts of this: 99900 is p99.9. */
#define HERMIT_HIST_ONE		100000U

static __always_inline unsigned int hermit_hist_bucket(u64 value,
						       unsigned int buckets)
{
	unsigned int i = value ? (unsigned int)ilog2(value) : 0;

	return i < buckets ? i : buckets - 1;
}

/*
 * The value that a share @part of all samples does not exceed, interpolated
 * within its bucket; never above the bucket's upper end. 0 without samples.
 */
u64 hermit_hist_percentile(const u64 *hist, unsigned int buckets,
			   unsigned int part);

#endif /* HERMIT_CORE_HIST_H */
