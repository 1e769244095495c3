/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_FALLOCATE_H
#define HERMIT_TEST_FALLOCATE_H
/*
 * The host's memory in the hands of a test, which is linked with
 * --wrap=fallocate64,--wrap=madvise: memory that cannot be had, or freed, or that takes its
 * time. Any thread, but for the last two calls.
 */
#include <glib.h>

/* Every call fails with @error, an errno; 0: not any more. */
void fallocate_fail_with (int error);
/* Or only one that wants memory: what there is can be freed. */
void fallocate_refuse_with (int error);

/*
 * Until fallocate_let_go() no memory is freed: the keeper, who wants to, waits,
 * and the calling thread fails the test if it does so, or makes more of it at a
 * time than a page and some beside it.
 */
void fallocate_hold_up (void);
void fallocate_let_go (void);
/* The keeper waits. */
void fallocate_wait_held_up (void);

#endif /* HERMIT_TEST_FALLOCATE_H */
