/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <gio/gio.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "conn.h"
#include "control.h"
#include "door.h"
#include "handover.h"
#include "http.h"
#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "notify.h"
#include "rdma_listener.h"
#include "room.h"
#include "server.h"
#include "session.h"
#include "store.h"

#define PROGRAM "hermit-memserver"

/* The names under which the service manager keeps the descriptors. */
#define MEMORY "hermit-memory"
#define LEDGER "hermit-ledger"

/* How old what it is told of our regions may be. */
#define STATUS_S 2
/* How often to look whether what is drained is empty. */
#define EMPTY_MS 500

/* What SIGTERM and SIGINT do. */
typedef struct
{
  HermitServer *server;
  gboolean when_empty;
  guint waiting; /* a source: until nothing is lent; 0: not */
} Stop;

static void
on_accept (int fd, const HermitPeer *peer, gpointer data)
{
  hermit_door_admit (data, fd, peer);
}

static gboolean
on_reload (gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (hermit_identities_reload (data, &error))
    g_message ("the keys were read again");
  else
    g_warning ("%s; the keys stay as they were", error->message);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_look (gpointer data)
{
  Stop *stop = data;
  HermitSessionsTotal total = hermit_sessions_total (stop->server->sessions);

  if (total.needing && total.draining == HERMIT_DRAIN_ALL)
    return G_SOURCE_CONTINUE;
  if (total.needing)
    g_message ("the end is called off by \"drain\"");
  else
    g_main_loop_quit (stop->server->loop);
  stop->waiting = 0;
  return G_SOURCE_REMOVE;
}

static gboolean
on_signal (gpointer data)
{
  Stop *stop = data;
  HermitServer *server = stop->server;
  g_autofree char *lent = NULL;

  /* What the manager keeps is not lost. */
  if (!stop->when_empty || stop->waiting || hermit_notify_listens ()
      || !hermit_sessions_total (server->sessions).needing)
    {
      g_main_loop_quit (server->loop);
      return G_SOURCE_CONTINUE;
    }
  hermit_sessions_drain (server->sessions, HERMIT_DRAIN_ALL);
  lent = hermit_metrics_lent (server);
  g_warning ("told to end, which would lose what is lent: %s; ends when that is "
             "given back, or when told once more; \"drain off\" calls it off",
             lent);
  stop->waiting = g_timeout_add (EMPTY_MS, on_look, stop);
  return G_SOURCE_CONTINUE;
}

/* Everything that is listened on; FALSE with what there was until then. */
static gboolean
listen_all (const HermitConfig *config, HermitServer *server,
            HermitControl *control, GPtrArray *listeners, GPtrArray *rdma,
            HermitHttp **http, GError **error)
{
  for (guint i = 0; i < config->listen->len; i++)
    {
      HermitListener *listener
          = hermit_listener_tcp_new (&g_array_index (config->listen,
                                                     HermitAddress, i),
                                     on_accept, server->door, error);

      if (!listener)
        return FALSE;
      g_ptr_array_add (listeners, listener);
      printf ("listening on tcp:%s\n", hermit_listener_name (listener));
    }
  for (guint i = 0; i < config->listen_rdma->len; i++)
    {
      HermitRdmaListener *listener
          = hermit_rdma_listener_new (&g_array_index (config->listen_rdma,
                                                      HermitAddress, i),
                                      server, error);

      if (!listener)
        return FALSE;
      g_ptr_array_add (rdma, listener);
      printf ("listening on rdma:%s\n", hermit_rdma_listener_name (listener));
    }
  if (config->control)
    {
      HermitListener *listener
          = hermit_listener_unix_new (config->control, hermit_control_accept,
                                      control, error);

      if (!listener)
        return FALSE;
      g_ptr_array_add (listeners, listener);
    }
  if (config->metrics)
    {
      *http = hermit_http_new (server, config->metrics, error);
      if (!*http)
        return FALSE;
      printf ("metrics on http://%s/metrics\n", hermit_http_name (*http));
    }
  fflush (stdout);
  return TRUE;
}

/*
 * As many places for strangers as there may be, but at most a quarter of the
 * descriptors: the rest is for clients, the operator, and the log.
 */
static guint
door_places (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit))
    return HERMIT_DOOR_PLACES / 4;
  /* select(), for which the soft limit is low, is used nowhere. */
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  return (guint)CLAMP (limit.rlim_max / 4, 2 * HERMIT_DOOR_STRANGER_SHARE,
                       HERMIT_DOOR_PLACES);
}

