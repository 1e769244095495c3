/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PROVIDER_H
#define HERMIT_PROVIDER_H
/*
 * Between hermit.ko, which knows regions, and hermit-kvm.ko, which knows the
 * patched KVM, what the latter calls. kvm/mmu.h is the other way.
 */
#include <linux/types.h>
#include <linux/wait.h>

struct hermit_binding;
struct hermit_req;
struct page;

/*
 * Bind [hva, hva + npages) of current->mm, a slot of @vm, if it lies in one
 * mapping of a region's memory fd. -ENODEV: it is not hermit memory at all;
 * -EINVAL: partly; -EBUSY: the region serves another VM; -ENODEV after the
 * region died. Takes mmap_lock; may sleep.
 */
struct hermit_binding *hermit_provider_bind(unsigned long hva,
					    unsigned long npages, void *vm,
					    void *slot);
/* Waits for batches that use the binding. May sleep. */
void hermit_provider_unbind(struct hermit_binding *b);

#define HERMIT_GET_WRITE	1
#define HERMIT_GET_PREFETCH	2

/* The contracts of kvm_mem_provider_ops, see kvm_mem_provider.h. */
int hermit_provider_get_page(struct hermit_binding *b, unsigned long idx,
			     unsigned int flags, struct page **page,
			     bool *writable);
int hermit_provider_wait_page(struct hermit_binding *b, unsigned long idx,
			      unsigned int flags, void **wait);
int hermit_provider_park(void **wait);
/* An async page fault: @done is called with @arg, as kvm_mp_async.done. */
struct hermit_async {
	struct wait_queue_entry entry;	/* of the request's */
	struct hermit_req *req;		/* a reference */
	void (*done)(void *arg);
	void *arg;
};

bool hermit_provider_begin_async(void **wait, struct hermit_async *a,
				 void (*done)(void *arg), void *arg);
bool hermit_provider_end_async(struct hermit_async *a);
void hermit_provider_drop_wait(void **wait);

#endif /* HERMIT_PROVIDER_H */
