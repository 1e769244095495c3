// SPDX-License-Identifier: GPL-2.0-only
/*
 * Age a batch of a memory provider's pages.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "provider.h"
#include "spte.h"
#include "tdp_mmu.h"

#define KVM_PROVIDER_MAX_AGE	512
/* Pages aged per hold of mmu_lock, so that nobody waits long for it. */
#define KVM_PROVIDER_AGE_CHUNK	64

int kvm_provider_age(struct kvm *kvm, struct kvm_provider_page *p, int n)
{
	int i, accessed = 0;

	if (n > KVM_PROVIDER_MAX_AGE)
		return -EINVAL;

	if (!tdp_mmu_enabled || !kvm_provider_ad_enabled() || kvm_memslots_have_rmaps(kvm))
		return -EOPNOTSUPP;

	for (i = 0; i < n; i += KVM_PROVIDER_AGE_CHUNK) {
		read_lock(&kvm->mmu_lock);
		kvm_tdp_mmu_age_pages(kvm, p + i, min(n - i, KVM_PROVIDER_AGE_CHUNK));
		read_unlock(&kvm->mmu_lock);
		cond_resched();
	}

	for (i = 0; i < n; i++)
		accessed += !!(p[i].flags & KVM_PROVIDER_ACCESSED);
	return accessed;
}
KVM_PROVIDER_EXPORT(kvm_provider_age);
