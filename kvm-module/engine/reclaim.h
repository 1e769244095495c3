/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RECLAIM_H
#define HERMIT_RECLAIM_H
/* Reclaim threads' work: batches of evictions. */
struct hermit_region;

/* As hermit_threads_start(). */
int hermit_reclaim_start(struct hermit_region *r, unsigned int threads);

#endif /* HERMIT_RECLAIM_H */
