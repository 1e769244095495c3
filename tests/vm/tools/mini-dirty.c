// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest wrote through a SPTE may be known by the dirty bit of that SPTE
 * alone. A SPTE goes in many ways, most of them none of Hermit's business, and
 * each has to leave the page dirty: else it passes for clean, and is dropped for
 * the old copy that the server has.
 *
 * So for each way: give the pages a copy, have the guest read them, which makes
 * SPTEs, and write them; let the SPTEs go that way; evict, and read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mini-dirty.h"

#define PAGES	256	/* the first ones; the others only push them out */

#ifndef KVM_CAP_DISABLE_QUIRKS2
#define KVM_CAP_DISABLE_QUIRKS2 213
#endif
#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL (1 << 7)
#endif

#define NX_HUGE_PAGES "/sys/module/kvm/parameters/nx_huge_pages"

struct way {
	const char *name;
	/* False: this KVM can't. */
	bool (*go)(struct minivm *vm);
	bool reads;		/* the guest does not write: the pages are clean */
	bool stays;		/* the SPTEs stay, or are changed */
	bool ends;		/* there is no VM any more */
};

static unsigned long guest(struct minivm *vm, bool write)
{
	struct minivm_args *a = vm->vcpu[0].args;

	minivm_program(vm, a, 0, 1);
	a->ops = a->count = PAGES;
	a->write_mask = write ? ~0u : 0;
	minivm_reset(vm, 0, false);
	minivm_run(vm, 0, false);
	return a->errors;
}

static void host_read(struct minivm *vm, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		(void)*(volatile uint8_t *)(vm->pages + i * MINIVM_PAGE);
}

static unsigned int local(struct minivm *vm)
{
	static uint8_t state[MINIVM_MAX_PAGES];
	struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = vm->npages,
				    .states = (uintptr_t)state };
	unsigned int n = 0;

	if (ioctl(vm->control, HERMIT_GET_PAGEMAP, &m))
		die("pagemap: %s", strerror(errno));
	for (uint32_t i = 0; i < PAGES; i++)
		n += state[i] == HERMIT_PAGE_LOCAL;
	return n;
}

static void evict(struct minivm *vm)
{
	unsigned int tries = 0;

	minivm_set_limit(vm, vm->config.limit);
	while (local(vm)) {
		if (++tries > 1000)
			die("%u of the pages stay, whatever else is read", local(vm));
		host_read(vm, PAGES, vm->npages);
	}
	minivm_set_limit(vm, vm->config.size);
}

/* --- the ways ------------------------------------------------------------- */

static bool nothing(struct minivm *vm)
{
	return true;
}

/* All of it: a slot has to lie in one mapping, and those of a part don't merge. */
static void protect(struct minivm *vm, int prot)
{
	if (mprotect(vm->pages, vm->config.size, prot))
		die("mprotect: %s", strerror(errno));
}

/* KVM is told of a change of page tables that have something in them. */
static bool by_mprotect(struct minivm *vm)
{
	host_read(vm, 0, PAGES);
	protect(vm, PROT_READ);
	protect(vm, PROT_READ | PROT_WRITE);
	return true;
}

static bool by_madvise(struct minivm *vm)
{
	if (madvise(vm->pages, PAGES * MINIVM_PAGE, MADV_DONTNEED))
		die("madvise: %s", strerror(errno));
	return true;
}

/* Migration begins, and is given up: write protected, or dirty bits cleared. */
static bool by_flags(struct minivm *vm)
{
	minivm_set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, true);
	minivm_set_slot(vm, 0, true);
	return true;
}

/* The same with rounds of the log, and writes between them. */
static bool by_log(struct minivm *vm)
{
	minivm_set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, true);
	for (int i = 0; i < 3; i++) {
		guest(vm, true);
		if (minivm_dirty(vm, 0, PAGES) != PAGES)
			die("the dirty log has not all pages that were written");
	}
	minivm_set_slot(vm, 0, true);
	return true;
}

static bool by_slot(struct minivm *vm)
{
	minivm_set_slot(vm, 0, false);
	minivm_set_slot(vm, 0, true);
	return true;
}

