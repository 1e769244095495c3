/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MINIVM_H
#define MINIVM_H
/*
 * The smallest VM that can exercise a hermit region: no devices, no interrupt
 * controller, vCPUs in flat 32-bit protected mode that run one program, which
 * writes and verifies pages and halts.
 *
 *	guest physical			     userspace
 *	0	 +----------------------+
 *		 | program, its args,	|   anonymous memory, slot 0
 *		 | version of each page,|
 *		 | timings		|
 *	16 MiB	 +----------------------+
 *		 | the pages under test	|   the region's memory fd, or anonymous
 *		 +----------------------+   memory; slot 1, with SMM in both
 *					    address spaces
 *
 * A page that was written v times begins and ends with {number + 1, v}; one
 * that never was is zeros. Each page belongs to one vCPU (or host thread), so
 * what it must hold is known: vm.versions[page]. Functions that can't go on
 * end the process with exit code 2 and a message.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "uapi/hermit.h"

#define MINIVM_PAGE	4096UL
#define MINIVM_BASE	(16UL << 20)
#define MINIVM_MAX_VCPUS 4
#define MINIVM_MAX_PAGES (1UL << 19)	/* below the 32-bit hole */
#define MINIVM_MAX_TIMINGS (1UL << 21)

/*
 * What an access looks at, and a write leaves. A page begins and ends with
 * {page + 1, version}; every word between the two is one xor the other.
 */
#define MINIVM_CHECK_NONE 0	/* plain reads */
#define MINIVM_CHECK_ENDS 1	/* for measurements: not the words between */
#define MINIVM_CHECK_PAGE 2

/* Arguments and results of the guest program; the program knows the layout. */
struct minivm_args {
	uint32_t base;		/* of the pages under test */
	uint32_t versions;
	uint32_t first;		/* page = first + k * stride, k < count */
	uint32_t stride;
	uint32_t count;
	uint32_t ops;		/* how many accesses; counts down */
	uint32_t seed;		/* 0: in order, from k = 0 */
	uint32_t write_mask;	/* write if a random number & mask, or ~0 */
	uint32_t check;		/* MINIVM_CHECK_* */
	uint32_t errors;
	uint32_t bad_page, bad_index, bad_version; /* of the first error */
	uint32_t next;		/* k of the next access in order */
	uint32_t timings;	/* where the next access's goes, see minivm_time(); or 0 */
};

struct minivm_vcpu {
	int fd, stats;		/* asking for the latter waits for KVM_RUN */
	struct kvm_run *run;
	struct minivm_args *args;
	pthread_t thread;
};

struct minivm_config {
	uint64_t size, limit;	/* bytes */
	/*
	 * A region so many times as large: the pages under test are every so
	 * many of its 2 MiB, through page tables of the guest. 0: all of it.
	 */
	unsigned int spread;
	const char *servers[HERMIT_MAX_SERVERS];	/* none: local pool */
	unsigned int nr_servers, replicas;
	unsigned int vcpus;
	uint32_t fault_timeout_ms;	/* 0: the default */
	bool anonymous;		/* no hermit region */
	bool huge;		/* then: of as large pages as the host likes */
	bool smm;		/* the pages in both address spaces */
	bool dirty_log;
	bool ends;		/* for measurements: MINIVM_CHECK_ENDS, not _PAGE */
};

struct minivm {
	struct minivm_config config;
	int kvm, fd, stats, control, memory;
	uint32_t npages;
	uint64_t create_ns;	/* what making the region and its slot took */
	uint8_t *low;		/* guest physical 0 */
	uint8_t *pages;		/* guest physical MINIVM_BASE */
	uint32_t *versions;
	uint32_t *timings;	/* TSC ticks of the guest, one for each access timed */
	struct minivm_vcpu vcpu[MINIVM_MAX_VCPUS];
};

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void minivm_create(struct minivm *vm, const struct minivm_config *config);
void minivm_destroy(struct minivm *vm);
/* The VM only: the region stays as it is, to be looked at by the host. */
void minivm_end(struct minivm *vm);

/* Slot 1 (and its twin) with the flags KVM_MEM_*; size 0 deletes it. */
void minivm_set_slot(struct minivm *vm, uint32_t flags, bool present);

/* Fill in a program run over the pages of one of @of owners. */
void minivm_program(struct minivm *vm, struct minivm_args *a, unsigned int owner,
		    unsigned int of);
/*
 * @ops accesses without checks (a write goes where checks do not look), each
 * with its ticks in vm.timings. One vCPU at a time.
 */
void minivm_time(struct minivm_args *a, uint32_t ops);
/*
 * Enter the guest until the program halts. With @once return false if KVM_RUN
 * was interrupted by a signal.
 */
bool minivm_run(struct minivm *vm, unsigned int vcpu, bool once);
/* Start again at the top, in SMM or not. */
void minivm_reset(struct minivm *vm, unsigned int vcpu, bool smm);
/*
 * All vCPUs at once, each on its pages (the first of @owners own them), in SMM
 * or not. @ops 0: once over all; @seed 0: in order. Returns the errors found.
 */
unsigned long minivm_run_all(struct minivm *vm, unsigned int owners, uint32_t ops,
			     uint32_t seed, uint32_t write_mask, bool smm);

/*
 * The same accesses from the host. True if the page is what it should be. Not
 * for a spread region.
 */
bool minivm_host_check(struct minivm *vm, uint32_t page);
void minivm_host_write(struct minivm *vm, uint32_t page);

/* A counter of the VM, or of a vCPU (0 and up), by KVM's name. */
uint64_t minivm_stat(struct minivm *vm, int vcpu, const char *name);
void minivm_region_stats(struct minivm *vm, struct hermit_stats *st);
void minivm_set_limit(struct minivm *vm, uint64_t limit);
void minivm_set_policy(struct minivm *vm, struct hermit_policy *policy);
/* The dirty log of the pages: how many are set in [from, to), clearing all. */
unsigned int minivm_dirty(struct minivm *vm, uint32_t from, uint32_t to);
/* KVM_PRE_FAULT_MEMORY of pages; 0 or -errno. */
int minivm_prefault(struct minivm *vm, unsigned int vcpu, uint32_t page,
		    uint32_t n);
uint64_t minivm_ticks(void);

#endif /* MINIVM_H */
