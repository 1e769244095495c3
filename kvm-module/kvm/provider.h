/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PROVIDER_H
#define HERMIT_PROVIDER_H
/*
 * What KVM asks of hermit.ko; kvm/mmu.h is the other way. hermit-kvm.ko
 * registers a copy that it owns. The contract is linux/kvm_mem_provider.h.
 */
struct kvm_provider_ops;

extern const struct kvm_provider_ops hermit_provider_ops;

#endif /* HERMIT_PROVIDER_H */
