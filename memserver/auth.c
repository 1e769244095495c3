/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MIN 16
#define KEY_MAX 64

struct HermitKey
{
  gsize length;
  guint8 bytes[KEY_MAX];
};

static gboolean
key_guessable (const HermitKey *key)
{
  return memcmp (key->bytes, key->bytes + 1, key->length - 1) == 0;
}

static gboolean
key_read (HermitKey *key, int fd, const char *path, GError **error)
{
  guint8 text[KEY_MAX + 3]; /* a line's end, and one byte that is too many */
  gboolean guessable;
  struct stat st;
  ssize_t n;

  if (fd < 0 || fstat (fd, &st) < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "--key-file: %s: %s", path, g_strerror (errno));
      return FALSE;
    }
  if (!S_ISREG (st.st_mode))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE,
                   "--key-file: %s is not a file with a key in it", path);
      return FALSE;
    }
  if (st.st_mode & S_IRWXO)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                   "--key-file: %s is open to every user of this host "
                   "(mode %04o): chmod it to 0600 or 0640",
                   path, st.st_mode & 07777);
      return FALSE;
    }
  if (st.st_mode & S_IWGRP)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                   "--key-file: %s can be changed by its group (mode %04o): "
                   "chmod it to 0600 or 0640",
                   path, st.st_mode & 07777);
      return FALSE;
    }

  n = read (fd, text, sizeof (text));
  if (n < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "--key-file: %s: %s", path, g_strerror (errno));
      return FALSE;
    }
  if (n && text[n - 1] == '\n')
    n--;
  /* An editor of another system ends a line like this. */
  if (n && text[n - 1] == '\r')
    n--;
  if (n >= KEY_MIN && n <= KEY_MAX)
    {
      memcpy (key->bytes, text, n);
      key->length = n;
    }
  guessable = key->length && key_guessable (key);
  explicit_bzero (text, sizeof (text));
  if (!key->length)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "--key-file: %s does not hold %d to %d bytes of key", path,
                   KEY_MIN, KEY_MAX);
      return FALSE;
    }
  if (guessable)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "--key-file: %s holds one byte again and again, which "
                   "anybody can guess: make a key with 'head -c 32 "
                   "/dev/urandom | base64'",
                   path);
      return FALSE;
    }
  return TRUE;
}

HermitKey *
hermit_key_load (const char *path, GError **error)
{
  g_autoptr (HermitKey) key = g_new0 (HermitKey, 1);
  /* A FIFO that nobody writes to must not keep the server from starting. */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  gboolean ok = key_read (key, fd, path, error);

  if (fd >= 0)
    close (fd);
  return ok ? g_steal_pointer (&key) : NULL;
}

void
hermit_key_free (HermitKey *key)
{
  if (!key)
    return;
  explicit_bzero (key, sizeof (*key));
  g_free (key);
}

static void
key_mac (const HermitKey *key, char letter,
         const struct hermit_wire_hello *hello,
         const struct hermit_wire_challenge *challenge,
         const struct hermit_wire_auth_more *more,
         guint8 mac[HERMIT_WIRE_MAC_LEN])
{
  GHmac *hmac = g_hmac_new (G_CHECKSUM_SHA256, key->bytes, key->length);
  struct hermit_wire_challenge bare = *challenge;
  gsize length = HERMIT_WIRE_MAC_LEN;

  memset (bare.mac, 0, sizeof (bare.mac));
  g_hmac_update (hmac, (const guchar *)&letter, 1);
  g_hmac_update (hmac, (const guchar *)hello, sizeof (*hello));
  g_hmac_update (hmac, (const guchar *)&bare, sizeof (bare));
  if (more)
    g_hmac_update (hmac, (const guchar *)more + sizeof (more->mac),
                   sizeof (*more) - sizeof (more->mac));
  g_hmac_get_digest (hmac, mac, &length);
  g_hmac_unref (hmac);
}

void
hermit_key_mac (const HermitKey *key, char letter,
                const struct hermit_wire_hello *hello,
                const struct hermit_wire_challenge *challenge,
                guint8 mac[HERMIT_WIRE_MAC_LEN])
{
  key_mac (key, letter, hello, challenge, NULL, mac);
}

void
hermit_key_mac_more (const HermitKey *key,
                     const struct hermit_wire_hello *hello,
                     const struct hermit_wire_challenge *challenge,
                     const struct hermit_wire_auth_more *more,
                     guint8 mac[HERMIT_WIRE_MAC_LEN])
{
  key_mac (key, 'C', hello, challenge, more, mac);
}

static void
compute_tag (const HermitKey *key, const struct hermit_wire_hello *hello,
             guint8 tag[HERMIT_WIRE_MAC_LEN])
{
  struct hermit_wire_hello bare = *hello;
  const struct hermit_wire_challenge none = { 0 };

  memset (bare.nonce + sizeof (bare.nonce) - HERMIT_WIRE_TAG_LEN, 0,
          HERMIT_WIRE_TAG_LEN);
  hermit_key_mac (key, 'K', &bare, &none, tag);
}

void
hermit_key_tag (const HermitKey *key, struct hermit_wire_hello *hello)
{
  guint8 tag[HERMIT_WIRE_MAC_LEN];

  compute_tag (key, hello, tag);
  memcpy (hello->nonce + sizeof (hello->nonce) - HERMIT_WIRE_TAG_LEN, tag,
          HERMIT_WIRE_TAG_LEN);
}

gboolean
hermit_key_tagged (const HermitKey *key, const struct hermit_wire_hello *hello)
{
  guint8 tag[HERMIT_WIRE_MAC_LEN];

  compute_tag (key, hello, tag);
  return memcmp (hello->nonce + sizeof (hello->nonce) - HERMIT_WIRE_TAG_LEN,
                 tag, HERMIT_WIRE_TAG_LEN)
         == 0;
}

gboolean
hermit_key_equal (const HermitKey *a, const HermitKey *b)
{
  return a && b && a->length == b->length
         && memcmp (a->bytes, b->bytes, a->length) == 0;
}

gboolean
hermit_mac_equal (const guint8 a[HERMIT_WIRE_MAC_LEN],
                  const guint8 b[HERMIT_WIRE_MAC_LEN])
{
  guint8 differ = 0;

  for (guint i = 0; i < HERMIT_WIRE_MAC_LEN; i++)
    differ |= a[i] ^ b[i];
  return differ == 0;
}

void
hermit_random (void *to, gsize length)
{
  guint8 *at = to;

  while (length)
    {
      ssize_t n = getrandom (at, length, 0);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        g_error ("getrandom: %s", g_strerror (errno));
      at += n;
      length -= n;
    }
}
