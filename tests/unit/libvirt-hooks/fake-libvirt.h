/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_LIBVIRT_H
#define FAKE_LIBVIRT_H
/*
 * The functions of libvirt that hermitctl calls, linked in place of the
 * library: one domain, whose metadata a test reads and writes.
 */
#include <stdbool.h>

#define FAKE_XML 512

typedef struct
{
  const char *name, *uuid;
  bool running;
  char live[FAKE_XML], config[FAKE_XML]; /* "": no such metadata */
  /* The function that fails, and what virGetLastErrorMessage() says. */
  const char *fails;
  /*
   * What virEventRunDefaultImpl() tells on its nth call, as an event of a
   * metadata change; then the connection is closed.
   */
  struct
  {
    int type;
    const char *uri;
    const char *live; /* the metadata from then on; NULL: as it is */
  } events[16];
  unsigned nr_events, told;
  int open; /* connections and domains not closed yet */
} FakeLibvirt;

extern FakeLibvirt *fake_libvirt;

#endif
