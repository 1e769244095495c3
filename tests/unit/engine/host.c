// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU, and who works for it: threads that reach the memory fd by page tables of
 * the host (PTEs), pins of devices, pread(), recall. PTEs are made as mm/memory.c
 * makes those of a shared mapping with page_mkwrite(), and taken away as
 * mm/truncate.c does, with KVM's MMU notifier around it.
 */
#include "world.h"

#include "engine/recall.h"
#include "memory.h"

struct pte {
	struct page *page;		/* with a reference */
	bool writable, dirty;
};

static struct pte ptes[WORLD_PAGES], tlb[HOST_THREADS][WORLD_PAGES];
static spinlock_t ptl = SHIM_LOCK_INIT;
static struct rw_semaphore i_mmap_rwsem = SHIM_LOCK_INIT;
static struct vm_area_struct vma, above;	/* what of it was split off */
static struct file *memory;

/* As FOLL_* of GUP, and the faults of user space, ask for it. */
static const unsigned int ways[] = {
	FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE | FAULT_FLAG_INTERRUPTIBLE |
		FAULT_FLAG_USER,
	FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE | FAULT_FLAG_INTERRUPTIBLE,
	FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE,
	FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT,
	0,				/* access_remote_vm() */
};

void host_init(void)
{
	memset(ptes, 0, sizeof(ptes));
	memset(tlb, 0, sizeof(tlb));
	spin_lock_init(&ptl);
	init_rwsem(&i_mmap_rwsem);
	init_rwsem(&shim_mmap_lock);
}

void host_mmap(struct file *file)
{
	memory = file;
	vma = (struct vm_area_struct){
		.vm_end = world.r->npages << PAGE_SHIFT,
		.vm_flags = VM_SHARED,
		.vm_file = get_file(file),
	};
	if (file->f_op->mmap(file, &vma))
		fiber_fail("mmap() of the memory fd");
	/* mbind() of a part, say: faults are served as before. */
	if (fiber_once_in(4)) {
		above = vma;
		vma.vm_end = (1 + fiber_random(world.r->npages - 1)) << PAGE_SHIFT;
		vma.next = &above;
		above.vm_start = vma.vm_end;
		above.vm_pgoff = vma.vm_end >> PAGE_SHIFT;
	}
	shim_current.vma = &vma;
}

void host_zap(u64 start, u64 n)
{
	struct page *gone[WORLD_PAGES];
	int nr = 0, t;
	pgoff_t i;

	guest_invalidate_begin(start, n);
	spin_lock(&ptl);
	for (i = start; i < start + n; i++) {
		struct pte *p = &ptes[i];

		fiber_point();
		if (!p->page)
			continue;
		if (p->dirty)
			SetPageDirty(p->page);
		gone[nr++] = p->page;
		*p = (struct pte){};
	}
	for (t = 0; t < HOST_THREADS; t++) {
		fiber_point();
		memset(&tlb[t][start], 0, n * sizeof(tlb[t][0]));
	}
	spin_unlock(&ptl);
	while (nr)
		put_page(gone[--nr]);
	guest_invalidate_end();
}

void unmap_mapping_pages(struct address_space *m, pgoff_t start, pgoff_t n,
			 bool cows)
{
	down_read(&i_mmap_rwsem);
	host_zap(start, n);
	up_read(&i_mmap_rwsem);
}

void host_munmap(void)
{
	host_zap(0, min(world.r->npages, WORLD_PAGES));
	shim_current.vma = NULL;
	fput(vma.vm_file);
}

