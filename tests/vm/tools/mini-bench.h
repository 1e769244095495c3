/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MINI_BENCH_H
#define MINI_BENCH_H

#include "minivm.h"

/*
 * What a fault and an eviction cost, in ticks of the scheduler's clock: under
 * icount, instructions. Memory is what @vm has: a hermit region, anonymous
 * memory of a cgroup of this process's own (swapped), or of a userfaultfd
 * handler. Prints a line of NAME FIGURE pairs for each kind of access.
 */
int mini_bench(struct minivm *vm, uint32_t rounds, bool uffd);

#endif /* MINI_BENCH_H */
