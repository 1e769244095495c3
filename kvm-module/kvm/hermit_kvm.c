// SPDX-License-Identifier: GPL-2.0-only
/*
 * hermit-kvm.ko: the patched KVM on one side, hermit.ko on the other. KVM asks
 * for pages of its memslots, hermit.ko zaps and ages them in batches. There is
 * no state here; a binding holds a reference to this module, and so to both.
 */
#include <linux/kvm_mem_provider.h>
#include <linux/module.h>

#include "kvm/mmu.h"
#include "kvm/provider.h"

static const struct hermit_mmu_ops mmu_ops = {
	.zap = kvm_provider_zap,
	.age = kvm_provider_age,
	.stopped = kvm_provider_stopped,
};

static struct kvm_provider_ops provider_ops __ro_after_init;

static int __init hermit_kvm_init(void)
{
	int r;

	provider_ops = hermit_provider_ops;
	provider_ops.owner = THIS_MODULE;

	/* First the way to zap, then what has to be zapped. */
	r = hermit_mmu_register(&mmu_ops);
	if (r)
		return r;

	r = kvm_provider_register(&provider_ops);
	if (r)
		goto unregister_mmu;

	return 0;

unregister_mmu:
	hermit_mmu_unregister(&mmu_ops);
	return r;
}

/* Every binding and every wait of a vCPU holds a reference: none is left. */
static void __exit hermit_kvm_exit(void)
{
	kvm_provider_unregister(&provider_ops);
	hermit_mmu_unregister(&mmu_ops);
}

module_init(hermit_kvm_init);
module_exit(hermit_kvm_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Hermit-VM: hermit regions as memory of KVM guests");