/* With mmap_lock; let go of with VM_FAULT_RETRY, unless RETRY_NOWAIT. */
static vm_fault_t handle_fault(u64 idx, unsigned int flags)
{
	bool write = flags & FAULT_FLAG_WRITE;
	struct vm_fault vmf = { .vma = &vma, .flags = flags, .pgoff = idx };
	u64 poisons = world.poisons;
	vm_fault_t ret;
	struct page *page;
	bool present;

	spin_lock(&ptl);
	page = ptes[idx].page;
	present = page;
	if (present)
		get_page(page);
	spin_unlock(&ptl);
	if (!present) {
		ret = vma.vm_ops->fault(&vmf);
		if (!(ret & VM_FAULT_LOCKED))
			return ret;
		page = vmf.page;
		if (guest_poisoned(page, poisons))
			fiber_fail("page %llu: ->fault gives a page with a memory error to the mm",
				   idx);
		if (write)
			unlock_page(page);
	} else if (!write) {
		put_page(page);
		return 0;
	}
	if (write) {
		vmf.page = page;
		if (!(vma.vm_ops->page_mkwrite(&vmf) & VM_FAULT_LOCKED)) {
			put_page(page);
			return VM_FAULT_NOPAGE;
		}
	}
	spin_lock(&ptl);
	/* Still as it was when it was looked at? */
	if (ptes[idx].page == (present ? page : NULL)) {
		if (!present)
			get_page(page);		/* the PTE's */
		ptes[idx] = (struct pte){ .page = page, .writable = write,
					  .dirty = write };
		world.host_mapped += !present;
	}
	spin_unlock(&ptl);
	if (write)
		SetPageDirty(page);
	unlock_page(page);
	put_page(page);
	return 0;
}

/* False if there is no such page any more. */
static bool host_fault(u64 idx, bool write, unsigned int way)
{
	unsigned int flags = ways[way] | (write ? FAULT_FLAG_WRITE : 0);
	vm_fault_t ret;

	world.faulted_host++;
	for (;;) {
		if (world.faults.signals && fiber_once_in(world.faults.signals))
			fiber_local()->signal = true;
		mmap_read_lock(NULL);
		ret = handle_fault(idx, flags);
		fiber_local()->signal = false;
		if (!(ret & VM_FAULT_RETRY) || (flags & FAULT_FLAG_RETRY_NOWAIT))
			mmap_read_unlock(NULL);
		if (ret & VM_FAULT_SIGBUS) {
			if (!world.r->dead && ways[way])
				fiber_fail("page %llu: SIGBUS", idx);
			return !world.r->dead;
		}
		if (ret & VM_FAULT_HWPOISON) {
			if (!world.lost && !world.poisons)
				fiber_fail("page %llu: a memory error", idx);
			return false;
		}
		if (!(ret & VM_FAULT_RETRY))
			return true;
		/* Who may not wait asks somebody else to. */
		flags = ways[flags & FAULT_FLAG_RETRY_NOWAIT ? 0 : way] |
			FAULT_FLAG_TRIED | (write ? FAULT_FLAG_WRITE : 0);
		fiber_point();
	}
}

/* One instruction; false if it faults. */
static bool host_access(int thread, u64 idx, bool write)
{
	struct pte *t = &tlb[thread][idx], *p = &ptes[idx];

	if (!t->page || (write && !t->dirty)) {
		if (!p->page || (write && !p->writable))
			return false;
		p->dirty |= write;
		*t = *p;
	}
	oracle_access(idx, t->page, write, "a host thread");
	return true;
}

/* As GUP-fast: a reference that counts if the PTE is still the same. */
static struct page *pin(u64 idx, bool write)
{
	struct page *page;

	for (;;) {
		page = READ_ONCE(ptes[idx].page);
		if (!page || (write && !READ_ONCE(ptes[idx].writable))) {
			if (!host_fault(idx, write, 1 + fiber_random(2)))
				return NULL;
			continue;
		}
		if (!get_page_unless_zero(page))
			continue;
		if (READ_ONCE(ptes[idx].page) == page)
			return page;
		put_page(page);
	}
}

/* A device's: it works on the page when it likes, mapped or not, and lets go. */
static void pinned_io(u64 idx)
{
	bool write = fiber_random(2);
	struct page *page = pin(idx, write);
	/* No switch since the look at the PTE. */
	u64 discards = oracle_discards(idx), *data;
	int n = fiber_random(4);

	if (!page)
		return;
	if (oracle_discarding(idx)) {
		/* The page of before or of after, who knows. */
		put_page(page);
		return;
	}
	world.pins++;
	do {
		fiber_sleep(fiber_now() + fiber_random(2000ull << fiber_random(14)));
		if (page->poisoned.counter) {
			/* It is not the page's any more, or soon. */
		} else if (oracle_discards(idx) == discards) {
			oracle_access(idx, page, write, "a device");
		} else if (write) {
			/* The page is nobody's but the device's. */
			data = page->data;
			data[0] = data[PAGE_WORDS - 1] = ORACLE_DEVICE;
		}
	} while (n--);
	if (write) {
		lock_page(page);
		SetPageDirty(page);
		unlock_page(page);
	}
	put_page(page);
}

