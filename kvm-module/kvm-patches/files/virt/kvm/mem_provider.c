// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory providers: modules that give KVM the pages of a memslot in place of
 * the primary MMU. Here are the one registered provider and its bindings to
 * memslots. include/linux/kvm_mem_provider.h is the contract.
 */
#include <linux/err.h>
#include <linux/kvm_host.h>
#include <linux/kvm_mem_provider.h>
#include <linux/kvm_provider_compat.h>
#include <linux/module.h>
#include <linux/mutex.h>

/* Nests inside slots_lock, and is not held across ->bind(). */
static DEFINE_MUTEX(kvm_provider_lock);
static const struct kvm_provider_ops *kvm_provider;

int kvm_provider_register(const struct kvm_provider_ops *ops)
{
	guard(mutex)(&kvm_provider_lock);

	if (kvm_provider)
		return -EBUSY;

	kvm_provider = ops;
	return 0;
}
KVM_PROVIDER_EXPORT(kvm_provider_register);

/*
 * A ->bind() that runs now has a reference to the module, which therefore
 * isn't in its exit function.
 */
void kvm_provider_unregister(const struct kvm_provider_ops *ops)
{
	guard(mutex)(&kvm_provider_lock);

	if (!WARN_ON_ONCE(kvm_provider != ops))
		kvm_provider = NULL;
}
KVM_PROVIDER_EXPORT(kvm_provider_unregister);

static const struct kvm_provider_ops *kvm_provider_get(void)
{
	guard(mutex)(&kvm_provider_lock);

	if (!kvm_provider || !try_module_get(kvm_provider->owner))
		return NULL;

	return kvm_provider;
}

static int kvm_provider_bind(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_provider_binding *b, desc = {
		.kvm = kvm,
		.base_gfn = slot->base_gfn,
		.npages = slot->npages,
		.hva = slot->userspace_addr,
		.slot_id = slot->id,
		.as_id = slot->as_id,
	};

	/*
	 * Private memory has its own provider. A VM that may have some is left
	 * alone altogether: kvm_faultin_pfn() checks the gfn's attributes under
	 * an earlier mmu_invalidate_seq than a provider's page is mapped with.
	 * So is a slot with a guest_memfd, which is a provider, too.
	 */
	if (kvm_arch_has_private_mem(kvm) || (slot->flags & KVM_MEM_GUEST_MEMFD))
		return 0;

	desc.ops = kvm_provider_get();
	if (!desc.ops)
		return 0;

	b = desc.ops->bind(&desc);
	if (IS_ERR(b)) {
		module_put(desc.ops->owner);
		return PTR_ERR(b) == -ENODEV ? 0 : PTR_ERR(b);
	}

	slot->provider = b;
	return 0;
}

/* No SPTE of @slot exists any more, and none can be made. */
void kvm_provider_unbind(struct kvm_memory_slot *slot)
{
	struct kvm_provider_binding *b = slot->provider;
	const struct kvm_provider_ops *ops;

	if (!b)
		return;

	ops = b->ops;
	slot->provider = NULL;
	ops->unbind(b);
	module_put(ops->owner);
}

/*
 * Give @new its binding, before it goes into the memslots and the architecture
 * sees it. If a creation fails later the caller unbinds. Nothing to do for a
 * deletion: the binding goes with the old slot.
 */
int kvm_provider_prepare_slot(struct kvm *kvm, const struct kvm_memory_slot *old,
			      struct kvm_memory_slot *new)
{
	lockdep_assert_held(&kvm->slots_lock);

	if (!new)
		return 0;

	if (!old)
		return kvm_provider_bind(kvm, new);

	/* A binding's gfns are fixed; nobody moves RAM. */
	if (old->provider && old->base_gfn != new->base_gfn)
		return -EINVAL;

	new->provider = old->provider;
	return 0;
}

/*
 * The VM goes, and the mmu_notifier with all SPTEs is gone already. Unbind all
 * slots while the memslots are still intact: kvm_provider_zap() of one binding
 * looks through the slots of all.
 */
void kvm_provider_unbind_all(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int i, bkt;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, i))
			kvm_provider_unbind(slot);
}
