/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections of one region: who is let in, with and without a key, and what
 * of their requests lands. The input is a script of steps for three
 * connections; the server's answers are compared with a model:
 *
 *  possible	what a page may read as: what was acknowledged last, and what
 *		was sent and not acknowledged yet. A read settles it.
 *  pending	WRITEs that may still land. A new epoch, and the end of the
 *		region, leave none: what is read after them stays, whatever the
 *		older connections go on to send. That is the fence.
 *
 * An answer that does not come is a failure, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "conn.h"
#include "core/crc.h"
#include "door.h"
#include "fuzz-key.h"
#include "fuzz-log.h"
#include "fuzz.h"
#include "server.h"
#include "session.h"
#include "store.h"

#define CONNS 3
#define PAGES 4
#define STEPS_MAX 100
#define VALUES_MAX (STEPS_MAX + 1)
#define CAPACITY (2 * HERMIT_EXTENT_SIZE)
#define REGION_SIZE ((guint64)PAGES * HERMIT_EXTENT_SIZE)
#define PATIENCE_S 30

enum
{
  KEYED = 1, /* the input's first byte: the server has a key */
};

/* Each is three bytes: what, which connection, and an argument. */
enum step
{
  OPEN,      /* bit 0: which client; bit 7: a wrong proof; bit 6: bent, two more;
                bit 5: with checksums */
  JOIN,      /* as OPEN, and bit 1: an epoch that is over */
  WRITE,     /* page; waits for the answer */
  POST,      /* page; does not */
  BEGIN,     /* page; sends a part of a WRITE, the next byte says how much */
  FINISH,    /* the rest */
  READ,      /* page */
  DISCARD,   /* page */
  PING,
  END,
  CLOSE,
  FORGET,    /* bit 0: by force */
  NONSENSE,  /* so many bytes of it */
  NR_STEPS,
};

typedef struct
{
  int fd; /* -1: none */
  guint64 epoch;
  gboolean discards, enoent, sums;
  guint32 sent, received; /* tags */
  guint8 half[sizeof (struct hermit_wire_hdr) + HERMIT_WIRE_PAGE]
      __attribute__ ((aligned (8)));
  gsize half_sent; /* 0: no half frame */
  guint half_page, half_value;
} Conn;

typedef struct
{
  guint page, value, conn;
  guint32 tag;
} Pending;

static HermitServer server;
static HermitIdentities *identities[2]; /* without a key, and with one */
static const HermitPeer peer = { .name = "peer" };

/* One run. */
static struct
{
  const uint8_t *at, *end;
  Conn conns[CONNS];
  gboolean exists;
  guint8 client_id[16];
  guint64 epoch, incarnation;
  gboolean possible[PAGES][VALUES_MAX];
  Pending pending[STEPS_MAX];
  guint n_pending;
  guint value; /* the last one that was written; each only once */
  guint joins;
} run;

static guint8
next (void)
{
  return run.at < run.end ? *run.at++ : 0;
}

/* ---- the model ---- */

/* Nothing that was sent before may land any more. */
static void
model_fence (void)
{
  run.n_pending = 0;
}

static void
model_gone (void)
{
  model_fence ();
  run.exists = FALSE;
  memset (run.possible, 0, sizeof (run.possible));
  for (guint p = 0; p < PAGES; p++)
    run.possible[p][0] = TRUE;
}

/* The page reads as @value, but for what may still come. */
static void
model_settle (guint page, guint value)
{
  memset (run.possible[page], 0, sizeof (run.possible[page]));
  run.possible[page][value] = TRUE;
  for (guint i = 0; i < run.n_pending; i++)
    if (run.pending[i].page == page)
      run.possible[page][run.pending[i].value] = TRUE;
}

static void
model_post (guint conn, guint page, guint value)
{
  if (run.conns[conn].epoch != run.epoch || !run.exists)
    return;
  run.possible[page][value] = TRUE;
  run.pending[run.n_pending++]
      = (Pending){ page, value, conn, run.conns[conn].sent };
}

