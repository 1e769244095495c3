/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_CONFIG_H
#define HERMIT_CONFIG_H

#include <glib.h>
#include <sys/socket.h>

#include "numa.h"

typedef struct
{
  struct sockaddr_storage addr;
  socklen_t length;
} HermitAddress;

typedef struct
{
  GArray *listen;      /* of HermitAddress */
  GArray *listen_rdma; /* the same */
  guint64 capacity;
  guint64 min_free;
  gboolean overcommit;
  gboolean preallocate;
  gboolean lock;
  gboolean take_over;
  gboolean stop_when_empty;
  HermitNuma *numa; /* or NULL */
  char *key_file;         /* or NULL */
  char *keys;             /* a directory of them, or NULL */
  gboolean insecure;      /* serve anybody, wherever they come from */
  GLogLevelFlags log;     /* the least important that is written */
  char *control;          /* or NULL */
  HermitAddress *metrics; /* or NULL */
  char *command;          /* for the server behind control; or NULL */
  gboolean version;       /* only that was asked for */
} HermitConfig;

/* The command line. --help prints and exits. */
HermitConfig *hermit_config_new (int *argc, char ***argv, GError **error);
void hermit_config_free (HermitConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitConfig, hermit_config_free)

/* A number, and one of s m h d; in seconds. */
gboolean hermit_duration_parse (const char *text, guint64 *seconds,
                                GError **error);

/* A number, and one of K M G T for powers of 1024. */
gboolean hermit_size_parse (const char *text, guint64 *size, GError **error);

/* ADDR:PORT or [ADDR]:PORT, numeric; "*" is every IPv4 address. */
gboolean hermit_address_parse (const char *text, HermitAddress *address,
                               GError **error);
gboolean hermit_address_unix (const char *path, HermitAddress *address,
                              GError **error);
gboolean hermit_address_is_loopback (const HermitAddress *address);
char *hermit_address_text (const HermitAddress *address);

#endif /* HERMIT_CONFIG_H */
