/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server.h"

#include <stdio.h>
#include <string.h>

#include "region.h"

/* As QEMU and hermit-memserver take it. */
#define KEY_MIN 16

static const struct
{
  const char *what;
  guint32 op;
} ops[] = {
  { "add", HERMIT_SERVER_ADD },
  { "drop", HERMIT_SERVER_DROP },
  { "drain", HERMIT_SERVER_DRAIN },
  { "undrain", HERMIT_SERVER_UNDRAIN },
};

/* A newline at the end does not belong to it. */
static gboolean
read_key (const char *file, struct hermit_server_change *c, GError **error)
{
  g_autofree char *text = NULL;
  gsize n;

  if (!g_file_get_contents (file, &text, &n, error))
    return FALSE;
  if (n && text[n - 1] == '\n')
    n--;
  if (n >= KEY_MIN && n <= HERMIT_KEY_LEN)
    {
      memcpy (c->key, text, n);
      c->key_len = n;
    }
  explicit_bzero (text, n);
  if (c->key_len)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "--key-file: %s does not hold %d to %d bytes of key", file, KEY_MIN,
               HERMIT_KEY_LEN);
  return FALSE;
}

static gboolean
fill (struct hermit_server_change *c, const char *what, const char *address,
      gboolean force, const char *key_file, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    if (!strcmp (ops[i].what, what))
      c->op = ops[i].op;
  if (!c->op || (force && c->op != HERMIT_SERVER_DROP)
      || (key_file && c->op != HERMIT_SERVER_ADD))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   c->op ? "server %s: --force is for drop, --key-file for add"
                         : "server: there is no '%s'; use list, add, drop, "
                           "drain or undrain",
                   what);
      return FALSE;
    }
  if (!*address || strlen (address) >= sizeof (c->address))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "server %s: '%s' is not an address, such as "
                   "tcp:192.0.2.9:7471",
                   what, address);
      return FALSE;
    }
  strcpy (c->address, address);
  c->flags = force ? HERMIT_SERVER_FORCE : 0;
  return !key_file || read_key (key_file, c, error);
}

gboolean
hermit_server_apply (GPtrArray *regions, const char *what, const char *address,
                     gboolean force, const char *key_file, GError **error)
{
  struct hermit_server_change c = { 0 };
  gboolean ok = fill (&c, what, address, force, key_file, error);

  for (guint i = 0; ok && i < regions->len; i++)
    {
      const HermitRegion *r = regions->pdata[i];

      ok = hermit_device_change_server ((const unsigned char *)r->st.uuid, &c,
                                        error);
      if (!ok)
        g_prefix_error (error, "%s%s: ", r->st.name,
                        i ? " (it is done for the others)" : "");
      else if (c.flags && c.pages)
        fprintf (stderr,
                 "hermitctl: warning: %s: %" G_GUINT64_FORMAT
                 " pages that only %s had are lost\n",
                 r->st.name, (guint64)c.pages, address);
    }
  explicit_bzero (&c, sizeof (c));
  return ok;
}
