/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rdma_grants.h"

#include <errno.h>

#include "log.h"

struct HermitRdmaGrants
{
  GHashTable *mrs;      /* extent's offset -> ibv_mr */
  HermitRegion *region; /* of the session, once it has lent some */
  gboolean complained;  /* that memory cannot be registered */
};

HermitRdmaGrants *
hermit_rdma_grants_new (void)
{
  HermitRdmaGrants *grants = g_new0 (HermitRdmaGrants, 1);

  grants->mrs
      = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  return grants;
}

void
hermit_rdma_grants_free (HermitRdmaGrants *grants)
{
  g_hash_table_unref (grants->mrs);
  g_free (grants);
}

void
hermit_rdma_log (GLogLevelFlags level, HermitSession *session,
                 const char *format, ...)
{
  HermitLogAbout about = { .region = hermit_session_uuid (session) };
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  hermit_log (level, about, "%s: %s", hermit_session_label (session), text);
}

gboolean
hermit_rdma_grants_revoke (HermitRdmaGrants *grants, gboolean last)
{
  gpointer offset, mr;
  GHashTableIter iter;

  g_hash_table_iter_init (&iter, grants->mrs);
  while (g_hash_table_iter_next (&iter, &offset, &mr))
    {
      if (ibv_dereg_mr (mr))
        {
          g_warning ("an RDMA registration stays: %s", g_strerror (errno));
          if (!last)
            continue;
        }
      hermit_region_take_back (grants->region, *(guint64 *)offset);
      g_hash_table_iter_remove (&iter);
    }
  return g_hash_table_size (grants->mrs) == 0;
}

static struct ibv_mr *
grants_make (HermitRdmaGrants *grants, struct ibv_pd *pd,
             HermitSession *session, guint64 offset, guint8 *status)
{
  struct ibv_mr *mr = g_hash_table_lookup (grants->mrs, &offset);
  guint64 length;
  void *memory;

  if (mr)
    return mr;
  grants->region = hermit_session_region (session);
  *status = hermit_region_lend (grants->region, offset, &memory, &length);
  if (*status != HERMIT_WIRE_OK)
    return NULL;
  /* Without relaxed ordering: what was acknowledged can be read. */
  mr = ibv_reg_mr (pd, memory, length,
                   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ
                       | IBV_ACCESS_REMOTE_WRITE);
  if (mr)
    {
      gint64 *key = g_new (gint64, 1);

      *key = (gint64)offset;
      g_hash_table_insert (grants->mrs, key, mr);
      return mr;
    }
  *status = errno == ENOMEM ? HERMIT_WIRE_ENOSPC : HERMIT_WIRE_EIO;
  if (!grants->complained)
    hermit_rdma_log (G_LOG_LEVEL_WARNING, session,
              "the RDMA device cannot register memory: %s; raise the limit of "
              "locked memory (ulimit -l, LimitMEMLOCK=)",
              g_strerror (errno));
  grants->complained = TRUE;
  /* What it stores stays: pages of an earlier epoch, perhaps. */
  hermit_region_take_back (grants->region, offset);
  return NULL;
}

guint8
hermit_rdma_grants_answer (HermitRdmaGrants *grants, struct ibv_pd *pd,
                           HermitSession *session,
                           const struct hermit_wire_hdr *hdr,
                           struct hermit_wire_grant *answer, guint *n)
{
  guint64 offset = le64_to_cpu (hdr->offset);
  guint wanted = le32_to_cpu (hdr->extent) / HERMIT_RDMA_EXTENT;
  guint8 status = HERMIT_WIRE_OK;

  for (*n = 0; *n < wanted; (*n)++)
    {
      struct ibv_mr *mr
          = grants_make (grants, pd, session,
                         offset + *n * HERMIT_RDMA_EXTENT, &status);

      if (!mr)
        break;
      answer[*n] = (struct hermit_wire_grant){
        .address = cpu_to_le64 ((uintptr_t)mr->addr),
        .rkey = cpu_to_le32 (mr->rkey),
      };
    }
  return *n ? HERMIT_WIRE_OK : status;
}

guint8
hermit_rdma_grants_release (HermitRdmaGrants *grants, HermitSession *session,
                            const struct hermit_wire_hdr *hdr)
{
  HermitRegion *region = hermit_session_region (session);
  guint64 offset = le64_to_cpu (hdr->offset);
  guint64 end = offset + le32_to_cpu (hdr->extent);

  for (; offset < end; offset += HERMIT_RDMA_EXTENT)
    {
      struct ibv_mr *mr = g_hash_table_lookup (grants->mrs, &offset);
      guint64 length
          = MIN (HERMIT_RDMA_EXTENT, hermit_region_size (region) - offset);

      /* Memory that a device may still write to is not given back. */
      if (mr && ibv_dereg_mr (mr))
        {
          hermit_rdma_log (G_LOG_LEVEL_WARNING, session,
                    "the RDMA device keeps a registration: %s",
                    g_strerror (errno));
          return HERMIT_WIRE_EIO;
        }
      if (g_hash_table_remove (grants->mrs, &offset))
        hermit_region_take_back (region, offset);
      hermit_region_discard (region, offset, length);
    }
  return HERMIT_WIRE_OK;
}
