// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM: one set of extended page tables (EPT) under mmu_lock, vCPUs with a
 * translation buffer (TLB) each, and what KVM does for them: a fault takes the
 * page, and installs it only if nothing was zapped since it began.
 *
 * An access is one instruction: no switch inside. The oracle learns of a store
 * in that same instruction.
 */
#include "world.h"

#include "engine/discard.h"
#include "engine/poison.h"
#include "engine/pool.h"
#include "engine/wait.h"
#include "engine/word.h"
#include "kvm/mmu.h"
#include "kvm/provider.h"
#include "memory.h"

#define VCPUS	8

struct entry {
	struct page *page;
	bool accessed, dirty;
};

static struct entry ept[WORLD_PAGES], tlb[VCPUS][WORLD_PAGES];
static struct mutex mmu_lock;
static u64 seq;
static u64 versions[WORLD_PAGES], last_version;
static int discarding[WORLD_PAGES];
static struct kvm_provider_binding *binding;
static struct vm_area_struct vma;
static int nr_vcpus;
static u64 poison_nr[SHIM_PAGES];	/* the how manieth; 0: it is good */
static bool told[WORLD_PAGES];
static struct { struct address_space space; int refs; } memory;

const struct vm_operations_struct hermit_vm_ops;

struct file *hermit_memory_create(struct hermit_region *r)
{
	hermit_region_get(r);
	r->mapping = &memory.space;
	return (struct file *)&memory;
}

struct inode;
void iput(struct inode *inode)
{
}

/* Nobody of the host maps anything yet. */
void unmap_mapping_pages(struct address_space *m, pgoff_t start, pgoff_t n,
			 bool cows)
{
}

void guest_init(void)
{
	memset(ept, 0, sizeof(ept));
	memset(tlb, 0, sizeof(tlb));
	memset(versions, 0, sizeof(versions));
	memset(discarding, 0, sizeof(discarding));
	mutex_init(&mmu_lock);
	memset(poison_nr, 0, sizeof(poison_nr));
	memset(told, 0, sizeof(told));
	seq = last_version = 0;
	nr_vcpus = 0;
}

static int mmu_zap(struct kvm *kvm, struct kvm_provider_page *p, int n)
{
	int i, v;

	mutex_lock(&mmu_lock);
	WRITE_ONCE(seq, seq + 1);
	for (i = 0; i < n; i++) {
		struct entry *e = &ept[p[i].idx];

		fiber_point();
		if (!e->page)
			continue;
		p[i].flags = KVM_PROVIDER_PRESENT |
			     (e->accessed ? KVM_PROVIDER_ACCESSED : 0) |
			     (e->dirty ? KVM_PROVIDER_DIRTY : 0);
		world.zapped++;
		world.harvested += e->dirty;
		*e = (struct entry){};
	}
	/* The flush: each vCPU has dropped them when it returns. */
	for (v = 0; v < VCPUS; v++) {
		fiber_point();
		for (i = 0; i < n; i++)
			tlb[v][p[i].idx] = (struct entry){};
	}
	mutex_unlock(&mmu_lock);
	return 0;
}

static int mmu_age(struct kvm *kvm, struct kvm_provider_page *p, int n)
{
	int i;

	mutex_lock(&mmu_lock);
	for (i = 0; i < n; i++) {
		struct entry *e = &ept[p[i].idx];

		fiber_point();
		p[i].flags = e->page && e->accessed ? KVM_PROVIDER_ACCESSED : 0;
		e->accessed = false;
	}
	mutex_unlock(&mmu_lock);
	return 0;
}

/* A guest without watchdogs. */
static void mmu_stopped(struct kvm *kvm)
{
	if (kvm != (struct kvm *)&ept)
		fiber_fail("a VM that is not there is told that it was stopped");
}

static const struct hermit_mmu_ops mmu_ops = {
	.zap = mmu_zap,
	.age = mmu_age,
	.stopped = mmu_stopped,
};

