/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_CIPHER_H
#define HERMIT_TEST_CIPHER_H
/*
 * In place of link/cipher.c: a toy that has all that the engine may count on, and nothing
 * of a cipher's strength. It remembers what it made, so it can say of what leaves this host
 * whether it is sealed, and under which number.
 */
#include "world.h"

void cipher_init(void);			/* before each walk; it has made nothing */
/*
 * @data leaves this host as page @idx. It was sealed, as that one; and whatever else left
 * under its number was the same.
 */
void cipher_leaves(const u64 *data, u64 idx);
/* Is it page @idx as it was sealed under @number, with @version in it? */
bool cipher_holds(const u64 *data, u64 idx, u64 number, u64 version);
/* In all walks; again: and with the same result as before. */
extern u64 cipher_sealed, cipher_again, cipher_opened, cipher_refused;

#endif /* HERMIT_TEST_CIPHER_H */
