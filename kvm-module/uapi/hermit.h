/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef HERMIT_UAPI_H
#define HERMIT_UAPI_H
/*
 * /dev/hermit. Opening it gives a control fd. HERMIT_CREATE on it makes the
 * region and returns the memory fd, a regular file: mmap(MAP_SHARED), pread
 * and fallocate(PUNCH_HOLE | KEEP_SIZE). Closing the control fd ends the
 * region for good; closing the memory fd ends nothing. HERMIT_OPEN makes a
 * control fd a query handle of an existing region: statistics and limit, but
 * it keeps nothing alive. It needs CAP_SYS_ADMIN. HERMIT_LIST needs neither.
 *
 * Every struct begins with its size. A shorter one than the kernel's is taken
 * with zeros at the end; a longer one must have zeros there (-E2BIG). All
 * sizes and offsets are in bytes unless the name says pages; all times in ns.
 *
 * A control fd polls readable while events wait; read() returns whole
 * struct hermit_event_record records. Messages of a failed HERMIT_CREATE,
 * HERMIT_SET_LIMIT or HERMIT_CHANGE_SERVER come back in the struct's error field: one sentence that
 * names what was wrong.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

#define HERMIT_UAPI_VERSION	1
#define HERMIT_MAX_SERVERS	4
#define HERMIT_NAME_LEN		64
#define HERMIT_SERVER_LEN	128
#define HERMIT_KEY_LEN		64
#define HERMIT_ERROR_LEN	256

struct hermit_create {
	__u32 size;			/* of this struct */
	__u16 version;			/* HERMIT_UAPI_VERSION */
	__u16 flags;			/* HERMIT_CREATE_*; to older kernels another version: -EPROTO */
	__u64 region_size;		/* bytes, page-aligned */
	__u64 limit;			/* bytes, <= region_size, >= floor */
	__u8 uuid[16];			/* identifies the region to servers; not 0 */
	char name[HERMIT_NAME_LEN];	/* for messages: the QEMU object's id */
	__u32 nr_servers;		/* 0: the local pool */
	__u32 reclaim_threads;		/* at most; 0: default */
	__u32 fault_timeout_ms;		/* a stall longer than this is an event; 0: 60 s */
	__u32 key_len;			/* of the pre-shared key; 0: none */
	__u8 key[HERMIT_KEY_LEN];
	/*
	 * "tcp:HOST:PORT" with a numeric address, "rdma:..", or a pool on this
	 * host, "local:[lz4|lzo-rle|zstd|plain][:MAX]": "local:" is lz4. Several,
	 * none of them local:, are a set: each page is on `replicas` of them.
	 */
	char servers[HERMIT_MAX_SERVERS][HERMIT_SERVER_LEN];
	char error[HERMIT_ERROR_LEN];	/* out, with any failure */
	__s32 memory_fd;		/* out */
	__u32 replicas;			/* servers that each page is on; 0: one, of several two */
	__u64 floor;			/* out, also with -ERANGE: least limit */
};

/*
 * What leaves this host is encrypted and authenticated, with a key that is made for the
 * region, is told to nobody, and ends with it. Not with local:, -EINVAL. While there is
 * such a region the host does not hibernate.
 */
#define HERMIT_CREATE_SEAL	(1U << 0)

struct hermit_open {
	__u32 size;
	__u32 reserved;
	__u8 uuid[16];
};

/* Takes effect asynchronously: never waits for reclaim. */
struct hermit_limit {
	__u32 size;
	__u32 reserved;
	__u64 limit;
	__u64 floor;			/* out */
	char error[HERMIT_ERROR_LEN];	/* out */
};

#define HERMIT_IDLE_BUCKETS	9	/* see idle_hist */
#define HERMIT_HIST_BUCKETS	40	/* bucket i counts [2^i, 2^(i+1)) ns; 0 also 0 */

enum hermit_mode {
	HERMIT_MODE_STOCK = 0,	/* stock KVM: through host page tables */
	HERMIT_MODE_EPT = 1,	/* patched KVM: EPT hook */
};

