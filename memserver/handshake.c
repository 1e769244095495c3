/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handshake.h"

#include <string.h>

static guint64
our_caps (void)
{
  guint64 caps = HERMIT_CAP_DISCARD | HERMIT_CAP_MULTICONN | HERMIT_CAP_ENOENT
                 | HERMIT_CAP_NOTICE | HERMIT_CAP_UNRESERVED
                 | HERMIT_CAP_ROOM;

  /* core/crc.h: each x86 processor since 2008. */
  return caps | (__builtin_cpu_supports ("sse4.2") ? HERMIT_CAP_CHECKSUM : 0);
}

void
hermit_frame_fill (HermitFrame *frame, guint8 type, const void *payload,
                   guint32 length)
{
  struct hermit_wire_hdr hdr;

  g_assert (sizeof (hdr) + length <= sizeof (frame->bytes));
  hermit_wire_fill (&hdr, type, 0, 0, 0, length);
  memcpy (frame->bytes, &hdr, sizeof (hdr));
  memcpy (frame->bytes + sizeof (hdr), payload, length);
  frame->length = sizeof (hdr) + length;
}

void
hermit_frame_refuse (HermitFrame *frame, guint32 code, const char *why)
{
  struct hermit_wire_refuse refuse = { .code = cpu_to_le32 (code) };

  if (g_strlcpy (refuse.text, why, sizeof (refuse.text))
      >= sizeof (refuse.text))
    strcpy (refuse.text + sizeof (refuse.text) - 3, "..");
  hermit_frame_fill (frame, HERMIT_MSG_REFUSE, &refuse, sizeof (refuse));
}

void
hermit_handshake_init (HermitHandshake *handshake,
                       HermitIdentities *identities, const HermitPeer *peer)
{
  memset (handshake, 0, sizeof (*handshake));
  handshake->identities = identities;
  handshake->peer = *peer;
  handshake->begun = g_get_monotonic_time ();
  handshake->due = HERMIT_MSG_HELLO;
}

void
hermit_handshake_clear (HermitHandshake *handshake)
{
  g_clear_pointer (&handshake->identity, hermit_identity_unref);
}

const char *
hermit_handshake_due (const HermitHandshake *handshake)
{
  return handshake->due == HERMIT_MSG_HELLO ? "HELLO" : "AUTH";
}

static gsize
frame_length (const HermitHandshake *handshake)
{
  gsize payload = sizeof (struct hermit_wire_auth);

  if (handshake->due == HERMIT_MSG_HELLO)
    payload = sizeof (struct hermit_wire_hello);
  else if (handshake->due == HERMIT_MSG_AUTH_MORE)
    payload = sizeof (struct hermit_wire_auth_more);
  return sizeof (struct hermit_wire_hdr) + payload;
}

gsize
hermit_handshake_wants (const HermitHandshake *handshake)
{
  const gsize header = sizeof (struct hermit_wire_hdr);
  gsize have = handshake->in.length;

  if (handshake->state != HERMIT_HANDSHAKE_GOING)
    return 0;
  /* The header alone: a peer that speaks something else is told at once. */
  return (have < header ? header : frame_length (handshake)) - have;
}

static HermitHandshakeState
refuse (HermitHandshake *handshake, guint32 code, const char *why)
{
  handshake->refusal = code;
  g_strlcpy (handshake->why, why, sizeof (handshake->why));
  hermit_frame_refuse (&handshake->out, code, why);
  return HERMIT_HANDSHAKE_REFUSED;
}

/* Prove that we have the key. */
static HermitHandshakeState
take_hello (HermitHandshake *handshake, const void *payload)
{
  struct hermit_wire_hello *hello = &handshake->hello;
  struct hermit_wire_challenge *challenge = &handshake->challenge;
  const HermitKey *key;
  const char *why;
  guint16 version;
  guint32 code;

  memcpy (hello, payload, sizeof (*hello));
  code = hermit_wire_check_hello (hello, &version, &why);
  if (code)
    return refuse (handshake, code, why);
  handshake->identity = hermit_identities_find (
      handshake->identities, hello, &handshake->peer, &key, &why);
  if (!handshake->identity)
    return refuse (handshake, HERMIT_REFUSE_KEY, why);
  handshake->caps = le64_to_cpu (hello->caps) & our_caps ();
  handshake->key = key;
  challenge->keyed = cpu_to_le16 (key != NULL);
  challenge->version = cpu_to_le16 (version);
  challenge->caps = cpu_to_le64 (handshake->caps);
  hermit_random (challenge->nonce, sizeof (challenge->nonce));
  if (key)
    hermit_key_mac (key, 'S', hello, challenge, challenge->mac);
  hermit_frame_fill (&handshake->out, HERMIT_MSG_CHALLENGE, challenge,
                     sizeof (*challenge));
  handshake->due = handshake->caps & HERMIT_CAP_UNRESERVED
                       ? HERMIT_MSG_AUTH_MORE
                       : HERMIT_MSG_AUTH;
  return HERMIT_HANDSHAKE_GOING;
}

/* AUTH, or AUTH_MORE, whose beginning it is. */
static HermitHandshakeState
take_auth (HermitHandshake *handshake, const void *payload)
{
  guint8 expected[HERMIT_WIRE_MAC_LEN] = { 0 };
  struct hermit_wire_auth_more auth = { 0 };
  const char *why;
  guint32 code;

  if (handshake->due == HERMIT_MSG_AUTH_MORE)
    memcpy (&auth, payload, sizeof (auth));
  else
    memcpy (auth.mac, payload, sizeof (auth.mac));
  if (handshake->key && handshake->due == HERMIT_MSG_AUTH_MORE)
    hermit_key_mac_more (handshake->key, &handshake->hello,
                         &handshake->challenge, &auth, expected);
  else if (handshake->key)
    hermit_key_mac (handshake->key, 'C', &handshake->hello,
                    &handshake->challenge, expected);
  if (!hermit_mac_equal (auth.mac, expected))
    return refuse (handshake, HERMIT_REFUSE_KEY,
                   handshake->identity->keys[0]
                       ? "the client does not have the server's key"
                       : "the client has a key and the server has none");
  code = hermit_wire_check_auth_more (&auth, &handshake->hello, &why);
  if (code)
    return refuse (handshake, code, why);
  handshake->unreserved = le64_to_cpu (auth.unreserved);
  return HERMIT_HANDSHAKE_PROVED;
}

static HermitHandshakeState
take_frame (HermitHandshake *handshake)
{
  const void *payload
      = handshake->in.bytes + sizeof (struct hermit_wire_hdr);

  handshake->in.length = 0;
  return handshake->due == HERMIT_MSG_HELLO ? take_hello (handshake, payload)
                                            : take_auth (handshake, payload);
}

HermitHandshakeState
hermit_handshake_feed (HermitHandshake *handshake, const void *data,
                       gsize length)
{
  HermitFrame *in = &handshake->in;
  struct hermit_wire_hdr hdr;
  const char *why;

  g_assert (length <= hermit_handshake_wants (handshake));
  handshake->out.length = 0;
  memcpy (in->bytes + in->length, data, length);
  in->length += length;
  if (in->length == sizeof (hdr))
    {
      memcpy (&hdr, in->bytes, sizeof (hdr));
      if (hermit_wire_check_handshake (&hdr, handshake->due, &why))
        handshake->state = refuse (handshake, HERMIT_REFUSE_PROTOCOL, why);
    }
  else if (in->length == frame_length (handshake))
    handshake->state = take_frame (handshake);
  return handshake->state;
}
