/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http.h"

#include <errno.h>
#include <gio/gio.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "metrics.h"

/*
 * A few scrapers, and an operator who looks; each of them small and quick. It
 * takes sixteen addresses to keep the others out.
 */
#define CONNECTIONS_MAX 64u
#define CONNECTIONS_PER_ADDRESS 4u
#define CONNECTION_MEMORY ((size_t)8 << 10)
#define TIMEOUT_S 5u

/* Prometheus' text format. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct HermitHttp
{
  HermitServer *server;
  struct MHD_Daemon *daemon;
  char *name;
};

/* Takes @text, from g_malloc(). */
static enum MHD_Result
http_answer (struct MHD_Connection *connection, unsigned int status,
             const char *type, char *text)
{
  struct MHD_Response *response = MHD_create_response_from_buffer (
      strlen (text), text, MHD_RESPMEM_MUST_COPY);
  enum MHD_Result result = MHD_NO;

  g_free (text);
  if (response
      && MHD_add_response_header (response, "Content-Type", type) == MHD_YES
      && MHD_add_response_header (response, "Connection", "close") == MHD_YES)
    result = MHD_queue_response (connection, status, response);
  if (response)
    MHD_destroy_response (response);
  return result;
}

static enum MHD_Result
http_request (void *data, struct MHD_Connection *connection, const char *url,
              const char *method, const char *version G_GNUC_UNUSED,
              const char *upload G_GNUC_UNUSED, size_t *upload_size,
              void **state)
{
  static int seen;
  HermitHttp *http = data;
  gboolean draining = atomic_load (&http->server->draining);

  /* Once for the headers; a body, which nobody wants, ends the connection. */
  if (!*state)
    {
      *state = &seen;
      return MHD_YES;
    }
  if (*upload_size)
    return MHD_NO;
  if (strcmp (method, MHD_HTTP_METHOD_GET)
      && strcmp (method, MHD_HTTP_METHOD_HEAD))
    return http_answer (connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
                        g_strdup ("GET or HEAD\n"));
  if (!strcmp (url, "/metrics") || !strcmp (url, "/"))
    return http_answer (connection, MHD_HTTP_OK, METRICS_TYPE,
                        hermit_metrics_text (http->server));
  if (!strcmp (url, "/health"))
    return http_answer (connection,
                        draining ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                        "text/plain",
                        g_strdup (draining ? "shutting down\n" : "ok\n"));
  return http_answer (connection, MHD_HTTP_NOT_FOUND, "text/plain",
                      g_strdup ("/metrics or /health\n"));
}

G_GNUC_PRINTF (2, 0)
static void
http_log (void *data G_GNUC_UNUSED, const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);

  hermit_log_stranger (G_LOG_LEVEL_DEBUG, (HermitLogAbout){ .peer = NULL },
                       "metrics: %s", g_strchomp (text));
}

/* A socket that listens, so that what is wrong with the address is known. */
static int
http_listen (const HermitAddress *address)
{
  int fd = socket (address->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;

  if (fd < 0)
    return -1;
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof (on));
  if (address->addr.ss_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof (on));
  if (bind (fd, (const struct sockaddr *)&address->addr, address->length) == 0
      && listen (fd, CONNECTIONS_MAX) == 0)
    return fd;
  on = errno;
  close (fd);
  errno = on;
  return -1;
}

HermitHttp *
hermit_http_new (HermitServer *server, const HermitAddress *address,
                 GError **error)
{
  HermitAddress bound = { .length = sizeof (bound.addr) };
  g_autofree char *wanted = hermit_address_text (address);
  HermitHttp *http;
  int fd = http_listen (address);

  if (fd < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "--metrics: cannot listen on %s: %s", wanted,
                   g_strerror (errno));
      return NULL;
    }
  getsockname (fd, (struct sockaddr *)&bound.addr, &bound.length);
  http = g_new0 (HermitHttp, 1);
  http->server = server;
  http->name = hermit_address_text (&bound);
  /* The socket is the daemon's from here on, if it starts. */
  http->daemon = MHD_start_daemon (
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG, 0,
      NULL, NULL, http_request, http,
      /* First: it is for all that come after it. */
      MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
      MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
      MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_PER_ADDRESS,
      MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
  if (http->daemon)
    return http;
  close (fd);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
               "--metrics: cannot serve HTTP on %s", wanted);
  hermit_http_free (http);
  return NULL;
}

void
hermit_http_free (HermitHttp *http)
{
  if (!http)
    return;
  if (http->daemon)
    MHD_stop_daemon (http->daemon);
  g_free (http->name);
  g_free (http);
}

const char *
hermit_http_name (HermitHttp *http)
{
  return http->name;
}
