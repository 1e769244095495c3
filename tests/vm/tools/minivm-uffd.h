/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MINIVM_UFFD_H
#define MINIVM_UFFD_H
/*
 * Far memory by userfaultfd, as a VMM can have it without any module: for
 * comparison. One thread takes faults and gives up the oldest pages, 32 at a
 * time; the far side is plain memory, so that no link is in the figures.
 *
 * It never knows which pages are clean, and copies each that it gives up.
 */
#include "minivm.h"

struct minivm_uffd;

/* Before the pages are first touched. @limit: bytes that may stay. */
struct minivm_uffd *minivm_uffd_start(struct minivm *vm, uint64_t limit);
/* From now on; takes effect with the next faults. */
void minivm_uffd_set_limit(struct minivm_uffd *u, uint64_t limit);
/* Give up all pages, in the caller's thread; nobody may be faulting. */
void minivm_uffd_evict_all(struct minivm_uffd *u);
uint64_t minivm_uffd_evicted(struct minivm_uffd *u);
void minivm_uffd_stop(struct minivm_uffd *u);

#endif /* MINIVM_UFFD_H */
