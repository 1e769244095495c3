// SPDX-License-Identifier: GPL-2.0-only
/*
 * The EPT side: bindings of KVM memslots to a region, and what KVM asks of
 * them. One guest page may be in several bindings: QEMU makes two address
 * spaces with SMM, and aliases.
 */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/kvm_mem_provider.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "engine/ahead.h"
#include "engine/fault.h"
#include "engine/mark.h"
#include "engine/policy.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/vcpu.h"
#include "engine/wait.h"
#include "kvm/mmu.h"
#include "kvm/provider.h"
#include "memory.h"

static_assert(HERMIT_MMU_DIRTY == KVM_PROVIDER_DIRTY);

static struct hermit_binding *to_binding(struct kvm_provider_binding *slot)
{
	return container_of(slot, struct hermit_binding, slot);
}

/*
 * Is all up to @end mapped as one piece of the region that @vma maps? mprotect(),
 * mbind() or madvise() of a part split a mapping, and what is where stays.
 */
static bool provider_one_piece(struct vm_area_struct *vma, unsigned long end)
{
	struct vm_area_struct *next;

	for (; vma->vm_end < end; vma = next) {
		next = find_vma(current->mm, vma->vm_end);
		if (!next || next->vm_start != vma->vm_end ||
		    next->vm_ops != vma->vm_ops ||
		    next->vm_private_data != vma->vm_private_data ||
		    next->vm_pgoff != vma->vm_pgoff + vma_pages(vma))
			return false;
	}
	return true;
}

/*
 * The slot has to be one piece of a region's memory fd. -ENODEV: it is not
 * hermit memory at all; -EINVAL: partly, or in pieces; -EBUSY: the region serves
 * another VM.
 */
static struct kvm_provider_binding *
provider_bind(const struct kvm_provider_binding *slot)
{
	unsigned long hva = slot->hva;
	struct hermit_region *r = NULL;
	struct vm_area_struct *vma;
	struct hermit_binding *b;
	u64 start = 0;
	int ret = -ENODEV;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, hva);
	if (vma && vma->vm_start <= hva && vma->vm_ops == &hermit_vm_ops) {
		ret = -EINVAL;
		if (provider_one_piece(vma, hva + (slot->npages << PAGE_SHIFT))) {
			r = vma->vm_private_data;
			hermit_region_get(r);
			start = vma->vm_pgoff +
				((hva - vma->vm_start) >> PAGE_SHIFT);
		}
	}
	mmap_read_unlock(current->mm);
	if (!r)
		return ERR_PTR(ret);

	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b) {
		ret = -ENOMEM;
		goto put;
	}
	b->slot = *slot;
	b->region = r;
	b->start = start;
	down_write(&r->bind_lock);
	if (!list_empty(&r->bindings) && r->vm != slot->kvm) {
		up_write(&r->bind_lock);
		ret = -EBUSY;
		goto free;
	}
	r->vm = slot->kvm;
	list_add(&b->node, &r->bindings);
	WRITE_ONCE(r->nr_bindings, r->nr_bindings + 1);
	up_write(&r->bind_lock);
	return &b->slot;

free:
	kfree(b);
put:
	hermit_region_put(r);
	return ERR_PTR(ret);
}

/* Waits for batches that use the binding. */
static void provider_unbind(struct kvm_provider_binding *slot)
{
	struct hermit_binding *b = to_binding(slot);
	struct hermit_region *r = b->region;

	down_write(&r->bind_lock);
	list_del(&b->node);
	WRITE_ONCE(r->nr_bindings, r->nr_bindings - 1);
	up_write(&r->bind_lock);
	kfree(b);
	hermit_region_put(r);
}

static int provider_get_page(struct kvm_provider_binding *slot,
			     unsigned long idx, unsigned int flags,
			     struct page **page, bool *writable)
{
	struct hermit_binding *b = to_binding(slot);
	struct hermit_region *r = b->region;
	int ret;

	ret = hermit_fault_get(r, b->start + idx, page);
	/* The region has ended: there is no page, and never will be. */
	if (ret == -EFAULT)
		ret = -EHWPOISON;
	*writable = true;
	return ret;
}