enum hermit_server_state {
	HERMIT_SERVER_NONE = 0,
	HERMIT_SERVER_UP = 1,
	HERMIT_SERVER_RECONNECTING = 2,
	HERMIT_SERVER_FULL = 3,
	HERMIT_SERVER_FAILED = 4,	/* refuses us until its operator acts; asked once a second */
	HERMIT_SERVER_DRAINING = 5,	/* serves, but is to become empty; may be full */
	HERMIT_SERVER_DRAINED = 6,	/* serves, and no page needs it; by HERMIT_SERVER_DRAIN */
	HERMIT_SERVER_STUCK = 7,	/* as DRAINING, and no page gets off it: no room elsewhere */
};

struct hermit_server_stats {
	char address[HERMIT_SERVER_LEN];
	__u32 state;			/* enum hermit_server_state */
	__u32 connections;
	__u64 epoch;
	__u64 incarnation;
	__u64 reads;
	__u64 writes;
	__u64 discards;
	__u64 errors;
	__u64 reconnects;
	__u64 bytes_used;		/* as the server last said; local: host memory it takes */
	__u64 rtt_ns;			/* smoothed time of a read, post to completion */
	__u64 inflight;
	/* "local:" only: what the pool holds, and what that cost so far */
	__u64 pool_pages;		/* stored; same and raw are among them */
	__u64 pool_same;		/* kept as the one word that fills them */
	__u64 pool_raw;			/* incompressible, or plain copies */
	__u64 pool_bytes;		/* what the pages are stored as, without gaps and tables */
	__u64 compress_ns;
	__u64 decompress_ns;
	/* "rdma:" only: what moved the pages, without connecting and control */
	__u64 doorbells;		/* chains of work requests posted */
	__u64 completions;		/* work completions handled */
	__u64 polled;			/* of these, by who waited for a page */
};

