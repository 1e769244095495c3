/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_IDENTITY_H
#define HERMIT_IDENTITY_H
/*
 * Who may use the server, and how much of it. An identity is a name with a key,
 * or two while one takes the place of the other, and with limits:
 *
 *   DIR/NAME.key    the key
 *   DIR/NAME.next   one that is valid as well
 *   DIR/NAME.conf   limits, a key file of GLib's kind; may be missing
 *                     [limits]
 *                     bytes=64G          of all its regions together
 *                     regions=8
 *                     connections=256
 *                     from=192.0.2.0/24;2001:db8::/64
 *                     takeover=10m       see below
 *
 * The file of --key-file is the identity "default", without limits. A client
 * says which key it has by a tag in HELLO (see wire.h). One that does not is
 * judged by where it comes from, else by the default: it has to have the first
 * key of that identity.
 *
 * Takeover. A region that its client left behind, as when its host crashed, is
 * refused to every other client: nobody here can know that the first one is
 * dead. With takeover= a new client of the same identity gets it, emptied, once
 * it has had no connection for so long. That is for identities of one host,
 * which cannot run one domain twice, and for times longer than any stall that
 * its machines are to survive.
 */
#include <glib.h>

#include "auth.h"
#include "peer.h"

/* Immutable, and counted: a session keeps what it was opened with. */
typedef struct
{
  char *name;
  HermitKey *keys[2];  /* the second may be NULL; both: nobody needs one */
  guint64 bytes;       /* limits; G_MAXUINT64 and G_MAXUINT: none */
  guint regions;
  guint connections;
  guint64 takeover;    /* seconds; G_MAXUINT64: never */
  GPtrArray *from;     /* of GInetAddressMask; NULL: from everywhere */
} HermitIdentity;

/* One without keys and limits: who owns what an earlier process left. */
HermitIdentity *hermit_identity_bare (const char *name);
HermitIdentity *hermit_identity_ref (HermitIdentity *identity);
void hermit_identity_unref (HermitIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitIdentity, hermit_identity_unref)

typedef struct HermitIdentities HermitIdentities;

/* Read them; without @key_file and @directory there is "anybody", unkeyed. */
HermitIdentities *hermit_identities_new (const char *key_file,
                                         const char *directory,
                                         GError **error);
void hermit_identities_free (HermitIdentities *identities);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitIdentities, hermit_identities_free)

/* Read them again; on an error those there were stay. Any thread. */
gboolean hermit_identities_reload (HermitIdentities *identities,
                                   GError **error);

gboolean hermit_identities_keyed (HermitIdentities *identities);

/*
 * Who says @hello, without a proof so far, and with which *@key, which lives as
 * long as the result. NULL, and *@why, a constant, if nobody could. Any thread.
 */
HermitIdentity *hermit_identities_find (HermitIdentities *identities,
                                        const struct hermit_wire_hello *hello,
                                        const HermitPeer *peer,
                                        const HermitKey **key,
                                        const char **why);

/* A reference to each; to free. Any thread. */
GPtrArray *hermit_identities_all (HermitIdentities *identities);

#endif /* HERMIT_IDENTITY_H */
