// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty bits of SPTEs that go, where KVM itself forgets them.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "provider.h"
#include "spte.h"

#include <linux/moduleparam.h>

/*
 * Map what is read writable and clean, and take the dirty bit of each SPTE that
 * goes. Without, the first write to a page that was read is an exit more, and
 * there is nothing that could be forgotten.
 */
module_param_named(provider_harvest, kvm_provider_harvest, bool, 0444);
MODULE_PARM_DESC(provider_harvest, "map a provider's pages writable before they are written");

/* The page is there: its SPTE has to go before the provider takes it away. */
void kvm_provider_harvest_dirty(struct kvm *kvm, int as_id, gfn_t gfn, u64 spte)
{
	struct kvm_memory_slot *slot = __gfn_to_memslot(__kvm_memslots(kvm, as_id), gfn);

	if (slot && kvm_slot_has_provider(slot))
		SetPageDirty(pfn_to_page(spte_to_pfn(spte)));
}
