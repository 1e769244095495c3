/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "log.h"
#include "spin.h"

/* What one recv() and one send() can carry: some 60 pages, to save calls. */
#define BUFFER_SIZE (256u << 10)
/*
 * An answer does not wait longer for those of the requests behind it: then it
 * goes without them. Looked at every few requests, since looking costs, too.
 */
#define ANSWER_US 1000
#define ANSWERS_UNSEEN 16

typedef struct
{
  HermitServer *server;
  int fd;
  const HermitPeer *peer;
  HermitSession *session;
  HermitMember *member;
  gint *stop; /* HermitStop, atomic */
  guint8 *in; /* received, from a frame's start */
  gsize in_length;
  guint8 *out; /* answers to send */
  gsize out_length;
  HermitSpin spin;
  guint requests; /* that came together, the last time */
  gint64 received; /* when what is being answered was */
  guint answered[HERMIT_OPS]; /* requests whose answers are in out */
} HermitStream;

static gboolean
stream_flush (HermitStream *stream)
{
  HermitServer *server = stream->server;
  gsize length = stream->out_length;
  gint64 took;

  stream->out_length = 0;
  if (!length)
    return TRUE;
  if (!hermit_io_send (stream->fd, stream->out, length))
    return FALSE;
  atomic_fetch_add_explicit (&server->sent, length, memory_order_relaxed);
  took = g_get_monotonic_time () - stream->received;
  for (guint op = 0; op < HERMIT_OPS; op++)
    if (stream->answered[op])
      {
        hermit_histogram_add (&server->requests[op], took,
                              stream->answered[op]);
        stream->answered[op] = 0;
      }
  return TRUE;
}

/* In a session. */
static HermitLogAbout
stream_about (HermitStream *stream)
{
  return (HermitLogAbout){
    .peer = stream->peer->name,
    .region = hermit_session_uuid (stream->session),
  };
}

static void
stream_violation (HermitStream *stream, const struct hermit_wire_hdr *hdr,
                const char *why)
{
  hermit_log (G_LOG_LEVEL_WARNING, stream_about (stream),
              "%s, %s: %s (type %u, offset 0x%" G_GINT64_MODIFIER
              "x, extent %u, payload %u): connection closed",
              hermit_session_label (stream->session), stream->peer->name, why,
              hdr->type, le64_to_cpu (hdr->offset), le32_to_cpu (hdr->extent),
              le32_to_cpu (hdr->length));
}

/* Always FALSE: whatever comes of it, the connection is over. */
static gboolean
stream_end (HermitStream *stream, const struct hermit_wire_hdr *hdr, guint64 caps)
{
  struct hermit_wire_hdr reply;

  if (!stream_flush (stream) || !hermit_session_end (stream->session, stream->member))
    return FALSE;
  hermit_request_fill_reply (&reply, hdr, HERMIT_WIRE_OK, 0);
  if (caps & HERMIT_CAP_CHECKSUM)
    hermit_wire_sum (&reply, 0);
  hermit_io_send (stream->fd, &reply, sizeof (reply));
  return FALSE;
}

/*
 * The page of the request at @at of the buffer will be needed next: it is
 * fetched from memory while the one before is answered, since no processor can
 * guess where it is. Nothing has checked that request yet, and nothing acts on
 * it.
 */
static void
stream_expect (HermitStream *stream, HermitRegion *region, guint64 size, gsize at)
{
  struct hermit_wire_hdr hdr;
  guint64 offset;

  if (stream->in_length < at + sizeof (hdr))
    return;
  memcpy (&hdr, stream->in + at, sizeof (hdr));
  offset = le64_to_cpu (hdr.offset);
  if (offset < size)
    hermit_region_expect (region, offset & -(guint64)HERMIT_WIRE_PAGE);
}

static gboolean
stream_is_late (gint64 since, guint *unseen)
{
  *unseen = 0;
  return g_get_monotonic_time () - since > ANSWER_US;
}

/*
 * Answer the whole frames in the buffer. FALSE if the connection is over. A
 * fence is obeyed between two requests, whatever is left in the buffer.
 */
