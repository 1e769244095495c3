/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_WATCHDOG_H
#define HERMIT_WATCHDOG_H
/* Ten times a second: has somebody waited too long for anything to happen? */
struct work_struct;

/* r->watchdog's; queues itself anew. */
void hermit_watchdog(struct work_struct *work);

#endif /* HERMIT_WATCHDOG_H */
