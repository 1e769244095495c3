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
 *    ->wait_page() either finishes within microseconds or leaves a wait behind
 *    on the vCPU, in which vcpu_run() sleeps with srcu dropped.
 *
 * Lock order: slots_lock, mmap_lock > the provider's > mmu_lock.
 */
#include <linux/kvm_types.h>

struct kvm;
struct kvm_async_pf;
struct kvm_vcpu;
struct module;
struct page;

struct kvm_mp_binding {
	const struct kvm_mem_provider_ops *ops;
	struct kvm *kvm;
	gfn_t base_gfn;			/* fixed: KVM_MR_MOVE is refused */
	unsigned long npages;
	unsigned long hva;
	unsigned int slot_flags;	/* KVM_MEM_* at creation */
	short slot_id;
	u16 as_id;
	void *priv;			/* the provider's, set by ->bind() */
};

/*
 * A wait of one vCPU, kept across exits so that a fault that comes back after
 * a signal joins the request it left. @ops holds a module reference while set.
 */
struct kvm_mp_wait {
	const struct kvm_mem_provider_ops *ops;
	void *obj;			/* the provider's */
	bool parked;			/* sleep before the next entry */
	bool again;			/* then map gpa, the guest has faulted */
	gpa_t gpa;
	u64 error_code;
};

/*
 * The wait of an async page fault: the guest goes on meanwhile, and no thread
 * sleeps in it.
 */
struct kvm_mp_async {
	const struct kvm_mem_provider_ops *ops;	/* a module reference, while set */
	void (*done)(struct kvm_mp_async *a);	/* KVM's */
	bool used;				/* there is no page to get by GUP */
	void *priv[8];				/* the provider's */
};

/* flags of ->get_page() and ->wait_page() */
#define KVM_MP_WRITE	1
#define KVM_MP_PREFETCH	2	/* KVM_PRE_FAULT_MEMORY, not the guest */

/* bits of kvm_mp_page.flags */
#define KVM_MP_PRESENT	1	/* had a SPTE */
#define KVM_MP_ACCESSED	2
#define KVM_MP_DIRTY	4

struct kvm_mp_page {
	struct kvm_mp_binding *binding;
	unsigned long idx;		/* page index in the slot */
	unsigned int flags;		/* out: KVM_MP_{PRESENT,ACCESSED,DIRTY} */
};

struct kvm_mem_provider_ops {
	struct module *owner;
	/*
	 * slots_lock held, may sleep. 0: bound, b->priv set. -ENODEV: not this
	 * provider's memory. Any other error fails KVM_SET_USER_MEMORY_REGION.
	 */
	int (*bind)(struct kvm_mp_binding *b);
	/* No SPTE of the slot exists any more and none can be made. May sleep. */
	void (*unbind)(struct kvm_mp_binding *b);
	/*
	 * vCPU context, kvm->srcu held for read, no spinlock. 0 and a page with
	 * a reference for the caller (*writable may be cleared unless
	 * KVM_MP_WRITE); -EAGAIN: call ->wait_page() and ask again; -EHWPOISON:
	 * the page is lost for good, the vCPU's thread gets a SIGBUS; -EINTR;
	 * -EFAULT: this memory is gone for good, KVM_RUN fails. After any other
	 * error the guest tries again.
	 */
	int (*get_page)(struct kvm_mp_binding *b, unsigned long idx,
			unsigned int flags, struct page **page, bool *writable);
	/*
	 * Same context, after -EAGAIN. 0: ask again now (it took microseconds
	 * at most). -EBUSY: a wait is left in @wait; the fault is retried after
	 * ->park(). -EINPROGRESS: the same, and ->begin_async() may have the
	 * wait, since it will be a long one. Else as ->get_page(). @wait->obj
	 * survives and may be of an older fault, of another gfn even.
	 */
	int (*wait_page)(struct kvm_mp_binding *b, unsigned long idx,
			 unsigned int flags, struct kvm_mp_wait *wait);
	/*
	 * vCPU context, nothing held. Sleep interruptibly until the wait is
	 * over. The slot and its binding may be gone by now. 0 or -EINTR.
	 */
	int (*park)(struct kvm_mp_wait *wait);
	/*
	 * vCPU context, srcu held, does not sleep. Take what ->wait_page() left
	 * out of @wait; call a->done(a) once, in any context, when it is over.
	 * False if it is over already: @wait is as it was.
	 */
	bool (*begin_async)(struct kvm_mp_wait *wait, struct kvm_mp_async *a);
	/*
	 * Once for each that began. True if a->done() was not called; in any
	 * case it does not run now, and won't. vCPU context, does not sleep.
	 */
	bool (*end_async)(struct kvm_mp_async *a);
	/* The vCPU is destroyed: free wait->obj, which is not NULL. May sleep. */
	void (*drop_wait)(struct kvm_mp_wait *wait);
};

/* One provider at a time: -EBUSY. */
int kvm_mem_provider_register(const struct kvm_mem_provider_ops *ops);
/* Returns when no ->bind() can begin any more. */
void kvm_mem_provider_unregister(const struct kvm_mem_provider_ops *ops);

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
int kvm_mem_provider_zap(struct kvm *kvm, struct kvm_mp_page *p, int n);

/*
 * Test and clear the accessed bits of @n pages, without a flush: a page that
 * stays in a TLB may be accessed without a new bit. Sets PRESENT and ACCESSED,
 * and DIRTY as a hint. May sleep. At most 512 pages a call (-EINVAL). Returns
 * how many were accessed, or -EOPNOTSUPP where there are no accessed bits to
 * trust (no A/D bits, shadow paging, nested guests).
 */
int kvm_mem_provider_age(struct kvm *kvm, struct kvm_mp_page *p, int n);

/* The rest is KVM's own. */

static inline gfn_t kvm_mp_gfn(const struct kvm_mp_page *p)
{
	return p->binding->base_gfn + p->idx;
}

/* How many of @n pages, from the first on, follow each other in one slot. */
static inline int kvm_mp_run(const struct kvm_mp_page *p, int n)
{
	int run = 1;

	while (run < n && p[run].binding == p->binding &&
	       p[run].idx == p->idx + run)
		run++;
	return run;
}

int kvm_mp_prepare_slot(struct kvm *kvm, const struct kvm_memory_slot *old,
			struct kvm_memory_slot *new);
void kvm_mp_unbind(struct kvm_memory_slot *slot);
void kvm_mp_unbind_all(struct kvm *kvm);

int kvm_mp_wait_page(struct kvm_vcpu *vcpu, struct kvm_mp_binding *b,
		     unsigned long idx, unsigned int flags);
int kvm_mp_park(struct kvm_vcpu *vcpu);
int kvm_mp_park_running(struct kvm_vcpu *vcpu);
void kvm_arch_mp_page_ready(struct kvm_vcpu *vcpu);
bool kvm_mp_async_begin(struct kvm_vcpu *vcpu, struct kvm_async_pf *apf);
bool kvm_mp_async_end(struct kvm_async_pf *apf);
void kvm_mp_vcpu_destroy(struct kvm_vcpu *vcpu);

#endif /* __KVM_MEM_PROVIDER_H */
