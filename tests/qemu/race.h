/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RACE_H
#define RACE_H
/*
 * FAKE_HERMIT_RACE=1: the guest of race.S is migrated, and writes to the last
 * page of a run that was read ahead, at the worst moment:
 *
 *	migration thread, with a mutex		main thread
 *	sends a part of the run			has begun to synchronize the
 *	reads, and the guest writes		dirty bitmap, waits for the mutex
 *	unlocks					synchronizes
 *	sends the rest of the run
 *
 * Auto-converge synchronizes so, 5 to 10 s after the last time.
 */
#include <stddef.h>
#include <sys/types.h>

/* @n bytes of the memory behind @fd were just read by pread() */
void race_read(int fd, size_t n, off_t offset);

#endif
