/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_AUTH_H
#define HERMIT_AUTH_H
/*
 * The pre-shared key, and the proofs of the handshake that are made with it
 * (see wire.h). What follows the handshake is neither encrypted nor signed.
 */
#include <glib.h>

#include "wire/wire.h"

typedef struct HermitKey HermitKey;

/*
 * The key is the file's contents without the end of its line (LF or CR LF), 16
 * to 64 bytes, not all the same. Refused is what is no plain file, what others
 * than its owner and group can read, and what others than its owner can write.
 */
HermitKey *hermit_key_load (const char *path, GError **error);
void hermit_key_free (HermitKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitKey, hermit_key_free)

/*
 * HMAC-SHA256 over @letter ('S' or 'C'), @hello and @challenge, whose mac
 * counts as zeros.
 */
void hermit_key_mac (const HermitKey *key, char letter,
                     const struct hermit_wire_hello *hello,
                     const struct hermit_wire_challenge *challenge,
                     guint8 mac[HERMIT_WIRE_MAC_LEN]);

/* The same with 'C', and with what @more has behind its mac. */
void hermit_key_mac_more (const HermitKey *key,
                          const struct hermit_wire_hello *hello,
                          const struct hermit_wire_challenge *challenge,
                          const struct hermit_wire_auth_more *more,
                          guint8 mac[HERMIT_WIRE_MAC_LEN]);

/*
 * The tag that says which key a client has: put it into @hello, whose other
 * fields are complete; and whether it is there.
 */
void hermit_key_tag (const HermitKey *key, struct hermit_wire_hello *hello);
gboolean hermit_key_tagged (const HermitKey *key,
                            const struct hermit_wire_hello *hello);

/* FALSE if one is NULL. */
gboolean hermit_key_equal (const HermitKey *a, const HermitKey *b);

/* In a time that does not depend on the contents. */
gboolean hermit_mac_equal (const guint8 a[HERMIT_WIRE_MAC_LEN],
                           const guint8 b[HERMIT_WIRE_MAC_LEN]);

/* Random bytes that nobody can guess. */
void hermit_random (void *to, gsize length);

#endif /* HERMIT_AUTH_H */