static void
model_answered (guint conn, guint32 tag, guint8 status)
{
  for (guint i = 0; i < run.n_pending; i++)
    {
      Pending p = run.pending[i];

      if (p.conn != conn || p.tag != tag)
        continue;
      run.pending[i] = run.pending[--run.n_pending];
      if (status != HERMIT_WIRE_OK)
        run.possible[p.page][p.value] = FALSE;
      return;
    }
}

/* ---- a connection ---- */

static void
conn_close (guint c)
{
  if (run.conns[c].fd >= 0)
    close (run.conns[c].fd);
  run.conns[c].fd = -1;
  run.conns[c].half_sent = 0;
  /* What it sent may still land, but no answer will be seen. */
  for (guint i = 0; i < run.n_pending; i++)
    if (run.pending[i].conn == c)
      run.pending[i].conn = CONNS;
}

static gboolean
send_all (int fd, const void *data, gsize length)
{
  const guint8 *at = data;

  while (length)
    {
      ssize_t n = send (fd, at, length, MSG_NOSIGNAL);

      require (n >= 0 || errno != EAGAIN);
      if (n <= 0)
        return FALSE;
      at += n;
      length -= n;
    }
  return TRUE;
}

static gboolean
receive_all (int fd, void *to, gsize length)
{
  guint8 *at = to;

  while (length)
    {
      ssize_t n = recv (fd, at, length, 0);

      /* Hung? */
      require (n >= 0 || errno != EAGAIN);
      if (n <= 0)
        return FALSE;
      at += n;
      length -= n;
    }
  return TRUE;
}

/* Is it of the region's epoch, so that the server has to answer it? */
static gboolean
conn_current (guint c)
{
  return run.conns[c].fd >= 0 && run.exists
         && run.conns[c].epoch == run.epoch;
}

static gsize
make_frame (guint c, guint8 *frame, guint8 type, guint page, guint32 extent,
            guint value)
{
  gboolean write = type == HERMIT_MSG_WRITE;
  gboolean no_offset = type == HERMIT_MSG_PING || type == HERMIT_MSG_END;
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, ++run.conns[c].sent,
                    no_offset ? 0 : (guint64)page * HERMIT_EXTENT_SIZE, extent,
                    write ? HERMIT_WIRE_PAGE : 0);
  if (write)
    memset (frame + sizeof (hdr), (int)value, HERMIT_WIRE_PAGE);
  if (run.conns[c].sums)
    hermit_wire_sum (&hdr, write ? hermit_crc_page (frame + sizeof (hdr)) : 0);
  memcpy (frame, &hdr, sizeof (hdr));
  return sizeof (hdr) + (write ? HERMIT_WIRE_PAGE : 0);
}

/* Answers in order, up to the last request's. FALSE: the connection is over. */
static gboolean
conn_wait (guint c, struct hermit_wire_hdr *hdr, guint8 *page)
{
  Conn *conn = &run.conns[c];
  const char *why;
  guint32 crc;

  while (conn->received != conn->sent)
    {
      if (!receive_all (conn->fd, hdr, sizeof (*hdr)))
        return FALSE;
      require (!conn->sums || !hermit_wire_check_sum (hdr, &crc, &why));
      require (!hermit_wire_check_reply (hdr, &why));
      require (le32_to_cpu (hdr->tag) == conn->received + 1);
      if (hdr->length)
        require (receive_all (conn->fd, page, HERMIT_WIRE_PAGE));
      conn->received++;
      model_answered (c, conn->received, hdr->status);
    }
  return TRUE;
}

/*
 * A request and its answer; FALSE if there is none, which only those of an
 * older epoch may say.
 */
