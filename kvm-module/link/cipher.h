/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CIPHER_H
#define HERMIT_CIPHER_H
/*
 * The cipher of a sealed region: the kernel's ChaCha20-Poly1305 (RFC 8439) under a key
 * that is made here at random, is told to nobody, and is wiped when the cipher is freed.
 * While there is one the host does not hibernate: its image would hold the key, and a
 * host that is started from it twice would use numbers twice.
 */
#include <linux/types.h>

#include "core/seal.h"

struct hermit_cipher;
struct page;
struct workqueue_struct;

/* Once, before all others, and at the end. Sleep. */
int hermit_cipher_init(void);
void hermit_cipher_exit(void);
/* Where pages that have arrived are opened. */
struct workqueue_struct *hermit_cipher_wq(void);
/*
 * A page to seal into, of what the host can spare; NULL without memory. put_page() frees
 * it. Any context, does not wait.
 */
struct page *hermit_cipher_page(void);

/*
 * Of the region @uuid (16 bytes); ERR_PTR: -ENOENT, and others of the kernel, if it has no
 * such cipher, or -ENOMEM. Sleeps. free: nobody uses it any more.
 */
struct hermit_cipher *hermit_cipher_new(const u8 *uuid);
void hermit_cipher_free(struct hermit_cipher *c);
/*
 * In place, what is in @page as page @idx of the region, under @number. seal makes @tag,
 * HERMIT_SEAL_TAG bytes. open looks whether it is the one: -EBADMSG if not, and then what
 * is in @page is no contents at all, but the same for the same. Others: of the kernel, and
 * no use of what is in @page. Any number at once. Task context, does not sleep.
 */
int hermit_cipher_seal(struct hermit_cipher *c, struct page *page, u64 idx, u64 number,
		       u8 *tag);
int hermit_cipher_open(struct hermit_cipher *c, struct page *page, u64 idx, u64 number,
		       const u8 *tag);

#endif /* HERMIT_CIPHER_H */
