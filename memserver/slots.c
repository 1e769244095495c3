/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE HERMIT_WIRE_PAGE
#define SIZE HERMIT_SLOT_SIZE

/* A stack of slots, linked by number. */
typedef struct
{
  guint32 top;
  guint32 count;
} Stack;

struct HermitSlots
{
  HermitLedger *ledger;
  int fd;
  guint8 *base;
  guint32 count;
  _Atomic guint64 held, owned;
  guint8 *clean; /* by slot; the owner's, or whose stack it is on */

  GMutex lock;   /* what follows */
  guint32 *next; /* by slot */
  guint32 *used; /* those above it were never touched; in the ledger */
  Stack empty, ready, going;
  guint changing; /* slots that get or lose memory, on no stack meanwhile */
  GCond changed;  /* there is one less */
};

/* Takes @fd, which may be -1 with errno, and @ledger. */
static HermitSlots *
slots_map (int fd, HermitLedger *ledger, gboolean locked, GError **error)
{
  HermitSlots *slots = g_new0 (HermitSlots, 1);
  guint32 count = hermit_ledger_slots (ledger);
  gsize length = (gsize)count * SIZE;

  slots->count = count;
  slots->used = hermit_ledger_used (ledger);
  slots->fd = fd;
  slots->ledger = ledger;
  slots->base = MAP_FAILED;
  g_mutex_init (&slots->lock);
  g_cond_init (&slots->changed);
  /* One more than there are: their numbers begin at 1. */
  slots->next = g_try_new0 (guint32, count + 1);
  slots->clean = g_try_new0 (guint8, count + 1);
  if (slots->next && slots->clean && slots->fd >= 0)
    slots->base = mmap (NULL, length, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_NORESERVE, slots->fd, 0);
  if (slots->base == MAP_FAILED)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "cannot map %zu bytes for the memory to lend: %s", length,
                   g_strerror (errno));
      hermit_slots_free (slots);
      return NULL;
    }
  if (locked && mlock2 (slots->base, length, MLOCK_ONFAULT))
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "--lock: cannot lock %zu bytes of memory: %s; raise the "
                   "limit of locked memory above it (ulimit -l, "
                   "LimitMEMLOCK=)",
                   length, g_strerror (errno));
      hermit_slots_free (slots);
      return NULL;
    }
  /* Huge pages are worth having, not failing for. */
  madvise (slots->base, length, MADV_HUGEPAGE);
  /* A core file must not hold the guests' memory. */
  madvise (slots->base, length, MADV_DONTDUMP);
  return slots;
}

HermitSlots *
hermit_slots_new (guint32 count, gboolean locked, GError **error)
{
  HermitLedger *ledger = hermit_ledger_new (count, error);
  int fd;

  if (!ledger)
    return NULL;
  fd = memfd_create ("hermit-memory", MFD_CLOEXEC);
  if (fd >= 0 && ftruncate (fd, (off_t)count * SIZE) < 0)
    {
      int code = errno;

      close (fd);
      fd = -1;
      errno = code;
    }
  return slots_map (fd, ledger, locked, error);
}

HermitSlots *
hermit_slots_adopt (int memory, int fd, gboolean locked, GError **error)
{
  HermitLedger *ledger = hermit_ledger_adopt (fd, error);
  struct stat st;

  if (!ledger)
    {
      close (memory);
      return NULL;
    }
  if (fstat (memory, &st) < 0
      || st.st_size != (off_t)hermit_ledger_slots (ledger) * SIZE)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "the memory that is there is not what its ledger says");
      hermit_ledger_free (ledger);
      close (memory);
      return NULL;
    }
  return slots_map (memory, ledger, locked, error);
}

gboolean
hermit_slots_bind (HermitSlots *slots, const HermitNuma *numa, GError **error)
{
  return hermit_numa_apply (numa, slots->base, (gsize)slots->count * SIZE,
                            error);
}

int
hermit_slots_fd (HermitSlots *slots)
{
  return slots->fd;
}

