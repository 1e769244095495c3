/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_HOST_H
#define HERMIT_TEST_HOST_H
/*
 * A host that replays a trace. What leaves is a policy's choice, which knows what a
 * hypervisor can: the accessed bits, when it looks at them, and its own faults.
 */
#include <stdbool.h>
#include <stdint.h>

#include "trace.h"

#define HOST_BATCH	32

struct policy {
	const char *name, *what;
	const void *rules;		/* begin()'s */
	/* A guest of @pages, of which at most @limit are local, and no one is yet. */
	void (*begin)(const void *rules, uint32_t pages, uint32_t limit);
	/* @page is local now: for the first time, or @back, @away evictions after its own. */
	void (*brought)(uint32_t page, bool back, uint64_t away);
	/* Up to HOST_BATCH pages that leave now, in @v. */
	int (*choose)(uint32_t *v);
	void (*end)(void);
	/* Instead of all that, if it is one that knows every access. */
	uint64_t (*misses)(const struct trace *t, uint32_t limit);
};

struct result {
	uint64_t misses;		/* faults on pages that the trace had been at before */
	uint64_t cold;			/* on others */
	uint64_t evictions, writes;	/* writes: of dirty ones */
	uint64_t looks;			/* at an accessed bit */
	uint64_t waits;			/* of a fault, for a batch */
	uint64_t rescued;		/* from STANDBY: no miss */
	uint64_t after;			/* misses since the cut */
};

/* What else is to happen. */
struct plan {
	/*
	 * A page that left keeps its contents until its frame is needed, the oldest
	 * first. Touched before that it is local again.
	 */
	bool standby;
	/* After so many epochs (0: never) the limit is `to`: at once, or steered to. */
	uint32_t cut, to;
	bool steered;
};

/* Local at most; less what a host keeps free is what policies with full sight have. */
#define HOST_FREE	64

struct result host_replay(const struct trace *t, const struct policy *p, uint32_t limit,
			  struct plan plan);

/* For policies, while they are asked: */
bool host_look(uint32_t page);	/* accessed since the last look? */
uint64_t host_now(void);	/* ns */

/* refs.c: those that know every access */
uint64_t refs_lru(const struct trace *t, uint32_t limit);
uint64_t refs_opt(const struct trace *t, uint32_t limit);
uint64_t refs_fifo(const struct trace *t, uint32_t limit);

/* today.c: the engine's clock.c itself */
void today_begin(const void *rules, uint32_t pages, uint32_t limit);
void today_brought(uint32_t page, bool back, uint64_t away);
int today_choose(uint32_t *v);
void today_end(void);

/* replace.c: core/replace, by these */
struct replace_rules {
	uint8_t most;		/* of the counter; 0: there is none */
	bool newcomers;		/* the bit of what came back is taken off */
	bool new_value;		/* its first accessed bit does not count */
	bool first_too;		/* and so is, or does, that of a first touch */
	bool soon;		/* what came back soon begins at 1 */
	bool permuted;		/* the hand's order */
};
void replace_begin(const void *rules, uint32_t pages, uint32_t limit);
void replace_brought(uint32_t page, bool back, uint64_t away);
int replace_choose(uint32_t *v);
void replace_end(void);

#endif /* HERMIT_TEST_HOST_H */
