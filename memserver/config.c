/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <gio/gio.h>
#include <netdb.h>
#include <string.h>
#include <sys/un.h>

#include "control.h"
#include "log.h"

/* Below this much available memory the host is about to kill processes. */
#define MIN_FREE_DEFAULT "64M"

G_GNUC_PRINTF (2, 3)
static gboolean
invalid (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error)
    *error = g_error_new_valist (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                                 format, args);
  va_end (args);
  return FALSE;
}

gboolean
hermit_size_parse (const char *text, guint64 *size, GError **error)
{
  static const char suffixes[] = "KMGT";
  const char *suffix;
  char *end;
  guint64 n;
  guint shift = 0;

  if (!g_ascii_isdigit (*text))
    goto bad;
  errno = 0;
  n = g_ascii_strtoull (text, &end, 10);
  if (errno)
    goto bad;
  if (*end)
    {
      suffix = strchr (suffixes, g_ascii_toupper (*end));
      if (!suffix || end[1])
        goto bad;
      shift = 10 * (guint)(suffix - suffixes + 1);
    }
  if (n > G_MAXUINT64 >> shift)
    goto bad;
  *size = n << shift;
  return TRUE;

bad:
  return invalid (error,
                  "'%s' is not a size: a number, perhaps with K, M, G or T",
                  text);
}

gboolean
hermit_duration_parse (const char *text, guint64 *seconds, GError **error)
{
  static const struct
  {
    char suffix;
    guint64 seconds;
  } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
  gsize length = strlen (text);
  g_autofree char *number = g_strndup (text, length ? length - 1 : 0);

  for (guint i = 0; length && i < G_N_ELEMENTS (units); i++)
    if (text[length - 1] == units[i].suffix
        && g_ascii_string_to_unsigned (number, 10, 0, 1000000, seconds, NULL))
      {
        *seconds *= units[i].seconds;
        return TRUE;
      }
  return invalid (error, "'%s' is not a time: a number with s, m, h or d",
                  text);
}

gboolean
hermit_address_parse (const char *text, HermitAddress *address, GError **error)
{
  struct addrinfo hints = {
    .ai_family = AF_UNSPEC,
    .ai_socktype = SOCK_STREAM,
    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
  };
  const char *colon = strrchr (text, ':');
  g_autofree char *host = NULL;
  struct addrinfo *found;
  guint64 port;
  gsize length;

  if (!colon
      || !g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL))
    return invalid (error, "'%s' is not ADDR:PORT", text);
  host = g_strndup (text, colon - text);
  length = strlen (host);
  if (length > 2 && host[0] == '[' && host[length - 1] == ']')
    {
      memmove (host, host + 1, length - 2);
      host[length - 2] = '\0';
      hints.ai_family = AF_INET6;
    }
  else if (strchr (host, ':'))
    return invalid (error, "'%s': put the IPv6 address in brackets", text);
  else
    hints.ai_family = AF_INET;

  if (!*host
      || getaddrinfo (strcmp (host, "*") ? host : "0.0.0.0", colon + 1, &hints,
                      &found))
    return invalid (error, "'%s': '%s' is not a numeric address", text, host);
  memset (address, 0, sizeof (*address));
  memcpy (&address->addr, found->ai_addr, found->ai_addrlen);
  address->length = found->ai_addrlen;
  freeaddrinfo (found);
  return TRUE;
}

gboolean
hermit_address_unix (const char *path, HermitAddress *address, GError **error)
{
  struct sockaddr_un un = { .sun_family = AF_UNIX };

  if (!*path || strlen (path) >= sizeof (un.sun_path))
    return invalid (error, "'%s' is no path for a socket: 1 to %zu bytes",
                    path, sizeof (un.sun_path) - 1);
  strcpy (un.sun_path, path);
  memset (address, 0, sizeof (*address));
  memcpy (&address->addr, &un, sizeof (un));
  address->length = sizeof (un);
  return TRUE;
}

