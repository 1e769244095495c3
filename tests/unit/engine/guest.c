// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM: one set of extended page tables (EPT) under mmu_lock, vCPUs with a
 * translation buffer (TLB) each, and what KVM does for them: a fault takes the
 * page, and installs it only if nothing was zapped since it began.
 *
 * An access is one instruction: no switch inside.
 */
#include "world.h"

#include "engine/poison.h"
#include "engine/pool.h"
#include "engine/wait.h"
#include "engine/word.h"
#include "kvm/mmu.h"
#include "kvm/provider.h"

#define VCPUS	8

struct entry {
	struct page *page;
	bool accessed, dirty;
};

static struct entry ept[WORLD_PAGES], tlb[VCPUS][WORLD_PAGES];
static struct mutex mmu_lock;
static u64 seq;
static int invalidating;
static struct kvm_provider_binding *binding;
static int nr_vcpus;
static u64 poison_nr[SHIM_PAGES];	/* the how manieth; 0: it is good */
static bool told[WORLD_PAGES];
static u64 where;			/* the last access of any vCPU */

void guest_init(void)
{
	memset(ept, 0, sizeof(ept));
	memset(tlb, 0, sizeof(tlb));
	mutex_init(&mmu_lock);
	memset(poison_nr, 0, sizeof(poison_nr));
	memset(told, 0, sizeof(told));
	seq = where = 0;
	invalidating = nr_vcpus = 0;
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
	if (world.flush)
		fiber_sleep(fiber_now() + fiber_random(world.flush));
	/* The flush: each vCPU has dropped them when it returns. */
	for (v = 0; v < VCPUS; v++) {
		fiber_point();
		for (i = 0; i < n; i++)
			tlb[v][p[i].idx] = (struct entry){};
	}
	mutex_unlock(&mmu_lock);
	return 0;
}

/* KVM's MMU notifier: no page of the range is installed until its end. */
void guest_invalidate_begin(u64 idx, u64 n)
{
	u64 i;
	int v;

	mutex_lock(&mmu_lock);
	invalidating++;
	for (i = idx; i < idx + n; i++) {
		/* As Linux 6.12: D is kept when an entry goes. */
		if (ept[i].page && ept[i].dirty)
			SetPageDirty(ept[i].page);
		ept[i] = (struct entry){};
	}
	for (v = 0; v < VCPUS; v++) {
		fiber_point();
		memset(&tlb[v][idx], 0, n * sizeof(tlb[v][0]));
	}
	mutex_unlock(&mmu_lock);
}

void guest_invalidate_end(void)
{
	mutex_lock(&mmu_lock);
	WRITE_ONCE(seq, seq + 1);
	invalidating--;
	mutex_unlock(&mmu_lock);
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
	if (hermit_mmu_register(&mmu_ops))
		fiber_fail("hermit_mmu_register()");
	binding = hermit_provider_ops.bind(&(struct kvm_provider_binding){
		.ops = &hermit_provider_ops,
		.kvm = (struct kvm *)&ept,
		.npages = world.r->npages,
	});
	world.r->policy.async_pf = fiber_random(HERMIT_POLICY_ASYNC_PF_ON + 1);
	if (!IS_ERR(binding))
		return true;
	if (PTR_ERR(binding) != -ENOMEM)
		fiber_fail("a slot that is all the region's memory: %ld",
			   PTR_ERR(binding));
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
		if (!hermit_waiter_moved(w, word->counter))
			return false;
		fprintf(stderr, "page %llu: waits for its word, %#llx, to change; it is %#llx\n",
			w->idx, w->word, word->counter);
		return true;
	case HERMIT_WAIT_ROOM:
		if (hermit_room(w->region) <= 0)
			return somebody_rests(w->region);
		fprintf(stderr, "page %llu: waits for room, and there is some\n", w->idx);
		return true;
	default:
		return false;
	}
}

int __real_hermit_waiter_sleep(struct hermit_waiter *w, unsigned int state,
				long timeout);
int __wrap_hermit_waiter_sleep(struct hermit_waiter *w, unsigned int state,
			       long timeout);

/* The linker puts this in between: all who wait there. */
int __wrap_hermit_waiter_sleep(struct hermit_waiter *w, unsigned int state,
			       long timeout)
{
	int ret;

	fiber_expect(wait_is_over, w);
	ret = __real_hermit_waiter_sleep(w, state, timeout);
	fiber_expect(NULL, NULL);
	return ret;
}

/* An async page fault: the task of the guest waits, and the vCPU does not. */
struct async {
	struct hermit_req *req;
	struct fiber *vcpu;
	bool done;
};

static bool async_is_over(void *arg)
{
	return ((struct async *)arg)->req->done;
}

static void async_done(struct kvm_provider_async *apf)
{
	struct async *a = (struct async *)apf->apf;

	if (a->done)
		fiber_fail("an async page fault is over twice");
	a->done = true;
	fiber_wake(a->vcpu);
}

static bool vcpu_fault(u64 idx, struct kvm_provider_wait **wait, bool amid);

/*
 * Until the page is there, or for as long as the guest keeps the vCPU's queue; it
 * may fault on another page meanwhile.
 */
static void vcpu_async(struct kvm_provider_wait **wait)
{
	struct async a = {
		.req = ((struct hermit_waiter *)(*wait + 1))->req,
		.vcpu = fiber_self(),
	};
	struct kvm_provider_async *apf = hermit_provider_ops.begin_async(*wait,
		&(struct kvm_provider_async){
			.done = async_done,
			.apf = (struct kvm_async_pf *)&a,
		});
	u64 until = fiber_random(2) ? 0 : fiber_now() + fiber_random(1000000);
	bool pending;

	fiber_local()->srcu = false;
	if (!apf)
		return;
	world.asyncs++;
	if (fiber_random(2))
		vcpu_fault(world_page(world.r->npages), wait, true);
	fiber_expect(async_is_over, &a);
	while (!a.done && (!until || fiber_now() < until))
		fiber_sleep(until);
	fiber_expect(NULL, NULL);
	pending = hermit_provider_ops.end_async(apf);
	if (pending == a.done)
		fiber_fail("an async page fault is %s, and over all the same %d",
			   pending ? "pending" : "over", a.done);
}

