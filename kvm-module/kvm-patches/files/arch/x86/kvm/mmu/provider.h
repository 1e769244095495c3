/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_X86_MMU_PROVIDER_H
#define __KVM_X86_MMU_PROVIDER_H
/* The MMU's side of memory providers; linux/kvm_mem_provider.h is the contract. */
#include <linux/kvm_mem_provider.h>
#include <linux/kvm_provider_compat.h>

struct kvm_page_fault;

/* RET_PF_CONTINUE with fault->pfn, perhaps an error pfn; RET_PF_RETRY; < 0. */
int kvm_provider_faultin_pfn(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/* From 7.3 on, where the fault has a reference to its page, it ends with this. */
void kvm_provider_finish_fault(struct kvm_page_fault *fault, int r);

/* The vCPU will sleep for the page of @fault. */
void kvm_provider_remember(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

bool kvm_provider_async_pf(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
bool kvm_provider_async_pf_pending(struct kvm_vcpu *vcpu,
				   struct kvm_page_fault *fault);
/* mmu.c */
bool kvm_arch_setup_async_pf(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
int kvm_mmu_do_page_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, u64 err,
			  bool prefetch, int *emulation_type, u8 *level);
#endif

/* The dirty bit of a SPTE of that gfn goes; mmu_lock held. From 7.3 on. */
void kvm_provider_harvest_dirty(struct kvm *kvm, int as_id, gfn_t gfn, u64 spte);

static inline bool kvm_provider_harvests(void)
{
#ifdef CONFIG_KVM_MEM_PROVIDER
	return KVM_PROVIDER_HARVEST;
#else
	return false;
#endif
}

/* tdp_mmu.c: mmu_lock held for write; for read. The flags are or-ed; set. */
bool kvm_tdp_mmu_zap_pages(struct kvm *kvm, struct kvm_provider_page *p, int n);
void kvm_tdp_mmu_age_pages(struct kvm *kvm, struct kvm_provider_page *p, int n);

#endif /* __KVM_X86_MMU_PROVIDER_H */