static gboolean
conn_ask (guint c, guint8 type, guint page, guint32 extent, guint value,
          guint8 *status, guint8 *contents)
{
  guint8 frame[sizeof (struct hermit_wire_hdr) + HERMIT_WIRE_PAGE]
      __attribute__ ((aligned (8)));
  gboolean current = conn_current (c);
  struct hermit_wire_hdr hdr;
  gsize length;

  if (run.conns[c].fd < 0 || run.conns[c].half_sent)
    return FALSE;
  length = make_frame (c, frame, type, page, extent, value);
  if (!send_all (run.conns[c].fd, frame, length)
      || !conn_wait (c, &hdr, contents))
    {
      require (!current);
      conn_close (c);
      return FALSE;
    }
  require (current);
  require (hdr.type == (type | HERMIT_MSG_REPLY));
  *status = hdr.status;
  return TRUE;
}

/* ---- the handshake ---- */

static void
send_frame (int fd, guint8 type, const void *payload, guint32 length)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, 0, 0, 0, length);
  send_all (fd, &hdr, sizeof (hdr));
  send_all (fd, payload, length);
}

/* What is to come of @hello. */
static guint32
expected (const struct hermit_wire_hello *hello, gboolean proved)
{
  gboolean open = le32_to_cpu (hello->flags) & HERMIT_HELLO_OPEN;
  const char *why;
  guint16 version;
  guint32 code = hermit_wire_check_hello (hello, &version, &why);

  if (code)
    return code;
  if (!proved)
    return HERMIT_REFUSE_KEY;
  if (run.exists && memcmp (hello->client_id, run.client_id, 16) != 0)
    return HERMIT_REFUSE_BUSY;
  if (open)
    return 0;
  return run.exists && le64_to_cpu (hello->epoch) == run.epoch
             ? 0
             : HERMIT_REFUSE_EPOCH;
}

/* Returns the refusal, or 0 with @welcome. */
static guint32
shake (int fd, const struct hermit_wire_hello *hello, gboolean wrong,
       struct hermit_wire_challenge *challenge,
       struct hermit_wire_welcome *welcome)
{
  /* A capability may be bent into HELLO: then more is due. */
  gboolean more = le64_to_cpu (hello->caps) & HERMIT_CAP_UNRESERVED;
  struct hermit_wire_auth_more auth
      = { .unreserved = hello->nonce[1] ? hello->region_size : 0 };
  struct hermit_wire_refuse refuse;
  struct hermit_wire_hdr hdr;
  const char *why;
  const HermitKey *key
      = hermit_identities_keyed (server.identities) ? fuzz_key () : NULL;
  guint8 mac[HERMIT_WIRE_MAC_LEN];
  guint8 byte;

  send_frame (fd, HERMIT_MSG_HELLO, hello, sizeof (*hello));
  require (receive_all (fd, &hdr, sizeof (hdr)));
  if (hdr.type != HERMIT_MSG_REFUSE)
    {
      require (!hermit_wire_check_handshake (&hdr, HERMIT_MSG_CHALLENGE, &why));
      require (receive_all (fd, challenge, sizeof (*challenge)));
      require (!challenge->keyed == !key);
      if (key)
        {
          hermit_key_mac (key, 'S', hello, challenge, mac);
          require (hermit_mac_equal (mac, challenge->mac));
          if (more)
            hermit_key_mac_more (key, hello, challenge, &auth, auth.mac);
          else
            hermit_key_mac (key, 'C', hello, challenge, auth.mac);
        }
      if (wrong)
        auth.mac[hello->nonce[0] % sizeof (auth.mac)] ^= 1;
      if (more)
        send_frame (fd, HERMIT_MSG_AUTH_MORE, &auth, sizeof (auth));
      else
        send_frame (fd, HERMIT_MSG_AUTH, &auth, sizeof (auth.mac));
      require (receive_all (fd, &hdr, sizeof (hdr)));
    }
  if (hdr.type == HERMIT_MSG_WELCOME)
    {
      require (!hermit_wire_check_handshake (&hdr, HERMIT_MSG_WELCOME, &why));
      require (receive_all (fd, welcome, sizeof (*welcome)));
      return 0;
    }
  require (!hermit_wire_check_handshake (&hdr, HERMIT_MSG_REFUSE, &why));
  require (receive_all (fd, &refuse, sizeof (refuse)));
  /* Once, and it is the last word. */
  require (!receive_all (fd, &byte, 1));
  return le32_to_cpu (refuse.code);
}

