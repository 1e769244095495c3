/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "local-server.h"

#include <string.h>

#include "client.h"
#include "conn.h"
#include "door.h"
#include "session.h"
#include "store.h"

void
local_server_start (HermitServer *server, guint places)
{
  memset (server, 0, sizeof (*server));
  server->identities = hermit_identities_new (NULL, NULL, NULL);
  server->store
      = hermit_store_new (&(HermitStoreConfig){ .capacity = 16 * MIB }, NULL);
  server->sessions = hermit_sessions_new (server->store);
  server->conns = hermit_conns_new ();
  server->door = hermit_door_new (server, places, hermit_conn_start, NULL);
}

void
local_server_stop (HermitServer *server)
{
  hermit_door_close (server->door);
  hermit_conns_drain (server->conns);
  hermit_door_free (server->door);
  hermit_sessions_free (server->sessions);
  hermit_conns_free (server->conns);
  hermit_store_free (server->store);
  hermit_identities_free (server->identities);
}
