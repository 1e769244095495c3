/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_HERMIT_H
#define FAKE_HERMIT_H
/*
 * /dev/hermit without the module: the ioctls answer from structs that a test
 * fills in, or from a region that QEMU creates, whose memory is a memfd. Who
 * uses it redirects open(), ioctl() and close() here: fake-hermit-preload.c
 * does for a QEMU, the linker's --wrap in the unit tests of hermitctl.
 */
#include <stdbool.h>

#include "uapi/hermit.h"

#define FAKE_REGIONS	100
#define FAKE_VCPUS	100

struct fake_region {
	struct hermit_stats st;		/* uuid and name are the region's */
	struct hermit_policy policy;	/* in force */
	struct hermit_vcpu_entry vcpus[FAKE_VCPUS];
	unsigned int nr_vcpus;
	struct hermit_server_change change;	/* the last one */
	bool created;			/* by HERMIT_CREATE: has memory */
	int memory;
	unsigned int reads, pages;	/* calls of pread() of it, and pages read */
};

struct fake_hermit {
	int open_errno;			/* what open() fails with; 0: it does not */
	unsigned int stats_size;	/* of the module's struct; 0: the size of ours */
	unsigned int nr;
	unsigned int fds;		/* open now */
	unsigned int calls;		/* ioctls so far */
	/*
	 * Asked before each ioctl; @r is NULL before HERMIT_OPEN. An errno it
	 * returns is the answer, with what it left in @arg; 0: as usual.
	 */
	int (*answer)(unsigned long request, struct fake_region *r, void *arg);
	struct fake_region regions[FAKE_REGIONS];
};

/* A test puts it into memory that it shares with its children. */
extern struct fake_hermit *fake_hermit;

/* As open(), ioctl() and close() of it; fake_hermit_owns(): is @fd one of them? */
int fake_hermit_open(void);
bool fake_hermit_owns(int fd);
int fake_hermit_ioctl(int fd, unsigned long request, void *arg);
int fake_hermit_close(int fd);

#endif
