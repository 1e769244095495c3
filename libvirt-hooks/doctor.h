/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DOCTOR_H
#define HERMIT_DOCTOR_H
/*
 * "hermitctl doctor": is this host ready for domains with hermit memory, and
 * do their servers answer? It changes nothing, on no host.
 */
#include <glib.h>

/*
 * Look at this host, at the servers of the domains that run, and at @servers
 * (tcp:HOST:PORT or rdma:HOST:PORT; NULL: none) with the key in @key_file
 * (NULL: without a key). Prints a line for each thing, or JSON. FALSE if there
 * is something that keeps domains from starting or going on.
 */
gboolean hermit_doctor (char **servers, const char *key_file, gboolean json,
                        GError **error);

#endif
