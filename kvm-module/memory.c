// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory fd: a regular file of the region's size that QEMU maps. It can be
 * mapped shared, read and punched, and nothing else.
 *
 * ->fault follows userfaultfd's pattern, not filemap's: where it may, it lets
 * go of the fault lock before it waits, touches neither vmf nor vma again, and
 * asks for a retry.
 */
#include <linux/anon_inodes.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>

#include "engine/ahead.h"
#include "engine/discard.h"
#include "engine/fault.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/wait.h"
#include "engine/word.h"
#include "memory.h"
#include "read.h"

/* The longest wait of a fault that must hold mmap_lock (access_remote_vm). */
#define HOST_HELD_WAIT_MS	100

/* May the region's page get a host PTE? 0 with the page locked. */
static int host_map(struct hermit_region *r, u64 idx, struct page *page,
		    bool nowait)
{
	atomic64_t *word = hermit_word(r, idx);
	u64 old, new;

	if (nowait) {
		if (!trylock_page(page)) {
			HERMIT_MARK(host_may_not_wait_for_the_lock);
			return -EAGAIN;
		}
	} else {
		/* Held across an unmap or a PTE store, never across I/O. */
		lock_page(page);
	}
	/*
	 * From LOCAL only, under the lock: reclaim sets EVICTING first and
	 * then takes the lock around its unmap. Either it sees H, or we see
	 * EVICTING.
	 */
	old = atomic64_read(word);
	if (unlikely(PageHWPoison(page))) {
		unlock_page(page);
		hermit_poison_report(r, idx);
		return -EAGAIN;
	}
	do {
		if (hermit_word_value(old) != page_to_pfn(page) ||
		    hermit_word_next(old, HERMIT_EV_HOST_MAP, 0, 0, &new)) {
			unlock_page(page);
			HERMIT_MARK(host_map_too_late);
			return -EAGAIN;
		}
	} while (old != new && !atomic64_try_cmpxchg(word, (s64 *)&old, new));
	if (!(old & HERMIT_W_HOSTMAPPED))
		hermit_count(r, HERMIT_C_HOSTMAPPED, 1);
	return 0;
}

static unsigned int host_wait_state(unsigned int flags)
{
	if (!(flags & FAULT_FLAG_KILLABLE) && !(flags & FAULT_FLAG_INTERRUPTIBLE))
		return TASK_UNINTERRUPTIBLE;
	/*
	 * A fault of kernel mode that is tried again stops only for fatal
	 * signals: sleeping interruptibly it would spin on a pending SIG_IPI.
	 */
	if ((flags & FAULT_FLAG_INTERRUPTIBLE) &&
	    !((flags & FAULT_FLAG_TRIED) && !(flags & FAULT_FLAG_USER)))
		return TASK_INTERRUPTIBLE;
	return flags & FAULT_FLAG_KILLABLE ? TASK_KILLABLE : TASK_UNINTERRUPTIBLE;
}

static vm_fault_t hermit_vm_fault(struct vm_fault *vmf)
{
	struct hermit_region *r = vmf->vma->vm_private_data;
	unsigned int flags = vmf->flags, state;
	unsigned long held_until = jiffies + msecs_to_jiffies(HOST_HELD_WAIT_MS);
	struct hermit_waiter w = {};
	u64 idx = vmf->pgoff, since = 0;
	struct page *page;
	struct file *file;
	int ret;

	if (idx >= r->npages)
		return VM_FAULT_SIGBUS;
	for (;;) {
		ret = hermit_fault_get(r, idx, &page);
		if (!ret) {
			ret = host_map(r, idx, page,
				       flags & FAULT_FLAG_RETRY_NOWAIT);
			if (!ret)
				break;
			put_page(page);
		}
		if (ret == -EHWPOISON || ret == -EFAULT) {
			hermit_waiter_drop(&w);
			return ret == -EFAULT ? VM_FAULT_SIGBUS :
						VM_FAULT_HWPOISON;
		}
		if (!since) {
			since = local_clock();
			hermit_count(r, HERMIT_C_FAULTS_HOST, 1);
		}
		hermit_fault_prepare(r, idx, HERMIT_FAULT_HOST, &w);
		if (w.posted)
			hermit_ahead_host(r, idx);
		if ((flags & FAULT_FLAG_ALLOW_RETRY) &&
		    (flags & FAULT_FLAG_RETRY_NOWAIT)) {
			hermit_waiter_drop(&w);
			HERMIT_MARK(host_may_not_wait);
			return VM_FAULT_RETRY;
		}
		if (fatal_signal_pending(current)) {
			/* It gets no page any more, and nobody waits for it. */
			hermit_waiter_drop(&w);
			return VM_FAULT_SIGBUS;
		}
		if (w.kind == HERMIT_WAIT_NONE) {
			cond_resched();
			continue;
		}
		if (!(flags & FAULT_FLAG_USER))
			hermit_count(r, HERMIT_C_WAIT_KERNEL, 1);
		if (flags & FAULT_FLAG_ALLOW_RETRY) {
			state = host_wait_state(flags);
			file = get_file(vmf->vma->vm_file);
			release_fault_lock(vmf);
			HERMIT_MARK(host_waits);
			hermit_waiter_sleep(&w, state, MAX_SCHEDULE_TIMEOUT);
			hermit_fault_account(r, idx, hermit_ns(since, w.ended));
			hermit_waiter_drop(&w);
			fput(file);
			return VM_FAULT_RETRY | VM_FAULT_MAJOR;
		}
		/* ptrace and its like hold mmap_lock: a bounded wait. */
		if (time_after_eq(jiffies, held_until)) {
			HERMIT_MARK(host_held_mmap_lock_too_long);
			hermit_waiter_drop(&w);
			return VM_FAULT_SIGBUS;
		}
		hermit_waiter_sleep(&w, TASK_KILLABLE,
				  max(1L, (long)(held_until - jiffies)));
		if (time_after(jiffies, held_until + HZ / 10))
			hermit_count(r, HERMIT_C_WAIT_MMAP_LONG, 1);
	}
	hermit_waiter_drop(&w);
	vmf->page = page;
	return VM_FAULT_LOCKED;
}

