/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec: whatever it lets through keeps the promises that those who act
 * on it rely on. Input: a region size, a header, a HELLO, and the private data
 * of an RDMA connection's request and acceptance.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "wire/rdma.h"
#include "wire/wire.h"

struct input
{
  __le64 region_size;
  struct hermit_wire_hdr hdr;
  struct hermit_wire_hello hello;
  u8 private_len;
  u8 private_data[63];
};

static void
check_request (const struct hermit_wire_hdr *hdr, uint64_t size)
{
  uint64_t offset = le64_to_cpu (hdr->offset);
  uint32_t extent = le32_to_cpu (hdr->extent);
  uint32_t length = le32_to_cpu (hdr->length);
  const char *why = NULL;

  if (hermit_wire_check_request (hdr, size, &why))
    {
      require (why != NULL);
      return;
    }
  switch (hdr->type)
    {
    case HERMIT_MSG_READ:
      require (extent == HERMIT_WIRE_PAGE && length == 0);
      break;
    case HERMIT_MSG_WRITE:
      require (extent == 0 && length == HERMIT_WIRE_PAGE);
      extent = length;
      break;
    case HERMIT_MSG_DISCARD:
      require (extent > 0 && extent % HERMIT_WIRE_PAGE == 0 && length == 0);
      require (extent <= HERMIT_WIRE_DISCARD_MAX);
      break;
    default:
      require (hdr->type == HERMIT_MSG_PING || hdr->type == HERMIT_MSG_END);
      require (length == 0);
      if (hdr->type == HERMIT_MSG_PING)
        require (offset % HERMIT_WIRE_PAGE == 0 && offset <= size);
      else
        require (offset == 0 && extent == 0);
      return;
    }
  require (offset % HERMIT_WIRE_PAGE == 0);
  require (offset < size && extent <= size - offset);
}

static void
check_rdma_control (const struct hermit_wire_hdr *hdr, uint64_t size)
{
  uint64_t offset = le64_to_cpu (hdr->offset);
  uint32_t extent = le32_to_cpu (hdr->extent);
  const char *why = NULL;

  if (hermit_wire_check_rdma_control (hdr, size, &why))
    {
      require (why != NULL);
      return;
    }
  require (hdr->length == 0);
  if (hdr->type == HERMIT_MSG_PING)
    {
      require (offset % HERMIT_WIRE_PAGE == 0 && offset <= size);
      return;
    }
  if (hdr->type == HERMIT_MSG_END)
    {
      require (offset == 0 && extent == 0);
      return;
    }
  require (hdr->type == HERMIT_MSG_GRANT || hdr->type == HERMIT_MSG_RELEASE);
  require (extent > 0 && extent <= HERMIT_RDMA_GRANT_MAX * HERMIT_RDMA_EXTENT);
  /* Each extent named begins in the region. */
  for (; extent; extent -= HERMIT_RDMA_EXTENT, offset += HERMIT_RDMA_EXTENT)
    require (offset % HERMIT_RDMA_EXTENT == 0 && offset < size);
}

static void
check_rdma_reply (const struct hermit_wire_hdr *hdr)
{
  uint32_t length = le32_to_cpu (hdr->length);
  const char *why = NULL;

  if (hermit_wire_check_rdma_reply (hdr, &why))
    {
      require (why != NULL);
      return;
    }
  require (hdr->type & HERMIT_MSG_REPLY);
  require (length % sizeof (struct hermit_wire_grant) == 0);
  require (length <= HERMIT_RDMA_GRANT_MAX * sizeof (struct hermit_wire_grant));
}

static void
check_reply (const struct hermit_wire_hdr *hdr)
{
  uint32_t length = le32_to_cpu (hdr->length);
  const char *why = NULL;

  if (hermit_wire_check_reply (hdr, &why))
    {
      require (why != NULL);
      return;
    }
  require (hdr->type & HERMIT_MSG_REPLY);
  require (hdr->status <= HERMIT_WIRE_EINVAL
           || (hdr->status == HERMIT_WIRE_ENOENT
               && hdr->type == (HERMIT_MSG_REPLY | HERMIT_MSG_READ))
           || (hdr->status == HERMIT_WIRE_EBADMSG
               && hdr->type == (HERMIT_MSG_REPLY | HERMIT_MSG_WRITE)));
  require (length == 0
           || (length == HERMIT_WIRE_PAGE
               && (hdr->status == HERMIT_WIRE_OK
                   || hdr->status == HERMIT_WIRE_ENOENT)
               && hdr->type == (HERMIT_MSG_REPLY | HERMIT_MSG_READ)));
}

/* What has its checksum passes, and is as it was; with one bit changed it does not. */
static void
check_sum (const struct hermit_wire_hdr *hdr, uint64_t entropy)
{
  struct hermit_wire_hdr summed = *hdr, got;
  unsigned int bit = entropy % (8 * sizeof (summed));
  const char *why = NULL;
  u32 crc;

  hermit_wire_sum (&summed, entropy);
  got = summed;
  require (!hermit_wire_check_sum (&got, &crc, &why));
  require (crc == (hdr->type == HERMIT_MSG_WRITE ? (u32)entropy : 0));
  require (got.checksum == 0);
  got.checksum = hdr->checksum;
  if (hdr->type == HERMIT_MSG_WRITE)
    {
      require (got.extent == 0);
      got.extent = hdr->extent;
    }
  require (!memcmp (&got, hdr, sizeof (got)));
  ((u8 *)&summed)[bit / 8] ^= 1 << bit % 8;
  require (hermit_wire_check_sum (&summed, &crc, &why) && why);
}

