// SPDX-License-Identifier: GPL-2.0-or-later
/* The CRC of a page against its definition, bit by bit, and what it must tell. */
#include <string.h>

#include "core/crc.h"
#include "check.h"

#define PAGE 4096
#define POLYNOMIAL 0x82f63b78U		/* Castagnoli's, reflected */

static u64 words[PAGE / 8];
static unsigned char *const page = (unsigned char *)words;

static u32 by_definition(const unsigned char *p, size_t n)
{
	u32 crc = ~0U;
	int bit;

	while (n--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}

static void fill(uint64_t *seed)
{
	size_t i;

	for (i = 0; i < PAGE / 8; i++)
		words[i] = check_random(seed);
}

static void test_values(void)
{
	uint64_t seed = 1;
	int i;

	/* The check value of the catalogues: that the definition is the right one. */
	CHECK(by_definition((const unsigned char *)"123456789", 9) == 0xe3069283,
	      "%#x", by_definition((const unsigned char *)"123456789", 9));
	for (i = 0; i < 256; i++) {
		memset(page, i, PAGE);
		CHECK(hermit_crc_page(page) == by_definition(page, PAGE),
		      "a page of %#x", i);
	}
	for (i = 0; i < 200; i++) {
		fill(&seed);
		CHECK(hermit_crc_page(page) == by_definition(page, PAGE),
		      "random page %d", i);
	}
}

/* Any one bit, and any two words that changed places. */
static void test_damage(void)
{
	uint64_t seed = 2;
	u32 was;
	size_t i, j;
	u64 w;

	fill(&seed);
	was = hermit_crc_page(page);
	for (i = 0; i < PAGE * 8; i++) {
		page[i / 8] ^= 1 << i % 8;
		CHECK(hermit_crc_page(page) != was, "bit %zu", i);
		page[i / 8] ^= 1 << i % 8;
	}
	for (i = 0; i < PAGE / 8 - 1; i++) {
		j = i + 1 + check_random(&seed) % (PAGE / 8 - 1 - i);
		w = words[i], words[i] = words[j], words[j] = w;
		CHECK(hermit_crc_page(page) != was, "words %zu and %zu", i, j);
		w = words[i], words[i] = words[j], words[j] = w;
	}
	CHECK(hermit_crc_page(page) == was, "what was put back");
}

int main(void)
{
	hermit_crc_init();
	test_values();
	test_damage();
	return check_report("crc");
}
