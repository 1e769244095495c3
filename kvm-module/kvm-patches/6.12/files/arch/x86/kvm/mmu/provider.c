// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memslots whose pages come from a memory provider: faults, zaps, aging.
 * include/linux/kvm_mem_provider.h is the contract.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "spte.h"
#include "tdp_mmu.h"
#include "x86.h"

#include <linux/kvm_mem_provider.h>
#include <trace/events/kvm.h>

/*
 * How often a fault asks the provider again without going back to the guest,
 * where signals and requests are seen. ->wait_page() takes microseconds.
 */
#define KVM_MP_MAX_TRIES	8

#define KVM_MP_MAX_AGE		512
/* Pages aged per hold of mmu_lock, so that nobody waits long for it. */
#define KVM_MP_AGE_CHUNK	64

/*
 * The provider writes back what is dirty, so a page must not become dirty
 * because it was read. The TDP MMU with dirty bits can map a page writable and
 * clean (tdp_mmu_map_handle_target_level()). Elsewhere "writable" is all there is to tell
 * that a page is dirty: map it read-only until it is written. The same while
 * the dirty log is on, where make_spte() logs every page it maps writable and
 * each page that is fetched again would be migrated again.
 */
static bool kvm_mp_map_writable(struct kvm_page_fault *fault, bool writable)
{
	if (!writable || (fault->slot->flags & KVM_MEM_READONLY))
		return false;

	return fault->write ||
	       (fault->is_tdp && tdp_mmu_enabled && kvm_ad_enabled() &&
		!kvm_slot_dirty_track_enabled(fault->slot));
}

/*
 * Can the host write the vCPU's async page fault area without waiting? It is
 * guest memory, and may be on another machine itself. If it is, this starts
 * bringing it back.
 */
static bool kvm_mp_apf_area_present(struct kvm_vcpu *vcpu)
{
	unsigned long hva = vcpu->arch.apf.data.hva;
	struct page *page;

	if (!kvm_pv_async_pf_enabled(vcpu))
		return true;

	if (!get_user_page_fast_only(hva, FOLL_WRITE, &page) &&
	    get_user_pages_unlocked(hva, 1, &page, FOLL_WRITE | FOLL_NOWAIT) != 1)
		return false;

	put_page(page);
	return true;
}

/*
 * The fault left a long wait on the vCPU: make it an async page fault, so that
 * the guest runs another task, or at least takes interrupts. False: the vCPU
 * parks.
 */
static bool kvm_mp_async_pf(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	bool r;

	if (fault->prefetch || !kvm_can_do_async_pf(vcpu) ||
	    !kvm_mp_apf_area_present(vcpu))
		return false;

	/*
	 * srcu is held. If the area goes away now the guest isn't told, and the
	 * vCPU halts until the page or an interrupt comes.
	 */
	pagefault_disable();
	r = kvm_arch_setup_async_pf(vcpu, fault);
	pagefault_enable();
	return r;
}

/*
 * An async page fault of this vCPU waits for the page already, and the guest,
 * on its behalf or another task's, wants it again.
 */
static bool kvm_mp_async_pf_pending(struct kvm_vcpu *vcpu,
				    struct kvm_page_fault *fault)
{
	if (!vcpu->async_pf.queued || fault->prefetch ||
	    !kvm_find_async_pf_gfn(vcpu, fault->gfn) || !kvm_can_do_async_pf(vcpu))
		return false;

	trace_kvm_async_pf_repeated_fault(fault->addr, fault->gfn);
	kvm_make_request(KVM_REQ_APF_HALT, vcpu);
	return true;
}

/*
 * The vCPU will sleep for the page: what kvm_arch_mp_page_ready() has to know.
 * Not for shadow pages, whose guest page tables may be others by then.
 */
static void kvm_mp_remember(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_mp_wait *wait = &vcpu->mp_wait;

	wait->again = !fault->prefetch && vcpu->arch.mmu->root_role.direct;
	wait->gpa = fault->addr;
	wait->error_code = fault->error_code;
}

/*
 * The page that the vCPU slept for is there, most likely: map it, which saves
 * an entry of the guest and its second fault. The vCPU was not run since its
 * exit, so this is the fault it would have; as in kvm_arch_async_page_ready(),
 * all but success is left to the guest's own.
 */
