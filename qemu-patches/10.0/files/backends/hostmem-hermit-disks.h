/*
 * hermit-memory: disks that the main loop serves
 *
 * The main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_DISKS_H
#define BACKENDS_HOSTMEM_HERMIT_DISKS_H

/*
 * Warn of each disk without an iothread, as the object of this id: the main
 * loop reads and writes for it, in guest memory whose pages may be away, and
 * cannot answer meanwhile.
 */
void hermit_disks_check(const char *id);

#endif