static void
attach (guint c, guint8 arg, gboolean open)
{
  struct hermit_wire_hello hello = {
    .version_min = cpu_to_le16 (1),
    .version_max = cpu_to_le16 (1),
    .flags = cpu_to_le32 (open ? HERMIT_HELLO_OPEN : 0),
    .caps = cpu_to_le64 (HERMIT_CAP_DISCARD | HERMIT_CAP_MULTICONN
                         | HERMIT_CAP_ENOENT
                         | (arg & 0x20 ? HERMIT_CAP_CHECKSUM : 0)),
    .uuid = { 1 },
    .client_id = { 2 + (arg & 1) },
    .region_size = cpu_to_le64 (REGION_SIZE),
    .epoch = cpu_to_le64 (open ? 0 : run.epoch - (arg >> 1 & 1)),
    .nonce = { arg },
    .name = "fuzz",
  };
  struct timeval patience = { .tv_sec = PATIENCE_S };
  struct hermit_wire_challenge challenge;
  struct hermit_wire_welcome welcome;
  Conn *conn = &run.conns[c];
  guint64 epoch;
  guint32 code, result;
  int fd[2];

  if (run.joins++ == HERMIT_SESSION_CONNECTIONS / 2)
    return;
  if (arg & 0x40)
    {
      /* But for what says whose and which region it is. */
      guint at = next () % (sizeof (hello) - 48);

      ((guint8 *)&hello)[at < 16 ? at : at + 48] ^= next ();
    }
  open = le32_to_cpu (hello.flags) & HERMIT_HELLO_OPEN;
  conn_close (c);
  require (socketpair (AF_UNIX, SOCK_STREAM, 0, fd) == 0);
  setsockopt (fd[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof (patience));
  setsockopt (fd[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof (patience));
  hermit_door_admit (server.door, fd[1], &peer);
  code = expected (&hello, !(arg & 0x80));
  result = shake (fd[0], &hello, arg & 0x80, &challenge, &welcome);
  require (result == code);
  if (result)
    {
      close (fd[0]);
      return;
    }

  epoch = le64_to_cpu (welcome.epoch);
  if (open)
    {
      require (epoch > run.epoch);
      if (run.exists)
        require (le64_to_cpu (welcome.incarnation) == run.incarnation);
      else
        require (le64_to_cpu (welcome.incarnation) != run.incarnation
                 && !welcome.used);
      model_fence ();
      run.exists = TRUE;
      run.epoch = epoch;
      run.incarnation = le64_to_cpu (welcome.incarnation);
      memcpy (run.client_id, hello.client_id, sizeof (run.client_id));
    }
  require (epoch == run.epoch);
  require (le64_to_cpu (welcome.incarnation) == run.incarnation);
  *conn = (Conn){
    .fd = fd[0],
    .epoch = epoch,
    .discards = le64_to_cpu (challenge.caps) & HERMIT_CAP_DISCARD,
    .sums = (le64_to_cpu (challenge.caps) & HERMIT_CAP_CHECKSUM) != 0,
    .enoent = (le64_to_cpu (challenge.caps) & HERMIT_CAP_ENOENT) != 0,
  };
}

/* ---- the script ---- */

static void
check_page (guint c, guint page)
{
  guint8 contents[HERMIT_WIRE_PAGE], status;

  if (!conn_ask (c, HERMIT_MSG_READ, page, HERMIT_WIRE_PAGE, 0, &status,
                 contents))
    return;
  /* No value that is written is 0. */
  require (status == (run.conns[c].enoent && !contents[0] ? HERMIT_WIRE_ENOENT
                                                          : HERMIT_WIRE_OK));
  for (guint i = 1; i < sizeof (contents); i++)
    require (contents[i] == contents[0]);
  require (contents[0] < VALUES_MAX && run.possible[page][contents[0]]);
  model_settle (page, contents[0]);
}

static void
begin (guint c, guint page, gsize length)
{
  Conn *conn = &run.conns[c];

  if (conn->fd < 0 || conn->half_sent)
    return;
  conn->half_page = page;
  conn->half_value = ++run.value;
  make_frame (c, conn->half, HERMIT_MSG_WRITE, page, 0, conn->half_value);
  conn->half_sent = 1 + length * 16 % (sizeof (conn->half) - 1);
  if (!send_all (conn->fd, conn->half, conn->half_sent))
    {
      require (!conn_current (c));
      conn_close (c);
    }
}

static void
finish (guint c)
{
  Conn *conn = &run.conns[c];

  if (conn->fd < 0 || !conn->half_sent)
    return;
  model_post (c, conn->half_page, conn->half_value);
  if (!send_all (conn->fd, conn->half + conn->half_sent,
                 sizeof (conn->half) - conn->half_sent))
    {
      require (!conn_current (c));
      conn_close (c);
    }
  conn->half_sent = 0;
}

static void
forget (gboolean force)
{
  const guint8 uuid[16] = { 1 };
  gboolean ok = hermit_sessions_forget (server.sessions, uuid, force, NULL);

  require (run.exists || !ok);
  require (ok || !force || !run.exists);
  if (ok)
    model_gone ();
}

static void
step (void)
{
  guint8 what = next () % NR_STEPS;
  guint c = next () % CONNS;
  guint8 arg = next (), status;
  guint8 junk[HERMIT_WIRE_PAGE];
  guint page = arg % PAGES;

  switch (what)
    {
    case OPEN:
    case JOIN:
      attach (c, arg, what == OPEN);
      break;
    case WRITE:
      if (conn_ask (c, HERMIT_MSG_WRITE, page, 0, ++run.value, &status, junk)
          && status == HERMIT_WIRE_OK)
        model_settle (page, run.value);
      break;
    case POST:
      if (run.conns[c].half_sent)
        break;
      begin (c, page, 0);
      finish (c);
      break;
    case BEGIN:
      begin (c, page, next ());
      break;
    case FINISH:
      finish (c);
      break;
    case READ:
      check_page (c, page);
      break;
    case DISCARD:
      if (!run.conns[c].discards)
        break;
      if (conn_ask (c, HERMIT_MSG_DISCARD, page, HERMIT_WIRE_PAGE, 0, &status,
                    junk))
        {
          require (status == HERMIT_WIRE_OK);
          model_settle (page, 0);
        }
      break;
    case PING:
      conn_ask (c, HERMIT_MSG_PING, 0, 0, 0, &status, junk);
      break;
    case END:
      if (conn_ask (c, HERMIT_MSG_END, 0, 0, 0, &status, junk))
        {
          require (status == HERMIT_WIRE_OK);
          model_gone ();
        }
      break;
    case CLOSE:
      conn_close (c);
      break;
    case FORGET:
      forget (arg & 1);
      break;
    case NONSENSE:
      memset (junk, 0xff, sizeof (junk));
      if (run.conns[c].fd >= 0 && !run.conns[c].half_sent)
        send_all (run.conns[c].fd, junk, arg);
      conn_close (c);
      break;
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  HermitStoreUsage usage;

  if (!server.store)
    {
      fuzz_log_off ();
      g_autofree char *path = fuzz_key_file ();

      identities[0] = hermit_identities_new (NULL, NULL, NULL);
      identities[1] = hermit_identities_new (path, NULL, NULL);
      unlink (path);
      server.store = hermit_store_new (
          &(HermitStoreConfig){ .capacity = CAPACITY, .overcommit = TRUE },
          NULL);
      server.sessions = hermit_sessions_new (server.store);
      server.conns = hermit_conns_new ();
      server.door = hermit_door_new (&server, HERMIT_DOOR_PLACES,
                                     hermit_conn_start, NULL);
    }
  memset (&run, 0, sizeof (run));
  run.at = data;
  run.end = data + size;
  for (guint c = 0; c < CONNS; c++)
    run.conns[c].fd = -1;
  model_gone ();
  server.identities = identities[next () & KEYED ? 1 : 0];
  for (guint i = 0; i < STEPS_MAX && run.at < run.end; i++)
    step ();

  for (guint c = 0; c < CONNS; c++)
    conn_close (c);
  forget (TRUE);
  hermit_conns_drain (server.conns);
  usage = hermit_store_usage (server.store);
  require (usage.taken == 0 && usage.backed == 0);
  return 0;
}

/* ---- seeds ---- */

size_t
fuzz_seed (unsigned int i, uint8_t *data)
{
  static const uint8_t seeds[][64] = {
    /* a fence: half a write and a whole one of the epoch before */
    { 0, OPEN, 0, 0, WRITE, 0, 1, BEGIN, 0, 1, 100, OPEN, 1, 0, READ, 1, 1,
      FINISH, 0, 0, READ, 1, 1, POST, 0, 1, READ, 1, 1, WRITE, 1, 1, READ, 1,
      1 },
    /* what was not acknowledged */
    { 0, OPEN, 0, 0, POST, 0, 2, POST, 0, 2, JOIN, 1, 0, POST, 1, 2, OPEN, 2,
      0, READ, 2, 2, READ, 0, 2, READ, 2, 2, DISCARD, 2, 2, READ, 2, 2, END,
      2, 0, OPEN, 0, 1, READ, 0, 2 },
    /* with checksums, and beside them without */
    { 0, OPEN, 0, 0x20, WRITE, 0, 1, JOIN, 1, 0, READ, 1, 1, WRITE, 1, 2, READ,
      0, 2, BEGIN, 0, 3, 90, FINISH, 0, 0, READ, 0, 3, DISCARD, 0, 1, READ, 0,
      1, PING, 0, 0, END, 0, 0 },
    /* keys */
    { KEYED, OPEN, 0, 0, WRITE, 0, 0, OPEN, 1, 0x80, READ, 0, 0, JOIN, 1, 0x80,
      JOIN, 1, 0, READ, 1, 0, OPEN, 2, 1, JOIN, 2, 2 },
    { 0, OPEN, 0, 0x80, OPEN, 0, 0xc0, 8, 1, OPEN, 0, 0x40, 16, 1, OPEN, 0,
      0x40, 4, 1, JOIN, 1, 0 },
    /* full, and room again */
    { 0, OPEN, 0, 0, WRITE, 0, 0, WRITE, 0, 1, WRITE, 0, 2, POST, 0, 3, READ,
      0, 3, DISCARD, 0, 1, WRITE, 0, 2, PING, 0, 0, READ, 0, 2 },
    /* the operator, and nonsense */
    { 0, OPEN, 0, 0, JOIN, 1, 0, WRITE, 1, 0, FORGET, 0, 0, NONSENSE, 1, 40,
      READ, 0, 0, FORGET, 0, 1, READ, 0, 0, OPEN, 0, 1, READ, 0, 0, CLOSE, 0,
      0, FORGET, 0, 0 },
  };

  if (i >= G_N_ELEMENTS (seeds))
    return 0;
  memcpy (data, seeds[i], sizeof (seeds[i]));
  return sizeof (seeds[i]);
}
