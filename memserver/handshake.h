/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_HANDSHAKE_H
#define HERMIT_HANDSHAKE_H
/*
 * The server's side of the handshake (see wire.h) until the client has proved
 * itself, without any I/O: it is fed what was received and says what to send.
 *
 *   HELLO -> CHALLENGE -> AUTH -> proved; WELCOME is for who attaches it
 *      \________________________-> refused: send the REFUSE, and close
 *
 * One thread at a time.
 */
#include <glib.h>

#include "identity.h"
#include "peer.h"
#include "wire/wire.h"

typedef enum
{
  HERMIT_HANDSHAKE_GOING,   /* send the output, if there is any; go on */
  HERMIT_HANDSHAKE_PROVED,  /* nothing to send */
  HERMIT_HANDSHAKE_REFUSED, /* send the output; it is over */
} HermitHandshakeState;

/* The longest frame either side sends. */
#define HERMIT_HANDSHAKE_FRAME                                                \
  (sizeof (struct hermit_wire_hdr) + sizeof (struct hermit_wire_hello))

/* A frame of the handshake, to send. */
typedef struct
{
  guint8 bytes[HERMIT_HANDSHAKE_FRAME];
  gsize length;
} HermitFrame;

typedef struct
{
  /* For the caller, when the state says so. */
  HermitHandshakeState state;
  HermitFrame out;
  struct hermit_wire_hello hello; /* proved */
  guint64 caps;                   /* proved: those of both */
  guint64 unreserved;             /* proved: bytes of the region; see wire.h */
  HermitIdentity *identity;       /* proved: whose it is; to steal, or NULL */
  guint32 refusal;                /* refused: the code */
  char why[256];                  /* refused: the sentence, whole */

  /* Its own. */
  gint64 begun; /* monotonic */
  HermitIdentities *identities;
  HermitPeer peer;
  guint8 due; /* the type of the frame that is */
  HermitFrame in;
  const HermitKey *key; /* the identity's, that the client has; or NULL */
  struct hermit_wire_challenge challenge;
} HermitHandshake;

/* @identities outlive it. */
void hermit_handshake_init (HermitHandshake *handshake,
                            HermitIdentities *identities,
                            const HermitPeer *peer);
void hermit_handshake_clear (HermitHandshake *handshake);

/*
 * What it wants to be fed next, at most: what follows AUTH is not its to take.
 * 0 once it is over.
 */
gsize hermit_handshake_wants (const HermitHandshake *handshake);

/* @length bytes came, at most what it wants. Drops the output there was. */
HermitHandshakeState hermit_handshake_feed (HermitHandshake *handshake,
                                            const void *data, gsize length);

/* The frame that is due: "HELLO" or "AUTH". */
const char *hermit_handshake_due (const HermitHandshake *handshake);

/* A frame with this payload. */
void hermit_frame_fill (HermitFrame *frame, guint8 type, const void *payload,
                        guint32 length);

/* REFUSE; a sentence that is too long for it ends with "..". */
void hermit_frame_refuse (HermitFrame *frame, guint32 code, const char *why);

#endif /* HERMIT_HANDSHAKE_H */
