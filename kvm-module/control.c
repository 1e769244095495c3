// SPDX-License-Identifier: GPL-2.0-only
/* /dev/hermit: the control fd and its ioctls. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>

#include "control.h"
#include "engine/event.h"
#include "engine/limit.h"
#include "engine/policy.h"
#include "engine/recall.h"
#include "engine/region.h"
#include "engine/report.h"
#include "engine/server.h"
#include "engine/vcpu.h"
#include "engine/word.h"

struct hermit_control {
	struct mutex lock;		/* create and open, once */
	struct mutex reading;		/* events; held while copying to user memory */
	struct hermit_region *region;
	bool owner;			/* closing it ends the region */
	u8 client_id[16];		/* of its create, also when begun again */
};

static int control_open(struct inode *inode, struct file *file)
{
	struct hermit_control *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return -ENOMEM;
	mutex_init(&c->lock);
	mutex_init(&c->reading);
	get_random_bytes(c->client_id, sizeof(c->client_id));
	file->private_data = c;
	return 0;
}

static int control_release(struct inode *inode, struct file *file)
{
	struct hermit_control *c = file->private_data;

	if (c->region) {
		if (c->owner)
			hermit_region_end(c->region);
		else
			hermit_region_put(c->region);
	}
	kfree(c);
	return 0;
}

/*
 * Copy a struct that begins with its size: an older, shorter one is filled up
 * with zeros, a newer one must have zeros in what we do not know.
 */
static int copy_sized(void *dst, size_t ksize, const void __user *src)
{
	u32 usize;

	if (get_user(usize, (const u32 __user *)src))
		return -EFAULT;
	if (usize < sizeof(u32))
		return -EINVAL;
	return copy_struct_from_user(dst, ksize, src, usize);
}

static int copy_back(void __user *dst, const void *src, size_t ksize, u32 usize)
{
	return copy_to_user(dst, src, min_t(size_t, ksize, usize)) ? -EFAULT : 0;
}

/*
 * The answer to a create is its error and what follows. The key in the request
 * stays as it is: after a signal the kernel begins the same create again.
 */
static int create_answer(void __user *arg, const struct hermit_create *c)
{
	const size_t from = offsetof(struct hermit_create, error);
	size_t end = min_t(size_t, c->size, sizeof(*c));

	if (end <= from)
		return 0;
	return copy_to_user(arg + from, (const void *)c + from, end - from) ?
		       -EFAULT : 0;
}

/* No memory even for the request: its answer is written where it lies. */
static int control_create_nomem(struct hermit_create __user *c)
{
	static const char why[] =
		"this host has no memory to read the request; free some";
	u32 usize;

	if (get_user(usize, &c->size))
		return -EFAULT;
	if (usize >= offsetofend(struct hermit_create, error) &&
	    copy_to_user(c->error, why, sizeof(why)))
		return -EFAULT;
	return -ENOMEM;
}

static int control_create(struct hermit_control *ctl, void __user *arg)
{
	struct hermit_create *c;
	struct hermit_region *r;
	struct file *memory;
	int ret, fd, i;

	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return control_create_nomem(arg);
	ret = copy_sized(c, sizeof(*c), arg);
	if (ret)
		goto free;
	c->error[0] = 0;
	c->memory_fd = -1;
	c->name[HERMIT_NAME_LEN - 1] = 0;
	for (i = 0; i < HERMIT_MAX_SERVERS; i++)
		c->servers[i][HERMIT_SERVER_LEN - 1] = 0;
	if (c->version != HERMIT_UAPI_VERSION) {
		snprintf(c->error, sizeof(c->error),
			 "interface version %u wanted, hermit.ko has %u: use matching versions",
			 c->version, HERMIT_UAPI_VERSION);
		ret = -EPROTO;
		goto out;
	}
	if (c->size < offsetofend(struct hermit_create, memory_fd)) {
		/* Its fd would be installed, and nobody told of it. */
		strscpy(c->error, "the request has no room for the memory fd");
		ret = -EINVAL;
		goto out;
	}
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		ret = fd;
		goto out;
	}
	mutex_lock(&ctl->lock);
	if (ctl->region) {
		mutex_unlock(&ctl->lock);
		put_unused_fd(fd);
		ret = -EBUSY;
		strscpy(c->error, "this control fd has a region already");
		goto out;
	}
	r = hermit_region_create(c, ctl->client_id, &memory);
	if (IS_ERR(r)) {
		mutex_unlock(&ctl->lock);
		put_unused_fd(fd);
		ret = PTR_ERR(r);
		goto out;
	}
	/* The fd is installed last: nobody can use what may yet fail. */
	c->memory_fd = fd;
	ret = create_answer(arg, c);
	ctl->owner = true;
	/* read() and poll() look at it without the lock. */
	smp_store_release(&ctl->region, r);
	mutex_unlock(&ctl->lock);
	if (ret) {
		put_unused_fd(fd);
		fput(memory);	/* the region ends with the control fd */
		goto free;
	}
	fd_install(fd, memory);
	kfree_sensitive(c);
	return 0;
