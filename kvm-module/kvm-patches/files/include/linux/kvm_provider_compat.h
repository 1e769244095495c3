/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_PROVIDER_COMPAT_H
#define __KVM_PROVIDER_COMPAT_H
/*
 * What differs between the kernels that have a series: 6.12 and 7.3. The files
 * of memory providers are the same for both. Not for upstream.
 */
#include <linux/export.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)

#define KVM_PROVIDER_EXPORT(sym)	EXPORT_SYMBOL_GPL(sym)

#define kvm_provider_ad_enabled()	kvm_ad_enabled()
/* A range of guest frames of no attribute. */
#define KVM_PROVIDER_RANGE
/* The fault's reference to its page goes with the pfn. */
#define kvm_provider_set_page(fault, page)

/*
 * Whatever drops a SPTE, or its dirty bit, makes the page dirty. So a page may
 * be mapped writable and clean.
 */
#define KVM_PROVIDER_HARVEST		true

#else

/*
 * KVM's build fails if one of its files has the name of the other macro. To a
 * module that is not named none of KVM's symbols are there.
 */
#define KVM_PROVIDER_EXPORT(sym)	EXPORT_SYMBOL_FOR_MODULES(sym, "hermit-kvm")

#define kvm_provider_ad_enabled()	kvm_ad_enabled
#define KVM_PROVIDER_RANGE		.attr_filter = KVM_FILTER_SHARED,
#define kvm_provider_set_page(fault, page) ((fault)->refcounted_page = (page))
#define kvm_mmu_invalidate_begin(kvm)	kvm_mmu_invalidate_start(kvm)

/*
 * A page becomes dirty when a SPTE is made through which it can be written, and
 * never when one goes. So a page must not be mapped writable before it is
 * written; unless we see to that, see provider_harvest.c.
 */
extern bool kvm_provider_harvest;
#define KVM_PROVIDER_HARVEST		kvm_provider_harvest

#endif

#endif /* __KVM_PROVIDER_COMPAT_H */