bool guest_bind(void)
{
	vma = (struct vm_area_struct){
		.vm_end = WORLD_PAGES << PAGE_SHIFT,
		.vm_ops = &hermit_vm_ops,
		.vm_private_data = world.r,
	};
	shim_current.vma = &vma;
	if (hermit_mmu_register(&mmu_ops))
		fiber_fail("hermit_mmu_register()");
	binding = hermit_provider_ops.bind(&(struct kvm_provider_binding){
		.ops = &hermit_provider_ops,
		.kvm = (struct kvm *)&ept,
		.npages = world.r->npages,
	});
	if (!IS_ERR(binding))
		return true;
	hermit_mmu_unregister(&mmu_ops);
	return false;
}

void guest_unbind(void)
{
	hermit_provider_ops.unbind(binding);
	hermit_mmu_unregister(&mmu_ops);
}

/*
 * While a fault waits for room every thread is wanted: none sleeps until it is
 * kicked.
 */
static bool somebody_rests(struct hermit_region *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_reclaimers; i++)
		if (shim_vhost_task_rests(r->reclaimers[i].task))
			return true;
	return false;
}

/* What a waiter waits for; to find lost wake-ups. */
static bool wait_is_over(void *arg)
{
	struct hermit_waiter *w = arg;
	atomic64_t *word;

	switch (w->kind) {
	case HERMIT_WAIT_REQ:
		return w->req->done;
	case HERMIT_WAIT_WORD:
		word = hermit_word(w->region, w->idx);
		return word->counter != (s64)w->word;
	case HERMIT_WAIT_ROOM:
		return hermit_room(w->region) > 0 || somebody_rests(w->region);
	default:
		return false;
	}
}

/* One fault of a vCPU, as KVM takes it; false if there is no such page any more. */
static bool vcpu_fault(u64 idx, struct kvm_provider_wait **wait)
{
	u64 before = READ_ONCE(seq), poisons = world.poisons, nr;
	struct page *page;
	struct hermit_waiter *w;
	bool writable;
	int ret;

	world.faulted++;
	ret = hermit_provider_ops.get_page(binding, idx, KVM_PROVIDER_WRITE, &page,
					   &writable);
	if (!ret) {
		nr = poison_nr[page - shim_pages];
		if (nr && nr <= poisons)
			fiber_fail("page %llu: a fault got a bad frame", idx);
		mutex_lock(&mmu_lock);
		if (READ_ONCE(seq) == before && !ept[idx].page)
			ept[idx] = (struct entry){ .page = page };
		mutex_unlock(&mmu_lock);
		put_page(page);
		return true;
	}
	if ((ret == -EHWPOISON &&
	     (world.lost || world.poisons || world.r->dead)) ||
	    (ret == -EFAULT && world.r->dead))
		return false;
	if (ret != -EAGAIN)
		fiber_fail("page %llu: error %d", idx, ret);
	if (!*wait)
		*wait = hermit_provider_ops.alloc_wait(binding);
	if (!*wait)
		return true;
	/* hermit's own part follows KVM's. */
	w = (struct hermit_waiter *)(*wait + 1);
	ret = hermit_provider_ops.wait_page(binding, idx, KVM_PROVIDER_WRITE, *wait);
	if (!ret)
		return true;
	if (world.no_nap && !world.r->dead &&
	    w->kind == HERMIT_WAIT_BACKOFF)
		fiber_fail("page %llu: backs off, though the host has memory and the server answers",
			   idx);
	if (world.faults.signals && fiber_once_in(world.faults.signals))
		fiber_local()->signal = true;
	fiber_expect(wait_is_over, w);
	hermit_provider_ops.park(*wait);
	fiber_expect(NULL, NULL);
	fiber_local()->signal = false;
	return true;
}

