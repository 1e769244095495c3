/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_CRC_H
#define HERMIT_CORE_CRC_H
/*
 * The CRC-32C (Castagnoli; iSCSI's, RFC 3720) of one page, or a few words, by the crc32
 * instruction of SSE 4.2: some 600 instructions without the FPU, so that it may be
 * taken in a softirq, whatever its CPU was at. The kernel's crc32c() would save the
 * FPU's state, which in a vCPU's thread is the guest's, or be slower.
 *
 * It is against accidents: who knows the page can make another one with its value.
 */
#include "env.h"

/* Once, before hermit_crc_page(). The processor must have SSE 4.2, for all of them. */
void hermit_crc_init(void);
/* Of the 4096 bytes at @page, which is aligned to 8. Pure, any context. */
u32 hermit_crc_page(const void *page);
/* Of so many words. */
u32 hermit_crc_words(const u64 *words, unsigned int n);

#endif /* HERMIT_CORE_CRC_H */
