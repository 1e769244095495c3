// SPDX-License-Identifier: GPL-2.0-only
/*
 * A long wait for a memory provider's page as an async page fault.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "provider.h"
#include "x86.h"

#include <trace/events/kvm.h>

/*
 * Can the host write the vCPU's async page fault area without waiting? It is
 * guest memory, and may be on another machine itself. If it is, this starts
 * bringing it back.
 */
static bool kvm_provider_apf_area_present(struct kvm_vcpu *vcpu)
{
	/* kvm_pv_async_pf_enabled() is static in x86.c until 6.12.113 */
	const u64 enabled = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT;
	unsigned long hva = vcpu->arch.apf.data.hva;
	struct page *page;

	if ((vcpu->arch.apf.msr_en_val & enabled) != enabled)
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
bool kvm_provider_async_pf(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	bool r;

	if (fault->prefetch || !kvm_can_do_async_pf(vcpu) ||
	    !kvm_provider_apf_area_present(vcpu))
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
bool kvm_provider_async_pf_pending(struct kvm_vcpu *vcpu,
				   struct kvm_page_fault *fault)
{
	if (!vcpu->async_pf.queued || fault->prefetch ||
	    !kvm_find_async_pf_gfn(vcpu, fault->gfn) || !kvm_can_do_async_pf(vcpu))
		return false;

	trace_kvm_async_pf_repeated_fault(fault->addr, fault->gfn);
	kvm_make_request(KVM_REQ_APF_HALT, vcpu);
	return true;
}
