/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
  guint32 used;
  guint32 draining;
  guint64 epoch;
  guint64 reserved[60];
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

/* For this process alone; it ends with it. */
static gboolean
ledger_lock (int fd)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

  return fcntl (fd, F_SETLK, &lock) == 0;
}

static HermitLedger *
ledger_map (int fd, gsize length, GError **error)
{
  HermitLedger *ledger;
  void *at = mmap (NULL, length, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_NORESERVE, fd, 0);

  if (at == MAP_FAILED)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "cannot map %zu bytes to keep track of the memory: %s",
                   length, g_strerror (errno));
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
  return ledger;
}

HermitLedger *
hermit_ledger_new (guint32 slots, GError **error)
{
  gsize length = ledger_length (slots);
  HermitLedger *ledger;
  int fd = memfd_create ("hermit-ledger", MFD_CLOEXEC);

  if (fd < 0 || ftruncate (fd, (off_t)length) || !ledger_lock (fd))
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "cannot make %zu bytes to keep track of the memory: %s",
                   length, g_strerror (errno));
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  ledger = ledger_map (fd, length, error);
  if (ledger)
    *ledger->header = (Header){
      .magic = MAGIC,
      .format = FORMAT,
      .slots = slots,
      .regions = HERMIT_LEDGER_REGIONS,
    };
  return ledger;
}

static gboolean
ledger_read (int fd, Header *header, GError **error)
{
  struct stat st;

  if (pread (fd, header, sizeof (*header), 0) != sizeof (*header)
      || fstat (fd, &st) < 0 || header->magic != MAGIC
      || header->format != FORMAT || header->regions != HERMIT_LEDGER_REGIONS
      || header->used > header->slots
      || (guint64)st.st_size != ledger_length (header->slots))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   "the memory that is there was left by another version of "
                   "this server: start that one");
      return FALSE;
    }
  return TRUE;
}

gboolean
hermit_ledger_check (int fd, GError **error)
{
  Header header;

  return ledger_read (fd, &header, error);
}

HermitLedger *
hermit_ledger_adopt (int fd, GError **error)
{
  Header header;

  if (!ledger_read (fd, &header, error))
    {
      close (fd);
      return NULL;
    }
  if (!ledger_lock (fd))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                   "another server still has the memory that is there");
      close (fd);
      return NULL;
    }
  return ledger_map (fd, ledger_length (header.slots), error);
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

guint32 *
hermit_ledger_used (HermitLedger *ledger)
{
  return &ledger->header->used;
}

guint64 *
hermit_ledger_epoch (HermitLedger *ledger)
{
  return &ledger->header->epoch;
}

guint32 *
hermit_ledger_draining (HermitLedger *ledger)
{
  return &ledger->header->draining;
}

int
hermit_ledger_fd (HermitLedger *ledger)
{
  return ledger->fd;
}
