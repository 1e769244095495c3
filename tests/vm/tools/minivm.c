// SPDX-License-Identifier: GPL-2.0-or-later
/* See minivm.h. */
#include "minivm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM		0x1000UL	/* guest physical */
#define ARGS(vcpu)	(0x4000UL + (vcpu) * MINIVM_PAGE)
#define PAGE_TABLES	0x8000UL	/* of a spread region: 5 pages */
#define VERSIONS	(1UL << 20)
#define TIMINGS		(4UL << 20)

/* Headers of a build machine may be older than the kernel under test. */
#ifndef KVM_PRE_FAULT_MEMORY
struct kvm_pre_fault_memory {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};
#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

/*
 * The guest program. ebp points to struct minivm_args; ecx is the page, esi its
 * address, edi that of its version, edx the version, eax what the page must
 * begin and end with besides. There is no stack: esp keeps edi. Offsets are those
 * of the struct.
 */
__asm__(
".pushsection .rodata\n"
".code32\n"
"minivm_program_start:\n"
".Lnext:\n"
"	subl	$1, 20(%ebp)\n"			/* ops */
"	jc	.Lfinish\n"
"	movl	24(%ebp), %eax\n"		/* seed */
"	testl	%eax, %eax\n"
"	jz	.Lin_order\n"
"	imull	$1664525, %eax, %eax\n"
"	addl	$1013904223, %eax\n"
"	jnz	1f\n"
"	incl	%eax\n"
"1:	movl	%eax, 24(%ebp)\n"
"	movl	%eax, %ebx\n"
"	shrl	$9, %ebx\n"
"	mull	16(%ebp)\n"			/* edx = k = random * count */
"	jmp	.Lhave_k\n"
".Lin_order:\n"
"	movl	52(%ebp), %edx\n"		/* next */
"	leal	1(%edx), %eax\n"
"	cmpl	16(%ebp), %eax\n"
"	jb	2f\n"
"	xorl	%eax, %eax\n"
"2:	movl	%eax, 52(%ebp)\n"
"	movl	$-1, %ebx\n"
".Lhave_k:\n"
"	movl	%edx, %ecx\n"
"	imull	12(%ebp), %ecx\n"		/* stride */
"	addl	8(%ebp), %ecx\n"		/* first */
"	movl	%ecx, %esi\n"
"	shll	$12, %esi\n"
"	addl	(%ebp), %esi\n"			/* base */
"	cmpl	$0, 32(%ebp)\n"			/* check */
"	jne	.Lverify\n"
"	movl	56(%ebp), %edi\n"		/* timings */
"	testl	%edi, %edi\n"
"	jnz	.Ltimed\n"
"	movl	(%esi), %eax\n"
"	jmp	.Lnext\n"
".Ltimed:\n"
"	rdtsc\n"
"	movl	%eax, %ecx\n"
"	testl	28(%ebp), %ebx\n"		/* write_mask */
"	jz	5f\n"
"	movl	%ecx, 16(%esi)\n"		/* no check looks there */
"5:	movl	(%esi), %eax\n"
"	rdtsc\n"
"	subl	%ecx, %eax\n"
"	movl	%eax, (%edi)\n"
"	addl	$4, %edi\n"
"	movl	%edi, 56(%ebp)\n"
"	jmp	.Lnext\n"
".Lverify:\n"
"	movl	4(%ebp), %edi\n"		/* versions */
"	leal	(%edi,%ecx,4), %edi\n"
"	movl	(%edi), %edx\n"
"	leal	1(%ecx), %eax\n"
"	testl	%edx, %edx\n"
"	jnz	3f\n"
"	xorl	%eax, %eax\n"
"3:	cmpl	%eax, (%esi)\n"
"	jne	.Lbad\n"
"	cmpl	%edx, 4(%esi)\n"
"	jne	.Lbad\n"
"	cmpl	%eax, 4088(%esi)\n"
"	jne	.Lbad\n"
"	cmpl	%edx, 4092(%esi)\n"
"	jne	.Lbad\n"
"	cmpl	$2, 32(%ebp)\n"		/* MINIVM_CHECK_PAGE */
"	jne	.Lchecked\n"
"	xorl	%edx, %eax\n"
"	movl	%edi, %esp\n"
"	leal	8(%esi), %edi\n"
"	movl	$1020, %ecx\n"
"	repe scasl\n"
"	movl	%esp, %edi\n"
"	jne	.Lbad\n"
".Lchecked:\n"
"	movl	%edi, %ecx\n"			/* the page, again */
"	subl	4(%ebp), %ecx\n"
"	shrl	$2, %ecx\n"
"	testl	28(%ebp), %ebx\n"		/* write_mask */
"	jz	.Lnext\n"
"	incl	%edx\n"
"	leal	1(%ecx), %eax\n"
"	movl	%edx, (%edi)\n"
"	movl	%eax, (%esi)\n"
"	movl	%edx, 4(%esi)\n"
"	movl	%eax, 4088(%esi)\n"
"	movl	%edx, 4092(%esi)\n"
"	cmpl	$2, 32(%ebp)\n"		/* MINIVM_CHECK_PAGE */
"	jne	.Lnext\n"
"	xorl	%edx, %eax\n"
"	leal	8(%esi), %edi\n"
"	movl	$1020, %ecx\n"
"	rep stosl\n"
"	jmp	.Lnext\n"
".Lbad:\n"
"	movl	%edi, %ecx\n"			/* the page, again */
"	subl	4(%ebp), %ecx\n"
"	shrl	$2, %ecx\n"
"	cmpl	$0, 36(%ebp)\n"			/* errors */
"	jne	4f\n"
"	movl	%ecx, 40(%ebp)\n"
"	movl	(%esi), %eax\n"
"	movl	%eax, 44(%ebp)\n"
"	movl	4(%esi), %eax\n"
"	movl	%eax, 48(%ebp)\n"
"4:	incl	36(%ebp)\n"
"	jmp	.Lchecked\n"
".Lfinish:\n"
"	hlt\n"
"minivm_program_end:\n"
".code64\n"
".popsection\n");
extern const uint8_t minivm_program_start[], minivm_program_end[];