void
hermit_slots_free (HermitSlots *slots)
{
  if (slots->base != MAP_FAILED)
    munmap (slots->base, (gsize)slots->count * SIZE);
  if (slots->fd >= 0)
    close (slots->fd);
  if (slots->ledger)
    hermit_ledger_free (slots->ledger);
  g_cond_clear (&slots->changed);
  g_mutex_clear (&slots->lock);
  g_free (slots->next);
  g_free (slots->clean);
  g_free (slots);
}

HermitLedger *
hermit_slots_ledger (HermitSlots *slots)
{
  return slots->ledger;
}

HermitSlotsUsage
hermit_slots_usage (HermitSlots *slots)
{
  HermitSlotsUsage usage;

  g_mutex_lock (&slots->lock);
  usage = (HermitSlotsUsage){
    .held = atomic_load (&slots->held),
    .owned = atomic_load (&slots->owned),
    .ready = slots->ready.count,
    .going = slots->going.count,
  };
  g_mutex_unlock (&slots->lock);
  return usage;
}

guint64
hermit_slots_held (HermitSlots *slots)
{
  return atomic_load (&slots->held);
}

static guint64
slot_at (guint32 slot)
{
  return (guint64)(slot - 1) * SIZE;
}

guint8 *
hermit_slots_memory (HermitSlots *slots, guint32 slot)
{
  return slots->base + slot_at (slot);
}

gboolean
hermit_slots_clean (HermitSlots *slots, guint32 slot)
{
  return slots->clean[slot];
}

/* ---- a slot's memory ---- */

/* @pages of an owned slot, from @first on, all have got memory, or lost it. */
static void
slots_note (HermitSlots *slots, HermitLedgerSlot *record, guint first,
            guint pages, gboolean present)
{
  guint64 bytes = (present ? pages : -(guint64)pages) * PAGE;

  for (guint i = first; i < first + pages; i++)
    record->present[i / 64] ^= 1ULL << (i % 64);
  atomic_fetch_add (&slots->held, bytes);
  atomic_fetch_add (&slots->owned, bytes);
}

static gboolean
slots_punch (HermitSlots *slots, guint64 at, guint64 bytes)
{
  return fallocate (slots->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)at, (off_t)bytes)
         == 0;
}

static gboolean
slots_allocate (HermitSlots *slots, guint64 at, guint64 bytes)
{
  int ret;

  do
    ret = fallocate (slots->fd, 0, (off_t)at, (off_t)bytes);
  while (ret < 0 && errno == EINTR);
  return ret == 0;
}

/*
 * Map it all in one go instead of by page faults, so that we learn now if the
 * page tables do not fit. What has no memory gets it. Kernels that do not know
 * the advice say EINVAL, and do nothing.
 */
static gboolean
slots_populate (HermitSlots *slots, guint64 at, guint64 bytes)
{
  return madvise (slots->base + at, bytes, MADV_POPULATE_WRITE) == 0;
}

/* From @*first on below @end: the next run of pages with or without memory. */
static guint
record_run (const HermitLedgerSlot *record, guint *first, guint end,
            gboolean present)
{
  guint n = 0;

  while (*first < end && hermit_slot_has (record, *first) != present)
    ++*first;
  while (*first + n < end && hermit_slot_has (record, *first + n) == present)
    n++;
  return n;
}

gboolean
hermit_slots_grow (HermitSlots *slots, guint32 slot, guint first, guint pages)
{
  HermitLedgerSlot *record = hermit_ledger_slot (slots->ledger, slot);
  guint end = first + pages;
  guint n;

  for (; (n = record_run (record, &first, end, FALSE)); first += n)
    {
      guint64 at = slot_at (slot) + first * PAGE;
      guint64 bytes = n * PAGE;

      /* What fallocate() allocates is no huge page, of which more is paid. */
      if (!slots_allocate (slots, at, bytes)
          || (!slots_populate (slots, at, bytes) && errno != EINVAL))
        {
          int code = errno;

          slots_punch (slots, at, bytes);
          errno = code;
          return FALSE;
        }
      slots_note (slots, record, first, n, TRUE);
    }
  return TRUE;
}