struct hermit_stats {
	__u32 size;
	__u32 mode;			/* enum hermit_mode */
	__u8 uuid[16];
	char name[HERMIT_NAME_LEN];
	__u64 region_size;
	__u64 limit;
	__u64 floor;
	/* pages now */
	__u64 resident;			/* local + evicting + inflight + pool */
	__u64 local;			/* in page words, evicting included */
	__u64 inflight;			/* reads on the wire, and their pages */
	__u64 pool;			/* ready pages */
	__u64 remote;
	__u64 lost;
	__u64 host_mapped;		/* set since start less cleared */
	__u64 resident_max;		/* since the last time the limit was set */
	__u64 metadata_bytes;
	/* counters since creation */
	__u64 faults_guest;		/* EPT hook: faults that found no page */
	__u64 faults_host;		/* the same for vm_ops->fault */
	__u64 first_touch;
	__u64 fetches;			/* reads posted by demand */
	__u64 prefetches;
	__u64 prefetch_hits;
	__u64 conflicts;		/* fetched, lost the final compare-exchange */
	__u64 read_errors;
	__u64 evicted_clean;
	__u64 evicted_dirty;		/* acknowledged writes that freed a page */
	__u64 evicted_zero;
	__u64 rescued;
	__u64 pinned;			/* victims kept since somebody held them */
	__u64 kept;			/* victims kept for another reason */
	__u64 write_errors;
	__u64 discarded;
	__u64 direct_reclaims;
	__u64 zap_batches;		/* batched EPT zaps, one flush each */
	__u64 zapped;			/* pages in them */
	__u64 scanned;			/* page words the clock looked at */
	__u64 room_waits;		/* faults that waited for the limit */
	__u64 parked;			/* vCPU waits with kvm->srcu dropped */
	__u64 spun;			/* vCPU waits that ended while spinning */
	__u64 wait_srcu;		/* waits under kvm->srcu in kvm_read/write_guest */
	__u64 wait_mmap_long;		/* waits over 100 ms that held mmap_lock */
	__u64 stall_ns;			/* sum of all fault waits */
	/* scheduler */
	__u32 threads_now;
	__u32 threads_max;
	__u64 watermark_low;		/* pages */
	__u64 watermark_high;
	__u64 turnaround_ns;
	/* fault latency, from the violation to the page, waits included */
	__u64 fault_hist[HERMIT_HIST_BUCKETS];
	__u32 nr_servers;		/* entries; one that is NONE is nobody's */
	__u32 bindings;
	struct hermit_server_stats servers[HERMIT_MAX_SERVERS];
	/* techniques */
	__u64 prefetch_misses;		/* prefetched, evicted untouched */
	__u64 refaults_early;		/* fetched again after fewer evictions than pages are free */
	__u64 eager_pauses;		/* times that conflicts switched eager fetch off */
	__u64 reclaim_busy_ns;		/* time in batches, summed over threads */
	__u64 reclaim_turn_waits;	/* batches that waited for those of other VMs */
	/*
	 * The working set, estimated from a sample: touched pages, remote ones
	 * included, by how long ago the guest accessed them. Bucket 0: within
	 * the last period; i: 2^(i-1) up to 2^i periods ago, the last one any
	 * time before. A period of 0: not known (yet), or not to be known, as
	 * with stock KVM.
	 */
	__u64 idle_period_ns;
	__u64 idle_sampled;		/* pages */
	__u64 idle_busy_ns;		/* time that looking took */
	__u64 idle_hist[HERMIT_IDLE_BUCKETS];	/* pages */
	__u64 async_faults;		/* faults during whose read the guest went on */
	__u64 poisoned;			/* frames that left for a memory error of this host */
	__u64 unaged;			/* pages taken for not accessed since KVM could not say */
	__u64 mismatches;		/* answers that were not what was written; none was used */
	__u64 short_copies;		/* pages now: remote, and on fewer servers than replicas */
	/*
	 * Time that each of servers[] has had its state; 0: not known to a kernel older
	 * than this field. Read after the state: at a change it may be the next one's.
	 */
	__u64 server_state_ns[HERMIT_MAX_SERVERS];
	__u64 replicas;			/* of each page, on several servers; 0: there is one */
	__u64 moved;			/* pages read from a server, and written to others */
	__u64 standby_hits;		/* pages that left, and were back before their frame was used */
	__u64 sealed;			/* pages that were sealed; 0: none, or not sealed */
	__u64 seal_refused;		/* answers that were not what was sealed; of mismatches */
	__u64 reserved[1];
};

/*
 * What the engine does and does not do, for whoever measures or operates it.
 * The fields that `set` names change, at once and for what begins from then
 * on; the policy in force comes back in all of them.
 */
#define HERMIT_POLICY_EAGER	(1U << 0)
#define HERMIT_POLICY_ASYNC_IO	(1U << 1)
#define HERMIT_POLICY_PREFETCH	(1U << 2)
#define HERMIT_POLICY_BATCH	(1U << 3)
#define HERMIT_POLICY_THREADS	(1U << 4)
#define HERMIT_POLICY_WAIT	(1U << 5)
#define HERMIT_POLICY_WEIGHT	(1U << 6)
#define HERMIT_POLICY_ASYNC_PF	(1U << 7)
#define HERMIT_POLICY_ALL	((1U << 8) - 1)

enum hermit_wait_policy {
	HERMIT_POLICY_WAIT_AUTO = 0,	/* spin while the server's answers come soon enough */
	HERMIT_POLICY_WAIT_SPIN = 1,	/* up to 50 us, then park */
	HERMIT_POLICY_WAIT_PARK = 2,
};

/* Patched KVM only: faults that would park become KVM's async page faults. */
enum hermit_async_pf_policy {
	HERMIT_POLICY_ASYNC_PF_AUTO = 0,	/* while reads take long enough */
	HERMIT_POLICY_ASYNC_PF_ON = 1,
	HERMIT_POLICY_ASYNC_PF_OFF = 2,
};

