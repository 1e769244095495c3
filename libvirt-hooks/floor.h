/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_FLOOR_H
#define HERMIT_FLOOR_H
/*
 * The least limit of a region on this host, in bytes, which hermit.ko tells
 * when it refuses one of 0; nothing is made. With at most @reclaim_threads, or
 * the default number if 0. 0 if it cannot be asked: whoever makes the region
 * will find out why.
 */
#include <stdint.h>

uint64_t hermit_floor (uint32_t reclaim_threads);

#endif
