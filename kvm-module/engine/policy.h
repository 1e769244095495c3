/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_POLICY_H
#define HERMIT_POLICY_H
/* The techniques' switches, and what they say of one fault. */
#include <linux/types.h>

struct hermit_policy;
struct hermit_region;

void hermit_policy_init(struct hermit_region *r, unsigned int threads);
/* Check and store what p->set names, fill in the rest: 0 or -EINVAL with a message. */
int hermit_policy_set(struct hermit_region *r, struct hermit_policy *p);
/* How long a guest's fault should spin for its read, in ns. Any context. */
u64 hermit_policy_spin(struct hermit_region *r);
/* Is a read worth an async page fault of the guest? Any context. */
bool hermit_policy_long(struct hermit_region *r);

#endif /* HERMIT_POLICY_H */
