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

#endif /* HERMIT_TUNE_H */
