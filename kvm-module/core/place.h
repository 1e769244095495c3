/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_PLACE_H
#define HERMIT_CORE_PLACE_H
/*
 * Which of several servers a page goes to: rendezvous hashing (Thaler and Ravishankar,
 * "Using name-based mappings to increase hit rates", 1998). For each extent of a
 * region every server has a weight, a hash of the two; the greatest is the first in the
 * extent's order, the next one the second, and so on. So each server is the first of
 * an equal share of the extents; what a server that goes away was the first of is
 * shared by all others, and nothing else moves; what a new one is the first of comes
 * from all others, and nothing else moves.
 *
 * Pure: no state, any context.
 */
#include "env.h"

/* A server frees memory by so much, so what goes to one server is so much at least. */
#define HERMIT_EXTENT_SHIFT	21
/* As many as a set of servers has room for. */
#define HERMIT_PLACES		8

/* A server's key: of its address, whatever its place in a list. */
u64 hermit_place_key(const char *server);
/*
 * The first server in the order of the extent of byte @offset among those of the @nr
 * whose bit is set in @among; -1 if there is none. @nr is at most HERMIT_PLACES.
 */
int hermit_place(const u64 *keys, unsigned int nr, u64 offset, unsigned int among);
/* The first @n servers in that order of those set in @among, as bits; all if they are fewer. */
unsigned int hermit_place_first(const u64 *keys, unsigned int among, unsigned int n,
				u64 offset);
/*
 * Whether server @server, one of those whose bit is set in @among, is one of the first
 * @first of them in the order of the extent of byte @offset.
 */
bool hermit_place_has(const u64 *keys, unsigned int among, unsigned int first,
		      unsigned int server, u64 offset);

#endif /* HERMIT_CORE_PLACE_H */
