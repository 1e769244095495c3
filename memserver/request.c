/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "request.h"

#include "core/crc.h"

#include <string.h>

/* No connection has checksums where the processor does not: handshake.c. */
__attribute__ ((constructor)) static void
request_init (void)
{
  if (__builtin_cpu_supports ("sse4.2"))
    hermit_crc_init ();
}

void
hermit_request_fill_reply (struct hermit_wire_hdr *reply,
                           const struct hermit_wire_hdr *hdr, guint8 status,
                           guint32 length)
{
  hermit_wire_fill (reply, hdr->type | HERMIT_MSG_REPLY,
                    le32_to_cpu (hdr->tag), le64_to_cpu (hdr->offset),
                    le32_to_cpu (hdr->extent), length);
  reply->status = status;
}

void
hermit_request_pong (struct hermit_wire_hdr *reply,
                     const struct hermit_wire_hdr *hdr, HermitRegion *region,
                     guint64 caps)
{
  guint64 wanted = le64_to_cpu (hdr->offset), room;
  guint32 notices = hermit_store_draining (hermit_region_store (region))
                        ? HERMIT_NOTICE_DRAINING
                        : 0;

  if (!(caps & HERMIT_CAP_NOTICE))
    notices = 0;
  if (caps & HERMIT_CAP_ROOM)
    {
      if (wanted)
        hermit_region_reserve (region, wanted);
      hermit_region_set_need (region, le32_to_cpu (hdr->extent));
      room = hermit_region_room (region) >> HERMIT_ROOM_SHIFT;
      notices |= (guint32)MIN (room, HERMIT_ROOM_MAX) << HERMIT_NOTICE_BITS;
    }
  reply->offset = cpu_to_le64 (hermit_region_stored (region));
  reply->extent = cpu_to_le32 (notices);
}

gsize
hermit_request_answer (HermitRegion *region, HermitCounters *counters,
                       const struct hermit_wire_hdr *hdr, guint64 caps,
                       guint32 page_crc, const void *payload, guint8 *reply)
{
  guint64 offset = le64_to_cpu (hdr->offset);
  struct hermit_wire_hdr answer;
  guint32 length = 0;
  guint8 status = HERMIT_WIRE_EINVAL;

  switch (hdr->type)
    {
    case HERMIT_MSG_READ:
      status = hermit_region_read (region, offset, reply + sizeof (answer));
      /* An older client takes what is not stored for zeros. */
      if (status == HERMIT_WIRE_ENOENT && !(caps & HERMIT_CAP_ENOENT))
        status = HERMIT_WIRE_OK;
      if (status == HERMIT_WIRE_OK || status == HERMIT_WIRE_ENOENT)
        length = HERMIT_WIRE_PAGE;
      atomic_fetch_add_explicit (&counters->reads, 1, memory_order_relaxed);
      break;
    case HERMIT_MSG_WRITE:
      if (caps & HERMIT_CAP_CHECKSUM && hermit_crc_page (payload) != page_crc)
        status = HERMIT_WIRE_EBADMSG;
      else
        status = hermit_region_write (region, offset, payload);
      atomic_fetch_add_explicit (&counters->writes, 1, memory_order_relaxed);
      break;
    case HERMIT_MSG_DISCARD:
      status
          = hermit_region_discard (region, offset, le32_to_cpu (hdr->extent));
      atomic_fetch_add_explicit (&counters->discards, 1, memory_order_relaxed);
      break;
    case HERMIT_MSG_PING:
      status = HERMIT_WIRE_OK;
      break;
    }
  if (status == HERMIT_WIRE_ENOSPC)
    atomic_fetch_add_explicit (&counters->no_space, 1, memory_order_relaxed);
  else if (status != HERMIT_WIRE_OK && status != HERMIT_WIRE_ENOENT)
    atomic_fetch_add_explicit (&counters->errors, 1, memory_order_relaxed);

  hermit_request_fill_reply (&answer, hdr, status, length);
  if (hdr->type == HERMIT_MSG_PING)
    hermit_request_pong (&answer, hdr, region, caps);
  if (caps & HERMIT_CAP_CHECKSUM)
    hermit_wire_sum (&answer, 0);
  memcpy (reply, &answer, sizeof (answer));
  return sizeof (answer) + length;
}
