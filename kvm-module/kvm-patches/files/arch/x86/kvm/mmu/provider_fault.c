// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults on memslots whose pages come from a memory provider.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "provider.h"
#include "spte.h"
#include "tdp_mmu.h"

/*
 * How often a fault asks the provider again without going back to the guest,
 * where signals and requests are seen. ->wait_page() takes microseconds.
 */
#define KVM_PROVIDER_MAX_TRIES	8

/*
 * The provider writes back what is dirty, so a page must not become dirty
 * because it was read. The TDP MMU with dirty bits can map a page writable and
 * clean (tdp_mmu_map_handle_target_level()). Elsewhere "writable" is all there
 * is to tell that a page is dirty: map it read-only until it is written. The
 * same where KVM does not see to dirty bits that go with a SPTE, and while the
 * dirty log is on, where make_spte() logs every page it maps writable and each
 * page that is fetched again would be migrated again.
 */
static bool kvm_provider_map_writable(struct kvm_page_fault *fault, bool writable)
{
	if (!writable || (fault->slot->flags & KVM_MEM_READONLY))
		return false;

	return fault->write ||
	       (KVM_PROVIDER_HARVEST &&
		fault->is_tdp && tdp_mmu_enabled && kvm_provider_ad_enabled() &&
		!kvm_slot_dirty_track_enabled(fault->slot));
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
bool __read_mostly kvm_provider_harvest;	/* switched in provider_harvest.c */

/*
 * The fault ends, under mmu_lock unless it is a retry: what
 * kvm_release_faultin_page() does for the pages of the primary MMU. A zap comes
 * after this, and sees that the page is dirty. If the guest did not write it is
 * mapped read-only, or the dirty bit is harvested. It is on no LRU list.
 */
void kvm_provider_finish_fault(struct kvm_page_fault *fault, int r)
{
	struct page *page = fault->refcounted_page;

	if (!page)
		return;

	if (r != RET_PF_RETRY && fault->write && fault->map_writable &&
	    !PageDirty(page))
		SetPageDirty(page);
	put_page(page);
}
#endif

/* RET_PF_CONTINUE with fault->pfn, perhaps an error pfn; RET_PF_RETRY; < 0. */
int kvm_provider_faultin_pfn(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_provider_binding *b = fault->slot->provider;
	unsigned long idx = fault->gfn - b->base_gfn;
	unsigned int flags = (fault->write ? KVM_PROVIDER_WRITE : 0) |
			     (fault->prefetch ? KVM_PROVIDER_PREFETCH : 0);
	struct page *page;
	bool writable = true;
	/*
	 * Nobody but KVM_PRE_FAULT_MEMORY cares for the outcome of a prefetch,
	 * and that must not spin in here with srcu held.
	 */
	const int again = fault->prefetch ? -EAGAIN : RET_PF_RETRY;
	int r, tries = 0;

	if (fault->write && (fault->slot->flags & KVM_MEM_READONLY)) {
		fault->pfn = KVM_PFN_ERR_RO_FAULT;
		return RET_PF_CONTINUE;
	}

	for (;;) {
		r = b->ops->get_page(b, idx, flags, &page, &writable);
		if (r != -EAGAIN)
			break;
		if (++tries == KVM_PROVIDER_MAX_TRIES)
			return again;
		if (kvm_provider_async_pf_pending(vcpu, fault))
			return RET_PF_RETRY;
		r = kvm_provider_wait_page(vcpu, b, idx, flags);
		if (r)
			break;
		/*
		 * Other pages of the VM were zapped meanwhile; that must not
		 * make this fault stale. The page is taken after the snapshot,
		 * so a zap of this one is still seen. The memslot can't have
		 * changed since kvm_faultin_pfn() looked: srcu is held.
		 */
		fault->mmu_seq = vcpu->kvm->mmu_invalidate_seq;
		smp_rmb(); /* as in kvm_faultin_pfn() */
	}

	switch (r) {
	case 0:
		fault->pfn = page_to_pfn(page);
		kvm_provider_set_page(fault, page);
		fault->map_writable = kvm_provider_map_writable(fault, writable);
		fault->max_level = PG_LEVEL_4K;
		return RET_PF_CONTINUE;
	case -EINTR:
		fault->pfn = KVM_PFN_ERR_SIGPENDING;
		return RET_PF_CONTINUE;
	case -EHWPOISON:
		fault->pfn = KVM_PFN_ERR_HWPOISON;
		return RET_PF_CONTINUE;
	case -EFAULT:
		/* The provider is done with this memory, for good. */
		kvm_mmu_prepare_memory_fault_exit(vcpu, fault);
		return -EFAULT;
	case -EINPROGRESS:
		if (kvm_provider_async_pf(vcpu, fault))
			return RET_PF_RETRY;
		fallthrough;
	case -EBUSY:
		/* The run loop sleeps in vcpu->provider.wait. */
		kvm_provider_remember(vcpu, fault);
		return again;
	default:
		/*
		 * -ENOMEM, -EIO: the page exists, so never fail the guest; the
		 * run loop sees to signals.
		 */
		return again;
	}
}
