/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_FUZZ_KEY_H
#define HERMIT_FUZZ_KEY_H
/* The pre-shared key of fuzzed handshakes, by the way that real ones come. */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"

#define FUZZ_KEY "a key that is long enough"

static inline char *
fuzz_key_file (void)
{
  char *path = NULL;
  int fd = g_file_open_tmp ("fuzz-key-XXXXXX", &path, NULL);

  g_assert_cmpint (write (fd, FUZZ_KEY, strlen (FUZZ_KEY)), ==,
                   strlen (FUZZ_KEY));
  close (fd);
  return path;
}

static inline const HermitKey *
fuzz_key (void)
{
  static HermitKey *key;

  if (!key)
    {
      g_autofree char *path = fuzz_key_file ();

      key = hermit_key_load (path, NULL);
      unlink (path);
      g_assert_nonnull (key);
    }
  return key;
}

#endif /* HERMIT_FUZZ_KEY_H */
