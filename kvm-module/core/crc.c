// SPDX-License-Identifier: GPL-2.0-only
/*
 * A crc32 instruction takes three cycles, and one can begin in each: so three
 * parts of the page are taken at once, and joined.
 *
 *	0	     1360	  2720	       4080  4096
 *	+------------+------------+------------+-----+
 *	| a	     | b	  | c	       | end |
 *	+------------+------------+------------+-----+
 *
 * A CRC is linear: that of a and b one behind the other is that of a behind which
 * b's length of zeros comes, xor that of b from 0. What those zeros make of a CRC is
 * the xor of what they make of its four bytes, which tables say (Adler's crc32c.c
 * does the same).
 */
#include "crc.h"

#define PART_WORDS	170

static u32 behind_zeros[4][256];

static __always_inline u64 crc_word(u64 crc, u64 word)
{
	__asm__("crc32q %1, %0" : "+r"(crc) : "rm"(word));
	return crc;
}

static __always_inline u64 behind_a_part(u64 crc)
{
	return behind_zeros[0][crc & 0xff] ^ behind_zeros[1][crc >> 8 & 0xff] ^
	       behind_zeros[2][crc >> 16 & 0xff] ^ behind_zeros[3][crc >> 24];
}

void hermit_crc_init(void)
{
	unsigned int bit, i, k;
	u64 crc;

	memset(behind_zeros, 0, sizeof(behind_zeros));
	for (bit = 0; bit < 32; bit++) {
		crc = 1ULL << bit;
		for (i = 0; i < PART_WORDS; i++)
			crc = crc_word(crc, 0);
		k = bit / 8;
		for (i = 0; i < 256; i++)
			if (i >> bit % 8 & 1)
				behind_zeros[k][i] ^= (u32)crc;
	}
}

u32 hermit_crc_words(const u64 *words, unsigned int n)
{
	u64 crc = ~0U;

	while (n--)
		crc = crc_word(crc, *words++);
	return ~(u32)crc;
}

u32 hermit_crc_page(const void *page)
{
	const u64 *a = page, *b = a + PART_WORDS, *end = a + 3 * PART_WORDS;
	u64 crc = ~0U, crc_b = 0, crc_c = 0;

	/* Ten words of each part in a round: 17 rounds. */
#define STEP(i)	do {							\
	crc = crc_word(crc, a[i]);					\
	crc_b = crc_word(crc_b, a[(i) + PART_WORDS]);			\
	crc_c = crc_word(crc_c, a[(i) + 2 * PART_WORDS]);		\
} while (0)
	for (; a != b; a += 10) {
		STEP(0); STEP(1); STEP(2); STEP(3); STEP(4);
		STEP(5); STEP(6); STEP(7); STEP(8); STEP(9);
	}
#undef STEP
	crc = behind_a_part(crc) ^ crc_b;
	crc = behind_a_part(crc) ^ crc_c;
	crc = crc_word(crc, end[0]);
	crc = crc_word(crc, end[1]);
	return ~(u32)crc;
}
