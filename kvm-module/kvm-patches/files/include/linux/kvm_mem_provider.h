/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_MEM_PROVIDER_H
#define __KVM_MEM_PROVIDER_H
/*
 * A module may provide the pages of a memslot instead of the primary MMU, as
 * guest_memfd does for private memory. KVM asks the registered provider at
 * slot creation; for a bound slot the page fault takes the page from it.
 *
 * Two rules make this safe:
 *
 *  - A gfn has at most one page at a time. The provider makes ->get_page()
 *    refuse a page before it zaps it, and hands out another one for that gfn
 *    only after the zap returned: replacing a present SPTE by another pfn is a
 *    BUG() in the TDP MMU.
 *  - ->get_page() does not sleep for I/O: it runs under kvm->srcu, and memslot
 *    updates and dirty-log toggles wait for that. It returns -EAGAIN, and
 *    ->wait_page() either finishes within microseconds or leaves something to
 *    sleep for on the vCPU, which vcpu_run() does with srcu dropped.
 *
 * The provider allocates its objects with one of the structs below inside, and
 * gets from that to its own by container_of().
 *
 * Lock order: slots_lock > slots_arch_lock, mmap_lock > the provider's >
 * mmu_lock.
 */
#include <linux/errno.h>
#include <linux/kvm_types.h>
#include <linux/types.h>

struct kvm;
struct kvm_async_pf;
struct kvm_memory_slot;
struct kvm_provider_ops;
struct kvm_vcpu;
struct module;
struct page;

/* A memslot whose pages come from a provider. */
struct kvm_provider_binding {
	const struct kvm_provider_ops *ops;	/* and a module reference */
	struct kvm *kvm;
	gfn_t base_gfn;			/* fixed: KVM_MR_MOVE is refused */
	unsigned long npages;
	unsigned long hva;
	short slot_id;
	u16 as_id;
};

/*
 * What a provider keeps of one vCPU from one fault to the next, so that a fault
 * that comes back after a signal joins the request it left.
 */
struct kvm_provider_wait {
	const struct kvm_provider_ops *ops;	/* and a module reference */
};

/*
 * The wait of an async page fault: the guest goes on meanwhile, and no thread
 * sleeps in it.
 */
struct kvm_provider_async {
	const struct kvm_provider_ops *ops;	/* and a module reference */
	void (*done)(struct kvm_provider_async *a);
	struct kvm_async_pf *apf;
};

/* flags of ->get_page() and ->wait_page() */
#define KVM_PROVIDER_WRITE	1
#define KVM_PROVIDER_PREFETCH	2	/* KVM asks, not the guest: pre-fault, or async fault over */

/* bits of kvm_provider_page.flags */
#define KVM_PROVIDER_PRESENT	1	/* had a SPTE */
#define KVM_PROVIDER_ACCESSED	2
#define KVM_PROVIDER_DIRTY	4

struct kvm_provider_page {
	struct kvm_provider_binding *binding;
	unsigned long idx;		/* page index in the slot */
	unsigned int flags;		/* out: KVM_PROVIDER_{PRESENT,ACCESSED,DIRTY} */
};

struct kvm_provider_ops {
	struct module *owner;
	/*
	 * slots_lock and slots_arch_lock held, may sleep. A new object with a
	 * copy of @slot in it; ERR_PTR(-ENODEV): not this provider's memory.
	 * Any other error fails KVM_SET_USER_MEMORY_REGION.
	 */
	struct kvm_provider_binding *(*bind)(const struct kvm_provider_binding *slot);
	/*
	 * Free it. No SPTE of the slot exists any more and none can be made.
	 * slots_lock held, or the VM goes. May sleep.
	 */
	void (*unbind)(struct kvm_provider_binding *b);
	/*
	 * vCPU context, kvm->srcu held for read, no spinlock. 0 and a page with
	 * a reference for the caller (*writable may be cleared unless
	 * KVM_PROVIDER_WRITE); -EAGAIN: call ->wait_page() and ask again;
	 * -EHWPOISON: the page is lost for good, the vCPU's thread gets a
	 * SIGBUS; -EINTR; -EFAULT: this memory is gone for good, KVM_RUN fails.
	 * After any other error the guest tries again.
	 */
	int (*get_page)(struct kvm_provider_binding *b, unsigned long idx,
			unsigned int flags, struct page **page, bool *writable);
	/* Same context. NULL: no memory; the guest tries again. */
	struct kvm_provider_wait *(*alloc_wait)(struct kvm_provider_binding *b);
	/* The vCPU is destroyed, or faults on another provider. May sleep. */
	void (*free_wait)(struct kvm_provider_wait *wait);
	/*
	 * Same context as ->get_page(), after its -EAGAIN. 0: ask again now (it
	 * took microseconds at most). -EBUSY: the fault is retried after
	 * ->park(). -EINPROGRESS: the same, and ->begin_async() may have what
	 * is waited for, since it will be long. Else as ->get_page(). What
	 * @wait has may be of an older fault, of another gfn even.
	 */
	int (*wait_page)(struct kvm_provider_binding *b, unsigned long idx,
			 unsigned int flags, struct kvm_provider_wait *wait);
	/*
	 * vCPU context, nothing held. Sleep interruptibly until the wait is
	 * over. The slot and its binding may be gone by now. 0 or -EINTR.
	 */
	int (*park)(struct kvm_provider_wait *wait);
	/*
	 * vCPU context, srcu held, does not sleep. After -EINPROGRESS, take what
	 * ->wait_page() left out of @wait into an object with a copy of @init in
	 * it; call its done() once, in any context, when it is over. NULL if it
	 * is over already: @wait is as it was.
	 */
	struct kvm_provider_async *(*begin_async)(struct kvm_provider_wait *wait,
						  const struct kvm_provider_async *init);
	/*
	 * Once for each that began: free it. True if done() was not called; in
	 * any case it does not run now, and won't. vCPU context, does not sleep.
	 */
	bool (*end_async)(struct kvm_provider_async *a);
};

