/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_READ_H
#define HERMIT_READ_H
/* pread() of the memory fd. */
#include <linux/types.h>

struct hermit_region;
struct iov_iter;

/*
 * Copy from byte @pos on, as far as @to and the region go, and leave every page
 * where it is: bytes, or, if there were none, -EIO for a page that is lost,
 * -EFAULT, or -EINTR: killed. Sleeps.
 */
ssize_t hermit_read(struct hermit_region *r, loff_t pos, struct iov_iter *to);

#endif /* HERMIT_READ_H */