/* An async page fault. */
struct provider_async {
	struct kvm_provider_async apf;
	struct wait_queue_entry entry;	/* of the request's */
	struct hermit_req *req;		/* a reference */
};

/* What KVM keeps for us from one fault of a vCPU to the next. */
struct provider_vcpu {
	struct kvm_provider_wait wait;
	struct hermit_waiter w;
	struct hermit_stream stream;
	struct hermit_vcpu who;
	struct provider_async *spare;	/* for the next async page fault */
};

static struct provider_vcpu *to_vcpu(struct kvm_provider_wait *wait)
{
	return container_of(wait, struct provider_vcpu, wait);
}

/*
 * A vCPU waits for the first time: perhaps because there is no memory, so it may
 * be had from the host's reserves. KVM would ask for it again and again: rest a
 * little, as one that waits.
 */
static struct kvm_provider_wait *
provider_alloc_wait(struct kvm_provider_binding *slot)
{
	struct hermit_region *r = to_binding(slot)->region;
	struct provider_vcpu *v;

	v = kzalloc(sizeof(*v), GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!v)
		v = kzalloc(sizeof(*v), GFP_ATOMIC | __GFP_NOWARN);
	if (!v) {
		hermit_waiters_enter(r);
		schedule_timeout_interruptible(1);
		hermit_waiters_leave(r, false);
		return NULL;
	}
	hermit_prefetch_init(&v->stream.p);
	hermit_vcpu_add(&v->who, slot->kvm);
	return &v->wait;
}

static void provider_free_wait(struct kvm_provider_wait *wait)
{
	struct provider_vcpu *v = to_vcpu(wait);

	hermit_waiter_drop(&v->w);
	hermit_vcpu_del(&v->who);
	kfree(v->spare);
	kfree(v);
}

/* A long wait can be an async page fault if there is memory for one. */
static bool provider_can_async(struct provider_vcpu *v)
{
	if (!v->spare)
		v->spare = kmalloc(sizeof(*v->spare), GFP_NOWAIT | __GFP_NOWARN |
						      __GFP_ACCOUNT);
	return v->spare;
}

/* True if the read came while we spun for it. */
static bool provider_spin(struct hermit_region *r, struct provider_vcpu *v)
{
	u64 budget = hermit_policy_spin(r);
	struct hermit_waiter *w = &v->w;

	/* Acquire, in all three, pairs with hermit_req_finish(). */
	if (!budget)
		return smp_load_acquire(&w->req->done);
	w->began = local_clock();
	w->ended = w->began;
	while (!smp_load_acquire(&w->req->done) && !need_resched() &&
	       hermit_ns(w->began, w->ended) < budget) {
		hermit_req_poll(r);
		cpu_relax();
		w->ended = local_clock();
	}
	hermit_vcpu_waited(&v->who, hermit_ns(w->began, w->ended));
	return smp_load_acquire(&w->req->done);
}

static int provider_wait_page(struct kvm_provider_binding *slot,
			      unsigned long idx, unsigned int flags,
			      struct kvm_provider_wait *wait)
{
	struct hermit_binding *b = to_binding(slot);
	struct hermit_region *r = b->region;
	struct provider_vcpu *v = to_vcpu(wait);
	struct hermit_waiter *w = &v->w;

	if (w->region != r || w->idx != b->start + idx || !w->since)
		hermit_count(r, HERMIT_C_FAULTS_GUEST, 1);
	hermit_fault_prepare(r, b->start + idx, flags, w);
	if (w->kind == HERMIT_WAIT_NONE)
		return 0;

	if (w->posted)
		hermit_ahead(r, w->idx, &v->stream);
	if (w->kind == HERMIT_WAIT_REQ && provider_spin(r, v)) {
		hermit_count(r, HERMIT_C_SPUN, 1);
		hermit_fault_account(r, w->idx, hermit_ns(w->since, local_clock()));
		w->since = 0;
		return 0;
	}
	/* Memslot updates wait for our srcu section: sleep outside it. */
	return w->kind == HERMIT_WAIT_REQ && hermit_policy_long(r) &&
	       provider_can_async(v) ? -EINPROGRESS : -EBUSY;
}