/* One provider at a time: -EBUSY. */
int kvm_provider_register(const struct kvm_provider_ops *ops);
/* Returns when no ->bind() can begin any more. */
void kvm_provider_unregister(const struct kvm_provider_ops *ops);

/*
 * Zap the leaf SPTEs of @n scattered pages in all their address spaces, with at
 * most one remote TLB flush, which is done when this returns. All bindings are
 * of @kvm and stay bound meanwhile (the provider excludes ->unbind()). May
 * sleep (mmu_lock may be contended, srcu); holds mmu_lock for write for a time
 * proportional to @n: keep it at 64 or below. Returns how many had a SPTE.
 *
 * The dirty bit in @flags means that the guest wrote through the SPTE since it
 * was made; it is also or-ed into the page's PG_dirty. Shadow-paged SPTEs
 * report into the page's flags only.
 */
int kvm_provider_zap(struct kvm *kvm, struct kvm_provider_page *p, int n);

/*
 * Test and clear the accessed bits of @n pages, without a flush: a page that
 * stays in a TLB may be accessed without a new bit. Sets PRESENT and ACCESSED,
 * and DIRTY as a hint. May sleep. At most 512 pages a call (-EINVAL). Returns
 * how many were accessed, or -EOPNOTSUPP where there are no accessed bits to
 * trust (no A/D bits, shadow paging, nested guests).
 */
int kvm_provider_age(struct kvm *kvm, struct kvm_provider_page *p, int n);

/*
 * All vCPUs find PVCLOCK_GUEST_STOPPED in their clocks when they next enter the
 * guest, which they do soon unless they sleep: its watchdogs (soft lockup, RCU,
 * clocksource, hung tasks) begin anew. Guests without kvmclock are not told. To
 * be called every few seconds of a long wait, and at its end: a watchdog of one
 * vCPU looks at the others, too. Does not sleep.
 */
void kvm_provider_stopped(struct kvm *kvm);

/* The rest is KVM's own. */

enum kvm_provider_state {
	KVM_PROVIDER_RUN,	/* there is nothing to sleep for */
	KVM_PROVIDER_PARK,	/* sleep before the next entry */
	KVM_PROVIDER_PARK_MAP,	/* then map gpa, at which the guest faulted */
};

/* Used by the vCPU's thread only. */
struct kvm_provider_vcpu {
	struct kvm_provider_wait *wait;
	enum kvm_provider_state state;
	gpa_t gpa;
	u64 error_code;
};

static inline gfn_t kvm_provider_gfn(const struct kvm_provider_page *p)
{
	return p->binding->base_gfn + p->idx;
}

/* How many of @n pages, from the first on, follow each other in one slot. */
static inline int kvm_provider_run(const struct kvm_provider_page *p, int n)
{
	int run = 1;

	while (run < n && p[run].binding == p->binding &&
	       p[run].idx == p->idx + run)
		run++;
	return run;
}

#ifdef CONFIG_KVM_MEM_PROVIDER
int kvm_provider_prepare_slot(struct kvm *kvm, const struct kvm_memory_slot *old,
			      struct kvm_memory_slot *new);
void kvm_provider_unbind(struct kvm_memory_slot *slot);
void kvm_provider_unbind_all(struct kvm *kvm);

int kvm_provider_wait_page(struct kvm_vcpu *vcpu, struct kvm_provider_binding *b,
			   unsigned long idx, unsigned int flags);
int kvm_provider_park(struct kvm_vcpu *vcpu);
int kvm_provider_park_running(struct kvm_vcpu *vcpu);
void kvm_provider_vcpu_destroy(struct kvm_vcpu *vcpu);
void kvm_arch_provider_page_ready(struct kvm_vcpu *vcpu);

bool kvm_provider_async_begin(struct kvm_vcpu *vcpu, struct kvm_async_pf *apf);
bool kvm_provider_async_end(struct kvm_async_pf *apf);
#else
static inline int kvm_provider_prepare_slot(struct kvm *kvm,
					    const struct kvm_memory_slot *old,
					    struct kvm_memory_slot *new)
{
	return 0;
}

static inline void kvm_provider_unbind(struct kvm_memory_slot *slot) {}
static inline void kvm_provider_unbind_all(struct kvm *kvm) {}

/* The -EAGAIN that it is called for goes to userspace. */
static inline int kvm_provider_park(struct kvm_vcpu *vcpu)
{
	return -EAGAIN;
}

static inline int kvm_provider_park_running(struct kvm_vcpu *vcpu)
{
	return 0;
}

static inline void kvm_provider_vcpu_destroy(struct kvm_vcpu *vcpu) {}

static inline bool kvm_provider_async_begin(struct kvm_vcpu *vcpu,
					    struct kvm_async_pf *apf)
{
	return false;
}

static inline bool kvm_provider_async_end(struct kvm_async_pf *apf)
{
	return false;
}
#endif

#endif /* __KVM_MEM_PROVIDER_H */
