/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_RDMA_CONN_H
#define HERMIT_RDMA_CONN_H
/*
 * The RDMA side of a session: its control connection, which is a HermitConn,
 * and the data connections and registrations of its epoch. wire/rdma.h has the
 * protocol.
 *
 *   HermitConn thread:  control connection - GRANT, RELEASE, PING, END
 *   nobody:             data connections   - READ, WRITE, by the device
 */
#include <glib.h>
#include <rdma/rdma_cma.h>

#include "conn.h"
#include "rdma_joins.h"
#include "wire/rdma.h"

/*
 * The control connection that @id asks for, which is accepted when its thread
 * opens it; @id's events have been acknowledged. The connection owns @id now,
 * also on failure. Takes two descriptors, and nothing of the device.
 */
HermitRdmaConn *hermit_rdma_conn_new (struct rdma_cm_id *id,
                                      HermitRdmaJoins *joins, GError **error);
extern const HermitConnOps hermit_rdma_conn_ops;

/*
 * Accept the data connection that @id asks for with @token. On success it
 * belongs to the session. Otherwise the code to refuse it with, and *@why.
 */
guint32 hermit_rdma_joins_accept (
    HermitRdmaJoins *joins, struct rdma_cm_id *id,
    const guint8 token[HERMIT_RDMA_TOKEN_LEN], char **why);

#endif /* HERMIT_RDMA_CONN_H */
