/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_MMU_H
#define HERMIT_MMU_H
/*
 * Between hermit.ko, which knows regions, and hermit-kvm.ko, which knows the
 * patched KVM, what the former calls. It works without (stock KVM: guest pages
 * come through the host page tables and vm_ops->fault).
 */
#include <linux/list.h>
#include <linux/types.h>

struct hermit_region;
struct hermit_victim;
struct module;

/* One (binding, page) pair of a batch; the layout of struct kvm_mp_page. */
struct hermit_mmu_page {
	void *slot;			/* the cookie given to bind */
	unsigned long idx;		/* page index in the slot */
	unsigned int flags;		/* out: HERMIT_MMU_* */
};

#define HERMIT_MMU_PRESENT	1
#define HERMIT_MMU_ACCESSED	2
#define HERMIT_MMU_DIRTY	4

/*
 * Called with the region's bindings lock held for read, so no unbind of any
 * binding in the batch runs; may sleep. @vm is the cookie given to bind.
 */
struct hermit_mmu_ops {
	struct module *owner;
	int (*zap)(void *vm, struct hermit_mmu_page *p, int n);
	int (*age)(void *vm, struct hermit_mmu_page *p, int n);
};

/* One at a time: -EBUSY. Unregister only when no binding is left. */
int hermit_mmu_register(const struct hermit_mmu_ops *ops);
void hermit_mmu_unregister(const struct hermit_mmu_ops *ops);

/* A memslot of a VM that shows a part of a region. */
struct hermit_binding {
	struct list_head node;		/* region->bindings, under bind_lock */
	struct hermit_region *region;
	u64 start;			/* first page in the region */
	u64 npages;
	void *slot;
};

/*
 * Zap the victims in all bindings, with one flush for each HERMIT_BATCH pairs or
 * so; their flags say what was harvested. Returns how many pairs there were.
 * Takes bind_lock for reading; sleeps.
 */
int hermit_mmu_zap(struct hermit_region *r, struct hermit_victim *v, int n);
/*
 * Which of @n pages (at most 64) did the guest access since it was asked last?
 * Asking clears. -EOPNOTSUPP: there is no telling. Takes bind_lock for reading;
 * sleeps.
 */
int hermit_mmu_age(struct hermit_region *r, const u64 *idx, int n,
			unsigned long *accessed);

#endif /* HERMIT_MMU_H */
