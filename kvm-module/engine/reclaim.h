/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RECLAIM_H
#define HERMIT_RECLAIM_H
/* Reclaim threads' work: batches of evictions. */
struct hermit_io;
struct hermit_region;

/* As hermit_threads_start(). */
int hermit_reclaim_start(struct hermit_region *r, unsigned int threads);
/*
 * ->done() of the write of a page that is EVICTING + W, whoever posted it; it is one
 * of r->writes. Task or softirq.
 */
void hermit_write_done(struct hermit_io *io);

#endif /* HERMIT_RECLAIM_H */