/*
 * One fault of a vCPU, as KVM takes it; false if there is no such page any more.
 * @amid: an async page fault, and there is one at a time.
 */
static bool vcpu_fault(u64 idx, struct kvm_provider_wait **wait, bool amid)
{
	u64 before = READ_ONCE(seq), poisons = world.poisons;
	struct page *page;
	struct hermit_waiter *w;
	bool writable, async;
	int ret;

	world.faulted++;
	fiber_local()->srcu = true;
	ret = hermit_provider_ops.get_page(binding, idx, KVM_PROVIDER_WRITE, &page,
					   &writable);
	if (!ret) {
		if (guest_poisoned(page, poisons))
			fiber_fail("page %llu: a fault got a bad frame", idx);
		mutex_lock(&mmu_lock);
		if (READ_ONCE(seq) == before && !invalidating && !ept[idx].page)
			ept[idx] = (struct entry){ .page = page };
		mutex_unlock(&mmu_lock);
		put_page(page);
		fiber_local()->srcu = false;
		return true;
	}
	fiber_local()->srcu = ret == -EAGAIN;
	if ((ret == -EHWPOISON &&
	     (world.lost || world.poisons || world.r->dead)) ||
	    (ret == -EFAULT && world.r->dead))
		return false;
	if (ret != -EAGAIN)
		fiber_fail("page %llu: error %d", idx, ret);
	if (!*wait)
		*wait = hermit_provider_ops.alloc_wait(binding);
	if (!*wait) {
		fiber_local()->srcu = false;
		return true;
	}
	/* hermit's own part follows KVM's. */
	w = (struct hermit_waiter *)(*wait + 1);
	ret = hermit_provider_ops.wait_page(binding, idx, KVM_PROVIDER_WRITE, *wait);
	async = ret == -EINPROGRESS && !amid && fiber_random(4);
	fiber_local()->srcu = async;
	if (!ret)
		return true;
	if (world.no_nap && !world.r->dead &&
	    w->kind == HERMIT_WAIT_BACKOFF)
		fiber_fail("page %llu: backs off, though the host has memory and the server answers",
			   idx);
	if (async) {
		vcpu_async(wait);
		return true;
	}
	if (world.faults.signals && fiber_once_in(world.faults.signals))
		fiber_local()->signal = true;
	hermit_provider_ops.park(*wait);
	fiber_local()->signal = false;
	return true;
}

/* One instruction; false if it faults. */
static bool vcpu_access(int cpu, u64 idx, bool write)
{
	struct entry *t = &tlb[cpu][idx], *e = &ept[idx];

	if (!t->page || (write && !t->dirty)) {
		/* The walk sets A, and D for a store, as the processor does. */
		if (!e->page)
			return false;
		e->accessed = true;
		e->dirty |= write;
		*t = *e;
		t->dirty = write;
	}
	oracle_access(idx, t->page, write, "a vCPU");
	return true;
}

void guest_touch(int cpu, u64 idx, bool write, struct kvm_provider_wait **wait)
{
	while (!vcpu_access(cpu, idx, write) && vcpu_fault(idx, wait, false))
		fiber_point();
}

struct kvm_provider_wait *guest_wait(void)
{
	return hermit_provider_ops.alloc_wait(binding);
}

void guest_drop(struct kvm_provider_wait *wait)
{
	if (wait)
		hermit_provider_ops.free_wait(wait);
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

	for (i = 0; i < n && !world.enough; i++) {
		bool write = fiber_random(2);

		/* Mostly in a row, or around a place of its own. */
		idx = fiber_once_in(4) ? world_page(world.r->npages) :
		      fiber_once_in(4) ? (where + fiber_random(4)) % world.r->npages :
		      fiber_once_in(2) ? (idx + 1) % world.r->npages :
		      (hot + fiber_random(8)) % world.r->npages;
		where = idx;
		guest_touch(cpu, idx, write, &wait);
		budget_check();
		/* It thinks: pages grow old. */
		if (fiber_once_in(think))
			fiber_sleep(fiber_now() + fiber_random(5000000));
		fiber_point();
	}
	guest_drop(wait);
}

/* Was the frame bad when there had been so many bad ones? */
bool guest_poisoned(struct page *page, u64 poisons)
{
	u64 nr = poison_nr[page - shim_pages];

	return nr && nr <= poisons;
}

void guest_poison_page(struct page *page)
{
	page->poisoned.counter = 1;
	world.poisoned++;
	poison_nr[page - shim_pages] = ++world.poisons;
}

void guest_poison(void)
{
	struct page *page = &shim_pages[fiber_random(SHIM_PAGES)];
	u64 idx = page->index;

	if (!page->refs.counter || page->poisoned.counter)
		return;
	guest_poison_page(page);
	/* As machine_check(). */
	if (!page->mapping)
		return;
	/* What was told of the page's frame before is no word about this one. */
	told[idx] = false;
	if (fiber_once_in(2))
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

void guest_check_all(void)
{
	struct kvm_provider_wait *wait = NULL;
	u64 i;

	check_told();
	for (i = 0; i < world.r->npages; i++)
		guest_touch(0, i, false, &wait);
	guest_drop(wait);
}
