/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identity.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT "default"
/* A HELLO is compared with each key: a microsecond or two for one. */
#define IDENTITIES_MAX 256
#define NAME_MAX_LEN 64

struct HermitIdentities
{
  char *key_file;  /* or NULL */
  char *directory; /* or NULL */
  GMutex lock;
  GPtrArray *all; /* of HermitIdentity */
};

/* ---- one ---- */

HermitIdentity *
hermit_identity_ref (HermitIdentity *identity)
{
  return g_atomic_rc_box_acquire (identity);
}

static void
identity_clear (gpointer data)
{
  HermitIdentity *identity = data;

  g_free (identity->name);
  for (guint i = 0; i < G_N_ELEMENTS (identity->keys); i++)
    hermit_key_free (identity->keys[i]);
  g_clear_pointer (&identity->from, g_ptr_array_unref);
}

void
hermit_identity_unref (HermitIdentity *identity)
{
  g_atomic_rc_box_release_full (identity, identity_clear);
}

HermitIdentity *
hermit_identity_bare (const char *name)
{
  HermitIdentity *identity = g_atomic_rc_box_new0 (HermitIdentity);

  identity->name = g_strdup (name);
  identity->bytes = identity->takeover = G_MAXUINT64;
  identity->regions = identity->connections = G_MAXUINT;
  return identity;
}

G_GNUC_PRINTF (2, 3)
static gboolean
invalid (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error)
    *error = g_error_new_valist (G_IO_ERROR, G_IO_ERROR_INVALID_DATA, format,
                                 args);
  va_end (args);
  return FALSE;
}

static gboolean
identity_set_from (HermitIdentity *identity, char **masks, GError **error)
{
  identity->from = g_ptr_array_new_with_free_func (g_object_unref);
  for (; *masks; masks++)
    {
      GInetAddressMask *mask
          = g_inet_address_mask_new_from_string (g_strstrip (*masks), error);

      if (!mask)
        return FALSE;
      g_ptr_array_add (identity->from, mask);
      if (g_inet_address_mask_get_family (mask) == G_SOCKET_FAMILY_IPV6
          && g_inet_address_mask_get_length (mask) > 64)
        return invalid (error, "'%s': IPv6 networks of /64 or larger only",
                        *masks);
    }
  return TRUE;
}

static gboolean
identity_set (HermitIdentity *identity, const char *what, const char *value,
              GError **error)
{
  guint64 n;

  if (!strcmp (what, "from"))
    {
      g_auto (GStrv) masks = g_strsplit (value, ";", -1);

      return identity_set_from (identity, masks, error);
    }
  if (!strcmp (what, "bytes"))
    return hermit_size_parse (value, &identity->bytes, error);
  if (!strcmp (what, "takeover"))
    return hermit_duration_parse (value, &identity->takeover, error);
  if (strcmp (what, "regions") && strcmp (what, "connections"))
    return invalid (error, "it is not one of: bytes, regions, connections, "
                           "from, takeover");
  if (!g_ascii_string_to_unsigned (value, 10, 0, G_MAXUINT - 1, &n, error))
    return FALSE;
  if (!strcmp (what, "regions"))
    identity->regions = (guint)n;
  else
    identity->connections = (guint)n;
  return TRUE;
}

/* A limit with a typing error is no limit: whatever is not known is refused. */
static gboolean
identity_read_limits (HermitIdentity *identity, const char *path,
                      GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_auto (GStrv) groups = NULL;
  g_auto (GStrv) keys = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, error))
    {
      g_prefix_error (error, "--keys: %s: ", path);
      return FALSE;
    }
  groups = g_key_file_get_groups (file, NULL);
  for (char **group = groups; *group; group++)
    if (strcmp (*group, "limits"))
      return invalid (error, "--keys: %s: [%s] is not [limits]", path, *group);
  keys = g_key_file_get_keys (file, "limits", NULL, NULL);
  for (char **key = keys; key && *key; key++)
    {
      g_autofree char *value
          = g_key_file_get_value (file, "limits", *key, NULL);

      if (!identity_set (identity, *key, value, error))
        {
          g_prefix_error (error, "--keys: %s: %s: ", path, *key);
          return FALSE;
        }
    }
  return TRUE;
}

