/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_WORLD_H
#define HERMIT_TEST_WORLD_H
/*
 * Around the engine: a server behind a link (server.c), a VM (guest.c), and QEMU
 * with what works for it (host.c). Every access is checked against what was
 * written last (oracle.c).
 *
 * A page of version v has v in its first and in its last word; v is 0 in a page
 * of zeros.
 */
#include "shim.h"

#include "engine/region.h"
#include "link/transport.h"

#define WORLD_PAGES		128
#define WORLD_SERVERS		4		/* that may be added */
#define PAGE_WORDS		(PAGE_SIZE / sizeof(u64))

/* What may go wrong in this walk: once in so many times; 0: never. */
struct faults {
	unsigned int read_fails;	/* a read completes with -EIO */
	unsigned int write_fails;	/* a write with -ENOSPC, a discard with -EIO */
	unsigned int late;		/* a request takes up to a second */
	unsigned int inside;		/* a request completes inside submit() */
	unsigned int signals;		/* a vCPU is kicked while it waits */
	unsigned int no_memory;		/* an allocation fails */
	unsigned int reclaims;		/* one that may reclaim does */
	unsigned int lies;		/* what a read brings is not the page */
	unsigned int forgets;		/* the server does not have a page any more */
	unsigned int spoils;		/* or has it wrong, from then on */
	bool sums;			/* the server looks at a write's CRC */
	bool loses;			/* the server loses its contents, once */
	bool poison;			/* frames of the host go bad */
	bool shifts;			/* the clock jumps */
	bool outages;			/* the server is away now and then */
	bool comes;			/* of several, one is drained, dropped or added */
};

struct world {
	struct hermit_region *r;
	struct file *file;
	struct faults faults;
	long high;			/* the group's memory.high, pages; 0: none */
	long group;			/* the same, but so many beside what it keeps for others */
	unsigned int pool;		/* stored pages in one of this host's; 0: on another host */
	u64 chunks;			/* of the region; 0: one, and not all of it */
	long most;			/* the highest limit that there was */
	bool no_nap;			/* a fault has no reason to back off */
	unsigned int servers, replicas;	/* in a set, if there are several */
	bool sync;			/* a read is done when submit() returns */
	bool sealed;			/* what leaves is */
	bool stock;			/* KVM is not patched: vCPUs fault by host PTEs */
	bool lost;			/* a page may be lost, or soon: */
	bool lost_all;			/* the server has lost all that it had */
	u64 forgot, spoilt;		/* or single pages, so often */
	u64 poisons, poisoned;		/* frames that went bad: in this walk, in all */
	u64 lies, lied;			/* wrong answers: in this walk, in all but of spoilt pages */
	int left, vcpus_left;		/* fibers of the walk, and those that end it */
	bool enough;			/* vCPUs stop */
	u64 flush;			/* ns that the flush of a zap takes, at most */
	u64 reads, writes, discards, losses, ended, faulted, zapped, harvested;
	u64 faulted_host, host_mapped, pins, preads, recalled, asyncs;
};
extern struct world world;

/* server.c */
extern const struct hermit_transport_ops world_transport, world_transport_sync;
void server_init(void);
void server_lose(void);			/* its contents; sleeps */
void server_forget(u64 idx);		/* one page of them */
void server_spoil(u64 idx);		/* or it is another one from now on */
u64 server_held(u64 idx);		/* reads of the page that wait until it is back */
/* The answer to the next read of the page is on its way until it is let go. */
void server_keep(u64 idx);
bool server_keeps(void);		/* there is one */
void server_let_go(void);
void server_away_main(void *arg);	/* away for a second */
void server_away(u64 ns);		/* what is out waits; sleeps */
/* One of several, with its contents or without; sleeps. */
void server_one_away(unsigned int i, u64 ns, bool loses);
/* One of several is drained, dropped or added, or that is refused; sleeps. */
void server_come_and_go(void);
void server_all_come(void);		/* until all are there */
/* With several: who is said to have a page has it, and what one has is not lost. */
void server_check(void);

/* guest.c */
void guest_init(void);
bool guest_bind(void);			/* false without memory */
void guest_unbind(void);
void vcpu_main(void *arg);		/* arg: how many accesses, an int * */
/*
 * Some frame that is in use goes bad, and half of the time the region is told.
 * Once it is bad no fault may get it.
 */
void guest_poison(void);
/* This one does, and nobody tells. */
void guest_poison_page(struct page *page);
/* Was it bad when world.poisons was @poisons? */
bool guest_poisoned(struct page *page, u64 poisons);
struct kvm_provider_wait;
/* Until it succeeds, or there is no such page; guest_drop() ends a series. */
void guest_touch(int cpu, u64 idx, bool write, struct kvm_provider_wait **wait);
struct kvm_provider_wait *guest_wait(void);	/* made beforehand */
void guest_drop(struct kvm_provider_wait *wait);
void guest_invalidate_begin(u64 idx, u64 nr);
void guest_invalidate_end(void);
/* Every page is what it should be; reads them all. */
void guest_check_all(void);

/* host.c */
#define HOST_THREADS	5
struct host_thread {
	int nr, accesses;
};
void host_init(void);
void host_mmap(struct file *memory);	/* until it is unmapped */
void host_munmap(void);
void host_main(void *arg);		/* a struct host_thread */
void host_touch(int thread, u64 idx, bool write);
void host_zap(u64 idx, u64 nr);		/* the mm does as it likes with PTEs */
void host_once(u64 idx, unsigned int flags);	/* one fault */
void host_isolate(u64 idx);		/* hold the page's lock for a while */
void host_recall(void);			/* some range */
bool host_read(u64 idx, u64 nr);	/* by pread(); false at the end of the region */
void host_discard(u64 idx, u64 nr);	/* by fallocate(), and it is zeros */
void host_check_all(void);

/* oracle.c */
#define ORACLE_DEVICE	(~0ull)		/* what a device writes to a page it has alone */
void oracle_init(void);
/* One instruction reads the page, writes it too if @write. */
void oracle_access(u64 idx, struct page *page, bool write, const char *who);
void oracle_discard_begin(u64 idx, u64 nr);
void oracle_discard_end(u64 idx, u64 nr);
u64 oracle_version(u64 idx);		/* what the page was last written */
u64 oracle_discards(u64 idx);		/* how often one began */
bool oracle_discarding(u64 idx);	/* is one under way? */
/* A read that takes its time; what it found in the first and the last word. */
u64 oracle_read_begin(u64 idx);
/* Once the region is at rest its counters fit: waits for it. */
void oracle_counters(void);
void oracle_read_end(u64 idx, u64 since, u64 first, u64 last, const char *who);

/* walk.c */
/* A page below @below, often one where much happens. */
u64 world_page(u64 below);
bool walk_create(void);			/* and map; false without memory */
void walk_start(const char *name, void (*fn)(void *), void *arg);
void walk_set_limit(long limit);
long walk_low_limit(void);
void walk_vcpu(void *arg);		/* as vcpu_main() */
void walk_gone(struct hermit_region *r);	/* with a reference, that it puts */
void walk_main(void *arg);

/* scenarios.c */
/* Walks to where few others come. */
#define SCENARIOS	15
extern void (*const scenarios[SCENARIOS])(void *arg);
/* known.c: the last one has no name */
extern const struct known {
	const char *name;
	void (*fn)(void *arg);
	struct faults faults;
	bool no_nap;
	unsigned int servers;		/* 0: one */
} known[];

#endif /* HERMIT_TEST_WORLD_H */
