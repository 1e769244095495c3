/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x6c6d7268u /* "hrml" */
/* Of everything in it, and of what lies in the memory's slots. */
#define FORMAT 1

typedef struct
{
  guint32 magic;
  guint32 format;
  guint32 slots;
  guint32 regions;
  guint64 reserved[62];
} Header;

G_STATIC_ASSERT (sizeof (Header) == 512);
G_STATIC_ASSERT (sizeof (HermitLedgerRegion) == 512);
G_STATIC_ASSERT (sizeof (HermitLedgerSlot) == 192);

struct HermitLedger
{
  int fd;
  gsize length;
  Header *header;
  HermitLedgerRegion *regions;
  HermitLedgerSlot *slots;
};

static gsize
ledger_length (guint32 slots)
{
  return sizeof (Header) + HERMIT_LEDGER_REGIONS * sizeof (HermitLedgerRegion)
         + slots * sizeof (HermitLedgerSlot);
}

HermitLedger *
hermit_ledger_new (guint32 slots, GError **error)
{
  gsize length = ledger_length (slots);
  HermitLedger *ledger;
  void *at = MAP_FAILED;
  int fd = memfd_create ("hermit-ledger", MFD_CLOEXEC);

  if (fd >= 0 && ftruncate (fd, (off_t)length) == 0)
    at = mmap (NULL, length, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "cannot map %zu bytes to keep track of the memory: %s",
                   length, g_strerror (errno));
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  ledger = g_new (HermitLedger, 1);
  ledger->fd = fd;
  ledger->length = length;
  ledger->header = at;
  ledger->regions = (HermitLedgerRegion *)(ledger->header + 1);
  ledger->slots
      = (HermitLedgerSlot *)(ledger->regions + HERMIT_LEDGER_REGIONS);
  *ledger->header = (Header){
    .magic = MAGIC,
    .format = FORMAT,
    .slots = slots,
    .regions = HERMIT_LEDGER_REGIONS,
  };
  return ledger;
}

void
hermit_ledger_free (HermitLedger *ledger)
{
  munmap (ledger->header, ledger->length);
  close (ledger->fd);
  g_free (ledger);
}

HermitLedgerRegion *
hermit_ledger_region (HermitLedger *ledger, guint32 number)
{
  return &ledger->regions[number - 1];
}

HermitLedgerSlot *
hermit_ledger_slot (HermitLedger *ledger, guint32 slot)
{
  return &ledger->slots[slot - 1];
}

guint32
hermit_ledger_slots (HermitLedger *ledger)
{
  return ledger->header->slots;
}

int
hermit_ledger_fd (HermitLedger *ledger)
{
  return ledger->fd;
}
