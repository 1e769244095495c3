// SPDX-License-Identifier: GPL-2.0-only
#include "hist.h"

u64 hermit_hist_percentile(const u64 *hist, unsigned int buckets,
			   unsigned int part)
{
	u64 total = 0, rank, low, width, share, within;
	unsigned int i;

	for (i = 0; i < buckets; i++)
		total += hist[i];
	if (!total)
		return 0;
	if (part > HERMIT_HIST_ONE)
		part = HERMIT_HIST_ONE;
	/*
	 * The rank, rounded up: p100 is the last sample, p0 the first. In two
	 * parts, for counts that the product would overflow.
	 */
	rank = div64_u64(total, HERMIT_HIST_ONE) * part +
	       div64_u64(total % HERMIT_HIST_ONE * part + HERMIT_HIST_ONE - 1,
			 HERMIT_HIST_ONE);
	if (!rank)
		rank = 1;
	for (i = 0; i < buckets - 1 && rank > hist[i]; i++)
		rank -= hist[i];
	/* Bucket 0 is [0, 2), each other as wide as its low end. */
	low = i ? 1ULL << i : 0;
	width = i ? low : 2;
	/* The rank's place in the bucket, in 1/65536 of it. */
	if (hist[i] >> 47)
		share = div64_u64(rank, (hist[i] >> 16) + 1);
	else
		share = div64_u64(rank << 16, hist[i]);
	within = width >> 16 ? (width >> 16) * share : width * share >> 16;
	return low + (within < width ? within : width - 1);
}
