// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tell a guest that it was stopped while a memory provider had no page for it.
 */
#include <linux/kvm_host.h>
#include <linux/kvm_mem_provider.h>
#include <linux/kvm_provider_compat.h>

/*
 * As KVM_KVMCLOCK_CTRL, but of all vCPUs and by any thread: a vCPU that runs
 * looks at those that sleep, and waits for their answers. A flag that is set
 * while the vCPU takes an older one may be lost with it, but then the guest is
 * told at that very moment.
 */
void kvm_provider_stopped(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (READ_ONCE(vcpu->arch.pv_time.active))
			WRITE_ONCE(vcpu->arch.pvclock_set_guest_stopped_request, true);
	}

	kvm_make_all_cpus_request(kvm, KVM_REQ_CLOCK_UPDATE);
}
KVM_PROVIDER_EXPORT(kvm_provider_stopped);