/* Nothing to map around: else every fault under a VMA lock takes mmap_lock. */
static vm_fault_t hermit_vm_map_pages(struct vm_fault *vmf, pgoff_t start,
				      pgoff_t end)
{
	return 0;
}

/*
 * The first write through a host PTE. The page was unlocked since ->fault, so
 * it may be on its way out, or gone.
 */
static vm_fault_t hermit_vm_page_mkwrite(struct vm_fault *vmf)
{
	struct hermit_region *r = vmf->vma->vm_private_data;

	if (host_map(r, vmf->pgoff, vmf->page, false)) {
		HERMIT_MARK(first_write_too_late);
		return VM_FAULT_NOPAGE;
	}
	return VM_FAULT_LOCKED;
}

const struct vm_operations_struct hermit_vm_ops = {
	.fault = hermit_vm_fault,
	.map_pages = hermit_vm_map_pages,
	.page_mkwrite = hermit_vm_page_mkwrite,
};

static int memory_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hermit_region *r = file->private_data;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff + vma_pages(vma) > r->npages)
		return -EINVAL;
	/*
	 * VM_MIXEDMAP: NUMA balancing passes by. It would take away SPTEs, up to
	 * 256 MiB at a time, for pages that cannot move.
	 */
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY | VM_MIXEDMAP);
	vma->vm_ops = &hermit_vm_ops;
	vma->vm_private_data = r;	/* vm_file holds the region */
	return 0;
}

static ssize_t memory_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	ssize_t n = hermit_read(iocb->ki_filp->private_data, iocb->ki_pos, to);

	if (n > 0)
		iocb->ki_pos += n;
	return n;
}

static long memory_fallocate(struct file *file, int mode, loff_t offset,
			     loff_t len)
{
	struct hermit_region *r = file->private_data;
	u64 size = r->npages << PAGE_SHIFT;

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len) || offset >= size)
		return -EINVAL;
	if (READ_ONCE(r->dead))
		return -EIO;
	len = min_t(u64, len, size - offset);
	return hermit_discard(r, offset >> PAGE_SHIFT, len >> PAGE_SHIFT);
}

static loff_t memory_llseek(struct file *file, loff_t offset, int whence)
{
	struct hermit_region *r = file->private_data;
	loff_t size = r->npages << PAGE_SHIFT;

	return generic_file_llseek_size(file, offset, whence, size, size);
}

static int memory_release(struct inode *inode, struct file *file)
{
	hermit_region_put(file->private_data);
	return 0;
}

static const struct file_operations memory_fops = {
	.owner = THIS_MODULE,
	.mmap = memory_mmap,
	.read_iter = memory_read_iter,
	.fallocate = memory_fallocate,
	.llseek = memory_llseek,
	.release = memory_release,
};

/* No truncate, no chmod: the size is the region's for good. */
static int memory_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr)
{
	return -EPERM;
}

static int memory_getattr(struct mnt_idmap *idmap, const struct path *path,
			  struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = path->dentry->d_inode;

	generic_fillattr(idmap, mask, inode, stat);
	return 0;
}

static const struct inode_operations memory_iops = {
	.setattr = memory_setattr,
	.getattr = memory_getattr,
};

/*
 * A page names the mapping, but is not in it: to be taken out of it, as the mm
 * does with a clean page that is bad, would lose a reference that is ours.
 */
static bool memory_release_folio(struct folio *folio, gfp_t gfp)
{
	return false;
}

/* GUP takes no page without a mapping, and dirtying one needs this. */
static const struct address_space_operations memory_aops = {
	.dirty_folio = noop_dirty_folio,
	.release_folio = memory_release_folio,
};

struct file *hermit_memory_create(struct hermit_region *r)
{
	struct file *file;
	struct inode *inode;

	hermit_region_get(r);
	file = anon_inode_create_getfile("[hermit-memory]", &memory_fops, r,
					 O_RDWR, NULL);
	if (IS_ERR(file)) {
		hermit_region_put(r);
		return file;
	}
	inode = file_inode(file);
	inode->i_op = &memory_iops;
	inode->i_mapping->a_ops = &memory_aops;
	inode->i_mode = (inode->i_mode & ~S_IFMT) | S_IFREG;
	inode->i_size = r->npages << PAGE_SHIFT;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
	mapping_set_unevictable(inode->i_mapping);
	/* For ->release_folio() to be asked. */
	mapping_set_release_always(inode->i_mapping);
	file->f_flags |= O_LARGEFILE;
	file->f_mode |= FMODE_PREAD | FMODE_LSEEK;
	file->f_mapping = inode->i_mapping;
	/* Pages name it, and may outlive the file: EPT mappings do. */
	ihold(inode);
	r->mapping = inode->i_mapping;
	return file;
}
