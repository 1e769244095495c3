/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rdma_joins.h"

#include <string.h>

#include "auth.h"

struct HermitRdmaJoins
{
  GMutex lock;
  GHashTable *table; /* token -> HermitRdmaConn, authenticated */
};

static guint
token_hash (gconstpointer token)
{
  guint hash;

  memcpy (&hash, token, sizeof (hash));
  return hash;
}

static gboolean
token_equal (gconstpointer a, gconstpointer b)
{
  return hermit_mac_equal (a, b);
}

HermitRdmaJoins *
hermit_rdma_joins_new (void)
{
  HermitRdmaJoins *joins = g_atomic_rc_box_new0 (HermitRdmaJoins);

  G_STATIC_ASSERT (HERMIT_RDMA_TOKEN_LEN == HERMIT_WIRE_MAC_LEN);
  g_mutex_init (&joins->lock);
  joins->table = g_hash_table_new (token_hash, token_equal);
  return joins;
}

HermitRdmaJoins *
hermit_rdma_joins_ref (HermitRdmaJoins *joins)
{
  return g_atomic_rc_box_acquire (joins);
}

static void
joins_clear (gpointer data)
{
  HermitRdmaJoins *joins = data;

  g_assert (g_hash_table_size (joins->table) == 0);
  g_hash_table_unref (joins->table);
  g_mutex_clear (&joins->lock);
}

void
hermit_rdma_joins_unref (HermitRdmaJoins *joins)
{
  g_atomic_rc_box_release_full (joins, joins_clear);
}

HermitRdmaConn *
hermit_rdma_joins_lock (HermitRdmaJoins *joins,
                        const guint8 token[HERMIT_RDMA_TOKEN_LEN])
{
  g_mutex_lock (&joins->lock);
  return g_hash_table_lookup (joins->table, token);
}

void
hermit_rdma_joins_unlock (HermitRdmaJoins *joins)
{
  g_mutex_unlock (&joins->lock);
}

void
hermit_rdma_joins_add (HermitRdmaJoins *joins,
                       const guint8 token[HERMIT_RDMA_TOKEN_LEN],
                       HermitRdmaConn *conn)
{
  g_hash_table_insert (joins->table, (gpointer)token, conn);
}

void
hermit_rdma_joins_remove (HermitRdmaJoins *joins,
                          const guint8 token[HERMIT_RDMA_TOKEN_LEN])
{
  g_hash_table_remove (joins->table, token);
}
