/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MINI_DIRTY_H
#define MINI_DIRTY_H
#include "minivm.h"

/*
 * See mini-dirty.c. Prints "lost_WAY N" for each way, N pages that were lost.
 * Returns 1 if there is one, else 0; the VM has ended, the region has not.
 */
int mini_dirty(struct minivm *vm);

#endif /* MINI_DIRTY_H */
