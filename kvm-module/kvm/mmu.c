// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hermit.ko asks KVM for: to take pages out of the EPT, and which ones the
 * guest accessed. A page of a region may be in several memslots: QEMU makes two
 * address spaces with SMM, and aliases.
 */
#include <linux/mm.h>
#include <linux/module.h>

#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/unmap.h"
#include "kvm/mmu.h"

/* KVM holds mmu_lock for a time proportional to this; see kvm_mem_provider.h. */
#define ZAP_PAIRS	64

static const struct hermit_mmu_ops *mmu_ops;
static DEFINE_MUTEX(mmu_ops_lock);

int hermit_mmu_register(const struct hermit_mmu_ops *ops)
{
	int ret = 0;

	mutex_lock(&mmu_ops_lock);
	if (mmu_ops)
		ret = -EBUSY;
	else
		WRITE_ONCE(mmu_ops, ops);
	mutex_unlock(&mmu_ops_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(hermit_mmu_register);

void hermit_mmu_unregister(const struct hermit_mmu_ops *ops)
{
	mutex_lock(&mmu_ops_lock);
	if (mmu_ops == ops)
		WRITE_ONCE(mmu_ops, NULL);
	mutex_unlock(&mmu_ops_lock);
}
EXPORT_SYMBOL_GPL(hermit_mmu_unregister);

/* Run @op on the pairs gathered, and give their flags back to their victims. */
static void zap_flush(struct hermit_region *r, struct kvm_provider_page *pairs,
		      u8 *owner, struct hermit_victim *v, int *nr)
{
	int i;

	/* A binding found under it stays until it is let go. */
	lockdep_assert_held_read(&r->bind_lock);
	if (!*nr)
		return;
	mmu_ops->zap(r->vm, pairs, *nr);
	for (i = 0; i < *nr; i++)
		v[owner[i]].flags |= pairs[i].flags;
	hermit_count(r, HERMIT_C_ZAP_BATCHES, 1);
	hermit_count(r, HERMIT_C_ZAPPED, *nr);
	*nr = 0;
}

/* Zap the victims in all bindings. Returns how many pairs there were. */
int hermit_mmu_zap(struct hermit_region *r, struct hermit_victim *v, int n)
{
	struct kvm_provider_page pairs[ZAP_PAIRS];
	u8 owner[ZAP_PAIRS];
	struct hermit_binding *b;
	int i, nr = 0, total = 0;

	BUILD_BUG_ON(HERMIT_BATCH > U8_MAX);
	if (!READ_ONCE(r->nr_bindings))
		return 0;
	down_read(&r->bind_lock);
	list_for_each_entry(b, &r->bindings, node) {
		for (i = 0; i < n; i++) {
			if (v[i].idx - b->start >= b->slot.npages)
				continue;
			if (nr == ZAP_PAIRS)
				zap_flush(r, pairs, owner, v, &nr);
			pairs[nr] = (struct kvm_provider_page) {
				.binding = &b->slot,
				.idx = v[i].idx - b->start,
			};
			owner[nr++] = i;
			total++;
		}
	}
	zap_flush(r, pairs, owner, v, &nr);
	up_read(&r->bind_lock);
	return total;
}

/*
 * Which of @n pages (at most 64) did the guest access since it was asked last?
 * -EOPNOTSUPP: there is no telling.
 */
int hermit_mmu_age(struct hermit_region *r, const u64 *idx, int n,
			unsigned long *accessed)
{
	struct kvm_provider_page pairs[ZAP_PAIRS];
	u8 owner[ZAP_PAIRS];
	struct hermit_binding *b;
	int i, nr, ret = -EOPNOTSUPP;

	if (!READ_ONCE(r->nr_bindings)) {
		HERMIT_MARK(stock_kvm);
		return ret;
	}
	down_read(&r->bind_lock);
	list_for_each_entry(b, &r->bindings, node) {
		nr = 0;
		for (i = 0; i < n; i++) {
			if (idx[i] - b->start >= b->slot.npages)
				continue;
			pairs[nr] = (struct kvm_provider_page) {
				.binding = &b->slot,
				.idx = idx[i] - b->start,
			};
			owner[nr++] = i;
		}
		if (!nr)
			continue;
		ret = mmu_ops->age(r->vm, pairs, nr);
		if (ret < 0)
			break;
		for (i = 0; i < nr; i++)
			if (pairs[i].flags & KVM_PROVIDER_ACCESSED)
				__set_bit(owner[i], accessed);
	}
	up_read(&r->bind_lock);
	return ret;
}

void hermit_mmu_stopped(struct hermit_region *r)
{
	if (!READ_ONCE(r->nr_bindings))
		return;
	down_read(&r->bind_lock);
	/* A binding keeps the VM, and r->vm is that of a VM only with one. */
	if (r->nr_bindings)
		mmu_ops->stopped(r->vm);
	up_read(&r->bind_lock);
}
