/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_GUEST_WALK_H
#define HERMIT_GUEST_WALK_H
/* Which page comes next. One walk a thread; the same seed, the same walk. */
#include <stdint.h>

enum walk_kind { WALK_UNIFORM, WALK_ZIPF, WALK_SEQUENTIAL };

struct walk {
	uint64_t random, next;
};

/* Once, before any walk: the kind, zipf's skew (0 < theta < 1), all pages. */
void walk_init(enum walk_kind kind, double theta, uint64_t pages);
void walk_start(struct walk *w, uint64_t seed, uint64_t first);
uint64_t walk_next(struct walk *w);
uint64_t walk_random(struct walk *w);
double walk_unit(struct walk *w);	/* in [0, 1) */

#endif /* HERMIT_GUEST_WALK_H */
