/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_CLIENT_H
#define HERMIT_TEST_CLIENT_H
/*
 * What the tests of the server share: a server in a process of its own, and a
 * plain blocking client. Everything that fails ends the test, unless the
 * function returns whether it did.
 */
#include <gio/gio.h>

#include "auth.h"
#include "wire/wire.h"

#define PAGE HERMIT_WIRE_PAGE
#define MIB (1ULL << 20)

typedef struct
{
  GSubprocess *process;
  GDataInputStream *out; /* what it prints */
  char *dir;             /* temporary; removed at the end */
  char *control;         /* the control socket */
  char *log;             /* what it wrote to stderr */
  guint port;            /* on 127.0.0.1 */
} Server;

/* With these options besides --listen and --control; NULL-terminated. */
Server *server_start (const char *option, ...) G_GNUC_NULL_TERMINATED;
/*
 * The same in its parts: a place for a server; and a process in it, which may
 * be another one than before. @wrapper, a shell's line that ends in "$@", and
 * @launcher may be NULL; the launcher has no flags.
 */
Server *server_new (void);
void server_run (Server *server, GSubprocessLauncher *launcher,
                 const char *wrapper, const char *const *options);
/* SIGKILL, and its end. */
void server_kill (Server *server);
/* The process ends by itself, with 0; the place stays. */
void server_wait (Server *server);
/* The next line that it prints. */
char *server_line (Server *server);
/* SIGTERM; it must exit with 0. */
void server_stop (Server *server);
/* A command to the control socket. */
char *server_ask (Server *server, const char *command);
/* Wait for a line of the log that has all of @needles, a |-separated list. */
void server_wait_log (Server *server, const char *needles);
/* Entries of /proc/PID/@what of its process: its threads in "task", or "fd". */
guint server_count (Server *server, const char *what);
/* The number after @word in the line of `list` for the region of @uuid. */
guint64 server_region (Server *server, const guint8 uuid[16],
                       const char *word);

/* A client of a region; may have several connections. */
typedef struct
{
  Server *server;
  const HermitKey *key;
  guint8 uuid[16];
  guint8 id[16];
  guint64 size;
  guint64 unreserved; /* of it; said if it is not 0 */
  guint64 epoch;
  guint64 incarnation;
} Client;

Client client_new (Server *server, guint8 region, guint8 id, guint64 size);

/* What came of a handshake. */
typedef struct
{
  int fd;         /* -1 if refused */
  guint32 code;   /* enum hermit_wire_refusal, 0 if it just closed */
  char text[120]; /* the refusal's */
  struct hermit_wire_welcome welcome;
} Attempt;

struct hermit_wire_hello client_hello (const Client *client, gboolean open);
/* A bare connection to the server. */
int client_connect (const Client *client);
/* The handshake on it with @hello; takes @fd. */
Attempt client_try (const Client *client, int fd,
                    const struct hermit_wire_hello *hello);
/* The usual: connect, and the handshake must succeed. */
int client_open (Client *client);
int client_join (Client *client);
/* The handshake must be refused with @code. */
void client_refused (Client *client, gboolean open, guint32 code);

/* TRUE and the bytes, or FALSE if the connection ended before. */
gboolean receive_all (int fd, void *to, gsize length);
gboolean send_all (int fd, const void *data, gsize length);
/* TRUE if the server has closed; waits for it. */
gboolean is_closed (int fd);

/* One request and its reply; returns the status. */
guint8 do_read (int fd, guint64 offset, void *page);
guint8 do_write (int fd, guint64 offset, const void *page);
guint8 do_discard (int fd, guint64 offset, guint32 length);
guint8 do_end (int fd);
guint64 do_ping (int fd);

/* A request's frame, with a page if it is a WRITE. Returns its length. */
#define FRAME_MAX (sizeof (struct hermit_wire_hdr) + PAGE)
gsize make_frame (guint8 *frame, guint8 type, guint32 tag, guint64 offset,
                  const void *page);

/* A page that says what it is; and whether one does. */
void fill_page (void *page, guint64 owner, guint64 offset, guint64 version);
gboolean page_is (const void *page, guint64 owner, guint64 offset,
                  guint64 version);
gboolean page_is_zero (const void *page);

#endif /* HERMIT_TEST_CLIENT_H */
