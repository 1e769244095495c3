/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "size.h"

#include <errno.h>
#include <string.h>

gboolean
hermit_size_parse (const char *text, guint64 *size, GError **error)
{
  static const char units[] = "KMGT";
  const char *unit;
  char *end;
  guint64 n;
  int shift = 0;

  errno = 0;
  n = g_ascii_strtoull (text, &end, 10);
  if (!g_ascii_isdigit (*text) || errno)
    goto bad;
  if (*end && (unit = strchr (units, g_ascii_toupper (*end))))
    {
      shift = 10 * (unit - units + 1);
      end++;
      if (!strcmp (end, "iB"))
        end += 2;
    }
  if (*end || n > G_MAXUINT64 >> shift)
    goto bad;
  *size = (n << shift) & ~(guint64)(HERMIT_PAGE_SIZE - 1);
  if (*size)
    return TRUE;
bad:
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "'%s' is not a size of at least a page; give bytes, or a "
               "number with K, M, G or T, such as 512M",
               text);
  return FALSE;
}

gboolean
hermit_ratio_parse (const char *text, double *ratio, GError **error)
{
  char *end;

  *ratio = g_ascii_strtod (text, &end);
  if (*end == '%')
    *ratio /= 100, end++;
  if (g_ascii_isdigit (*text) && !*end && *ratio > 0 && *ratio <= 1)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "'%s' is not a ratio; give a number above 0 and at most 1, "
               "such as 0.5",
               text);
  return FALSE;
}

char *
hermit_size_format (guint64 size)
{
  static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
  double n = size / 1024.0;
  guint i = 0;

  for (; n >= 1024 && i + 1 < G_N_ELEMENTS (units); i++)
    n /= 1024;
  return g_strdup_printf ("%.1f %s", n, units[i]);
}

guint64
hermit_ratio_of (guint64 size, double ratio)
{
  return (guint64)(size * ratio) & ~(guint64)(HERMIT_PAGE_SIZE - 1);
}