void kvm_arch_mp_page_ready(struct kvm_vcpu *vcpu)
{
	struct kvm_mp_wait *wait = &vcpu->mp_wait;

	if (!wait->again)
		return;

	wait->again = false;
	if (unlikely(kvm_mmu_reload(vcpu)))
		return;

	if (kvm_mmu_do_page_fault(vcpu, wait->gpa, wait->error_code, false,
				  NULL, NULL) == RET_PF_FIXED)
		vcpu->stat.pf_fixed++;
	/* If it is gone again enter the guest first: there may be interrupts. */
	wait->parked = false;
}

/* RET_PF_CONTINUE with fault->pfn, perhaps an error pfn; RET_PF_RETRY; < 0. */
int kvm_mp_faultin_pfn(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_mp_binding *b = fault->slot->mp;
	unsigned long idx = fault->gfn - b->base_gfn;
	unsigned int flags = (fault->write ? KVM_MP_WRITE : 0) |
			     (fault->prefetch ? KVM_MP_PREFETCH : 0);
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
		if (++tries == KVM_MP_MAX_TRIES)
			return again;
		if (kvm_mp_async_pf_pending(vcpu, fault))
			return RET_PF_RETRY;
		r = kvm_mp_wait_page(vcpu, b, idx, flags);
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
		fault->map_writable = kvm_mp_map_writable(fault, writable);
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
		if (kvm_mp_async_pf(vcpu, fault))
			return RET_PF_RETRY;
		fallthrough;
	case -EBUSY:
		/* The run loop sleeps in vcpu->mp_wait. */
		kvm_mp_remember(vcpu, fault);
		return again;
	default:
		/*
		 * -ENOMEM, -EIO: the page exists, so never fail the guest; the
		 * run loop sees to signals.
		 */
		return again;
	}
}

/*
 * Zap what the rmaps know of a page: shadow pages of nested guests, or all of
 * them without TDP MMU. Accessed and dirty bits go to the page's flags only.
 */
static bool kvm_mp_zap_rmaps(struct kvm *kvm, struct kvm_mp_page *p)
{
	struct kvm_mp_binding *b = p->binding;
	struct kvm_gfn_range range = {
		.start = kvm_mp_gfn(p),
		.end = kvm_mp_gfn(p) + 1,
	};

	/* Not by pointer: an update of the slot's flags replaces the slot. */
	range.slot = id_to_memslot(__kvm_memslots(kvm, b->as_id), b->slot_id);
	if (!range.slot || range.slot->mp != b)
		return false;

	if (!kvm_unmap_gfn_range(kvm, &range))
		return false;

	p->flags |= KVM_MP_PRESENT;
	return true;
}

int kvm_mem_provider_zap(struct kvm *kvm, struct kvm_mp_page *p, int n)
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
		kvm_mmu_invalidate_range_add(kvm, kvm_mp_gfn(&p[i]),
					     kvm_mp_gfn(&p[i]) + 1);
		p[i].flags = 0;
	}

	if (tdp_mmu_enabled)
		flush = kvm_tdp_mmu_zap_pages(kvm, p, n);

	if (kvm_memslots_have_rmaps(kvm)) {
		for (i = 0; i < n; i++)
			flush |= kvm_mp_zap_rmaps(kvm, &p[i]);
	}

	if (flush)
		kvm_flush_remote_tlbs(kvm);

	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);

	for (i = 0; i < n; i++)
		zapped += !!(p[i].flags & KVM_MP_PRESENT);
	return zapped;
}
EXPORT_SYMBOL_GPL(kvm_mem_provider_zap);

int kvm_mem_provider_age(struct kvm *kvm, struct kvm_mp_page *p, int n)
{
	int i, accessed = 0;

	if (n > KVM_MP_MAX_AGE)
		return -EINVAL;

	if (!tdp_mmu_enabled || !kvm_ad_enabled() || kvm_memslots_have_rmaps(kvm))
		return -EOPNOTSUPP;

	for (i = 0; i < n; i += KVM_MP_AGE_CHUNK) {
		read_lock(&kvm->mmu_lock);
		kvm_tdp_mmu_age_pages(kvm, p + i, min(n - i, KVM_MP_AGE_CHUNK));
		read_unlock(&kvm->mmu_lock);
		cond_resched();
	}

	for (i = 0; i < n; i++)
		accessed += !!(p[i].flags & KVM_MP_ACCESSED);
	return accessed;
}
EXPORT_SYMBOL_GPL(kvm_mem_provider_age);
