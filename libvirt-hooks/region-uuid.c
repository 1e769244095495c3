/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "region-uuid.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  uint32_t h[5];
  uint8_t block[64];
  uint64_t length; /* bytes so far */
} Sha1;

static uint32_t
rotate (uint32_t x, int n)
{
  return x << n | x >> (32 - n);
}

static uint32_t
big_endian (const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void
sha1_block (Sha1 *s)
{
  uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3],
                  e = s->h[4];

  for (int i = 0; i < 80; i++)
    {
      uint32_t f, k, t;

      w[i] = i < 16 ? big_endian (s->block + 4 * i)
                    : rotate (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
      if (i < 20)
        f = (b & c) | (~b & d), k = 0x5a827999;
      else if (i < 40)
        f = b ^ c ^ d, k = 0x6ed9eba1;
      else if (i < 60)
        f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
      else
        f = b ^ c ^ d, k = 0xca62c1d6;
      t = rotate (a, 5) + f + e + k + w[i];
      e = d, d = c, c = rotate (b, 30), b = a, a = t;
    }
  s->h[0] += a, s->h[1] += b, s->h[2] += c, s->h[3] += d, s->h[4] += e;
}

static void
sha1_add (Sha1 *s, const void *data, size_t n)
{
  const uint8_t *p = data;

  while (n--)
    {
      s->block[s->length++ % 64] = *p++;
      if (s->length % 64 == 0)
        sha1_block (s);
    }
}

static void
sha1_end (Sha1 *s, uint8_t digest[20])
{
  uint64_t bits = s->length * 8;
  uint8_t tail[8];

  for (int i = 0; i < 8; i++)
    tail[i] = bits >> (56 - 8 * i);
  sha1_add (s, "\x80", 1);
  while (s->length % 64 != 56)
    sha1_add (s, "", 1);
  sha1_add (s, tail, 8);
  for (int i = 0; i < 20; i++)
    digest[i] = s->h[i / 4] >> (24 - 8 * (i % 4));
}

bool
hermit_uuid_parse (const char *text, HermitUuid uuid)
{
  if (strlen (text) != HERMIT_UUID_TEXT - 1)
    return false;
  for (int i = 0, byte = 0; i < HERMIT_UUID_TEXT - 1; i++)
    {
      if (i == 8 || i == 13 || i == 18 || i == 23)
        {
          if (text[i] != '-')
            return false;
          continue;
        }
      if (!isxdigit ((unsigned char)text[i])
          || !isxdigit ((unsigned char)text[i + 1]))
        return false;
      uuid[byte++] = strtoul ((char[]){ text[i], text[i + 1], 0 }, NULL, 16);
      i++;
    }
  return true;
}

void
hermit_uuid_format (const HermitUuid u, char text[HERMIT_UUID_TEXT])
{
  snprintf (text, HERMIT_UUID_TEXT,
            "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
            "%02x%02x%02x%02x%02x%02x",
            u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
            u[11], u[12], u[13], u[14], u[15]);
}

void
hermit_uuid_derive (const HermitUuid space, const char *name, HermitUuid uuid)
{
  Sha1 s = { .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                    0xc3d2e1f0 } };
  uint8_t digest[20];

  sha1_add (&s, space, sizeof (HermitUuid));
  sha1_add (&s, name, strlen (name));
  sha1_end (&s, digest);
  memcpy (uuid, digest, sizeof (HermitUuid));
  uuid[6] = (uuid[6] & 0x0f) | 0x50;
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
}
