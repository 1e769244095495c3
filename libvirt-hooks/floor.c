/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uapi/hermit.h"

/* a test has its own */
#ifndef HERMIT_DEVICE
#define HERMIT_DEVICE "/dev/hermit"
#endif
/* Above any floor: a region below it may be all on this host. */
#define LARGE (1ULL << 46)

uint64_t
hermit_floor (uint32_t reclaim_threads)
{
  struct hermit_create c = { .size = sizeof (c),
                             .version = HERMIT_UAPI_VERSION,
                             .region_size = LARGE,
                             .uuid = { 1 },
                             .name = "floor",
                             .reclaim_threads = reclaim_threads };
  int fd = open (HERMIT_DEVICE, O_RDWR | O_CLOEXEC);
  uint64_t floor = 0;

  if (fd < 0)
    return 0;
  if (ioctl (fd, HERMIT_CREATE, &c) < 0 && errno == ERANGE)
    floor = c.floor;
  close (fd);
  return floor;
}