out:
	/*
	 * Once more from the start, with the request as it was: to a thread that
	 * uses io_uring signals are pending of which it never hears.
	 */
	if (ret == -EINTR) {
		kfree_sensitive(c);
		return -ERESTARTSYS;
	}
	/* Who knows no better says nothing: most of them had no memory. */
	if (!c->error[0])
		snprintf(c->error, sizeof(c->error), ret == -EMFILE ?
			 "no file descriptor left in this process for the memory fd (error %d); raise its limit of open files" :
			 "this host has no memory, or no thread, for the region (error %d); free some, or make the region smaller",
			 ret);
	if (create_answer(arg, c))
		ret = -EFAULT;
free:
	kfree_sensitive(c);
	return ret;
}

static int control_attach(struct hermit_control *ctl, void __user *arg)
{
	struct hermit_open o;
	struct hermit_region *r;
	int ret;

	/* It may set the limit of another user's VM. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = copy_sized(&o, sizeof(o), arg);
	if (ret)
		return ret;
	mutex_lock(&ctl->lock);
	if (ctl->region) {
		ret = -EBUSY;
	} else {
		r = hermit_region_find(o.uuid);
		if (r)
			smp_store_release(&ctl->region, r);
		else
			ret = -ENOENT;
	}
	mutex_unlock(&ctl->lock);
	return ret;
}

/* More than any host has; bounds what one call may allocate. */
#define HERMIT_LIST_MAX	4096

static int control_list(void __user *arg)
{
	struct hermit_list_entry *e;
	struct hermit_list l;
	u32 room, i;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = copy_sized(&l, sizeof(l), arg);
	if (ret)
		return ret;
	room = min_t(u32, l.nr, HERMIT_LIST_MAX);
	e = kvcalloc(room + 1, sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	/* Copied out with no lock held: the buffer may be anybody's memory. */
	l.nr = hermit_region_list(e, room);
	for (i = 0; i < min(l.nr, room) && !ret; i++)
		if (copy_to_user(u64_to_user_ptr(l.entries) + (u64)i * l.entry_size,
				 e + i, min_t(size_t, l.entry_size, sizeof(*e))))
			ret = -EFAULT;
	if (!ret)
		ret = copy_back(arg, &l, sizeof(l), l.size);
	kvfree(e);
	return ret;
}

static int control_set_limit(struct hermit_region *r, void __user *arg)
{
	struct hermit_limit l;
	int ret;

	ret = copy_sized(&l, sizeof(l), arg);
	if (ret)
		return ret;
	l.error[0] = 0;
	l.floor = (u64)r->floor << PAGE_SHIFT;
	if (!PAGE_ALIGNED(l.limit) || l.limit > r->npages << PAGE_SHIFT) {
		snprintf(l.error, sizeof(l.error),
			 "limit %llu: must be a multiple of 4096 and at most the size, %llu",
			 l.limit, r->npages << PAGE_SHIFT);
		ret = -EINVAL;
	} else if (l.limit < l.floor && l.limit < r->npages << PAGE_SHIFT) {
		snprintf(l.error, sizeof(l.error),
			 "limit %llu: below %llu bytes (the pages that this host's CPUs and reclaim threads may need at once) the guest could not go on",
			 l.limit, l.floor);
		ret = -ERANGE;
	} else {
		hermit_limit_set(r, l.limit >> PAGE_SHIFT);
		/* QEMU tells whoever watches it, also of hermitctl's changes. */
		hermit_event(r, HERMIT_EVENT_LIMIT_CHANGED, l.limit, 0);
	}
	if (copy_back(arg, &l, sizeof(l), l.size))
		ret = -EFAULT;
	return ret;
}

static int control_recall(struct hermit_region *r, void __user *arg)
{
	struct hermit_recall c;
	int ret;

	/* What it may allocate is bounded by the limit, as the owner's is. */
	ret = copy_sized(&c, sizeof(c), arg);
	if (ret)
		return ret;
	if (c.start_page > r->npages || c.nr_pages > r->npages - c.start_page)
		return -EINVAL;
	c.next_page = c.start_page;
	c.fetched = 0;
	ret = hermit_recall(r, c.start_page + c.nr_pages, &c.next_page,
			    &c.fetched);
	if (copy_back(arg, &c, sizeof(c), c.size))
		ret = -EFAULT;
	return ret;
}

/* More than KVM has; bounds what one call may allocate. */
#define HERMIT_VCPUS_MAX	4096

static int control_get_vcpus(struct hermit_region *r, void __user *arg)
{
	struct hermit_vcpu_entry *e;
	struct hermit_vcpus l;
	u32 room, i;
	int ret;

	ret = copy_sized(&l, sizeof(l), arg);
	if (ret)
		return ret;
	room = min_t(u32, l.nr, HERMIT_VCPUS_MAX);
	e = kvcalloc(room + 1, sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	l.nr = hermit_vcpu_list(r, e, room);
	for (i = 0; i < min(l.nr, room) && !ret; i++)
		if (copy_to_user(u64_to_user_ptr(l.entries) + (u64)i * l.entry_size,
				 e + i, min_t(size_t, l.entry_size, sizeof(*e))))
			ret = -EFAULT;
	if (!ret)
		ret = copy_back(arg, &l, sizeof(l), l.size);
	kvfree(e);
	return ret;
}

static int control_set_policy(struct hermit_region *r, void __user *arg)
{
	struct hermit_policy p;
	int ret;

	ret = copy_sized(&p, sizeof(p), arg);
	if (ret)
		return ret;
	ret = hermit_policy_set(r, &p);
	if (copy_back(arg, &p, sizeof(p), p.size))
		ret = -EFAULT;
	return ret;
}

/* As for a create: the key in the request stays as it is. */
static int control_change_server(struct hermit_region *r, void __user *arg)
{
	const size_t from = offsetof(struct hermit_server_change, error);
	struct hermit_server_change *c;
	size_t end;
	int ret;

	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	ret = copy_sized(c, sizeof(*c), arg);
	if (ret)
		goto out;
	c->error[0] = 0;
	c->address[HERMIT_SERVER_LEN - 1] = 0;
	ret = hermit_server_change(r, c);
	if (ret == -EINTR) {
		ret = -ERESTARTSYS;
		goto out;
	}
	end = min_t(size_t, c->size, sizeof(*c));
	if (end > from && copy_to_user(arg + from, (const void *)c + from, end - from))
		ret = -EFAULT;
out:
	kfree_sensitive(c);
	return ret;
}

static int control_get_stats(struct hermit_region *r, void __user *arg)
{
	struct hermit_stats *st;
	u32 usize;
	int ret;

	if (get_user(usize, (u32 __user *)arg))
		return -EFAULT;
	if (usize < sizeof(u32))
		return -EINVAL;
	st = kzalloc(sizeof(*st), GFP_KERNEL);
	if (!st)
		return -ENOMEM;
	hermit_report_fill(r, st);
	ret = copy_back(arg, st, sizeof(*st), usize);
	kfree(st);
	return ret;
}

static u8 page_state(struct hermit_region *r, u64 idx)
{
	atomic64_t *word = hermit_word(r, idx);

	switch (word ? hermit_word_state(atomic64_read(word)) : HERMIT_ABSENT) {
	case HERMIT_LOCAL:
	case HERMIT_EVICTING:
		return HERMIT_PAGE_LOCAL;
	case HERMIT_REMOTE:
	case HERMIT_FETCHING:
		return HERMIT_PAGE_REMOTE;
	case HERMIT_LOST:
		return HERMIT_PAGE_LOST;
	default:
		return HERMIT_PAGE_ABSENT;
	}
}

static int control_get_pagemap(struct hermit_region *r, void __user *arg)
{
	struct hermit_pagemap m;
	u64 done, i, n;
	int ret;
	u8 *buf;

	ret = copy_sized(&m, sizeof(m), arg);
	if (ret)
		return ret;
	if (m.start_page > r->npages || m.nr_pages > r->npages - m.start_page)
		return -EINVAL;
	buf = (u8 *)__get_free_page(GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (done = 0; done < m.nr_pages; done += n) {
		n = min_t(u64, m.nr_pages - done, PAGE_SIZE);
		for (i = 0; i < n; i++)
			buf[i] = page_state(r, m.start_page + done + i);
		if (copy_to_user(u64_to_user_ptr(m.states) + done, buf, n)) {
			ret = -EFAULT;
			break;
		}
		cond_resched();
	}
	free_page((unsigned long)buf);
	return ret;
}

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hermit_control *ctl = file->private_data;
	void __user *p = (void __user *)arg;
	struct hermit_region *r;

	if (cmd == HERMIT_CREATE)
		return control_create(ctl, p);
	if (cmd == HERMIT_OPEN)
		return control_attach(ctl, p);
	if (cmd == HERMIT_LIST)
		return control_list(p);
	/* Pairs with create and attach: the region is whole. */
	r = smp_load_acquire(&ctl->region);
	if (!r)
		return -ENXIO;
	switch (cmd) {
	case HERMIT_SET_POLICY:
		return control_set_policy(r, p);
	case HERMIT_SET_LIMIT:
		return control_set_limit(r, p);
	case HERMIT_GET_STATS:
		return control_get_stats(r, p);
	case HERMIT_GET_PAGEMAP:
		return control_get_pagemap(r, p);
	case HERMIT_RECALL:
		return control_recall(r, p);
	case HERMIT_CHANGE_SERVER:
		return control_change_server(r, p);
	case HERMIT_GET_VCPUS:
		return control_get_vcpus(r, p);
	default:
		return -ENOTTY;
	}
}

static ssize_t control_read(struct file *file, char __user *buf, size_t len,
			    loff_t *pos)
{
	struct hermit_control *ctl = file->private_data;
	struct hermit_region *r = smp_load_acquire(&ctl->region);
	struct hermit_event_record rec;
	struct hermit_events *e;
	ssize_t done = 0;
	u32 tail;
	int ret;

	/* Events have one reader: the owner. */
	if (!r || !ctl->owner)
		return -ENXIO;
	if (len < sizeof(rec))
		return -EINVAL;
	e = &r->events;
	if (!(file->f_flags & O_NONBLOCK)) {
		ret = wait_event_interruptible(e->wq,
					       READ_ONCE(e->head) != READ_ONCE(e->tail));
		if (ret)
			return ret;
	}
	/* One at a time: what one could not take the next one gets. */
	ret = mutex_lock_interruptible(&ctl->reading);
	if (ret)
		return ret;
	ret = -EAGAIN;
	while (len - done >= sizeof(rec)) {
		spin_lock_irq(&e->lock);
		if (e->head == e->tail) {
			spin_unlock_irq(&e->lock);
			break;
		}
		tail = e->tail;
		rec = e->ring[tail % HERMIT_EVENTS];
		spin_unlock_irq(&e->lock);
		if (copy_to_user(buf + done, &rec, sizeof(rec))) {
			ret = -EFAULT;
			break;
		}
		done += sizeof(rec);
		/* Only now it is read, if it did not fall out meanwhile. */
		spin_lock_irq(&e->lock);
		if (e->tail == tail)
			e->tail++;
		spin_unlock_irq(&e->lock);
	}
	mutex_unlock(&ctl->reading);
	return done ?: ret;
}

static __poll_t control_poll(struct file *file, poll_table *wait)
{
	struct hermit_control *ctl = file->private_data;
	struct hermit_region *r = smp_load_acquire(&ctl->region);

	if (!r || !ctl->owner)
		return EPOLLERR;
	poll_wait(file, &r->events.wq, wait);
	return READ_ONCE(r->events.head) != READ_ONCE(r->events.tail) ?
	       EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.release = control_release,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.read = control_read,
	.poll = control_poll,
};

static struct miscdevice control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hermit",
	.fops = &control_fops,
	.mode = 0660,
};

int hermit_control_init(void)
{
	return misc_register(&control_device);
}

void hermit_control_exit(void)
{
	misc_deregister(&control_device);
}
