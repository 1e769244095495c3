/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TUNE_H
#define HERMIT_TUNE_H
/* The feedback from counters to the scheduler. */
struct hermit_region;

/*
 * Learn from what was counted. Any task context; skipped if another one does
 * (tune_lock, only tried).
 */
void hermit_tune(struct hermit_region *r);
/*
 * @n pages left the room, however: once in so many of them on a CPU learn from what
 * was counted, and wake the threads that are wanted now. Task context.
 */
void hermit_tune_took(struct hermit_region *r, long n);

#endif /* HERMIT_TUNE_H */
