/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_WORLD_H
#define HERMIT_TEST_WORLD_H
/*
 * Around the engine: a server behind a link (server.c), and a VM (guest.c) whose
 * every access is checked against what was written last.
 *
 * A page of version v has v in its first and in its last word; v is 0 in a page
 * of zeros.
 */
#include "shim.h"

#include "engine/region.h"
#include "link/transport.h"

#define WORLD_PAGES		128
#define PAGE_WORDS		(PAGE_SIZE / sizeof(u64))

/* What may go wrong in this walk: once in so many times; 0: never. */
struct faults {
	unsigned int read_fails;	/* a read completes with -EIO */
	unsigned int write_fails;	/* a write with -ENOSPC, a discard with -EIO */
	unsigned int late;		/* a request takes up to a second */
	unsigned int inside;		/* a request completes inside submit() */
	unsigned int signals;		/* a vCPU is kicked while it waits */
	unsigned int no_memory;		/* an allocation fails */
	bool loses;			/* the server loses its contents, once */
	bool poison;			/* frames of the host go bad */
};

struct world {
	struct hermit_region *r;
	struct faults faults;
	long high;			/* the group's memory.high, pages; 0: none */
	long most;			/* the highest limit that there was */
	bool no_nap;			/* a fault has no reason to back off */
	bool lost;			/* it has, or is about to */
	u64 poisons, poisoned;		/* frames that went bad: in this walk, in all */
	u64 reads, writes, discards, losses, ended, faulted, zapped, harvested;
};
extern struct world world;

/* server.c */
extern const struct hermit_transport_ops world_transport;
void server_init(void);
void server_lose(void);			/* its contents; sleeps */

/* guest.c */
void guest_init(void);
bool guest_bind(void);			/* false without memory */
void guest_unbind(void);
void vcpu_main(void *arg);		/* arg: how many accesses, an int * */
/*
 * Some frame that is in use goes bad, and half of the time the region is told.
 * Once it is bad no fault may get it.
 */
void guest_poison(void);
void guest_balloon(u64 idx, u64 nr);	/* discard, and check that it is zeros */
/* Every page is what it should be; reads them all. */
void guest_check_all(void);

#endif /* HERMIT_TEST_WORLD_H */
