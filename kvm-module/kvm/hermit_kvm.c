// SPDX-License-Identifier: GPL-2.0-only
/*
 * hermit-kvm.ko: the patched KVM on one side, hermit.ko on the other. KVM asks
 * for pages of its memslots, hermit.ko zaps and ages them in batches. There is
 * no state here: a binding of KVM is the cookie of hermit.ko's, and back.
 */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/kvm_mem_provider.h>
#include <linux/module.h>
#include <linux/stddef.h>

#include "kvm/mmu.h"
#include "kvm/provider.h"

/* A batch goes through without being copied. */
static_assert(sizeof(struct hermit_mmu_page) == sizeof(struct kvm_mp_page));
static_assert(offsetof(struct hermit_mmu_page, slot) ==
	      offsetof(struct kvm_mp_page, binding));
static_assert(offsetof(struct hermit_mmu_page, idx) ==
	      offsetof(struct kvm_mp_page, idx));
static_assert(offsetof(struct hermit_mmu_page, flags) ==
	      offsetof(struct kvm_mp_page, flags));
static_assert(HERMIT_MMU_PRESENT == KVM_MP_PRESENT);
static_assert(HERMIT_MMU_ACCESSED == KVM_MP_ACCESSED);
static_assert(HERMIT_MMU_DIRTY == KVM_MP_DIRTY);
static_assert(HERMIT_GET_WRITE == KVM_MP_WRITE);
static_assert(HERMIT_GET_PREFETCH == KVM_MP_PREFETCH);

static int hermit_kvm_zap(void *vm, struct hermit_mmu_page *p, int n)
{
	return kvm_mem_provider_zap(vm, (struct kvm_mp_page *)p, n);
}

static int hermit_kvm_age(void *vm, struct hermit_mmu_page *p, int n)
{
	return kvm_mem_provider_age(vm, (struct kvm_mp_page *)p, n);
}

static const struct hermit_mmu_ops hermit_kvm_mmu_ops = {
	.owner = THIS_MODULE,
	.zap = hermit_kvm_zap,
	.age = hermit_kvm_age,
};

static int hermit_kvm_bind(struct kvm_mp_binding *b)
{
	struct hermit_binding *h = hermit_provider_bind(b->hva, b->npages,
							b->kvm, b);

	if (IS_ERR(h))
		return PTR_ERR(h);

	b->priv = h;
	return 0;
}

static void hermit_kvm_unbind(struct kvm_mp_binding *b)
{
	hermit_provider_unbind(b->priv);
}

static int hermit_kvm_get_page(struct kvm_mp_binding *b, unsigned long idx,
			       unsigned int flags, struct page **page,
			       bool *writable)
{
	return hermit_provider_get_page(b->priv, idx, flags, page, writable);
}

static int hermit_kvm_wait_page(struct kvm_mp_binding *b, unsigned long idx,
				unsigned int flags, struct kvm_mp_wait *wait)
{
	return hermit_provider_wait_page(b->priv, idx, flags, &wait->obj);
}

static int hermit_kvm_park(struct kvm_mp_wait *wait)
{
	return hermit_provider_park(&wait->obj);
}

static void hermit_kvm_async_done(void *arg)
{
	struct kvm_mp_async *a = arg;

	a->done(a);
}

static bool hermit_kvm_begin_async(struct kvm_mp_wait *wait,
				   struct kvm_mp_async *a)
{
	static_assert(sizeof(struct hermit_async) <= sizeof(a->priv));

	return hermit_provider_begin_async(&wait->obj, (void *)a->priv,
					   hermit_kvm_async_done, a);
}

static bool hermit_kvm_end_async(struct kvm_mp_async *a)
{
	return hermit_provider_end_async((void *)a->priv);
}

static void hermit_kvm_drop_wait(struct kvm_mp_wait *wait)
{
	hermit_provider_drop_wait(&wait->obj);
}

static const struct kvm_mem_provider_ops hermit_kvm_provider_ops = {
	.owner = THIS_MODULE,
	.bind = hermit_kvm_bind,
	.unbind = hermit_kvm_unbind,
	.get_page = hermit_kvm_get_page,
	.wait_page = hermit_kvm_wait_page,
	.park = hermit_kvm_park,
	.begin_async = hermit_kvm_begin_async,
	.end_async = hermit_kvm_end_async,
	.drop_wait = hermit_kvm_drop_wait,
};

static int __init hermit_kvm_init(void)
{
	int r;

	/* First the way to zap, then what has to be zapped. */
	r = hermit_mmu_register(&hermit_kvm_mmu_ops);
	if (r)
		return r;

	r = kvm_mem_provider_register(&hermit_kvm_provider_ops);
	if (r)
		goto unregister_provider;

	return 0;

unregister_provider:
	hermit_mmu_unregister(&hermit_kvm_mmu_ops);
	return r;
}

/* Every binding and every wait of a vCPU holds a reference: none is left. */
static void __exit hermit_kvm_exit(void)
{
	kvm_mem_provider_unregister(&hermit_kvm_provider_ops);
	hermit_mmu_unregister(&hermit_kvm_mmu_ops);
}

module_init(hermit_kvm_init);
module_exit(hermit_kvm_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Hermit-VM: hermit regions as memory of KVM guests");
