/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_REPORT_H
#define HERMIT_REPORT_H
/* HERMIT_GET_STATS. */
struct hermit_region;
struct hermit_stats;

/* Task context; takes no lock. */
void hermit_report_fill(struct hermit_region *r, struct hermit_stats *st);

#endif /* HERMIT_REPORT_H */