static gboolean
stream_answer (HermitStream *stream, HermitRegion *region, guint64 size,
             guint64 caps)
{
  HermitCounters *counters = hermit_session_counters (stream->session);
  gint64 since = g_get_monotonic_time ();
  guint unseen = 0;
  gsize at = 0;

  stream->received = since;
  while (stream->in_length - at >= sizeof (struct hermit_wire_hdr))
    {
      struct hermit_wire_hdr hdr;
      guint32 page_crc = 0;
      const char *why;
      gsize length;

      if (g_atomic_int_get (stream->stop) == HERMIT_STOP_FENCE)
        return FALSE;
      memcpy (&hdr, stream->in + at, sizeof (hdr));
      if ((caps & HERMIT_CAP_CHECKSUM
           && hermit_wire_check_sum (&hdr, &page_crc, &why))
          || hermit_wire_check_request (&hdr, size, &why))
        {
          stream_violation (stream, &hdr, why);
          stream_flush (stream);
          return FALSE;
        }
      if (hdr.type == HERMIT_MSG_DISCARD && !(caps & HERMIT_CAP_DISCARD))
        {
          stream_violation (stream, &hdr, "DISCARD was not agreed upon");
          stream_flush (stream);
          return FALSE;
        }
      length = sizeof (hdr) + le32_to_cpu (hdr.length);
      if (stream->in_length - at < length)
        break;
      if (hdr.type == HERMIT_MSG_END)
        return stream_end (stream, &hdr, caps);

      stream_expect (stream, region, size, at + length);
      stream->out_length += hermit_request_answer (
          region, counters, &hdr, caps, page_crc,
          stream->in + at + sizeof (hdr), stream->out + stream->out_length);
      stream->answered[hdr.type - HERMIT_MSG_READ]++;
      at += length;
      stream->requests++;
      if (stream->out_length + HERMIT_REPLY_MAX > BUFFER_SIZE
          || (++unseen >= ANSWERS_UNSEEN && stream_is_late (since, &unseen)))
        {
          if (!stream_flush (stream))
            return FALSE;
          since = g_get_monotonic_time ();
        }
    }

  stream->in_length -= at;
  memmove (stream->in, stream->in + at, stream->in_length);
  return stream_flush (stream);
}

/* What comes next, as recv() does; asleep until then, or looking for it. */
static ssize_t
stream_next (HermitStream *stream)
{
  gint64 since = g_get_monotonic_time (), now = since;
  gboolean look = hermit_spin_pays (&stream->spin, stream->requests);
  gint64 until = since, before;
  ssize_t n;

  if (look)
    until += HERMIT_SPIN_US;
  stream->requests = 0;
  /* A frame is much smaller than the buffer: there is always room. */
  do
    {
      before = now;
      n = recv (stream->fd, stream->in + stream->in_length,
                BUFFER_SIZE - stream->in_length, now < until ? MSG_DONTWAIT : 0);
      now = g_get_monotonic_time ();
      if (n < 0 && now < until && !hermit_spin_goes_on (&stream->spin, now - before))
        until = now;
    }
  while (n < 0 && (errno == EAGAIN || errno == EINTR));
  hermit_spin_learn (&stream->spin, now - since, look);
  return n;
}

void
hermit_stream_serve (HermitServer *server, int fd, const HermitPeer *peer,
                     HermitSession *session, HermitMember *member, gint *stop,
                     guint64 caps)
{
  HermitRegion *region = hermit_session_region (session);
  guint64 size = hermit_region_size (region);
  HermitStream serving = {
    .server = server,
    .fd = fd,
    .peer = peer,
    .session = session,
    .member = member,
    .stop = stop,
    .in = g_malloc (BUFFER_SIZE),
    .out = g_malloc (BUFFER_SIZE),
  };
  HermitStream *stream = &serving;
  while (g_atomic_int_get (stream->stop) == HERMIT_STOP_NONE)
    {
      ssize_t n = stream_next (stream);

      if (n < 0)
        hermit_log (G_LOG_LEVEL_MESSAGE, stream_about (stream),
                    "%s, %s: connection lost: %s",
                    hermit_session_label (stream->session), stream->peer->name,
                    g_strerror (errno));
      if (n <= 0)
        break;
      stream->in_length += n;
      atomic_fetch_add_explicit (&stream->server->received, n,
                                 memory_order_relaxed);
      if (!stream_answer (stream, region, size, caps))
        break;
    }
  g_free (stream->in);
  g_free (stream->out);
}
