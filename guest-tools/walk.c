// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "walk.h"

static enum walk_kind walk_kind;
static uint64_t walk_pages;
static double zeta, alpha, eta, half;

/* Gray et al., "Quickly generating billion-record synthetic databases". */
static void zipf_init(double theta)
{
	const double n = (double)walk_pages;
	uint64_t i;

	zeta = 0;
	for (i = 1; i <= walk_pages; i++)
		zeta += pow((double)i, -theta);
	half = pow(0.5, theta);
	alpha = 1 / (1 - theta);
	eta = (1 - pow(2 / n, 1 - theta)) / (1 - (1 + half) / zeta);
}

void walk_init(enum walk_kind kind, double theta, uint64_t pages)
{
	walk_kind = kind;
	walk_pages = pages;
	if (kind == WALK_ZIPF)
		zipf_init(theta);
}

void walk_start(struct walk *w, uint64_t seed, uint64_t first)
{
	w->random = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	w->random += !w->random;
	w->next = first;
	walk_random(w);
}

uint64_t walk_random(struct walk *w)
{
	uint64_t x = w->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	w->random = x;
	return x * 0x2545f4914f6cdd1dULL;
}

double walk_unit(struct walk *w)
{
	return (double)(walk_random(w) >> 11) / 9007199254740992.0;
}

static uint64_t zipf_rank(struct walk *w)
{
	const double u = walk_unit(w), uz = u * zeta;
	double rank;

	if (uz < 1)
		return 0;
	if (uz < 1 + half)
		return 1;
	rank = (double)walk_pages * pow(eta * u - eta + 1, alpha);
	return rank < (double)walk_pages ? (uint64_t)rank : walk_pages - 1;
}

uint64_t walk_next(struct walk *w)
{
	uint64_t x;

	switch (walk_kind) {
	case WALK_ZIPF:
		/* Hot pages are not neighbours. */
		x = zipf_rank(w) * 0x9e3779b97f4a7c15ULL;
		return (x ^ (x >> 32)) % walk_pages;
	case WALK_SEQUENTIAL:
		return w->next++ % walk_pages;
	default:
		return walk_random(w) % walk_pages;
	}
}
