/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CLOCK_H
#define HERMIT_CLOCK_H
/* Which pages leave. */
#include "engine/unmap.h"

/* A page that a fault brought is no victim for so long: no livelock. */
#define HERMIT_FRESH_MS		12

struct hermit_selection {
	struct hermit_victim v[HERMIT_BATCH];	/* EVICTING, ours */
	int nr, max;
	int asked, found;	/* whose accessed bits were looked at; clear ones */
	int scanned;
};

/*
 * Make up to s->max pages EVICTING that were not accessed lately. The caller
 * holds sweep_lock for reading; takes bind_lock; may sleep. s->max is set, the
 * rest zeros.
 */
void hermit_clock_select(struct hermit_region *r, struct hermit_selection *s);

#endif /* HERMIT_CLOCK_H */
