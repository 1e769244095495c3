/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PEEK_H
#define HERMIT_PEEK_H
/* Read a remote page without making it local. */
#include <linux/types.h>

struct hermit_region;
struct hermit_req;

/*
 * Read a REMOTE page into a page of its own without installing it: 0 and
 * (*@req)->io.page, freed by hermit_req_put(); -EAGAIN: look at the word
 * again. Sleeps killably.
 */
int hermit_peek(struct hermit_region *r, u64 idx, struct hermit_req **req);

#endif /* HERMIT_PEEK_H */