/* One instruction; false if it faults. */
static bool vcpu_access(int cpu, u64 idx, bool write)
{
	struct entry *t = &tlb[cpu][idx], *e = &ept[idx];
	u64 *data, first, last;

	if (!t->page || (write && !t->dirty)) {
		/* The walk sets A, and D for a store, as the processor does. */
		if (!e->page)
			return false;
		e->accessed = true;
		e->dirty |= write;
		*t = *e;
		t->dirty = write;
	}
	data = t->page->data;
	first = data[0];
	last = data[PAGE_WORDS - 1];
	/* What ends has no contents any more. */
	if (discarding[idx] || world.r->dead)
		return true;
	if (first != versions[idx] || last != versions[idx])
		fiber_fail("page %llu: holds %llu and %llu, was written %llu",
			   idx, first, last, versions[idx]);
	if (write) {
		versions[idx] = fiber_once_in(16) ? 0 : ++last_version;
		data[0] = data[PAGE_WORDS - 1] = versions[idx];
		if (!versions[idx])
			memset(data, 0, PAGE_SIZE);
	}
	return true;
}

static void budget_check(void)
{
	struct hermit_region *r = world.r;
	long used = r->used.counter;

	if (used > world.most)
		fiber_fail("%ld pages used, the limit was never above %ld",
			   used, world.most);
}

void vcpu_main(void *arg)
{
	int cpu = nr_vcpus++ % VCPUS, i, n = *(int *)arg;
	u64 hot = fiber_random(world.r->npages), idx = 0;
	u64 think = 4ull << fiber_random(8);
	struct kvm_provider_wait *wait = NULL;

	for (i = 0; i < n; i++) {
		bool write = fiber_random(2);

		/* Mostly in a row, or around a place of its own. */
		idx = fiber_once_in(4) ? fiber_random(world.r->npages) :
		      fiber_once_in(2) ? (idx + 1) % world.r->npages :
		      (hot + fiber_random(8)) % world.r->npages;
		while (!vcpu_access(cpu, idx, write) && vcpu_fault(idx, &wait))
			fiber_point();
		budget_check();
		/* It thinks: pages grow old. */
		if (fiber_once_in(think))
			fiber_sleep(fiber_now() + fiber_random(5000000));
		fiber_point();
	}
	if (wait)
		hermit_provider_ops.free_wait(wait);
}

void guest_poison(void)
{
	struct page *page = &shim_pages[fiber_random(SHIM_PAGES)];
	u64 idx = page->index;

	if (!page->refs.counter || page->poisoned.counter)
		return;
	page->poisoned.counter = 1;
	world.poisoned++;
	poison_nr[page - shim_pages] = ++world.poisons;
	/* As machine_check(). */
	if (!page->mapping || fiber_once_in(2))
		return;
	told[idx] = hermit_word_has_page(atomic64_read(hermit_word(world.r, idx)));
	hermit_poison_report(world.r, idx);
}

/* What was told of is out, though nobody asked for it. */
static void check_told(void)
{
	int ms;
	u64 i;

	for (i = 0; i < world.r->npages; i++)
		for (ms = 0; told[i] && hermit_poison_seen(
				atomic64_read(hermit_word(world.r, i))); ms++) {
			if (ms == 20000)
				fiber_fail("page %llu: still in its bad frame", i);
			fiber_sleep(fiber_now() + NSEC_PER_MSEC);
		}
}

void guest_balloon(u64 idx, u64 nr)
{
	u64 i;

	for (i = idx; i < idx + nr; i++)
		discarding[i]++;
	hermit_discard(world.r, idx, nr);
	for (i = idx; i < idx + nr; i++) {
		versions[i] = 0;
		discarding[i]--;
	}
}

void guest_check_all(void)
{
	struct kvm_provider_wait *wait = NULL;
	u64 i;

	check_told();
	for (i = 0; i < world.r->npages; i++)
		while (!vcpu_access(0, i, false) && vcpu_fault(i, &wait))
			fiber_point();
	if (wait)
		hermit_provider_ops.free_wait(wait);
}
