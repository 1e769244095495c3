/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CONTROL_H
#define HERMIT_CONTROL_H
/* /dev/hermit. */
int hermit_control_init(void);
void hermit_control_exit(void);

#endif /* HERMIT_CONTROL_H */
