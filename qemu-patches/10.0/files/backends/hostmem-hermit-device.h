/*
 * hermit-memory: /dev/hermit, the control file of a region
 *
 * What the kernel refuses, in words; an error does not name the object, of
 * which nothing is known here.  Nothing waits for a page of the guest.  The
 * main thread only, where nothing else is said.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_DEVICE_H
#define BACKENDS_HOSTMEM_HERMIT_DEVICE_H

#include <linux/hermit.h>

/*
 * Create what *create describes, on the first of the addresses of its first
 * server that answers (see hermit_servers_fill()).  Waits for the server.
 * Returns the control file, whose end is the end of the memory; then
 * create->memory_fd is open, too.  The caller owns both.  On error a negative
 * errno, and nothing is left.
 */
int hermit_device_create(struct hermit_create *create, char **addresses,
                         Error **errp);
/* Set the limit, whole pages.  Does not wait until it is reached. */
bool hermit_device_set_limit(int fd, uint64_t limit, Error **errp);
/*
 * Change what p->set names; the policy in force comes back in *p.  Nothing is
 * changed by a p->set of 0.
 */
bool hermit_device_set_policy(int fd, struct hermit_policy *p, Error **errp);
/* Any thread */
bool hermit_device_get_stats(int fd, struct hermit_stats *st, Error **errp);
/*
 * How long vCPUs waited.  Returns as many as *nr says, to be freed; NULL and 0
 * when the kernel knows of none.
 */
struct hermit_vcpu_entry *hermit_device_get_vcpus(int fd, uint32_t *nr);
/* The entry of a thread among them, or NULL: it never waited */
const struct hermit_vcpu_entry *hermit_vcpu_find(
    const struct hermit_vcpu_entry *v, uint32_t nr, int thread_id);
/* Set the bits of pages that are all zeros and nowhere; any thread */
bool hermit_device_find_absent(int fd, uint64_t first, uint64_t npages,
                               unsigned long *absent);
/* Set the bits of pages that are lost; any thread */
bool hermit_device_find_lost(int fd, uint64_t first, uint64_t npages,
                             unsigned long *lost);

#endif
