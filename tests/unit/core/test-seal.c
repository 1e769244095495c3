// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers of sealed pages, and what they and the pages become in a seal. */
#include <string.h>

#include "core/seal.h"
#include "check.h"

#define DRAWN	20000

/* Whoever draws, in runs of any length, and throws away what is left of one. */
static void test_no_number_twice(void)
{
	static unsigned char seen[DRAWN * 2];
	struct hermit_seal_run runs[3] = {}, *r;
	u64 last = 0, number, used = 0;
	uint64_t seed = 1;
	unsigned int n;

	while (last < DRAWN) {
		r = &runs[check_random(&seed) % 3];
		if (!r->left || !(check_random(&seed) % 8)) {
			n = check_random(&seed) % 33;
			last += n;
			hermit_seal_draw(r, last, n);
		}
		number = hermit_seal_next(r);
		if (!number) {
			CHECK(!r->left, "%llu are left", (unsigned long long)r->left);
			continue;
		}
		CHECK(number <= last, "%llu was not drawn yet", (unsigned long long)number);
		CHECK(!seen[number], "%llu comes twice", (unsigned long long)number);
		seen[number] = 1;
		used++;
	}
	CHECK(used > DRAWN / 4, "only %llu of %d were used", (unsigned long long)used, DRAWN);
}

static void test_run_ends(void)
{
	struct hermit_seal_run r = {};
	unsigned int i;

	CHECK(!hermit_seal_next(&r), "an empty run has a number");
	hermit_seal_draw(&r, 32, 32);
	for (i = 1; i <= 32; i++) {
		u64 number = hermit_seal_next(&r);

		CHECK(number == i, "%llu, not %u", (unsigned long long)number, i);
	}
	CHECK(!hermit_seal_next(&r), "a run of 32 has 33");
}

static void test_layouts(void)
{
	u8 nonce[HERMIT_SEAL_NONCE + 1], bound[HERMIT_SEAL_BOUND + 1], uuid[16];
	static const u8 number[] = { 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1 };
	static const u8 page[] = { 0x21, 0x43, 0x65, 0x87, 0, 0, 0, 0 };
	unsigned int i;

	for (i = 0; i < sizeof(uuid); i++)
		uuid[i] = 0xa0 + i;
	nonce[HERMIT_SEAL_NONCE] = bound[HERMIT_SEAL_BOUND] = 0x5a;
	hermit_seal_nonce(nonce, 0x0102030405060708ULL);
	CHECK(!memcmp(nonce, number, sizeof(number)), "the nonce is another one");
	hermit_seal_bound(bound, uuid, 0x87654321ULL);
	CHECK(!memcmp(bound, uuid, sizeof(uuid)) &&
	      !memcmp(bound + sizeof(uuid), page, sizeof(page)),
	      "what it is bound with is something else");
	CHECK(nonce[HERMIT_SEAL_NONCE] == 0x5a && bound[HERMIT_SEAL_BOUND] == 0x5a,
	      "more is written than there is room for");
}

int main(void)
{
	test_no_number_twice();
	test_run_ends();
	test_layouts();
	return check_report("seal");
}