/* As compaction, or who looks at a memory error: it holds the page's lock a while. */
void host_isolate(u64 idx)
{
	struct page *page = pin(idx, false);

	if (!page)
		return;
	lock_page(page);
	fiber_sleep(fiber_now() + fiber_random(500000));
	unlock_page(page);
	put_page(page);
}

/* False at the end of the region. */
bool host_read(u64 idx, u64 nr)
{
	u64 *data = kmalloc(nr * PAGE_SIZE, GFP_KERNEL), since[4], i;
	struct kiocb iocb = { .ki_filp = memory, .ki_pos = idx << PAGE_SHIFT };
	struct iov_iter to = { .to = (char *)data, .count = nr * PAGE_SIZE };
	ssize_t n;

	if (!data)
		return true;
	for (i = 0; i < nr; i++)
		since[i] = oracle_read_begin(idx + i);
	n = memory->f_op->read_iter(&iocb, &to);
	for (i = 0; n > 0 && i < n / PAGE_SIZE; i++)
		oracle_read_end(idx + i, since[i], data[i * PAGE_WORDS],
				data[(i + 1) * PAGE_WORDS - 1], "pread()");
	world.preads++;
	kfree(data);
	if (n == -EIO && (world.lost || world.poisons || world.r->dead))
		return !world.r->dead;
	if (n < 0 && !(n == -ENOMEM && world.faults.no_memory))
		fiber_fail("pread() of page %llu: %zd", idx, n);
	return true;
}

void host_recall(void)
{
	u64 next = fiber_random(world.r->npages), fetched = 0;
	u64 end = min(next + 1 + fiber_random(80), world.r->npages);
	int ret = hermit_recall(world.r, end, &next, &fetched);

	world.recalled += fetched;
	if (ret && ret != -ENOSPC && ret != -ETIMEDOUT &&
	    !(ret == -ENOMEM && world.faults.no_memory) &&
	    !(ret == -ENODEV && world.r->dead))
		fiber_fail("recall: %d", ret);
}

void host_discard(u64 idx, u64 nr)
{
	long ret;

	oracle_discard_begin(idx, nr);
	ret = memory->f_op->fallocate(memory, FALLOC_FL_PUNCH_HOLE |
				      FALLOC_FL_KEEP_SIZE,
				      idx << PAGE_SHIFT, nr << PAGE_SHIFT);
	if (ret && !(ret == -EIO && world.r->dead))
		fiber_fail("fallocate(): %ld", ret);
	oracle_discard_end(idx, nr);
}

void host_touch(int thread, u64 idx, bool write)
{
	while (!host_access(thread, idx, write) &&
	       host_fault(idx, write, fiber_random(ARRAY_SIZE(ways))))
		fiber_point();
}

void host_once(u64 idx, unsigned int flags)
{
	mmap_read_lock(NULL);
	if (!(handle_fault(idx, flags) & VM_FAULT_RETRY) ||
	    (flags & FAULT_FLAG_RETRY_NOWAIT))
		mmap_read_unlock(NULL);
}

void host_main(void *arg)
{
	struct host_thread *t = arg;
	u64 idx, nr, pause = 2000ull << fiber_random(10);
	int i;

	for (i = 0; i < t->accesses && !world.r->dead; i++) {
		bool write = fiber_random(2);

		idx = world_page(world.r->npages);
		switch (fiber_random(16)) {
		case 0:
			host_recall();
			break;
		case 1:
			host_isolate(idx);
			break;
		case 2 ... 4:
			pinned_io(idx);
			break;
		case 5 ... 9:
			nr = 1 + fiber_random(min(4ull, world.r->npages - idx));
			if (!host_read(idx, nr))
				return;
			break;
		case 10:
			/* The mm does as it likes: NUMA balancing, mprotect(). */
			host_zap(idx, 1);
			break;
		default:
			host_touch(t->nr, idx, write);
		}
		if (fiber_once_in(4))
			fiber_sleep(fiber_now() + fiber_random(pause));
		fiber_point();
	}
}

/* Every page is what it should be; by pread(), and then by page tables. */
void host_check_all(void)
{
	u64 i;

	for (i = 0; i < world.r->npages; i++) {
		host_read(i, 1);
		while (!host_access(0, i, false) && host_fault(i, false, 0))
			fiber_point();
	}
}
