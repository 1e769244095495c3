/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_COUNTERS_H
#define HERMIT_TEST_COUNTERS_H
/*
 * What the counters of a region say of each other while it is at rest: no fault,
 * eviction or discard is under way, and no request is out. For the module, by
 * HERMIT_GET_STATS, and for the engine in userland.
 */
#include <stdbool.h>
#include <stddef.h>

#include "uapi/hermit.h"

/*
 * False if they do not fit, and in @why, of @size bytes, which. They are read one
 * by one: while something is under way they may not fit for a while, so who asks
 * asks again.
 */
bool counters_fit(const struct hermit_stats *s, char *why, size_t size);

#endif /* HERMIT_TEST_COUNTERS_H */