static int provider_park(struct kvm_provider_wait *wait)
{
	struct provider_vcpu *v = to_vcpu(wait);
	struct hermit_waiter *w = &v->w;
	int ret;

	if (!w->region)
		return 0;
	HERMIT_MARK(vcpu_parks);
	hermit_count(w->region, HERMIT_C_PARKED, 1);
	ret = hermit_waiter_sleep(w, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT);
	hermit_vcpu_waited(&v->who, hermit_ns(w->began, w->ended));
	if (ret)
		return ret;
	if (w->kind == HERMIT_WAIT_REQ && w->since) {
		hermit_fault_account(w->region, w->idx,
				     hermit_ns(w->since, w->ended));
		w->since = 0;
	}
	/* Keep nothing of a region that may end. */
	hermit_waiter_drop(w);
	return 0;
}

/* The read is done; under the lock of its wait queue, and in any context. */
static int provider_async_wake(struct wait_queue_entry *entry,
			       unsigned int mode, int flags, void *key)
{
	struct provider_async *a = container_of(entry, struct provider_async,
						entry);
	struct hermit_req *req = a->req;
	struct hermit_region *r = req->region;

	list_del_init(&entry->entry);
	hermit_waiters_leave(r, !req->status);
	hermit_fault_account(r, req->idx, hermit_ns(req->posted, req->finished));
	/* Faults that come again back off: that takes a vCPU that parks. */
	if (req->status)
		WRITE_ONCE(r->async_pause, jiffies + HZ);
	a->apf.done(&a->apf);
	return 1;
}

static struct kvm_provider_async *
provider_begin_async(struct kvm_provider_wait *wait,
		     const struct kvm_provider_async *init)
{
	struct provider_vcpu *v = to_vcpu(wait);
	struct provider_async *a = v->spare;
	struct hermit_waiter *w = &v->w;
	struct hermit_region *r = w->region;
	struct hermit_req *req = w->req;
	unsigned long flags;
	bool over;

	a->apf = *init;
	init_waitqueue_func_entry(&a->entry, provider_async_wake);
	INIT_LIST_HEAD(&a->entry.entry);
	a->req = req;
	hermit_waiters_enter(r);
	spin_lock_irqsave(&req->wq.lock, flags);
	__add_wait_queue(&req->wq, &a->entry);
	/* Pairs with wq_has_sleeper() in hermit_req_finish(). */
	smp_mb();
	over = smp_load_acquire(&req->done);
	if (over)
		__remove_wait_queue(&req->wq, &a->entry);
	spin_unlock_irqrestore(&req->wq.lock, flags);
	if (over) {
		HERMIT_MARK(async_over_already);
		hermit_waiters_leave(r, !req->status);
		return NULL;
	}
	hermit_count(r, HERMIT_C_ASYNC, 1);
	w->req = NULL;			/* a's now */
	v->spare = NULL;
	hermit_waiter_drop(w);
	return &a->apf;
}

static bool provider_end_async(struct kvm_provider_async *apf)
{
	struct provider_async *a = container_of(apf, struct provider_async, apf);
	struct hermit_req *req = a->req;
	unsigned long flags;
	bool queued;

	/*
	 * The lock makes it one or the other: either the entry is still there
	 * and is taken off, or its wake is over and touches @a no more.
	 */
	spin_lock_irqsave(&req->wq.lock, flags);
	queued = !list_empty(&a->entry.entry);
	if (queued)
		__remove_wait_queue(&req->wq, &a->entry);
	spin_unlock_irqrestore(&req->wq.lock, flags);
	if (queued) {
		HERMIT_MARK(async_ended_early);
		hermit_waiters_leave(req->region, false);
	}
	hermit_req_put(req);
	kfree(a);
	return queued;
}

const struct kvm_provider_ops hermit_provider_ops = {
	.bind = provider_bind,
	.unbind = provider_unbind,
	.get_page = provider_get_page,
	.alloc_wait = provider_alloc_wait,
	.free_wait = provider_free_wait,
	.wait_page = provider_wait_page,
	.park = provider_park,
	.begin_async = provider_begin_async,
	.end_async = provider_end_async,
};
EXPORT_SYMBOL_GPL(hermit_provider_ops);
