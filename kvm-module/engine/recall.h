/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RECALL_H
#define HERMIT_RECALL_H
/* Bring home what is remote. */
#include <linux/types.h>

struct hermit_region;

/*
 * Bring home what is remote from *@next up to @end, and move *@next
 * on. 0, -ENOSPC, -ETIMEDOUT, -EINTR or -ENODEV (the region ended). Task
 * context; sleeps.
 */
int hermit_recall(struct hermit_region *r, u64 end, u64 *next, u64 *fetched);

#endif /* HERMIT_RECALL_H */
