/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_MACHINE_CHECK_H
#define HERMIT_MACHINE_CHECK_H
/* Machine checks that concern a frame of a region are reported to it. */

void hermit_machine_check_init(void);
void hermit_machine_check_exit(void);

#endif /* HERMIT_MACHINE_CHECK_H */
