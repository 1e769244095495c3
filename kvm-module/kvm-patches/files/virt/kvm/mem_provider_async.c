// SPDX-License-Identifier: GPL-2.0-only
/*
 * An async page fault that stands for the wait of a memory provider, see
 * kvm_mem_provider.h.
 */
#include <linux/kvm_host.h>
#include <linux/kvm_mem_provider.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static void kvm_provider_async_done(struct kvm_provider_async *a)
{
	schedule_work(&a->apf->work);
}

/*
 * Does @apf stand for the wait that the fault at hand left on the vCPU? Then
 * its work is scheduled when that is over, and the vCPU does not park. False:
 * there is nothing to wait for, the caller schedules the work.
 */
bool kvm_provider_async_begin(struct kvm_vcpu *vcpu, struct kvm_async_pf *apf)
{
	struct kvm_provider_wait *wait = vcpu->provider.wait;
	struct kvm_provider_async init = {
		.done = kvm_provider_async_done,
		.apf = apf,
	};

	if (vcpu->provider.state == KVM_PROVIDER_RUN)
		return false;

	vcpu->provider.state = KVM_PROVIDER_RUN;
	apf->provided = true;
	init.ops = wait->ops;
	apf->provider = wait->ops->begin_async(wait, &init);
	if (!apf->provider)
		return false;

	/* The wait holds a reference, too: this one can't fail. */
	__module_get(init.ops->owner);
	return true;
}

/* Returns true if the work of @apf was not scheduled and won't be. */
bool kvm_provider_async_end(struct kvm_async_pf *apf)
{
	struct kvm_provider_async *a = apf->provider;
	const struct kvm_provider_ops *ops;
	bool unused;

	if (!a)
		return false;

	ops = a->ops;
	apf->provider = NULL;
	unused = ops->end_async(a);
	module_put(ops->owner);
	return unused;
}