/* ---- all ---- */

static gboolean
name_is_good (const char *name)
{
  gsize length = strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-_");

  return length && length <= NAME_MAX_LEN && !name[length];
}

static gboolean
add (GPtrArray *all, HermitIdentity *identity, GError **error)
{
  if (all->len == IDENTITIES_MAX)
    return invalid (error, "--keys: more than %d identities", IDENTITIES_MAX);
  for (guint i = 0; i < all->len; i++)
    {
      HermitIdentity *other = all->pdata[i];

      for (guint k = 0; k < 4; k++)
        if (hermit_key_equal (other->keys[k / 2], identity->keys[k % 2]))
          return invalid (error, "--keys: %s and %s have the same key",
                          other->name, identity->name);
    }
  g_ptr_array_add (all, hermit_identity_ref (identity));
  return TRUE;
}

static gboolean
read_identity (GPtrArray *all, const char *directory, const char *name,
               GError **error)
{
  g_autoptr (HermitIdentity) identity = hermit_identity_bare (name);
  g_autofree char *path = g_strdup_printf ("%s/%s.key", directory, name);
  g_autofree char *next = g_strdup_printf ("%s/%s.next", directory, name);
  g_autofree char *limits = g_strdup_printf ("%s/%s.conf", directory, name);

  identity->keys[0] = hermit_key_load (path, error);
  if (!identity->keys[0])
    return FALSE;
  if (g_file_test (next, G_FILE_TEST_EXISTS))
    {
      identity->keys[1] = hermit_key_load (next, error);
      if (!identity->keys[1])
        return FALSE;
    }
  return identity_read_limits (identity, limits, error)
         && add (all, identity, error);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static gboolean
read_directory (GPtrArray *all, const char *path, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) directory = g_dir_open (path, 0, error);
  const char *entry;
  struct stat st;

  if (!directory)
    {
      g_prefix_error (error, "--keys: ");
      return FALSE;
    }
  if (stat (path, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
    return invalid (error, "--keys: %s can be changed by others than its "
                           "owner: chmod it to 0700 or 0750",
                    path);
  while ((entry = g_dir_read_name (directory)))
    {
      const char *end = strrchr (entry, '.');
      g_autofree char *name = end ? g_strndup (entry, end - entry) : NULL;

      if (!end || strcmp (end, ".key"))
        continue;
      if (!name_is_good (name) || !strcmp (name, DEFAULT))
        return invalid (error, "--keys: %s/%s: a name has 1 to %d letters, "
                               "digits, - and _, and is not '" DEFAULT "'",
                        path, entry, NAME_MAX_LEN);
      g_ptr_array_add (names, g_steal_pointer (&name));
    }
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    if (!read_identity (all, path, names->pdata[i], error))
      return FALSE;
  return TRUE;
}

static GPtrArray *
read_all (HermitIdentities *identities, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (
      (GDestroyNotify)hermit_identity_unref);

  if (identities->key_file)
    {
      g_autoptr (HermitIdentity) identity = hermit_identity_bare (DEFAULT);

      identity->keys[0] = hermit_key_load (identities->key_file, error);
      if (!identity->keys[0] || !add (all, identity, error))
        return NULL;
    }
  if (identities->directory
      && !read_directory (all, identities->directory, error))
    return NULL;
  if (!identities->key_file && !identities->directory)
    g_ptr_array_add (all, hermit_identity_bare ("anybody"));
  return g_steal_pointer (&all);
}

HermitIdentities *
hermit_identities_new (const char *key_file, const char *directory,
                       GError **error)
{
  g_autoptr (HermitIdentities) identities = g_new0 (HermitIdentities, 1);

  g_mutex_init (&identities->lock);
  identities->key_file = g_strdup (key_file);
  identities->directory = g_strdup (directory);
  identities->all = read_all (identities, error);
  return identities->all ? g_steal_pointer (&identities) : NULL;
}

void
hermit_identities_free (HermitIdentities *identities)
{
  if (!identities)
    return;
  g_clear_pointer (&identities->all, g_ptr_array_unref);
  g_mutex_clear (&identities->lock);
  g_free (identities->key_file);
  g_free (identities->directory);
  g_free (identities);
}

gboolean
hermit_identities_reload (HermitIdentities *identities, GError **error)
{
  GPtrArray *all = read_all (identities, error), *old;

  if (!all)
    return FALSE;
  g_mutex_lock (&identities->lock);
  old = identities->all;
  identities->all = all;
  g_mutex_unlock (&identities->lock);
  g_ptr_array_unref (old);
  return TRUE;
}

gboolean
hermit_identities_keyed (HermitIdentities *identities)
{
  return identities->key_file || identities->directory;
}

GPtrArray *
hermit_identities_all (HermitIdentities *identities)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (
      (GDestroyNotify)hermit_identity_unref);

  g_mutex_lock (&identities->lock);
  for (guint i = 0; i < identities->all->len; i++)
    g_ptr_array_add (all, hermit_identity_ref (identities->all->pdata[i]));
  g_mutex_unlock (&identities->lock);
  return all;
}

/* ---- who is it ---- */

static gboolean
may_come_from (const HermitIdentity *identity, GInetAddress *address)
{
  for (guint i = 0; identity->from && i < identity->from->len; i++)
    if (g_inet_address_mask_matches (identity->from->pdata[i], address))
      return TRUE;
  return !identity->from;
}

/* The one with the key that @hello was tagged with. */
static HermitIdentity *
find_tagged (GPtrArray *all, const struct hermit_wire_hello *hello,
             const HermitKey **key)
{
  for (guint i = 0; i < all->len; i++)
    {
      HermitIdentity *identity = all->pdata[i];

      for (guint k = 0; k < G_N_ELEMENTS (identity->keys); k++)
        if (identity->keys[k] && hermit_key_tagged (identity->keys[k], hello))
          {
            *key = identity->keys[k];
            return identity;
          }
    }
  return NULL;
}

/* The only one, else the only one from there, else the default. */
static HermitIdentity *
find_untagged (GPtrArray *all, GInetAddress *address)
{
  HermitIdentity *from = NULL, *fallback = NULL;
  guint n = 0;

  if (all->len == 1)
    return all->pdata[0];
  for (guint i = 0; i < all->len; i++)
    {
      HermitIdentity *identity = all->pdata[i];

      if (!strcmp (identity->name, DEFAULT))
        fallback = identity;
      if (identity->from && may_come_from (identity, address))
        {
          from = identity;
          n++;
        }
    }
  return n == 1 ? from : fallback;
}

HermitIdentity *
hermit_identities_find (HermitIdentities *identities,
                        const struct hermit_wire_hello *hello,
                        const HermitPeer *peer, const HermitKey **key,
                        const char **why)
{
  static const guint8 ipv4[12] = { [10] = 0xff, [11] = 0xff };
  gboolean is_ipv4 = !memcmp (peer->host, ipv4, sizeof (ipv4));
  g_autoptr (GInetAddress) address = g_inet_address_new_from_bytes (
      peer->host + (is_ipv4 ? sizeof (ipv4) : 0),
      is_ipv4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6);
  HermitIdentity *found;

  *key = NULL;
  g_mutex_lock (&identities->lock);
  found = find_tagged (identities->all, hello, key);
  if (!found)
    {
      found = find_untagged (identities->all, address);
      *key = found ? found->keys[0] : NULL;
      *why = "the client has none of the server's keys, or is too old to say "
             "which";
    }
  if (found && !may_come_from (found, address))
    {
      found = NULL;
      *why = "the client's key is not valid from its address";
    }
  if (found)
    hermit_identity_ref (found);
  g_mutex_unlock (&identities->lock);
  return found;
}