_Static_assert(offsetof(struct minivm_args, ops) == 20, "the program knows");
_Static_assert(offsetof(struct minivm_args, check) == 32, "the program knows");
_Static_assert(offsetof(struct minivm_args, next) == 52, "the program knows");
_Static_assert(offsetof(struct minivm_args, timings) == 56, "the program knows");
_Static_assert(VERSIONS + MINIVM_MAX_PAGES * 4 <= TIMINGS, "they lie one after the other");
_Static_assert(TIMINGS + MINIVM_MAX_TIMINGS * 4 <= MINIVM_BASE, "they fit");

void die(const char *format, ...)
{
	va_list args;

	fputs("mini: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static int must(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, strerror(errno));
	return r;
}

static void *must_map(size_t size, int flags, int fd, const char *what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		die("mmap of %s: %s", what, strerror(errno));
	return p;
}

static uint64_t region_size(const struct minivm *vm)
{
	return vm->config.size * (vm->config.spread ?: 1);
}

static void create_region(struct minivm *vm)
{
	struct hermit_create c = {
		.size = sizeof(c),
		.version = HERMIT_UAPI_VERSION,
		.region_size = region_size(vm),
		.limit = vm->config.limit,
		.fault_timeout_ms = vm->config.fault_timeout_ms,
		.name = "mini",
	};

	c.nr_servers = vm->config.nr_servers;
	c.replicas = vm->config.replicas;
	for (unsigned int i = 0; i < c.nr_servers; i++)
		snprintf(c.servers[i], sizeof(c.servers[i]), "%s", vm->config.servers[i]);
	if (getrandom(c.uuid, sizeof(c.uuid), 0) != sizeof(c.uuid))
		die("getrandom: %s", strerror(errno));
	vm->control = must(open("/dev/hermit", O_RDWR | O_CLOEXEC), "/dev/hermit");
	if (ioctl(vm->control, HERMIT_CREATE, &c))
		die("HERMIT_CREATE: %s: %s", strerror(errno), c.error);
	vm->memory = c.memory_fd;
	vm->pages = must_map(region_size(vm), MAP_SHARED, vm->memory, "the region");
}

static void set_slot(struct minivm *vm, uint32_t slot, uint32_t flags,
		     uint64_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r))
		die("memory slot %#x: %s", slot, strerror(errno));
}

void minivm_set_slot(struct minivm *vm, uint32_t flags, bool present)
{
	uint64_t size = present ? region_size(vm) : 0;

	set_slot(vm, 1, flags, MINIVM_BASE, size, vm->pages);
	if (vm->config.smm)
		set_slot(vm, 1 << 16 | 1, flags, MINIVM_BASE, size, vm->pages);
}

