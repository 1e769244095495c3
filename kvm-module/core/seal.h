/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_SEAL_H
#define HERMIT_CORE_SEAL_H
/*
 * What a sealed page is made with, beside the key (link/seal.h). All of it is little-endian:
 *
 *	nonce	 0        4                12
 *		+--------+----------------+
 *		| zeros  | number	  |
 *		+--------+----------------+
 *
 *	bound	 0                                16               24
 *	with	+--------------------------------+----------------+
 *	it	| UUID of the region		 | page		  |
 *		+--------------------------------+----------------+
 *
 * Numbers count up from 1, for all pages of a region together, as long as its key lives.
 * They are drawn in runs, and what is left of a run is never used: no number is given
 * back, whatever became of the page. So two contents never have the same one; 2^64 do
 * not run out. 0 is no number.
 *
 * Pure, any context.
 */
#include "env.h"

#define HERMIT_SEAL_TAG		16
#define HERMIT_SEAL_NONCE	12
#define HERMIT_SEAL_BOUND	24

/* What is left of a run; zeros: nothing. */
struct hermit_seal_run {
	u64 next, left;
};

/* The @n numbers up to @last, which whoever draws has added @n to get. */
void hermit_seal_draw(struct hermit_seal_run *run, u64 last, unsigned int n);
/* The next one; 0: none is left. */
u64 hermit_seal_next(struct hermit_seal_run *run);
/* As above, in HERMIT_SEAL_NONCE and HERMIT_SEAL_BOUND bytes. @uuid: 16 of them. */
void hermit_seal_nonce(u8 *nonce, u64 number);
void hermit_seal_bound(u8 *bound, const u8 *uuid, u64 page);

#endif /* HERMIT_CORE_SEAL_H */
