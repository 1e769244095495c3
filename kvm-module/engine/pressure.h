/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PRESSURE_H
#define HERMIT_PRESSURE_H
/* What the host asks of all regions when it is short of memory. */

/* Module init and exit; 0 or -ENOMEM. Sleep. */
int hermit_pressure_init(void);
void hermit_pressure_exit(void);

#endif /* HERMIT_PRESSURE_H */
