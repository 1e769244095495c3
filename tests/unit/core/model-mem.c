// SPDX-License-Identifier: GPL-2.0-or-later
/* Page frames, page tables and TLBs of the model. See model.h. */
#include "model.h"

#define POISON		0xdeadbeefdeadbeefULL

#define PRESENT		1u
#define DIRTY		2u
#define WRITABLE	4u
#define NR(pte)		((pte) >> 8)
#define PTE(f)		((unsigned int)frame_nr(f) << 8 | PRESENT)

struct frame frames[NFRAMES];

static struct lock pool_lock;
static struct frame *pool[NFRAMES], *sys[NFRAMES];
static int nr_pool, nr_sys;

/* What the hardware of one CPU remembers; held while it executes. */
struct tlb {
	struct lock executing;
	unsigned int pte[NPAGES];
};

static _Atomic unsigned int spte[NPAGES], hpte[NPAGES];
static struct tlb guest_tlb[NVCPUS], host_tlb[NHOSTS];
static struct lock mmu_lock;
static _Atomic uint64_t invalidate_seq;

static void poison(struct frame *f)
{
	int i;

	for (i = 0; i < PAGE_WORDS; i++)
		f->data[i] = POISON;
}

void mem_reset(void)
{
	int i;

	memset(frames, 0, sizeof(frames));
	memset(guest_tlb, 0, sizeof(guest_tlb));
	memset(host_tlb, 0, sizeof(host_tlb));
	memset(&mmu_lock, 0, sizeof(mmu_lock));
	memset(&pool_lock, 0, sizeof(pool_lock));
	for (i = 0; i < NPAGES; i++)
		spte[i] = hpte[i] = 0;
	invalidate_seq = 0;
	nr_pool = nr_sys = 0;
	for (i = 0; i < NFRAMES; i++) {
		poison(&frames[i]);
		sys[nr_sys++] = &frames[i];
	}
}

/* The last one given back first: a stale pointer meets new contents soon. */
struct frame *frame_get_new(bool zero)
{
	struct frame *f = NULL;
	int i;

	lock(&pool_lock);
	if (nr_pool) {
		f = pool[--nr_pool];
	} else if (nr_sys) {
		f = sys[--nr_sys];
		f->ref = 1;
	}
	unlock(&pool_lock);
	if (!f)
		return NULL;
	for (i = 0; i < PAGE_WORDS; i++) {
		if (f->data[i] != POISON)
			violation(-1, "frame %d was written while it was free",
				  frame_nr(f));
		if (zero)
			f->data[i] = 0;
	}
	if (atomic_exchange(&f->out, true))
		violation(-1, "frame %d is handed out twice", frame_nr(f));
	return f;
}

bool frame_tryget(struct frame *f)
{
	int n;

	step();
	n = f->ref;
	do {
		if (n == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&f->ref, &n, n + 1));
	return true;
}

void frame_unref(struct frame *f)
{
	step();
	if (atomic_fetch_sub(&f->ref, 1) != 1)
		return;
	if (f->out)
		violation(-1, "frame %d: more references dropped than taken",
			  frame_nr(f));
	poison(f);
	lock(&pool_lock);
	sys[nr_sys++] = f;
	unlock(&pool_lock);
}

void frame_give(struct frame *f, bool may_pool)
{
	const unsigned int flags = DIRTY | WRITABLE;
	int i;

	for (i = 0; i < NPAGES; i++) {
		const u64 w = words[i];

		if ((spte[i] & ~flags) == PTE(f))
			violation(i, "frame %d is freed and the guest maps it",
				  frame_nr(f));
		if ((hpte[i] & ~flags) == PTE(f))
			violation(i, "frame %d is freed and the host maps it",
				  frame_nr(f));
		if (hermit_word_has_page(w) &&
		    hermit_word_value(w) == (u64)frame_nr(f) + 1)
			violation(i, "frame %d is freed and the word names it",
				  frame_nr(f));
	}
	if (f->io)
		violation(-1, "frame %d is freed with I/O on it", frame_nr(f));
	if (!atomic_exchange(&f->out, false))
		violation(-1, "frame %d is freed twice", frame_nr(f));
	step();
	f->dirty = false;
	if (may_pool && f->ref == 1) {
		poison(f);
		lock(&pool_lock);
		pool[nr_pool++] = f;
		unlock(&pool_lock);
	} else {
		frame_unref(f);
	}
}

bool frame_freeze(struct frame *f)
{
	int one = 1;

	step();
	return atomic_compare_exchange_strong(&f->ref, &one, 0);
}

void frame_unfreeze(struct frame *f)
{
	f->ref = 1;
	step();
}

bool frame_is_zero(struct frame *f)
{
	int i;

	for (i = 0; i < PAGE_WORDS; i++) {
		step();
		if (f->data[i])
			return false;
	}
	return true;
}

