/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_REQUEST_H
#define HERMIT_REQUEST_H

#include <glib.h>
#include <stdatomic.h>

#include "store.h"
#include "wire/wire.h"

/* What a session did, added up over its connections. */
typedef struct
{
  _Atomic guint64 reads;
  _Atomic guint64 writes;
  _Atomic guint64 discards;
  _Atomic guint64 no_space; /* writes refused for lack of memory */
  _Atomic guint64 errors;   /* requests answered EIO */
} HermitCounters;

/* The most that one request can be answered with. */
#define HERMIT_REPLY_MAX (sizeof (struct hermit_wire_hdr) + HERMIT_WIRE_PAGE)

/*
 * Do what @hdr asks of @region, and put the whole answer at @reply, which has
 * room for HERMIT_REPLY_MAX bytes. @hdr has passed hermit_wire_check_request()
 * and is not END, which is the session's; @caps are those of the connection, and
 * @payload, aligned to 8, is its payload, with @page_crc if there are checksums.
 * Returns the length of the answer. Any thread that holds the region.
 */
gsize hermit_request_answer (HermitRegion *region, HermitCounters *counters,
                             const struct hermit_wire_hdr *hdr,
                             guint64 caps, guint32 page_crc,
                             const void *payload, guint8 *reply);

/* The header of an answer to @hdr; offset and extent echo the request's. */
void hermit_request_fill_reply (struct hermit_wire_hdr *reply,
                                const struct hermit_wire_hdr *hdr,
                                guint8 status, guint32 length);
/* What a PING says, and what the answer to it has besides. */
void hermit_request_pong (struct hermit_wire_hdr *reply,
                          const struct hermit_wire_hdr *hdr,
                          HermitRegion *region, guint64 caps);

#endif /* HERMIT_REQUEST_H */
