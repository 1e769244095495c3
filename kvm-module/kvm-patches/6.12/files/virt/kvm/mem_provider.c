// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory providers: modules that give KVM the pages of a memslot in place of
 * the primary MMU. This file has what is common to all architectures: the one
 * registered provider, its bindings to memslots, and the waits of vCPUs.
 * include/linux/kvm_mem_provider.h is the contract.
 */
#include <linux/kvm_host.h>
#include <linux/kvm_mem_provider.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

/* Nests inside slots_lock, and is not held across ->bind(). */
static DEFINE_MUTEX(kvm_mp_lock);
static const struct kvm_mem_provider_ops *kvm_mp_provider;

int kvm_mem_provider_register(const struct kvm_mem_provider_ops *ops)
{
	guard(mutex)(&kvm_mp_lock);

	if (kvm_mp_provider)
		return -EBUSY;

	kvm_mp_provider = ops;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_mem_provider_register);

/*
 * A ->bind() that runs now has a reference to the module, which therefore
 * isn't in its exit function.
 */
void kvm_mem_provider_unregister(const struct kvm_mem_provider_ops *ops)
{
	guard(mutex)(&kvm_mp_lock);

	if (!WARN_ON_ONCE(kvm_mp_provider != ops))
		kvm_mp_provider = NULL;
}
EXPORT_SYMBOL_GPL(kvm_mem_provider_unregister);

static const struct kvm_mem_provider_ops *kvm_mp_get_provider(void)
{
	guard(mutex)(&kvm_mp_lock);

	if (!kvm_mp_provider || !try_module_get(kvm_mp_provider->owner))
		return NULL;

	return kvm_mp_provider;
}

static int kvm_mp_bind(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	const struct kvm_mem_provider_ops *ops;
	struct kvm_mp_binding *b;
	int r;

	/*
	 * Private memory has its own provider. A VM that may have some is left
	 * alone altogether: kvm_faultin_pfn() checks the gfn's attributes under
	 * an earlier mmu_invalidate_seq than a provider's page is mapped with.
	 */
	if (kvm_arch_has_private_mem(kvm))
		return 0;

	ops = kvm_mp_get_provider();
	if (!ops)
		return 0;

	r = -ENOMEM;
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		goto put_provider;

	b->ops = ops;
	b->kvm = kvm;
	b->base_gfn = slot->base_gfn;
	b->npages = slot->npages;
	b->hva = slot->userspace_addr;
	b->slot_flags = slot->flags;
	b->slot_id = slot->id;
	b->as_id = slot->as_id;

	r = ops->bind(b);
	if (r)
		goto free;

	slot->mp = b;
	return 0;

free:
	kfree(b);
	if (r == -ENODEV)
		r = 0;
put_provider:
	module_put(ops->owner);
	return r;
}

/* No SPTE of @slot exists any more, and none can be made. */
void kvm_mp_unbind(struct kvm_memory_slot *slot)
{
	struct kvm_mp_binding *b = slot->mp;

	if (!b)
		return;

	slot->mp = NULL;
	b->ops->unbind(b);
	module_put(b->ops->owner);
	kfree(b);
}

/*
 * Give @new its binding, before it goes into the memslots. If a creation fails
 * later the caller unbinds.
 */
int kvm_mp_prepare_slot(struct kvm *kvm, const struct kvm_memory_slot *old,
			struct kvm_memory_slot *new)
{
	lockdep_assert_held(&kvm->slots_lock);

	if (!old)
		return kvm_mp_bind(kvm, new);

	/* A binding's gfns are fixed; nobody moves RAM. */
	if (old->mp && old->base_gfn != new->base_gfn)
		return -EINVAL;

	new->mp = old->mp;
	return 0;
}

/*
 * The VM goes, and the mmu_notifier with all SPTEs is gone already. Unbind all
 * slots while the memslots are still intact: kvm_mem_provider_zap() of one
 * binding looks through the slots of all.
 */
void kvm_mp_unbind_all(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int i, bkt;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, i))
			kvm_mp_unbind(slot);
}

static void kvm_mp_drop_wait(struct kvm_mp_wait *wait)
{
	if (!wait->ops)
		return;

	if (wait->obj)
		wait->ops->drop_wait(wait);
	module_put(wait->ops->owner);
	memset(wait, 0, sizeof(*wait));
}

void kvm_mp_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kvm_mp_drop_wait(&vcpu->mp_wait);
}

/* ->wait_page() for a vCPU; a parked wait is slept in by kvm_mp_park(). */
int kvm_mp_wait_page(struct kvm_vcpu *vcpu, struct kvm_mp_binding *b,
		     unsigned long idx, unsigned int flags)
{
	struct kvm_mp_wait *wait = &vcpu->mp_wait;
	int r;

	if (wait->ops != b->ops) {
		kvm_mp_drop_wait(wait);
		/* The binding holds a reference, too: this one can't fail. */
		__module_get(b->ops->owner);
		wait->ops = b->ops;
	}

	r = b->ops->wait_page(b, idx, flags, wait);
	if (r == -EBUSY || r == -EINPROGRESS)
		wait->parked = true;
	return r;
}

/*
 * Sleep in the vCPU's wait, if there is one. kvm->srcu is not held, and the
 * memslot may be gone. After a signal the vCPU tries its access again when it
 * is run again, by entering the guest: it may have other things to do by then.
 */
int kvm_mp_park(struct kvm_vcpu *vcpu)
{
	struct kvm_mp_wait *wait = &vcpu->mp_wait;

	if (!wait->parked)
		return 0;

	wait->parked = false;
	return wait->ops->park(wait);
}

/* The same for the run loop, which holds kvm->srcu and tells userspace. */
int kvm_mp_park_running(struct kvm_vcpu *vcpu)
{
	int r;

	kvm_vcpu_srcu_read_unlock(vcpu);
	r = kvm_mp_park(vcpu);
	kvm_vcpu_srcu_read_lock(vcpu);

	if (r)
		kvm_handle_signal_exit(vcpu);
	else
		kvm_arch_mp_page_ready(vcpu);
	return r;
}

static void kvm_mp_async_done(struct kvm_mp_async *a)
{
	struct kvm_async_pf *apf = container_of(a, struct kvm_async_pf, mp);

	schedule_work(&apf->work);
}

/*
 * Does @apf stand for the wait that the fault at hand left on the vCPU? Then
 * its work is scheduled when that is over, and the vCPU does not park. False:
 * there is nothing to wait for, the caller schedules the work.
 */
bool kvm_mp_async_begin(struct kvm_vcpu *vcpu, struct kvm_async_pf *apf)
{
	struct kvm_mp_wait *wait = &vcpu->mp_wait;
	struct kvm_mp_async *a = &apf->mp;

	if (!wait->parked)
		return false;

	wait->parked = false;
	a->used = true;
	a->done = kvm_mp_async_done;
	if (!wait->ops->begin_async(wait, a))
		return false;

	/* The wait holds a reference, too: this one can't fail. */
	__module_get(wait->ops->owner);
	a->ops = wait->ops;
	return true;
}

/* Returns true if the work of @apf was not scheduled and won't be. */
bool kvm_mp_async_end(struct kvm_async_pf *apf)
{
	struct kvm_mp_async *a = &apf->mp;
	bool unused;

	if (!a->ops)
		return false;

	unused = a->ops->end_async(a);
	module_put(a->ops->owner);
	a->ops = NULL;
	return unused;
}