/* For systemctl: what it lends, when that is not what it was. */
static gboolean
on_status (gpointer data)
{
  static char *last;
  g_autofree char *lent = hermit_metrics_lent (data);

  if (!g_strcmp0 (lent, last))
    return G_SOURCE_CONTINUE;
  hermit_notify ("STATUS=%s", lent);
  g_free (last);
  last = g_steal_pointer (&lent);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_watchdog (gpointer data G_GNUC_UNUSED)
{
  hermit_notify ("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

/*
 * With the memory that an earlier process left, in the service manager's hands
 * or in its own; or with new memory.
 */
static gboolean
store_open (const HermitConfig *config, HermitServer *server, GError **error)
{
  HermitStoreConfig store = {
    .capacity = config->capacity,
    .overcommit = config->overcommit,
    .min_free = config->min_free,
    .preallocate = config->preallocate,
    .lock = config->lock,
    .numa = config->numa,
    .memory = hermit_notify_take (MEMORY),
    .ledger = hermit_notify_take (LEDGER),
  };

  gboolean kept = store.memory && store.ledger;

  hermit_room_init ();
  if (!hermit_room_check (config->capacity, error))
    return FALSE;
  if (!store.memory != !store.ledger)
    {
      g_warning ("the service manager has kept only a part of the memory: it "
                 "is lost; FileDescriptorStoreMax= is to be 2 at least");
      close (store.memory ? store.memory : store.ledger);
      store.memory = store.ledger = 0;
    }
  if (!store.memory && config->take_over
      && !hermit_handover_take (config->control, &store.memory, &store.ledger,
                                error))
    return FALSE;
  server->store = hermit_store_new (&store, error);
  if (!server->store)
    return FALSE;
  server->sessions = hermit_sessions_new (server->store);
  if (!kept)
    {
      hermit_notify_keep (MEMORY, hermit_store_memory (server->store));
      hermit_notify_keep (LEDGER, hermit_store_ledger (server->store));
    }
  return TRUE;
}

/* FALSE if the other does not take it. */
static gboolean
hand_over (HermitServer *server)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  g_message ("handing over to another process");
  hermit_sessions_freeze (server->sessions);
  /* Who comes meanwhile finds the sessions frozen, and touches no memory. */
  hermit_conns_drain (server->conns);
  hermit_sessions_settle (server->sessions);
  hermit_store_freeze (server->store);
  ok = hermit_handover_give (atomic_load (&server->successor),
                             hermit_store_memory (server->store),
                             hermit_store_ledger (server->store), &error);
  atomic_store (&server->successor, -1);
  if (ok)
    return TRUE;
  g_warning ("the other process did not take over, this one goes on: %s",
             error->message);
  return FALSE;
}

/* What becomes of what it lends. */
static void
say_end (HermitServer *server)
{
  g_autofree char *lent = hermit_metrics_lent (server);

  if (!hermit_sessions_total (server->sessions).needing)
    g_message ("shutting down");
  else if (hermit_notify_listens ())
    g_message ("shutting down; left with the service manager: %s", lent);
  else
    g_warning ("shutting down; lost: %s", lent);
}

/* Until the end, or the hand-over; FALSE if it cannot go on after one. */
static gboolean
serve_until_end (HermitServer *server, GError **error)
{
  for (;;)
    {
      g_main_loop_run (server->loop);
      if (atomic_load (&server->successor) < 0)
        {
          say_end (server);
          return TRUE;
        }
      if (hand_over (server))
        return TRUE;
      if (!hermit_store_thaw (server->store, error))
        return FALSE;
      hermit_sessions_thaw (server->sessions);
    }
}

static gboolean
serve (const HermitConfig *config, GError **error)
{
  g_autoptr (HermitIdentities) identities = hermit_identities_new (
      config->key_file, config->keys, error);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GPtrArray) listeners
      = g_ptr_array_new_with_free_func ((GDestroyNotify)hermit_listener_free);
  g_autoptr (GPtrArray) rdma = g_ptr_array_new_with_free_func (
      (GDestroyNotify)hermit_rdma_listener_free);
  g_autofree char *capacity = NULL;
  guint watchdog = hermit_notify_watchdog ();
  HermitServer server = {
    .identities = identities,
    .started = (guint64)g_get_real_time () / G_USEC_PER_SEC,
    .loop = loop,
    .successor = -1,
  };
  Stop stop = { .server = &server, .when_empty = config->stop_when_empty };
  HermitControl *control = NULL;
  HermitHttp *http = NULL;
  gboolean ok;

  if (!identities || !store_open (config, &server, error))
    return FALSE;
  server.conns = hermit_conns_new ();
  server.door = hermit_door_new (&server, door_places (), hermit_conn_start,
                                 error);
  if (server.door)
    control = hermit_control_new (&server, error);

  g_unix_signal_add (SIGTERM, on_signal, &stop);
  g_unix_signal_add (SIGINT, on_signal, &stop);
  g_unix_signal_add (SIGHUP, on_reload, identities);
  if (watchdog)
    g_timeout_add (watchdog, on_watchdog, NULL);
  capacity = g_format_size_full (config->capacity, G_FORMAT_SIZE_IEC_UNITS);
  g_message ("lending %s%s, %s", capacity,
             config->overcommit ? ", overcommitted" : "",
             hermit_identities_keyed (identities)
                 ? "to clients with a key"
                 : "to anybody: there is no key");
  ok = control
       && listen_all (config, &server, control, listeners, rdma, &http, error);
  if (ok)
    {
      on_status (&server);
      hermit_notify ("READY=1");
      if (hermit_notify_listens ())
        g_timeout_add_seconds (STATUS_S, on_status, &server);
      ok = serve_until_end (&server, error);
      hermit_notify ("STOPPING=1");
    }

  server.draining = TRUE;
  g_ptr_array_set_size (listeners, 0);
  g_ptr_array_set_size (rdma, 0);
  if (control)
    hermit_control_free (control);
  if (server.door)
    hermit_door_close (server.door);
  hermit_conns_drain (server.conns);
  hermit_http_free (http);
  if (server.door)
    hermit_door_free (server.door);
  /* Whoever has the memory goes on with it as it is; or it ends with us. */
  hermit_store_freeze (server.store);
  hermit_sessions_free (server.sessions);
  hermit_conns_free (server.conns);
  hermit_store_free (server.store);
  return ok;
}

static gboolean
run (int argc, char **argv, GError **error)
{
  g_autoptr (HermitConfig) config = hermit_config_new (&argc, &argv, error);
  g_autofree char *answer = NULL;

  if (!config)
    return FALSE;
  if (config->version)
    {
      puts (PROGRAM " " HERMIT_VERSION);
      return TRUE;
    }
  hermit_log_set_level (config->log);
  if (!config->command)
    {
      hermit_notify_init ();
      return serve (config, error);
    }
  if (!strcmp (config->command, "drain --wait"))
    return hermit_control_wait (config->control, error);
  answer = hermit_control_ask (config->control, config->command, error);
  if (!answer)
    return FALSE;
  fputs (answer, stdout);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_set_prgname (PROGRAM);
  hermit_log_init (PROGRAM);
  umask (0077);
#ifndef __SANITIZE_ADDRESS__ /* whose leak check has to look at the process */
  /* Guests' pages and keys go into no core file, and no debugger's hands. */
  prctl (PR_SET_DUMPABLE, 0);
#endif
  /* A reader that left is no reason to die, not even one of our log. */
  signal (SIGPIPE, SIG_IGN);
  if (run (argc, argv, &error))
    return EXIT_SUCCESS;
  fprintf (stderr, PROGRAM ": %s\n", error->message);
  return EXIT_FAILURE;
}