gboolean
hermit_address_is_loopback (const HermitAddress *address)
{
  const struct sockaddr_in *in = (const struct sockaddr_in *)&address->addr;
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)in;

  if (address->addr.ss_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK (&in6->sin6_addr);
  return ntohl (in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

char *
hermit_address_text (const HermitAddress *address)
{
  char host[NI_MAXHOST], port[NI_MAXSERV];

  if (getnameinfo ((const struct sockaddr *)&address->addr, address->length,
                   host, sizeof (host), port, sizeof (port),
                   NI_NUMERICHOST | NI_NUMERICSERV))
    return g_strdup ("unknown");
  return g_strdup_printf (strchr (host, ':') ? "[%s]:%s" : "%s:%s", host,
                          port);
}

static gboolean
config_listen (HermitConfig *config, char **texts, GError **error)
{
  for (; texts && *texts; texts++)
    {
      gboolean rdma = g_str_has_prefix (*texts, "rdma:");
      HermitAddress address;

      if (!rdma && !g_str_has_prefix (*texts, "tcp:"))
        return invalid (error,
                        "--listen: '%s' is not tcp:ADDR:PORT or "
                        "rdma:ADDR:PORT",
                        *texts);
      if (!hermit_address_parse (strchr (*texts, ':') + 1, &address, error))
        {
          g_prefix_error (error, "--listen: ");
          return FALSE;
        }
      g_array_append_val (rdma ? config->listen_rdma : config->listen,
                          address);
    }
  if (!config->listen->len && !config->listen_rdma->len)
    return invalid (error, "--listen is missing: tcp:ADDR:PORT");
  return TRUE;
}

/* Whom does it serve that it does not know? */
static gboolean
config_check_secure (const HermitConfig *config, GError **error)
{
  const GArray *lists[] = { config->listen, config->listen_rdma };

  if (config->key_file || config->keys || config->insecure)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    for (guint j = 0; j < lists[i]->len; j++)
      {
        const HermitAddress *address
            = &g_array_index (lists[i], HermitAddress, j);
        g_autofree char *text = hermit_address_text (address);

        if (!hermit_address_is_loopback (address))
          return invalid (error,
                          "--listen: everybody who can reach %s could use this "
                          "server: give it a key with --key-file or --keys, or "
                          "say --insecure",
                          text);
      }
  return TRUE;
}

static gboolean
config_check (HermitConfig *config, char **listen, const char *capacity,
              const char *min_free, const char *metrics, GError **error)
{
  if (!config_listen (config, listen, error)
      || !config_check_secure (config, error))
    return FALSE;
  if (!capacity)
    return invalid (error, "--capacity is missing: how much memory to lend");
  if (!hermit_size_parse (capacity, &config->capacity, error))
    {
      g_prefix_error (error, "--capacity: ");
      return FALSE;
    }
  if (!config->capacity)
    return invalid (error, "--capacity: 0 is no memory to lend");
  if (config->take_over && !config->control)
    return invalid (error, "--take-over: --control is missing: the socket of "
                           "the server to take over from");
  if (config->preallocate && config->overcommit)
    return invalid (error, "--preallocate promises what --overcommit does "
                           "not: choose one");
  if (!hermit_size_parse (min_free ? min_free : MIN_FREE_DEFAULT,
                          &config->min_free, error))
    {
      g_prefix_error (error, "--min-free: ");
      return FALSE;
    }
  if (metrics)
    {
      config->metrics = g_new0 (HermitAddress, 1);
      if (!hermit_address_parse (metrics, config->metrics, error))
        {
          g_prefix_error (error, "--metrics: ");
          return FALSE;
        }
    }
  return TRUE;
}

HermitConfig *
hermit_config_new (int *argc, char ***argv, GError **error)
{
  g_autoptr (HermitConfig) config = g_new0 (HermitConfig, 1);
  g_autoptr (GOptionContext) context = NULL;
  g_auto (GStrv) listen = NULL;
  g_autofree char *capacity = NULL;
  g_autofree char *numa = NULL;
  g_autofree char *min_free = NULL;
  g_autofree char *metrics = NULL;
  g_autofree char *log = NULL;
  const GOptionEntry entries[] = {
    { "listen", 'l', 0, G_OPTION_ARG_STRING_ARRAY, &listen,
      "Serve clients there; may be repeated. Port 0 takes a free one",
      "tcp:ADDR:PORT|rdma:ADDR:PORT" },
    { "capacity", 'c', 0, G_OPTION_ARG_STRING, &capacity,
      "Memory to lend, in all", "SIZE" },
    { "key-file", 'k', 0, G_OPTION_ARG_FILENAME, &config->key_file,
      "Admit only clients that have this key", "FILE" },
    { "keys", 0, 0, G_OPTION_ARG_FILENAME, &config->keys,
      "The same for many keys, each with a name and limits", "DIR" },
    { "insecure", 0, 0, G_OPTION_ARG_NONE, &config->insecure,
      "Without a key, listen on more than loopback all the same", NULL },
    { "overcommit", 0, 0, G_OPTION_ARG_NONE, &config->overcommit,
      "Promise more than the capacity; give what is there", NULL },
    { "preallocate", 0, 0, G_OPTION_ARG_NONE, &config->preallocate,
      "Take all of the capacity from the host at the start", NULL },
    { "lock", 0, 0, G_OPTION_ARG_NONE, &config->lock,
      "Never let it be swapped out", NULL },
    { "numa", 0, 0, G_OPTION_ARG_STRING, &numa,
      "Take it from these nodes only, or from all or some by turns",
      "NODES|interleave[:NODES]" },
    { "take-over", 0, 0, G_OPTION_ARG_NONE, &config->take_over,
      "Go on with the memory of the server at --control, which ends", NULL },
    { "stop-when-empty", 0, 0, G_OPTION_ARG_NONE, &config->stop_when_empty,
      "Told to end, drain first, until nothing would be lost; told again, end",
      NULL },
    { "min-free", 0, 0, G_OPTION_ARG_STRING, &min_free,
      "Leave the host this much memory (default " MIN_FREE_DEFAULT ")",
      "SIZE" },
    { "control", 0, 0, G_OPTION_ARG_FILENAME, &config->control,
      "Unix socket for the operator; with COMMAND, the one to send it to",
      "PATH" },
    { "metrics", 0, 0, G_OPTION_ARG_STRING, &metrics,
      "Serve metrics for Prometheus there, over HTTP", "ADDR:PORT" },
    { "log-level", 0, 0, G_OPTION_ARG_STRING, &log,
      "The least important messages to log: error, warning, message (the "
      "default) or debug",
      "LEVEL" },
    { "version", 'V', 0, G_OPTION_ARG_NONE, &config->version,
      "Print the version and exit", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };

  config->listen = g_array_new (FALSE, FALSE, sizeof (HermitAddress));
  config->listen_rdma = g_array_new (FALSE, FALSE, sizeof (HermitAddress));
  context = g_option_context_new ("[COMMAND..] - lend memory to virtual "
                                  "machines on other hosts");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_description (
      context,
      "Sizes are bytes, or have a suffix: K, M, G or T.\n"
      "Commands, for a running server: " HERMIT_CONTROL_COMMANDS ".\n");
  /* What follows the command is the command's. */
  g_option_context_set_strict_posix (context, TRUE);
  if (!g_option_context_parse (context, argc, argv, error))
    return NULL;
  if (config->version)
    return g_steal_pointer (&config);
  if (!hermit_log_level_parse (log ? log : "message", &config->log))
    {
      invalid (error, "--log-level: '%s' is not error, warning, message or "
                      "debug",
               log);
      return NULL;
    }

  if (*argc > 1)
    {
      config->command = g_strjoinv (" ", *argv + 1);
      if (!config->control)
        {
          invalid (error,
                   "'%s': --control is missing: the socket of the "
                   "server to ask",
                   config->command);
          return NULL;
        }
      return g_steal_pointer (&config);
    }
  if (numa)
    {
      config->numa = g_new (HermitNuma, 1);
      if (!hermit_numa_parse (numa, config->numa, error))
        return NULL;
    }
  if (!config_check (config, listen, capacity, min_free, metrics, error))
    return NULL;
  return g_steal_pointer (&config);
}

void
hermit_config_free (HermitConfig *config)
{
  if (!config)
    return;
  g_array_unref (config->listen);
  g_array_unref (config->listen_rdma);
  g_free (config->key_file);
  g_free (config->keys);
  g_free (config->control);
  g_free (config->numa);
  g_free (config->metrics);
  g_free (config->command);
  g_free (config);
}
