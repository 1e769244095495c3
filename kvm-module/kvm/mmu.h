/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_MMU_H
#define HERMIT_MMU_H
/*
 * Between hermit.ko, which knows regions, and hermit-kvm.ko, which knows the
 * patched KVM, what the former calls. It works without (stock KVM: guest pages
 * come through the host page tables and vm_ops->fault).
 */
#include <linux/kvm_mem_provider.h>
#include <linux/list.h>
#include <linux/types.h>

struct hermit_region;
struct hermit_victim;

/* The engine's name of KVM_PROVIDER_DIRTY. */
#define HERMIT_MMU_DIRTY	4

/*
 * Called with the region's bindings lock held for read, so no unbind of any
 * binding in the batch runs; may sleep. kvm_provider_zap(), kvm_provider_age(),
 * kvm_provider_stopped().
 */
struct hermit_mmu_ops {
	int (*zap)(struct kvm *kvm, struct kvm_provider_page *p, int n);
	int (*age)(struct kvm *kvm, struct kvm_provider_page *p, int n);
	void (*stopped)(struct kvm *kvm);
};

/* One at a time: -EBUSY. Unregister only when no binding is left. */
int hermit_mmu_register(const struct hermit_mmu_ops *ops);
void hermit_mmu_unregister(const struct hermit_mmu_ops *ops);

/* A memslot of a VM that shows a part of a region. */
struct hermit_binding {
	struct kvm_provider_binding slot;
	struct list_head node;		/* region->bindings, under bind_lock */
	struct hermit_region *region;
	u64 start;			/* first page in the region */
};

/*
 * Zap the victims in all bindings, with one flush for each HERMIT_BATCH pairs or
 * so; their flags say what was harvested. Returns how many pairs there were.
 * Takes bind_lock for reading; sleeps.
 */
int hermit_mmu_zap(struct hermit_region *r, struct hermit_victim *v, int n);
/*
 * Which of @n pages (at most 64) did the guest access since it was asked last?
 * Their bits of @accessed are set, none is cleared. Asking clears what is asked.
 * -EOPNOTSUPP: there is no telling. Takes bind_lock for reading; sleeps.
 */
int hermit_mmu_age(struct hermit_region *r, const u64 *idx, int n,
			unsigned long *accessed);
/*
 * Tell the guest that it did not run, lest its watchdogs take the wait for a
 * lockup. Nothing without bindings. Takes bind_lock for reading; sleeps.
 */
void hermit_mmu_stopped(struct hermit_region *r);

#endif /* HERMIT_MMU_H */
