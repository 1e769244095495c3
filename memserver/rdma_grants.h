/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_RDMA_GRANTS_H
#define HERMIT_RDMA_GRANTS_H
/*
 * The memory of a session that an epoch's client may write to by itself: extents
 * that the region has lent, each registered with the device. By the thread of
 * the epoch's control connection.
 */
#include <glib.h>
#include <infiniband/verbs.h>

#include "session.h"
#include "wire/rdma.h"

typedef struct HermitRdmaGrants HermitRdmaGrants;

HermitRdmaGrants *hermit_rdma_grants_new (void);
/* After they were revoked. */
void hermit_rdma_grants_free (HermitRdmaGrants *grants);

/*
 * GRANT, which has passed its check: registers in @pd what is not yet, and fills
 * @answer, which has room for HERMIT_RDMA_GRANT_MAX, and *@n. Returns the status
 * to answer with.
 */
guint8 hermit_rdma_grants_answer (HermitRdmaGrants *grants, struct ibv_pd *pd,
                                  HermitSession *session,
                                  const struct hermit_wire_hdr *hdr,
                                  struct hermit_wire_grant *answer, guint *n);
/* RELEASE, which has passed its check; the same. */
guint8 hermit_rdma_grants_release (HermitRdmaGrants *grants,
                                   HermitSession *session,
                                   const struct hermit_wire_hdr *hdr);
/*
 * Deregister all. FALSE if a registration stays; then so does its memory, unless
 * @last: nobody can use what is registered.
 */
gboolean hermit_rdma_grants_revoke (HermitRdmaGrants *grants, gboolean last);

/* A message about @session, which begins with its label. */
void hermit_rdma_log (GLogLevelFlags level, HermitSession *session,
                      const char *format, ...) G_GNUC_PRINTF (3, 4);

#endif /* HERMIT_RDMA_GRANTS_H */
