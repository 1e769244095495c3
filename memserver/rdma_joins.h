/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_RDMA_JOINS_H
#define HERMIT_RDMA_JOINS_H
/*
 * Control connections that data connections may join, by their token. Its lock
 * guards the data connections of all of them, too.
 */
#include <glib.h>

#include "wire/rdma.h"

typedef struct HermitRdmaConn HermitRdmaConn;

/* Reference-counted; empty when the last one goes. */
typedef struct HermitRdmaJoins HermitRdmaJoins;

HermitRdmaJoins *hermit_rdma_joins_new (void);
HermitRdmaJoins *hermit_rdma_joins_ref (HermitRdmaJoins *joins);
void hermit_rdma_joins_unref (HermitRdmaJoins *joins);

/* Locked from now on; who has @token, or NULL. */
HermitRdmaConn *hermit_rdma_joins_lock (
    HermitRdmaJoins *joins, const guint8 token[HERMIT_RDMA_TOKEN_LEN]);
void hermit_rdma_joins_unlock (HermitRdmaJoins *joins);
/* Locked, both. @token is @conn's, as long as it is here. */
void hermit_rdma_joins_add (HermitRdmaJoins *joins,
                            const guint8 token[HERMIT_RDMA_TOKEN_LEN],
                            HermitRdmaConn *conn);
void hermit_rdma_joins_remove (HermitRdmaJoins *joins,
                               const guint8 token[HERMIT_RDMA_TOKEN_LEN]);

#endif /* HERMIT_RDMA_JOINS_H */
