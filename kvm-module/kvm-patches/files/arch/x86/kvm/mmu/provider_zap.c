// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zap a batch of a memory provider's pages.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "provider.h"

/*
 * Zap what the rmaps know of a page: shadow pages of nested guests, or all of
 * them without TDP MMU. Accessed and dirty bits go to the page's flags only.
 */
static bool kvm_provider_zap_rmaps(struct kvm *kvm, struct kvm_provider_page *p)
{
	struct kvm_provider_binding *b = p->binding;
	struct kvm_gfn_range range = {
		.start = kvm_provider_gfn(p),
		.end = kvm_provider_gfn(p) + 1,
		KVM_PROVIDER_RANGE
	};

	/* Not by pointer: an update of the slot's flags replaces the slot. */
	range.slot = id_to_memslot(__kvm_memslots(kvm, b->as_id), b->slot_id);
	if (!range.slot || range.slot->provider != b)
		return false;

	if (!kvm_unmap_gfn_range(kvm, &range))
		return false;

	p->flags |= KVM_PROVIDER_PRESENT;
	return true;
}

int kvm_provider_zap(struct kvm *kvm, struct kvm_provider_page *p, int n)
{
	bool flush = false;
	int i, idx, zapped = 0;

	if (n <= 0)
		return 0;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);

	/*
	 * Faults that got a page before the provider began to refuse it hold
	 * an older sequence, or see it change: they can't map it any more.
	 */
	kvm_mmu_invalidate_begin(kvm);
	for (i = 0; i < n; i++) {
		KVM_MMU_WARN_ON(p[i].binding->kvm != kvm);
		kvm_mmu_invalidate_range_add(kvm, kvm_provider_gfn(&p[i]),
					     kvm_provider_gfn(&p[i]) + 1);
		p[i].flags = 0;
	}

	if (tdp_mmu_enabled)
		flush = kvm_tdp_mmu_zap_pages(kvm, p, n);

	if (kvm_memslots_have_rmaps(kvm)) {
		for (i = 0; i < n; i++)
			flush |= kvm_provider_zap_rmaps(kvm, &p[i]);
	}

	if (flush)
		kvm_flush_remote_tlbs(kvm);

	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);

	for (i = 0; i < n; i++)
		zapped += !!(p[i].flags & KVM_PROVIDER_PRESENT);
	return zapped;
}
KVM_PROVIDER_EXPORT(kvm_provider_zap);
