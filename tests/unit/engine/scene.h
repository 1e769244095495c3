/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_SCENE_H
#define HERMIT_TEST_SCENE_H
/*
 * For walks of their own, which are functions and not plans: a region with one VM, and
 * what all of them do to it. Each is the first fiber, or another one that is started by
 * walk_start() with a pointer to a page's number, or to a server's.
 */
#include "world.h"

/* The region, bound, with as many faults as the walk has; until scene_end(). */
struct hermit_region *scene_create(void);
/* Nothing goes wrong in this one, and no fiber is slower than another. */
struct hermit_region *scene_create_quiet(void);
/* Of stock KVM, all of it touched by host threads. */
struct hermit_region *scene_create_stock(void);
void scene_end(struct hermit_region *r);
/* Until those that walk_start() started are through. */
void scene_wait(void);

/* A page that is remote; the limit is low from here on. */
u64 scene_remote_page(struct hermit_region *r);
/* 60 pages leave, all that can, and their writes are done. */
void scene_leave(struct hermit_region *r);
/* Until no page is above the limit; fails if nobody sees to that. */
void scene_go_down(struct hermit_region *r);
bool scene_threads_lie(struct hermit_region *r);
/* Take @n ready pages of the pool into @held; and give them back. */
void scene_get_pages(struct hermit_region *r, struct page **held, int n);
void scene_put_pages(struct hermit_region *r, struct page **held, int n);

/* Fibers: a vCPU, or a host thread, touches the page; pread(); a server is away for 1 s. */
void scene_page_toucher(void *arg);
void scene_host_toucher(void *arg);
void scene_page_reader(void *arg);
void scene_one_away(void *arg);

/* What showed a fault once (struct known), by file. */
void known_failed_reads(void *arg);
void known_no_memory(void *arg);
void known_seldom(void *arg);
void known_above_high(void *arg);
void known_few_pages(void *arg);
void known_host_dry(void *arg);
void known_without_server(void *arg);
void known_turns_held(void *arg);
void known_fault_waits_for_no_request(void *arg);
void known_away_reads_once(void *arg);
void known_lost_at_server(void *arg);
void known_outage_is_no_pressure(void *arg);
void known_pool_grows(void *arg);
void known_pool_needs_a_page(void *arg);
void known_loops_yield(void *arg);
void known_limit_frees_nothing(void *arg);
void known_tune_looks_first(void *arg);
void known_clean_stays_clean(void *arg);
void known_standby_holds(void *arg);
void known_come_and_go(void *arg);

#endif /* HERMIT_TEST_SCENE_H */