/* The slot's SPTEs only, and not the roots of all. There is no way back. */
static bool by_leafs(struct minivm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DISABLE_QUIRKS2, .args = { KVM_X86_QUIRK_SLOT_ZAP_ALL },
	};

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		return false;
	return by_slot(vm);
}

static bool put(const char *file, char value)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, &value, 1) == 1;

	close(fd);
	return done;
}

/* Invalid roots without any change of a slot. */
static bool by_roots(struct minivm *vm)
{
	char was;
	int fd = open(NX_HUGE_PAGES, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &was, 1) != 1)
		die("%s: %s", NX_HUGE_PAGES, strerror(errno));
	close(fd);
	return put(NX_HUGE_PAGES, was == 'N' ? 'Y' : 'N') && put(NX_HUGE_PAGES, was);
}

/* As if they were read: must not make SPTEs clean that are there already. */
static bool by_prefault(struct minivm *vm)
{
	int r = minivm_prefault(vm, 0, 0, PAGES);

	if (r && r != -EOPNOTSUPP)
		die("KVM_PRE_FAULT_MEMORY: %s", strerror(-r));
	return !r;
}

static bool by_end(struct minivm *vm)
{
	minivm_end(vm);
	return true;
}

static const struct way ways[] = {
	{ "read", nothing, .reads = true, .stays = true },
	{ "evict", nothing, .stays = true },
	{ "mprotect", by_mprotect },
	{ "madvise", by_madvise },
	{ "flags", by_flags, .stays = true },
	{ "log", by_log, .stays = true },
	{ "slot", by_slot },
	{ "roots", by_roots },
	{ "leafs", by_leafs },
	{ "prefault", by_prefault, .stays = true },
	{ "end", by_end, .ends = true },
};

/* -------------------------------------------------------------------------- */

/* How many pages read back wrong; the host looks no further than the first. */
static unsigned long verify(struct minivm *vm, const struct way *w)
{
	if (!w->ends)
		return guest(vm, false);
	for (uint32_t i = 0; i < PAGES; i++)
		if (!minivm_host_check(vm, i))
			return 1;
	return 0;
}

static int try(struct minivm *vm, const struct way *w)
{
	struct hermit_stats before, after;
	unsigned long lost;
	uint64_t sptes;
	int failed = 0;

	for (uint32_t i = 0; i < PAGES; i++)
		minivm_host_write(vm, i);
	evict(vm);
	if (guest(vm, false))
		die("%s: the pages are wrong before anything was done", w->name);
	if (!w->reads && guest(vm, true))
		die("%s: the pages are wrong when they are written", w->name);
	sptes = minivm_stat(vm, -1, "pages_4k");
	if (!w->go(vm)) {
		printf("skipped_%s 1\n", w->name);
		return 0;
	}
	if (!w->stays && !w->ends && minivm_stat(vm, -1, "pages_4k") + PAGES > sptes)
		die("%s: the SPTEs did not go", w->name);
	minivm_region_stats(vm, &before);
	evict(vm);
	minivm_region_stats(vm, &after);
	/* who evicted the last batch may be about to count it */
	for (int i = 0; w->reads && after.evicted_clean - before.evicted_clean < PAGES && i < 100; i++) {
		usleep(100 * 1000);
		minivm_region_stats(vm, &after);
	}
	printf("clean_%s %llu\n", w->name, after.evicted_clean - before.evicted_clean);
	/* If reads made pages dirty no lost bit would ever be seen. */
	if (w->reads && after.mode == 1 && after.evicted_clean - before.evicted_clean < PAGES) {
		fprintf(stderr, "mini: of %u pages that were only read not all were clean\n", PAGES);
		failed = 1;
	}
	lost = verify(vm, w);
	if (lost) {
		fprintf(stderr, "mini: %s: what the guest wrote is lost in %lu of %u pages%s\n",
			w->name, lost, PAGES, w->ends ? " or more" : "");
		failed = 1;
	}
	printf("lost_%s %lu\n", w->name, lost);
	return failed;
}

int mini_dirty(struct minivm *vm)
{
	int failed = 0;

	minivm_set_policy(vm, &(struct hermit_policy) { .set = HERMIT_POLICY_PREFETCH });
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		failed |= try(vm, &ways[i]);
	return failed;
}