gboolean
hermit_slots_shrink (HermitSlots *slots, guint32 slot, guint first,
                     guint pages)
{
  HermitLedgerSlot *record = hermit_ledger_slot (slots->ledger, slot);
  guint end = first + pages;
  guint n;

  for (; (n = record_run (record, &first, end, TRUE)); first += n)
    {
      if (!slots_punch (slots, slot_at (slot) + first * PAGE, n * PAGE))
        return FALSE;
      slots_note (slots, record, first, n, FALSE);
    }
  return TRUE;
}

/* ---- who has which slot ---- */

/* The lock is held. */
static void
stack_push (HermitSlots *slots, Stack *stack, guint32 slot)
{
  slots->next[slot] = stack->top;
  stack->top = slot;
  stack->count++;
}

/* The lock is held. 0 if there is none. */
static guint32
stack_pop (HermitSlots *slots, Stack *stack)
{
  guint32 slot = stack->top;

  if (!slot)
    return 0;
  stack->top = slots->next[slot];
  stack->count--;
  return slot;
}

static void
slots_push (HermitSlots *slots, Stack *stack, guint32 slot)
{
  g_mutex_lock (&slots->lock);
  stack_push (slots, stack, slot);
  g_mutex_unlock (&slots->lock);
}

/* The lock is held. 0 if there is none. */
static guint32
slots_pop (HermitSlots *slots, Stack *stack)
{
  guint32 slot = stack_pop (slots, stack);

  if (!slot && stack == &slots->empty && *slots->used < slots->count)
    slot = ++*slots->used;
  return slot;
}

/* For a change of its memory, which ends with slots_changed(). */
static guint32
slots_change (HermitSlots *slots, Stack *stack)
{
  guint32 slot;

  g_mutex_lock (&slots->lock);
  slot = slots_pop (slots, stack);
  slots->changing += slot != 0;
  g_mutex_unlock (&slots->lock);
  return slot;
}

static void
slots_changed (HermitSlots *slots, Stack *to, guint32 slot)
{
  g_mutex_lock (&slots->lock);
  stack_push (slots, to, slot);
  slots->changing--;
  g_cond_broadcast (&slots->changed);
  g_mutex_unlock (&slots->lock);
}

/* Until there may be a slot on a stack; FALSE if all of them have owners. */
static gboolean
slots_wait (HermitSlots *slots)
{
  gboolean any;

  g_mutex_lock (&slots->lock);
  while (!(any = slots->empty.count || slots->ready.count
                 || slots->going.count)
         && slots->changing)
    g_cond_wait (&slots->changed, &slots->lock);
  g_mutex_unlock (&slots->lock);
  return any;
}

static guint32
slots_take (HermitSlots *slots, Stack *stack, guint32 region, guint32 extent)
{
  HermitLedgerSlot *record;
  guint32 slot;

  g_mutex_lock (&slots->lock);
  slot = slots_pop (slots, stack);
  g_mutex_unlock (&slots->lock);
  if (!slot)
    return 0;
  record = hermit_ledger_slot (slots->ledger, slot);
  record->extent = extent;
  record->region = region;
  atomic_fetch_add (&slots->owned, (guint64)hermit_slot_pages (record) * PAGE);
  return slot;
}

guint32
hermit_slots_take_ready (HermitSlots *slots, guint32 region, guint32 extent)
{
  return slots_take (slots, &slots->ready, region, extent);
}

guint32
hermit_slots_take_empty (HermitSlots *slots, guint32 region, guint32 extent)
{
  guint32 slot;

  /* Who asks counts on one: what is nobody's loses its memory here if need be. */
  while (!(slot = slots_take (slots, &slots->empty, region, extent)))
    if (!hermit_slots_free_one (slots, TRUE)
        && (errno || !slots_wait (slots)))
      break;
  return slot;
}

