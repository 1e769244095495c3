/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "findings.h"

#include <stdio.h>

typedef struct
{
  HermitVerdict verdict;
  char *what, *found, *remedy;
} Finding;

struct HermitFindings
{
  GPtrArray *all;
};

static const char *const verdicts[] = { "ok", "note", "bad" };

static void
finding_free (gpointer data)
{
  Finding *f = data;

  g_free (f->what);
  g_free (f->found);
  g_free (f->remedy);
  g_free (f);
}

HermitFindings *
hermit_findings_new (void)
{
  HermitFindings *findings = g_new0 (HermitFindings, 1);

  findings->all = g_ptr_array_new_with_free_func (finding_free);
  return findings;
}

void
hermit_findings_free (HermitFindings *findings)
{
  if (!findings)
    return;
  g_ptr_array_unref (findings->all);
  g_free (findings);
}

void
hermit_find (HermitFindings *findings, HermitVerdict verdict, const char *what,
             const char *remedy, const char *format, ...)
{
  Finding *f = g_new0 (Finding, 1);
  va_list args;

  g_assert ((verdict == HERMIT_WELL) == !remedy);
  f->verdict = verdict;
  f->what = g_strdup (what);
  f->remedy = g_strdup (remedy);
  va_start (args, format);
  f->found = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (findings->all, f);
}

guint
hermit_findings_count (const HermitFindings *findings, HermitVerdict verdict)
{
  guint n = 0;

  for (guint i = 0; i < findings->all->len; i++)
    n += ((Finding *)findings->all->pdata[i])->verdict == verdict;
  return n;
}

void
hermit_findings_print (const HermitFindings *findings)
{
  for (guint i = 0; i < findings->all->len; i++)
    {
      const Finding *f = findings->all->pdata[i];

      printf ("%-4s  %-9s  %s%s%s\n", verdicts[f->verdict], f->what, f->found,
              f->remedy ? "; do: " : "", f->remedy ?: "");
    }
}

json_t *
hermit_findings_to_json (const HermitFindings *findings)
{
  json_t *all = json_array ();

  for (guint i = 0; i < findings->all->len; i++)
    {
      const Finding *f = findings->all->pdata[i];

      json_array_append_new (
          all, json_pack ("{s:s, s:s, s:s, s:s*}", "what", f->what, "verdict",
                          verdicts[f->verdict], "found", f->found, "do",
                          f->remedy));
    }
  return all;
}