static void
check_handshake (const struct hermit_wire_hdr *hdr)
{
  const char *why = NULL;

  for (unsigned int type = 0; type < 256; type++)
    if (hermit_wire_check_handshake (hdr, type, &why) == 0)
      require (hdr->type == type && le32_to_cpu (hdr->length) <= 168);
}

static void
check_hello (const struct hermit_wire_hello *hello)
{
  const char *why = NULL;
  uint16_t version = 0;
  int code = hermit_wire_check_hello (hello, &version, &why);

  if (code)
    {
      require (why != NULL && code >= 1 && code <= HERMIT_REFUSE_PROTOCOL);
      return;
    }
  require (version >= le16_to_cpu (hello->version_min));
  require (version <= le16_to_cpu (hello->version_max));
  require (version == HERMIT_WIRE_VERSION);
  require (hello->region_size
           && le64_to_cpu (hello->region_size) % HERMIT_WIRE_PAGE == 0);
  require (strnlen (hello->name, sizeof (hello->name)) < sizeof (hello->name));
  require (!(le32_to_cpu (hello->flags) & HERMIT_HELLO_OPEN)
           == (hello->epoch != 0));
}

static void
check_private (const u8 *data, size_t len)
{
  struct hermit_wire_rdma_request request;
  struct hermit_wire_rdma_accept accept;
  const char *why = NULL;
  int code = hermit_wire_check_rdma_request (data, len, &why);

  memcpy (&request, data, sizeof (request));
  memcpy (&accept, data, sizeof (accept));
  require (!code == !why && code >= 0 && code <= HERMIT_REFUSE_PROTOCOL);
  if (!code)
    require (len >= sizeof (request)
             && (request.role == HERMIT_RDMA_CONTROL
                 || request.role == HERMIT_RDMA_DATA)
             && le16_to_cpu (request.version) == HERMIT_WIRE_VERSION);
  why = NULL;
  if (hermit_wire_check_rdma_accept (data, len, &why))
    require (why != NULL);
  else
    require (len >= sizeof (accept) && accept.max_data != 0
             && le16_to_cpu (accept.version) == HERMIT_WIRE_VERSION);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct input input;

  memset (&input, 0, sizeof (input));
  memcpy (&input, data, size < sizeof (input) ? size : sizeof (input));
  check_request (&input.hdr, le64_to_cpu (input.region_size));
  check_rdma_control (&input.hdr, le64_to_cpu (input.region_size));
  check_reply (&input.hdr);
  check_sum (&input.hdr, le64_to_cpu (input.region_size));
  check_rdma_reply (&input.hdr);
  check_handshake (&input.hdr);
  check_hello (&input.hello);
  check_private (input.private_data,
                 input.private_len % (sizeof (input.private_data) + 1));
  return 0;
}

size_t
fuzz_seed (unsigned int i, uint8_t *data)
{
  static const struct
  {
    uint8_t type;
    uint64_t offset;
    uint32_t extent, length;
  } frames[] = {
    { HERMIT_MSG_READ, 4096, 4096, 0 },
    { HERMIT_MSG_WRITE, 1 << 20, 0, 4096 },
    { HERMIT_MSG_DISCARD, 0, 1 << 20, 0 },
    { HERMIT_MSG_PING, 0, 0, 0 },
    { HERMIT_MSG_GRANT, 0, HERMIT_RDMA_EXTENT, 0 },
    { HERMIT_MSG_GRANT | HERMIT_MSG_REPLY, 0, HERMIT_RDMA_EXTENT, 16 },
    { HERMIT_MSG_READ | HERMIT_MSG_REPLY, 4096, 4096, 4096 },
    { HERMIT_MSG_WRITE | HERMIT_MSG_REPLY, 4096, 0, 0 },
    { HERMIT_MSG_HELLO, 0, 0, sizeof (struct hermit_wire_hello) },
    { HERMIT_MSG_REFUSE, 0, 0, sizeof (struct hermit_wire_refuse) },
  };
  struct input input = {
    .region_size = cpu_to_le64 (2 << 20),
    .hello = {
      .version_min = cpu_to_le16 (1),
      .version_max = cpu_to_le16 (i % 3 + 1),
      .flags = cpu_to_le32 (i % 2),
      .uuid = { 1 },
      .client_id = { 2 },
      .region_size = cpu_to_le64 (1 << 20),
      .epoch = cpu_to_le64 (i % 2 ? 0 : 5),
      .name = "ram0",
    },
  };

  const struct hermit_wire_rdma_request request = {
    .magic = cpu_to_le32 (HERMIT_WIRE_MAGIC),
    .version = cpu_to_le16 (HERMIT_WIRE_VERSION),
    .role = 1 + i / 2 % 2,
  };
  const struct hermit_wire_rdma_accept accept = {
    .magic = cpu_to_le32 (HERMIT_WIRE_MAGIC),
    .version = cpu_to_le16 (HERMIT_WIRE_VERSION),
    .max_data = cpu_to_le16 (1),
  };

  if (i >= sizeof (frames) / sizeof (frames[0]))
    return 0;
  hermit_wire_fill (&input.hdr, frames[i].type, i, frames[i].offset,
                    frames[i].extent, frames[i].length);
  input.private_len = 56;
  memcpy (input.private_data, i % 2 ? (void *)&accept : (void *)&request,
          sizeof (request));
  memcpy (data, &input, sizeof (input));
  return sizeof (input);
}