/*
 * PAE: four tables of 512 entries for 2 MiB each. The low 16 MiB are where they
 * are, and then comes every so manyth piece of the region.
 */
static void create_page_tables(struct minivm *vm)
{
	const unsigned int low = MINIVM_BASE >> 21, pieces = vm->config.size >> 21;
	uint64_t *top = (uint64_t *)(vm->low + PAGE_TABLES);
	uint64_t *entry = (uint64_t *)(vm->low + PAGE_TABLES + MINIVM_PAGE);

	for (unsigned int i = 0; i < 4; i++)
		top[i] = (PAGE_TABLES + (i + 1) * MINIVM_PAGE) | 1;
	for (unsigned int i = 0; i < low + pieces; i++) {
		uint64_t at = i < low ? i : low + (uint64_t)(i - low) * vm->config.spread;

		entry[i] = at << 21 | 0xe3;	/* 2 MiB, dirty, accessed, writable, present */
	}
}

void minivm_reset(struct minivm *vm, unsigned int i, bool smm)
{
	struct minivm_vcpu *v = &vm->vcpu[i];
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1,
		.s = 1, .g = 1,
	}, data = code;
	struct kvm_regs regs = { .rip = PROGRAM, .rflags = 2, .rbp = ARGS(i) };
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	must(ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events), "KVM_GET_VCPU_EVENTS");
	if (vm->config.smm) {
		events.flags = KVM_VCPUEVENT_VALID_SMM;
		events.smi.smm = smm;
		must(ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events), "entering SMM");
	}
	data.type = 3;
	data.selector = 16;
	must(ioctl(v->fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr0 |= 1;
	if (vm->config.spread) {
		sregs.cr3 = PAGE_TABLES;
		sregs.cr4 |= 1 << 5;	/* PAE */
		sregs.cr0 |= 1u << 31;	/* paging */
	}
	must(ioctl(v->fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(v->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void create_vcpu(struct minivm *vm, unsigned int i)
{
	struct minivm_vcpu *v = &vm->vcpu[i];
	int size = must(ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");

	v->fd = must(ioctl(vm->fd, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
	v->stats = must(ioctl(v->fd, KVM_GET_STATS_FD, 0), "KVM_GET_STATS_FD");
	v->run = must_map(size, MAP_SHARED, v->fd, "a vCPU");
	v->args = (struct minivm_args *)(vm->low + ARGS(i));
	minivm_reset(vm, i, false);
}

void minivm_create(struct minivm *vm, const struct minivm_config *config)
{
	struct timespec begin, end;

	memset(vm, 0, sizeof(*vm));
	vm->config = *config;
	vm->control = vm->memory = -1;
	vm->npages = config->size / MINIVM_PAGE;
	if (!vm->npages || vm->npages > MINIVM_MAX_PAGES)
		die("--size must be 1 to %lu MiB", MINIVM_MAX_PAGES >> 8);
	if (config->spread && (config->anonymous || config->size % (2 << 20)))
		die("--spread is for a region, of whole 2 MiB");

	vm->kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm->fd = must(ioctl(vm->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	vm->stats = must(ioctl(vm->fd, KVM_GET_STATS_FD, 0), "KVM_GET_STATS_FD");
	if (config->smm && ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MULTI_ADDRESS_SPACE) < 2)
		die("--smm: this KVM has one address space only");

	vm->low = must_map(MINIVM_BASE, MAP_SHARED | MAP_ANONYMOUS, -1, "low memory");
	vm->versions = (uint32_t *)(vm->low + VERSIONS);
	vm->timings = (uint32_t *)(vm->low + TIMINGS);
	memcpy(vm->low + PROGRAM, minivm_program_start,
	       minivm_program_end - minivm_program_start);
	set_slot(vm, 0, 0, 0, MINIVM_BASE, vm->low);
	if (config->smm)
		set_slot(vm, 1 << 16, 0, 0, MINIVM_BASE, vm->low);

	if (config->spread)
		create_page_tables(vm);

	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (config->anonymous) {
		/* as guests have it by default */
		vm->pages = must_map(config->size, MAP_PRIVATE | MAP_ANONYMOUS, -1, "memory");
		if (!config->huge)
			madvise(vm->pages, config->size, MADV_NOHUGEPAGE);
	} else {
		create_region(vm);
	}
	minivm_set_slot(vm, config->dirty_log ? KVM_MEM_LOG_DIRTY_PAGES : 0, true);
	clock_gettime(CLOCK_MONOTONIC, &end);
	vm->create_ns = (end.tv_sec - begin.tv_sec) * 1000000000ull + end.tv_nsec - begin.tv_nsec;

	for (unsigned int i = 0; i < config->vcpus; i++)
		create_vcpu(vm, i);
}

void minivm_end(struct minivm *vm)
{
	for (unsigned int i = 0; i < vm->config.vcpus; i++) {
		munmap(vm->vcpu[i].run, ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
		close(vm->vcpu[i].stats);
		close(vm->vcpu[i].fd);
	}
	close(vm->stats);
	close(vm->fd);
	vm->fd = -1;
}

void minivm_destroy(struct minivm *vm)
{
	if (vm->fd >= 0)
		minivm_end(vm);
	close(vm->kvm);
	munmap(vm->pages, region_size(vm));
	munmap(vm->low, MINIVM_BASE);
	if (vm->control >= 0) {
		close(vm->control);
		close(vm->memory);
	}
}

void minivm_program(struct minivm *vm, struct minivm_args *a, unsigned int owner,
		    unsigned int of)
{
	*a = (struct minivm_args) {
		.base = MINIVM_BASE,
		.versions = VERSIONS,
		.first = owner,
		.stride = of,
		.count = (vm->npages - owner + of - 1) / of,
		.check = vm->config.ends ? MINIVM_CHECK_ENDS : MINIVM_CHECK_PAGE,
	};
	a->ops = a->count;
}

static void unexpected_exit(const struct minivm_vcpu *v)
{
	const struct kvm_run *run = v->run;
	struct kvm_regs r;

	must(ioctl(v->fd, KVM_GET_REGS, &r), "KVM_GET_REGS");
	fprintf(stderr, "mini: eip %#llx eax %#llx ebx %#llx ecx %#llx edx %#llx esi %#llx edi %#llx ebp %#llx esp %#llx eflags %#llx\n",
		r.rip, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.rflags);
	if (run->exit_reason == KVM_EXIT_MMIO)
		die("KVM_RUN: MMIO %s of %u bytes at %#llx", run->mmio.is_write ? "write" : "read",
		    run->mmio.len, run->mmio.phys_addr);
	die("KVM_RUN: exit reason %u, suberror %u", run->exit_reason, run->internal.suberror);
}

void minivm_time(struct minivm_args *a, uint32_t ops)
{
	if (ops > MINIVM_MAX_TIMINGS)
		die("no more than %lu accesses can be timed", MINIVM_MAX_TIMINGS);
	a->ops = ops;
	a->check = MINIVM_CHECK_NONE;
	a->timings = TIMINGS;
}

bool minivm_run(struct minivm *vm, unsigned int i, bool once)
{
	struct minivm_vcpu *v = &vm->vcpu[i];

	for (;;) {
		if (!ioctl(v->fd, KVM_RUN, 0))
			break;
		if (errno != EINTR && errno != EAGAIN)
			die("KVM_RUN: %s, exit reason %u", strerror(errno), v->run->exit_reason);
		if (once) {
			if (v->run->exit_reason != KVM_EXIT_INTR)
				die("KVM_RUN interrupted, but exit reason %u", v->run->exit_reason);
			return false;
		}
	}
	if (v->run->exit_reason != KVM_EXIT_HLT)
		unexpected_exit(v);
	return true;
}

struct run_one {
	struct minivm *vm;
	unsigned int vcpu;
};

static void *run_one(void *arg)
{
	struct run_one *r = arg;

	minivm_run(r->vm, r->vcpu, false);
	return NULL;
}

unsigned long minivm_run_all(struct minivm *vm, unsigned int owners, uint32_t ops,
			     uint32_t seed, uint32_t write_mask, bool smm)
{
	struct run_one run[MINIVM_MAX_VCPUS];
	unsigned int i, n = vm->config.vcpus;
	unsigned long errors = 0;

	for (i = 0; i < n; i++) {
		struct minivm_args *a = vm->vcpu[i].args;

		minivm_program(vm, a, i, owners);
		a->ops = ops ? ops : a->count;
		a->seed = seed ? seed + i * 7919 : 0;
		a->write_mask = write_mask;
		minivm_reset(vm, i, smm);
		run[i] = (struct run_one) { vm, i };
		if (pthread_create(&vm->vcpu[i].thread, NULL, run_one, &run[i]))
			die("pthread_create failed");
	}
	for (i = 0; i < n; i++) {
		const struct minivm_args *a = vm->vcpu[i].args;

		pthread_join(vm->vcpu[i].thread, NULL);
		errors += a->errors;
		if (a->errors)
			fprintf(stderr, "mini: vCPU %u: %u errors; first: page %u holds {%u, %u}, not {%u, %u}\n",
				i, a->errors, a->bad_page, a->bad_index, a->bad_version,
				a->bad_page + 1, vm->versions[a->bad_page]);
	}
	return errors;
}

/* What word @i of @page is at version @v. */
static uint32_t word(uint32_t page, uint32_t v, unsigned int i)
{
	uint32_t index = v ? page + 1 : 0;

	if (i >= 2 && i < 1022)
		return index ^ v;
	return i % 2 ? v : index;
}

bool minivm_host_check(struct minivm *vm, uint32_t page)
{
	const volatile uint32_t *p = (void *)(vm->pages + page * MINIVM_PAGE);
	uint32_t v = vm->versions[page];

	for (unsigned int i = 0; i < MINIVM_PAGE / sizeof(*p); i++) {
		uint32_t got = p[i];

		if (got == word(page, v, i))
			continue;
		fprintf(stderr, "mini: host: word %u of page %u is %#x, not %#x (version %u)\n",
			i, page, got, word(page, v, i), v);
		return false;
	}
	return true;
}

void minivm_host_write(struct minivm *vm, uint32_t page)
{
	volatile uint32_t *p = (void *)(vm->pages + page * MINIVM_PAGE);
	uint32_t v = ++vm->versions[page];

	for (unsigned int i = 0; i < MINIVM_PAGE / sizeof(*p); i++)
		p[i] = word(page, v, i);
}

uint64_t minivm_stat(struct minivm *vm, int vcpu, const char *name)
{
	int fd = vcpu < 0 ? vm->stats : vm->vcpu[vcpu].stats;
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	uint64_t value = 0;
	bool found = false;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		die("statistics of KVM: %s", strerror(errno));
	d = malloc(sizeof(*d) + h.name_size);
	for (unsigned int i = 0; i < h.num_desc && !found; i++) {
		size_t size = sizeof(*d) + h.name_size;

		if (pread(fd, d, size, h.desc_offset + i * size) != (ssize_t)size)
			die("statistics of KVM: %s", strerror(errno));
		found = !strcmp(d->name, name);
	}
	if (!found || pread(fd, &value, sizeof(value), h.data_offset + d->offset) != sizeof(value))
		die("KVM has no statistic '%s'", name);
	free(d);
	return value;
}

void minivm_region_stats(struct minivm *vm, struct hermit_stats *st)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	if (vm->control >= 0)
		must(ioctl(vm->control, HERMIT_GET_STATS, st), "HERMIT_GET_STATS");
}

void minivm_set_policy(struct minivm *vm, struct hermit_policy *policy)
{
	policy->size = sizeof(*policy);
	if (ioctl(vm->control, HERMIT_SET_POLICY, policy))
		die("HERMIT_SET_POLICY: %s: %s", strerror(errno), policy->error);
}

void minivm_set_limit(struct minivm *vm, uint64_t limit)
{
	struct hermit_limit l = { .size = sizeof(l), .limit = limit };

	if (ioctl(vm->control, HERMIT_SET_LIMIT, &l))
		die("HERMIT_SET_LIMIT: %s: %s", strerror(errno), l.error);
}

unsigned int minivm_dirty(struct minivm *vm, uint32_t from, uint32_t to)
{
	static uint64_t bitmap[MINIVM_MAX_PAGES / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	unsigned int n = 0;

	must(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), "KVM_GET_DIRTY_LOG");
	for (uint32_t i = from; i < to; i++)
		n += bitmap[i / 64] >> i % 64 & 1;
	return n;
}

int minivm_prefault(struct minivm *vm, unsigned int vcpu, uint32_t page, uint32_t n)
{
	struct kvm_pre_fault_memory r = {
		.gpa = MINIVM_BASE + page * MINIVM_PAGE,
		.size = n * MINIVM_PAGE,
	};

	/* It returns after a signal with what is left to do. */
	while (r.size)
		if (ioctl(vm->vcpu[vcpu].fd, KVM_PRE_FAULT_MEMORY, &r))
			return -errno;
	return 0;
}

uint64_t minivm_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}
