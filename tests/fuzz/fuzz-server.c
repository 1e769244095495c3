/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole connection: the input is what a client without a key sends from
 * HELLO on, and the server has to answer frame by frame and to be as empty
 * afterwards as it was before.
 */
#include <glib.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "fuzz-log.h"
#include "fuzz.h"
#include "server.h"
#include "session.h"
#include "store.h"
#include "uuid.h"
#include "wire/wire.h"

/* Less than the seeds' region: some writes find the server full. */
#define CAPACITY (3 * HERMIT_EXTENT_SIZE)
#define REGION_SIZE (8 * HERMIT_EXTENT_SIZE)

static HermitServer server;
static const HermitPeer peer = { .name = "peer" };

static void
init (void)
{
  fuzz_log_off ();
  server.identities = hermit_identities_new (NULL, NULL, NULL);
  server.store = hermit_store_new (
      &(HermitStoreConfig){ .capacity = CAPACITY, .overcommit = TRUE }, NULL);
  server.sessions = hermit_sessions_new (server.store);
  server.conns = hermit_conns_new ();
}

static gpointer
serve (gpointer data)
{
  hermit_conn_run (&server, GPOINTER_TO_INT (data), &peer);
  return NULL;
}

typedef struct
{
  int fd;
  const uint8_t *data;
  size_t size;
} Input;

static gpointer
feed (gpointer data)
{
  Input *input = data;

  while (input->size)
    {
      ssize_t n = send (input->fd, input->data, input->size, MSG_NOSIGNAL);

      if (n <= 0)
        break;
      input->data += n;
      input->size -= n;
    }
  shutdown (input->fd, SHUT_WR);
  return NULL;
}

static gboolean
receive_all (int fd, void *to, size_t length)
{
  uint8_t *at = to;

  while (length)
    {
      ssize_t n = recv (fd, at, length, 0);

      if (n <= 0)
        return FALSE;
      at += n;
      length -= n;
    }
  return TRUE;
}

/* The server speaks the protocol, whatever it is told. */
static void
check_answers (int fd)
{
  static const uint8_t steps[]
      = { HERMIT_MSG_CHALLENGE, HERMIT_MSG_WELCOME, 0 };
  struct hermit_wire_hdr hdr;
  uint8_t payload[HERMIT_WIRE_PAGE];
  const char *why;
  guint step = 0;

  while (receive_all (fd, &hdr, sizeof (hdr)))
    {
      if (hdr.type == HERMIT_MSG_REFUSE)
        require (!hermit_wire_check_handshake (&hdr, HERMIT_MSG_REFUSE, &why)
                 && steps[step]);
      else if (steps[step])
        require (!hermit_wire_check_handshake (&hdr, steps[step++], &why));
      else
        require (!hermit_wire_check_reply (&hdr, &why));
      require (receive_all (fd, payload, le32_to_cpu (hdr.length)));
    }
}

static void
check_session (const HermitSessionInfo *info, gpointer data)
{
  char **found = data;

  require (info->connections == 0);
  require (info->stored <= info->backed && info->backed <= CAPACITY);
  /* One connection, one session. */
  require (*found == NULL);
  *found = g_strdup (info->uuid);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *found = NULL;
  guint8 uuid[16];
  HermitStoreUsage usage;
  GThread *server_thread, *feed_thread;
  Input input;
  int fd[2];

  if (!server.store)
    init ();
  require (socketpair (AF_UNIX, SOCK_STREAM, 0, fd) == 0);
  input = (Input){ .fd = fd[0], .data = data, .size = size };
  server_thread = g_thread_new ("serve", serve, GINT_TO_POINTER (fd[1]));
  feed_thread = g_thread_new ("feed", feed, &input);
  check_answers (fd[0]);
  g_thread_join (server_thread);
  g_thread_join (feed_thread);
  close (fd[0]);

  hermit_sessions_visit (server.sessions, check_session, &found);
  if (found)
    require (hermit_uuid_parse (found, uuid)
             && hermit_sessions_forget (server.sessions, uuid, FALSE, NULL));
  usage = hermit_store_usage (server.store);
  require (usage.taken == 0 && usage.backed == 0);
  return 0;
}

/* ---- seeds ---- */

static size_t
add (uint8_t *data, size_t size, uint8_t type, uint64_t offset,
     uint32_t extent, const void *payload, uint32_t length)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, size, offset, extent, length);
  memcpy (data + size, &hdr, sizeof (hdr));
  if (length)
    memcpy (data + size + sizeof (hdr), payload, length);
  return size + sizeof (hdr) + length;
}

size_t
fuzz_seed (unsigned int i, uint8_t *data)
{
  static const uint8_t page[HERMIT_WIRE_PAGE] = { 1, 2, 3 };
  struct hermit_wire_hello hello = {
    .version_min = cpu_to_le16 (1),
    .version_max = cpu_to_le16 (1),
    .flags = cpu_to_le32 (HERMIT_HELLO_OPEN),
    .caps = cpu_to_le64 (HERMIT_CAP_DISCARD),
    .uuid = { 1, 2, 3 },
    .client_id = { 4 },
    .region_size = cpu_to_le64 (REGION_SIZE),
    .name = "fuzz",
  };
  struct hermit_wire_auth auth = { { 0 } };
  size_t size;

  size = add (data, 0, HERMIT_MSG_HELLO, 0, 0, &hello, sizeof (hello));
  size = add (data, size, HERMIT_MSG_AUTH, 0, 0, &auth, sizeof (auth));
  switch (i)
    {
    case 0: /* write, read back, discard, read again */
      size = add (data, size, HERMIT_MSG_WRITE, 8192, 0, page, sizeof (page));
      size = add (data, size, HERMIT_MSG_READ, 8192, 4096, NULL, 0);
      size = add (data, size, HERMIT_MSG_DISCARD, 4096, 8192, NULL, 0);
      size = add (data, size, HERMIT_MSG_READ, 8192, 4096, NULL, 0);
      return add (data, size, HERMIT_MSG_PING, 0, 0, NULL, 0);
    case 1: /* fill it, make room, and end */
      for (uint64_t extent = 0; extent < 5; extent++)
        size = add (data, size, HERMIT_MSG_WRITE, extent * HERMIT_EXTENT_SIZE,
                    0, page, sizeof (page));
      size = add (data, size, HERMIT_MSG_DISCARD, 0, HERMIT_EXTENT_SIZE, NULL,
                  0);
      size = add (data, size, HERMIT_MSG_WRITE, REGION_SIZE - 4096, 0, page,
                  sizeof (page));
      return add (data, size, HERMIT_MSG_END, 0, 0, NULL, 0);
    case 2: /* many reads */
      for (uint64_t n = 0; n < 100; n++)
        size = add (data, size, HERMIT_MSG_READ, n * 4096, 4096, NULL, 0);
      return size;
    case 3: /* a discard of all */
      return add (data, size, HERMIT_MSG_DISCARD, 0, REGION_SIZE, NULL, 0);
    case 4: /* only the handshake */
      return size;
    default:
      return 0;
    }
}