struct hermit_policy {
	__u32 size;
	__u32 set;			/* HERMIT_POLICY_* */
	__u32 eager;			/* 1: post a read without looking for another's; conflicts pause it */
	__u32 async_io;			/* 1: charge and allocate the next pages after the post */
	__u32 prefetch;			/* pages beside one fault, 0 to 32 */
	__u32 batch;			/* pages that one flush is shared by, 1 to 32 */
	__u32 threads;			/* 0: by feedback; else so many, whenever there is work */
	__u32 wait;			/* enum hermit_wait_policy */
	__u32 weight;			/* share of the host's reclaim, 1 to 10000; 100 is usual */
	__u32 async_pf;			/* enum hermit_async_pf_policy */
	__u32 reserved[2];
	char error[HERMIT_ERROR_LEN];	/* out */
};

/* State of each page, a byte each: enum hermit_page_state. */
struct hermit_pagemap {
	__u32 size;
	__u32 reserved;
	__u64 start_page;
	__u64 nr_pages;
	__u64 states;			/* user pointer to nr_pages bytes */
};

enum hermit_page_state {
	HERMIT_PAGE_ABSENT = 0,		/* reads as zeros */
	HERMIT_PAGE_LOCAL = 1,
	HERMIT_PAGE_REMOTE = 2,
	HERMIT_PAGE_LOST = 3,
};

enum hermit_event_type {
	HERMIT_EVENT_SERVER_STATE = 1,	/* arg0: server index, arg1: state */
	HERMIT_EVENT_STALL_BEGIN = 2,	/* arg0: ms since the first waiter began */
	HERMIT_EVENT_STALL_END = 3,	/* arg0: ms since then */
	/* arg0: pages, arg1: the lowest; with a server, its copy, or a frame */
	HERMIT_EVENT_PAGES_LOST = 4,
	HERMIT_EVENT_LIMIT_UNREACHABLE = 5, /* arg0: resident, arg1: limit */
	HERMIT_EVENT_LIMIT_CHANGED = 6,	/* arg0: the limit, whoever set it */
	/* A server's answer was not what was written; at most one in a second. */
	HERMIT_EVENT_PAGE_MISMATCH = 7,	/* arg0: server index, arg1: the page */
	/* Pages are on fewer servers than replicas, or no more; at most one in a second. */
	HERMIT_EVENT_SHORT_COPIES = 8,	/* arg0: pages, 0: none any more */
};

struct hermit_event_record {
	__u32 type;
	__u32 reserved;
	__u64 time_ns;			/* CLOCK_MONOTONIC */
	__u64 arg0;
	__u64 arg1;
};

/*
 * The regions of this host, for whoever administers it (CAP_SYS_ADMIN: a UUID
 * is all that HERMIT_OPEN asks for). Entries beyond nr are not written; an
 * entry_size below the kernel's gets that much of each.
 */
struct hermit_list_entry {
	__u8 uuid[16];
	char name[HERMIT_NAME_LEN];
	__u64 region_size;
	__u64 limit;
	__u64 resident;			/* pages */
};

struct hermit_list {
	__u32 size;
	__u32 nr;			/* in: entries there is room for; out: regions there are */
	__u32 entry_size;
	__u32 reserved;
	__u64 entries;			/* user pointer */
};

/*
 * Bring home what is remote of a range, as far as the limit has room, in the
 * caller's time: pages that nobody touches come one range after another.
 * -ENOSPC: the limit leaves no room; -ETIMEDOUT: a page did not come within
 * HERMIT_RECALL_MS; -EINTR. Then next says where to go on.
 */
#define HERMIT_RECALL_MS	5000

struct hermit_recall {
	__u32 size;
	__u32 reserved;
	__u64 start_page;
	__u64 nr_pages;
	__u64 next_page;		/* out: the first that was not looked at */
	__u64 fetched;			/* out: pages that came for this call */
};

/*
 * How long each vCPU of the region's VM waited for pages, spinning included;
 * those that never did are not listed. Only with the EPT hook: KVM tells the
 * hook who waits.
 */
