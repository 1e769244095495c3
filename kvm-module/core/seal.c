// SPDX-License-Identifier: GPL-2.0-only
/* Numbers of sealed pages, and what goes into a seal: seal.h. */
#include "seal.h"

void hermit_seal_draw(struct hermit_seal_run *run, u64 last, unsigned int n)
{
	run->next = last - n + 1;
	run->left = n;
}

u64 hermit_seal_next(struct hermit_seal_run *run)
{
	if (!run->left)
		return 0;
	run->left--;
	return run->next++;
}

static void put_le64(u8 *to, u64 v)
{
	unsigned int i;

	for (i = 0; i < sizeof(v); i++)
		to[i] = v >> 8 * i;
}

void hermit_seal_nonce(u8 *nonce, u64 number)
{
	memset(nonce, 0, HERMIT_SEAL_NONCE - sizeof(number));
	put_le64(nonce + HERMIT_SEAL_NONCE - sizeof(number), number);
}

void hermit_seal_bound(u8 *bound, const u8 *uuid, u64 page)
{
	memcpy(bound, uuid, HERMIT_SEAL_BOUND - sizeof(page));
	put_le64(bound + HERMIT_SEAL_BOUND - sizeof(page), page);
}
