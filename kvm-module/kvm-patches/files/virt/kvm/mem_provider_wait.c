// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that sleeps for a page of a memory provider, see kvm_mem_provider.h.
 */
#include <linux/kvm_host.h>
#include <linux/kvm_mem_provider.h>
#include <linux/module.h>

void kvm_provider_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct kvm_provider_wait *wait = vcpu->provider.wait;
	const struct kvm_provider_ops *ops;

	if (!wait)
		return;

	ops = wait->ops;
	vcpu->provider.wait = NULL;
	vcpu->provider.state = KVM_PROVIDER_RUN;
	ops->free_wait(wait);
	module_put(ops->owner);
}

/* ->wait_page() for a vCPU; a parked wait is slept in by kvm_provider_park(). */
int kvm_provider_wait_page(struct kvm_vcpu *vcpu, struct kvm_provider_binding *b,
			   unsigned long idx, unsigned int flags)
{
	struct kvm_provider_wait *wait = vcpu->provider.wait;
	int r;

	if (unlikely(!wait || wait->ops != b->ops)) {
		kvm_provider_vcpu_destroy(vcpu);
		wait = b->ops->alloc_wait(b);
		if (!wait)
			return -ENOMEM;

		/* The binding holds a reference, too: this one can't fail. */
		__module_get(b->ops->owner);
		wait->ops = b->ops;
		vcpu->provider.wait = wait;
	}

	r = b->ops->wait_page(b, idx, flags, wait);
	if (r == -EBUSY || r == -EINPROGRESS)
		vcpu->provider.state = KVM_PROVIDER_PARK;
	return r;
}

/*
 * Sleep in the vCPU's wait, if there is one. kvm->srcu is not held, and the
 * memslot may be gone. After a signal the vCPU tries its access again when it
 * is run again, by entering the guest: it may have other things to do by then.
 */
int kvm_provider_park(struct kvm_vcpu *vcpu)
{
	struct kvm_provider_wait *wait = vcpu->provider.wait;

	if (vcpu->provider.state == KVM_PROVIDER_RUN)
		return 0;

	vcpu->provider.state = KVM_PROVIDER_RUN;
	return wait->ops->park(wait);
}

/* The same for the run loop, which holds kvm->srcu and tells userspace. */
int kvm_provider_park_running(struct kvm_vcpu *vcpu)
{
	bool map = vcpu->provider.state == KVM_PROVIDER_PARK_MAP;
	int r;

	kvm_vcpu_srcu_read_unlock(vcpu);
	r = kvm_provider_park(vcpu);
	kvm_vcpu_srcu_read_lock(vcpu);

	if (r)
		kvm_handle_signal_exit(vcpu);
	else if (map)
		kvm_arch_provider_page_ready(vcpu);
	return r;
}