struct hermit_vcpu_entry {
	__u32 tid;			/* of its thread, as the caller sees it; 0: not at all */
	__u32 reserved;
	__u64 waits;
	__u64 stall_ns;
};

struct hermit_vcpus {
	__u32 size;
	__u32 nr;			/* in: entries there is room for; out: vCPUs there are */
	__u32 entry_size;
	__u32 reserved;
	__u64 entries;			/* user pointer */
};

/*
 * The servers of a region, while its VM runs. It needs a set: several servers at create,
 * or one, and replicas. Who has an older kernel gets -ENOTTY.
 *
 *  ADD		Connects, as create does, in the caller's network namespace and time:
 *		seconds. Pages that are on too few servers get on it, and what leaves
 *		from now on; what is on enough stays. -EEXIST, -ENOSPC: HERMIT_MAX_SERVERS.
 *  DRAIN	The server gets no page any more, and what it has is copied to others,
 *		in the background: DRAINING, and in the end DRAINED, are its states. It
 *		serves reads all the time. STUCK: nothing has moved for some time.
 *		-ENOSPC: no other server is UP, or they do not have the room: it is
 *		asked of them, seconds. Nothing happens to one that drains already.
 *  UNDRAIN	And it gets pages again.
 *  DROP	It is told to free the region's memory, and forgotten. -EBUSY: it was not
 *		drained, or pages need it still, whose number is in `pages`. With FORCE
 *		they are lost if nobody else has them, or have fewer copies. -EINVAL: it is
 *		the last one, or all others leave; so with FORCE, too.
 *
 * -ENOENT: no server of the region has the address. -EOPNOTSUPP: it has no set. All but
 * ADD and DRAIN wait for the writes that are under way, and no longer. One at a time.
 *
 * A server that its own operator drains is DRAINING, and does so in the region as if
 * DRAIN had been asked for, as long as that is so; STUCK if that would be refused.
 */
enum hermit_server_op {
	HERMIT_SERVER_ADD = 1,
	HERMIT_SERVER_DROP = 2,
	HERMIT_SERVER_DRAIN = 3,
	HERMIT_SERVER_UNDRAIN = 4,
};
#define HERMIT_SERVER_FORCE	(1U << 0)	/* DROP */

struct hermit_server_change {
	__u32 size;
	__u32 op;			/* enum hermit_server_op */
	__u32 flags;			/* HERMIT_SERVER_FORCE */
	__u32 key_len;			/* ADD: of the pre-shared key; 0: none */
	__u8 key[HERMIT_KEY_LEN];
	char address[HERMIT_SERVER_LEN];	/* as in create; not local: */
	char error[HERMIT_ERROR_LEN];	/* out, with any failure */
	__u32 server;			/* out: its number, in events and statistics */
	__u32 reserved;
	__u64 pages;			/* out: DROP: that need it, or with FORCE, that are lost */
};

#define HERMIT_CREATE		_IOWR('h', 0x01, struct hermit_create)
#define HERMIT_OPEN		_IOW('h', 0x02, struct hermit_open)
#define HERMIT_SET_LIMIT	_IOWR('h', 0x03, struct hermit_limit)
#define HERMIT_GET_STATS	_IOWR('h', 0x04, struct hermit_stats)
#define HERMIT_GET_PAGEMAP	_IOW('h', 0x05, struct hermit_pagemap)
#define HERMIT_LIST		_IOWR('h', 0x06, struct hermit_list)
#define HERMIT_SET_POLICY	_IOWR('h', 0x07, struct hermit_policy)
#define HERMIT_RECALL		_IOWR('h', 0x08, struct hermit_recall)
#define HERMIT_GET_VCPUS	_IOWR('h', 0x09, struct hermit_vcpus)
#define HERMIT_CHANGE_SERVER	_IOWR('h', 0x0a, struct hermit_server_change)

#endif /* HERMIT_UAPI_H */
