/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include <string.h>

static const char *const off_on[] = { "off", "on", NULL };
static const char *const auto_on_off[] = { "auto", "on", "off", NULL };
static const char *const waits[] = { "auto", "spin", "park", NULL };

typedef struct
{
  const char *name;
  guint32 bit;
  gsize offset;
  const char *const *words; /* value i is words[i]; NULL: a number */
} Field;

static const Field fields[] = {
#define FIELD(name, bit, field, words)                                        \
  {                                                                           \
    name, HERMIT_POLICY_##bit, offsetof (struct hermit_policy, field), words  \
  }
  FIELD ("eager-fetch", EAGER, eager, off_on),
  FIELD ("async-io", ASYNC_IO, async_io, off_on),
  FIELD ("prefetch", PREFETCH, prefetch, NULL),
  FIELD ("batch", BATCH, batch, NULL),
  FIELD ("fixed-threads", THREADS, threads, NULL),
  FIELD ("wait", WAIT, wait, waits),
  FIELD ("async-pf", ASYNC_PF, async_pf, auto_on_off),
  FIELD ("reclaim-weight", WEIGHT, weight, NULL),
#undef FIELD
};

const char *
hermit_policy_name (guint i)
{
  return i < G_N_ELEMENTS (fields) ? fields[i].name : NULL;
}

static const Field *
find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (!strcmp (fields[i].name, name))
      return &fields[i];
  return NULL;
}

static guint32
value_of (const struct hermit_policy *policy, const Field *f)
{
  return *(const guint32 *)((const char *)policy + f->offset);
}

static gboolean
parse (const Field *f, const char *text, guint32 *value)
{
  guint64 n;

  for (*value = 0; f->words && f->words[*value]; ++*value)
    if (!strcmp (f->words[*value], text))
      return TRUE;
  if (f->words
      || !g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT32, &n, NULL))
    return FALSE;
  *value = n;
  return TRUE;
}

gboolean
hermit_policy_set (struct hermit_policy *policy, const char *name,
                   const char *value, GError **error)
{
  const Field *f = find (name);
  g_autofree char *want = NULL;
  guint32 n;

  if (!f)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "'%s' is no switch; see hermitctl policy VM", name);
      return FALSE;
    }
  if (!parse (f, value, &n))
    {
      want = f->words ? g_strjoinv (", ", (char **)f->words)
                      : g_strdup ("a number");
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "%s: '%s' is none of: %s", name, value, want);
      return FALSE;
    }
  *(guint32 *)((char *)policy + f->offset) = n;
  policy->set |= f->bit;
  return TRUE;
}

/* NULL for a number, and for a word that only a newer kernel knows. */
static const char *
word_of (const Field *f, guint32 n)
{
  return f->words && n < g_strv_length ((char **)f->words) ? f->words[n]
                                                           : NULL;
}

char *
hermit_policy_text (const struct hermit_policy *policy, const char *name)
{
  const Field *f = find (name);
  guint32 n = value_of (policy, f);
  const char *word = word_of (f, n);

  return word ? g_strdup (word) : g_strdup_printf ("%u", n);
}

json_t *
hermit_policy_json (const struct hermit_policy *policy, const char *name)
{
  const Field *f = find (name);
  guint32 n = value_of (policy, f);
  const char *word = word_of (f, n);

  if (word && f->words == off_on)
    return json_boolean (n);
  return word ? json_string (word) : json_integer (n);
}