int frames_missing(void)
{
	return NFRAMES - nr_pool - nr_sys;
}

/* ---- the CPU ---- */

static bool cpu_access(_Atomic unsigned int *table, struct tlb *tlb, int page,
		       int word, bool write, u64 *value)
{
	unsigned int pte, want;
	struct frame *f;

	lock(&tlb->executing);
	pte = tlb->pte[page];
	if (!(pte & PRESENT) || (write && !(pte & DIRTY))) {
		/* The walk sets the dirty bit in memory, then remembers it. */
		pte = table[page];
		do {
			if (!(pte & PRESENT) || (write && !(pte & WRITABLE))) {
				unlock(&tlb->executing);
				return false;
			}
			want = pte | (write ? DIRTY : 0);
		} while (!atomic_compare_exchange_weak(&table[page], &pte, want));
		tlb->pte[page] = pte = want;
	}
	f = &frames[NR(pte)];
	step();
	if (!f->out)
		violation(page, "a CPU uses frame %d, which is free",
			  frame_nr(f));
	if (write)
		f->data[word] = *value;
	else
		*value = f->data[word];
	unlock(&tlb->executing);
	return true;
}

static void tlb_flush(struct tlb *tlbs, int n, const int *pages, int npages)
{
	int i, p;

	/* An IPI waits until the CPU is between two instructions. */
	for (i = 0; i < n; i++) {
		lock(&tlbs[i].executing);
		for (p = 0; p < npages; p++)
			tlbs[i].pte[pages[p]] = 0;
		unlock(&tlbs[i].executing);
	}
}

bool guest_access(int vcpu, int page, int word, bool write, u64 *value)
{
	return cpu_access(spte, &guest_tlb[vcpu], page, word, write, value);
}

bool host_access(int host, int page, int word, bool write, u64 *value)
{
	return cpu_access(hpte, &host_tlb[host], page, word, write, value);
}

/* ---- the guest's page table ---- */

uint64_t mmu_seq(void)
{
	const uint64_t seq = invalidate_seq;

	step();
	return seq;
}

bool spte_map(int page, struct frame *f, bool write, uint64_t seq)
{
	unsigned int old;
	bool fresh;

	lock(&mmu_lock);
	fresh = seq == invalidate_seq || bug == BUG_NO_SEQ;
	if (fresh) {
		/* Writable, but dirty only if written (invariant 4). */
		old = atomic_fetch_or(&spte[page], PTE(f) | WRITABLE |
				      (write ? DIRTY : 0));
		if (old & PRESENT && NR(old) != (unsigned int)frame_nr(f))
			violation(page, "frame %u is mapped, and frame %d over it",
				  NR(old), frame_nr(f));
	}
	unlock(&mmu_lock);
	return fresh;
}

void spte_zap(const int *pages, int n, bool *dirty)
{
	int i;

	lock(&mmu_lock);
	for (i = 0; i < n; i++) {
		dirty[i] = !!(atomic_exchange(&spte[pages[i]], 0) & DIRTY);
		step();
	}
	if (bug != BUG_NO_FLUSH)
		tlb_flush(guest_tlb, NVCPUS, pages, n);
	invalidate_seq++;
	unlock(&mmu_lock);
}

/* ---- the host's page table ---- */

/* True if the PTE took the caller's reference. The folio lock is held. */
bool hpte_map(int page, struct frame *f, bool write)
{
	const unsigned int bits = PTE(f) | (write ? WRITABLE | DIRTY : 0);
	unsigned int old = 0;

	step();
	if (atomic_compare_exchange_strong(&hpte[page], &old, bits))
		return true;
	if (NR(old) != (unsigned int)frame_nr(f))
		violation(page, "frame %u is mapped by the host, and frame %d over it",
			  NR(old), frame_nr(f));
	/* Another thread's fault came first, or this is the first write. */
	atomic_fetch_or(&hpte[page], bits);
	return false;
}

void hpte_unmap(int page)
{
	const unsigned int old = atomic_exchange(&hpte[page], 0);
	struct frame *f = &frames[NR(old)];

	if (!(old & PRESENT))
		return;
	tlb_flush(host_tlb, NHOSTS, &page, 1);
	if (old & DIRTY)
		f->dirty = true;
	frame_unref(f);
}

struct frame *host_pin(int page, bool write)
{
	const unsigned int need = PRESENT | (write ? WRITABLE : 0);
	const unsigned int pte = hpte[page];
	struct frame *f = &frames[NR(pte)];
	unsigned int again;

	if ((pte & need) != need || !frame_tryget(f))
		return NULL;
	again = hpte[page];
	if ((again & need) == need && NR(again) == NR(pte))
		return f;
	frame_unref(f);
	return NULL;
}
