/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uuid.h"

char *
hermit_uuid_text (const guint8 uuid[16])
{
  GString *text = g_string_sized_new (37);

  for (guint i = 0; i < 16; i++)
    g_string_append_printf (text, "%s%02x",
                            i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                            uuid[i]);
  return g_string_free (text, FALSE);
}

gboolean
hermit_uuid_parse (const char *text, guint8 uuid[16])
{
  if (!g_uuid_string_is_valid (text))
    return FALSE;
  for (guint i = 0; i < 16; i++)
    {
      if (*text == '-')
        text++;
      uuid[i] = g_ascii_xdigit_value (text[0]) << 4
                | g_ascii_xdigit_value (text[1]);
      text += 2;
    }
  return TRUE;
}
