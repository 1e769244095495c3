/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "id16.h"

#include <string.h>

guint
hermit_id16_hash (gconstpointer id)
{
  guint32 words[4];

  memcpy (words, id, sizeof (words));
  return words[0] ^ words[1] ^ words[2] ^ words[3];
}

gboolean
hermit_id16_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, 16) == 0;
}
