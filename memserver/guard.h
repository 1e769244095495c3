/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_GUARD_H
#define HERMIT_GUARD_H

#include <glib.h>

/* Take over SIGBUS for the whole process. Once, before the first copy. */
void hermit_guard_init (void);

/*
 * memcpy() that survives a SIGBUS: a page of a memfd that cannot be read back
 * from swap, or that the hardware lost. Any thread. Returns FALSE if the copy
 * is incomplete.
 */
gboolean hermit_guard_copy (void *to, const void *from, gsize length);

#endif /* HERMIT_GUARD_H */
