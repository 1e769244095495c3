// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a vCPU does after it slept for a page of a memory provider.
 */
#include "mmu.h"
#include "mmu_internal.h"
#include "provider.h"
#include "x86.h"

/*
 * The vCPU will sleep for the page: what kvm_arch_provider_page_ready() has to
 * know. Not for shadow pages, whose guest page tables may be others by then.
 */
void kvm_provider_remember(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	if (vcpu->provider.state != KVM_PROVIDER_PARK || fault->prefetch ||
	    !vcpu->arch.mmu->root_role.direct)
		return;

	vcpu->provider.state = KVM_PROVIDER_PARK_MAP;
	vcpu->provider.gpa = fault->addr;
	vcpu->provider.error_code = fault->error_code;
}

/*
 * The page that the vCPU slept for is there, most likely: map it, which saves
 * an entry of the guest and its second fault. The vCPU was not run since its
 * exit, so this is the fault it would have; as in kvm_arch_async_page_ready(),
 * all but success is left to the guest's own.
 */
void kvm_arch_provider_page_ready(struct kvm_vcpu *vcpu)
{
	struct kvm_provider_vcpu *v = &vcpu->provider;

	if (unlikely(kvm_mmu_reload(vcpu)))
		return;

	if (kvm_mmu_do_page_fault(vcpu, v->gpa, v->error_code, false,
				  NULL, NULL) == RET_PF_FIXED)
		vcpu->stat.pf_fixed++;
	/* If it is gone again enter the guest first: there may be interrupts. */
	v->state = KVM_PROVIDER_RUN;
}
