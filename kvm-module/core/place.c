// SPDX-License-Identifier: GPL-2.0-only
#include "place.h"

/* The finalizer of splitmix64 (Steele, Lea and Flood, 2014): each bit moves half of all. */
static u64 mix(u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* FNV-1a, which leaves the upper bits of short names alike: mixed. */
u64 hermit_place_key(const char *server)
{
	u64 h = 0xcbf29ce484222325ULL;

	while (*server)
		h = (h ^ (u8)*server++) * 0x100000001b3ULL;
	return mix(h);
}

/* What server of key @key weighs for the extent whose hash is @extent. */
static u64 weigh(u64 key, u64 extent)
{
	return mix(key ^ extent);
}

static u64 extent_of(u64 offset)
{
	return mix((offset >> HERMIT_EXTENT_SHIFT) + 0x9e3779b97f4a7c15ULL);
}

int hermit_place(const u64 *keys, unsigned int nr, u64 offset, unsigned int among)
{
	u64 extent = extent_of(offset);
	u64 weight, most = 0;
	unsigned int i;
	int first = -1;

	for (i = 0; i < nr; i++) {
		if (!(among >> i & 1))
			continue;
		weight = weigh(keys[i], extent);
		if (first < 0 || weight > most) {
			first = (int)i;
			most = weight;
		}
	}
	return first;
}

static unsigned int count(unsigned int servers)
{
	unsigned int n;

	for (n = 0; servers; servers &= servers - 1)
		n++;
	return n;
}

unsigned int hermit_place_first(const u64 *keys, unsigned int among, unsigned int n,
				u64 offset)
{
	unsigned int first = 0, left = among;
	int i;

	/* All of them, whatever they weigh. */
	if (count(among) <= n)
		return among;
	for (; n; n--) {
		i = hermit_place(keys, HERMIT_PLACES, offset, left);
		first |= 1U << i;
		left &= ~(1U << i);
	}
	return first;
}

/* As many before it as would push it out; of equal ones the one that is named first. */
bool hermit_place_has(const u64 *keys, unsigned int among, unsigned int first,
		      unsigned int server, u64 offset)
{
	u64 extent = extent_of(offset), weight, its = weigh(keys[server], extent);
	unsigned int i, before = 0;

	for (i = 0; i < HERMIT_PLACES; i++) {
		if (!(among >> i & 1))
			continue;
		weight = weigh(keys[i], extent);
		before += weight > its || (weight == its && i < server);
	}
	return before < first;
}