void
hermit_slots_give_back (HermitSlots *slots, guint32 slot)
{
  HermitLedgerSlot *record = hermit_ledger_slot (slots->ledger, slot);
  guint pages = hermit_slot_pages (record);

  memset (record->stored, 0, sizeof (record->stored));
  atomic_signal_fence (memory_order_seq_cst);
  record->region = 0;
  slots->clean[slot] = FALSE;
  atomic_fetch_sub (&slots->owned, (guint64)pages * PAGE);
  slots_push (slots,
              pages == HERMIT_SLOT_PAGES ? &slots->ready
              : pages                    ? &slots->going
                                         : &slots->empty,
              slot);
}

gboolean
hermit_slots_fill (HermitSlots *slots)
{
  guint32 slot = slots_change (slots, &slots->empty);
  Stack *to = &slots->empty;
  HermitLedgerSlot *record;
  gboolean ok;
  int code;

  if (!slot)
    {
      errno = ENOSPC;
      return FALSE;
    }
  record = hermit_ledger_slot (slots->ledger, slot);
  record->changing = TRUE;
  atomic_signal_fence (memory_order_seq_cst);
  /*
   * Through the mapping, and in a huge page where the host gives them to those
   * who advise. What fallocate() allocates is never one; and it locks the file,
   * which who writes to a new page would wait for.
   */
  ok = slots_populate (slots, slot_at (slot), SIZE)
       || (errno == EINVAL && slots_allocate (slots, slot_at (slot), SIZE));
  code = errno;
  if (ok)
    {
      memset (record->present, 0xff, sizeof (record->present));
      slots->clean[slot] = TRUE;
      atomic_fetch_add (&slots->held, SIZE);
    }
  else if (!slots_punch (slots, slot_at (slot), SIZE))
    {
      /* Some of it may be there: account for all, until it can be freed. */
      memset (record->present, 0xff, sizeof (record->present));
      atomic_fetch_add (&slots->held, SIZE);
      to = &slots->going;
    }
  atomic_signal_fence (memory_order_seq_cst);
  record->changing = FALSE;
  slots_changed (slots, ok ? &slots->ready : to, slot);
  errno = code;
  return ok;
}

gboolean
hermit_slots_free_one (HermitSlots *slots, gboolean ready)
{
  Stack *stack = &slots->going;
  guint32 slot = slots_change (slots, stack);
  HermitLedgerSlot *record;
  guint64 bytes;
  gboolean ok;
  int code;

  if (!slot && ready)
    {
      stack = &slots->ready;
      slot = slots_change (slots, stack);
    }
  if (!slot)
    {
      errno = 0;
      return FALSE;
    }
  record = hermit_ledger_slot (slots->ledger, slot);
  bytes = (guint64)hermit_slot_pages (record) * PAGE;
  record->changing = TRUE;
  atomic_signal_fence (memory_order_seq_cst);
  ok = slots_punch (slots, slot_at (slot), SIZE);
  code = errno;
  if (ok)
    {
      memset (record->present, 0, sizeof (record->present));
      slots->clean[slot] = FALSE;
      atomic_fetch_sub (&slots->held, bytes);
    }
  atomic_signal_fence (memory_order_seq_cst);
  record->changing = FALSE;
  /* If it cannot be freed it stays, and stays accounted. */
  slots_changed (slots, ok ? &slots->empty : stack, slot);
  errno = code;
  return ok;
}

void
hermit_slots_sort (HermitSlots *slots, HermitSlotOwner owner, gpointer data)
{
  for (guint32 slot = *slots->used; slot; slot--)
    {
      HermitLedgerSlot *record = hermit_ledger_slot (slots->ledger, slot);
      guint64 bytes;

      if (record->changing)
        {
          /* What cannot be freed may be there: account for all of it. */
          memset (record->present,
                  slots_punch (slots, slot_at (slot), SIZE) ? 0 : 0xff,
                  sizeof (record->present));
          /* Also then: the next start must not free what is stored in it. */
          record->changing = FALSE;
        }
      bytes = (guint64)hermit_slot_pages (record) * PAGE;
      atomic_fetch_add (&slots->held, bytes);
      atomic_fetch_add (&slots->owned, bytes);
      if (!record->region
          || !owner (slot, record->region, record->extent, data))
        hermit_slots_give_back (slots, slot);
    }
}
