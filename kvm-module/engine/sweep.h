/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_SWEEP_H
#define HERMIT_SWEEP_H
/* What becomes of the pages of a server that lost its contents. */
#include <linux/types.h>

struct hermit_region;

/* Returns how many pages are lost. Takes sweep_lock for writing; sleeps. */
u64 hermit_sweep(struct hermit_region *r);

#endif /* HERMIT_SWEEP_H */
