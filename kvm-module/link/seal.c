// SPDX-License-Identifier: GPL-2.0-only
/* A link over another one, by which only sealed pages leave: see seal.h. */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page-flags.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "core/crc.h"
#include "link/cipher.h"
#include "link/seal.h"

/*
 * Pages to seal into that are kept, for when the host has none: a VM whose host is short
 * of memory still evicts two batches in a round trip.
 */
#define RESERVE		64

struct seal {
	struct hermit_link base;	/* first: ops */
	struct hermit_link *below;
	struct hermit_cipher *cipher;
	struct hermit_seal_slot (*slot)(void *user, u64 idx);
	void *user;
	atomic64_t numbers;		/* the last one that was drawn */

	spinlock_t lock;		/* softirqs complete ios: irqsave; a leaf */
	struct list_head arrived;	/* reads, to be opened */
	struct list_head pages;		/* the reserve, by page->lru */
	unsigned int nr_pages;
	struct delayed_work work;
};

static struct seal *to_seal(struct hermit_link *link)
{
	return container_of(link, struct seal, base);
}

/* It is the submitter's again. */
static void give_back(struct hermit_io *io)
{
	io->done = io->seal.done;
	io->done(io);
}

/* --- pages to seal into ------------------------------------------------------------ */

static struct page *page_get(struct seal *s)
{
	struct page *page = hermit_cipher_page();
	unsigned long flags;

	if (page)
		return page;
	spin_lock_irqsave(&s->lock, flags);
	if (s->nr_pages) {
		page = list_first_entry(&s->pages, struct page, lru);
		list_del(&page->lru);
		s->nr_pages--;
	}
	spin_unlock_irqrestore(&s->lock, flags);
	return page;
}

static void page_put(struct seal *s, struct page *page)
{
	unsigned long flags;

	spin_lock_irqsave(&s->lock, flags);
	if (s->nr_pages < RESERVE) {
		list_add(&page->lru, &s->pages);
		s->nr_pages++;
		page = NULL;
	}
	spin_unlock_irqrestore(&s->lock, flags);
	if (page)
		put_page(page);
}

static void page_copy(struct page *to, struct page *from)
{
	void *t = kmap_local_page(to), *f = kmap_local_page(from);

	memcpy(t, f, PAGE_SIZE);
	kunmap_local(f);
	kunmap_local(t);
}

static u32 page_crc(struct page *page)
{
	void *p = kmap_local_page(page);
	u32 crc = hermit_crc_page(p);

	kunmap_local(p);
	return crc;
}

/* --- writes ------------------------------------------------------------------------- */

static void write_done(struct hermit_io *io)
{
	struct page *sealed = io->page;

	io->page = io->seal.plain;
	page_put(to_seal(io->seal.link), sealed);
	give_back(io);
}

/* What is in @page, sealed under @number; 0: as before, if it is the same. */
static int seal_page(struct seal *s, struct page *page, u64 idx, u64 number)
{
	struct hermit_seal_slot slot = s->slot(s->user, idx);
	u8 tag[HERMIT_SEAL_TAG];
	bool same = !number;
	int ret;

	if (same)
		number = READ_ONCE(*slot.number);
	ret = hermit_cipher_seal(s->cipher, page, idx, number, tag);
	if (ret)
		return -ENOMEM;
	if (same)
		return memcmp(tag, slot.tag, sizeof(tag)) ? -EBADMSG : 0;
	memcpy(slot.tag, tag, sizeof(tag));
	WRITE_ONCE(*slot.number, number);
	return 0;
}

/* 0, or why @io does not leave, and then it is as it was. */
static int write_begin(struct seal *s, struct hermit_io *io, u64 number)
{
	struct page *sealed = page_get(s);
	int ret;

	if (!sealed)
		return -ENOMEM;
	/* Somebody may write to it, now that it has W; not to the copy. */
	page_copy(sealed, io->page);
	ret = seal_page(s, sealed, io->offset >> PAGE_SHIFT, number);
	if (ret) {
		page_put(s, sealed);
		return ret;
	}
	io->seal.link = &s->base;
	io->seal.plain = io->page;
	io->seal.done = io->done;
	io->page = sealed;
	io->crc = page_crc(sealed);
	io->done = write_done;
	return 0;
}

/* --- reads -------------------------------------------------------------------------- */

/* In task context. */
static void read_open(struct seal *s, struct hermit_io *io)
{
	u64 idx = io->offset >> PAGE_SHIFT;
	struct hermit_seal_slot slot = s->slot(s->user, idx);
	u64 number = READ_ONCE(*slot.number);
	u8 tag[HERMIT_SEAL_TAG];
	int ret;

	memcpy(tag, slot.tag, sizeof(tag));
	if (unlikely(PageHWPoison(io->page))) {
		io->status = -EHWPOISON;
	} else {
		ret = hermit_cipher_open(s->cipher, io->page, idx, number, tag);
		if (ret)
			io->status = ret == -EBADMSG ? -EKEYREJECTED : -EIO;
	}
	give_back(io);
}

/* One of those that have arrived; false: there is none. */
static bool read_open_next(struct seal *s)
{
	struct hermit_io *io = NULL;
	unsigned long flags;

	spin_lock_irqsave(&s->lock, flags);
	if (!list_empty(&s->arrived)) {
		io = list_first_entry(&s->arrived, struct hermit_io, node);
		list_del_init(&io->node);
	}
	spin_unlock_irqrestore(&s->lock, flags);
	if (!io)
		return false;
	read_open(s, io);
	return true;
}

static void seal_work(struct work_struct *work)
{
	struct seal *s = container_of(to_delayed_work(work), struct seal, work);

	while (read_open_next(s))
		cond_resched();
}

static void read_done(struct hermit_io *io)
{
	struct seal *s = to_seal(io->seal.link);
	unsigned long flags;

	if (io->status) {
		give_back(io);
		return;
	}
	spin_lock_irqsave(&s->lock, flags);
	list_add_tail(&io->node, &s->arrived);
	spin_unlock_irqrestore(&s->lock, flags);
	/* Who polls may be faster. */
	queue_delayed_work(hermit_cipher_wq(), &s->work, 0);
}

static void read_begin(struct seal *s, struct hermit_io *io)
{
	io->seal.link = &s->base;
	io->seal.done = io->done;
	io->done = read_done;
}

/* --- the link ----------------------------------------------------------------------- */

static void draw(struct seal *s, struct hermit_seal_run *run, unsigned int n)
{
	if (n)
		hermit_seal_draw(run, atomic64_add_return(n, &s->numbers), n);
}

/* 0, or why @io is not to be submitted. */
static int begin(struct seal *s, struct hermit_io *io, struct hermit_seal_run *run)
{
	if (io->op == HERMIT_IO_READ)
		read_begin(s, io);
	if (io->op != HERMIT_IO_WRITE)
		return 0;
	return write_begin(s, io, io->same ? 0 : hermit_seal_next(run));
}

static bool wants_number(const struct hermit_io *io)
{
	return io->op == HERMIT_IO_WRITE && !io->same;
}

static void seal_submit(struct hermit_link *link, struct list_head *ios)
{
	struct seal *s = to_seal(link);
	struct hermit_seal_run run = {};
	struct hermit_io *io, *next;
	unsigned int n = 0;
	LIST_HEAD(kept);
	int ret;

	list_for_each_entry(io, ios, node)
		n += wants_number(io);
	draw(s, &run, n);
	list_for_each_entry_safe(io, next, ios, node) {
		ret = begin(s, io, &run);
		if (!ret)
			continue;
		io->status = ret;
		list_del(&io->node);
		list_add_tail(&io->node, &kept);
	}
	if (!list_empty(ios))
		s->below->ops->submit(s->below, ios);
	list_for_each_entry_safe(io, next, &kept, node) {
		list_del_init(&io->node);
		io->done(io);
	}
}

static void seal_submit_one(struct hermit_link *link, struct hermit_io *io)
{
	struct seal *s = to_seal(link);
	struct hermit_seal_run run = {};
	int ret;

	draw(s, &run, wants_number(io));
	ret = begin(s, io, &run);
	if (!ret) {
		s->below->ops->submit_one(s->below, io);
		return;
	}
	io->status = ret;
	io->done(io);
}

static int seal_poll(struct hermit_link *link)
{
	struct seal *s = to_seal(link);
	int n = 0;

	if (s->below->ops->poll)
		s->below->ops->poll(s->below);
	while (read_open_next(s))
		n++;
	return n;
}

static void seal_stats(struct hermit_link *link, struct hermit_server_stats *st)
{
	struct hermit_link *below = to_seal(link)->below;

	below->ops->stats(below, st);
}

static void seal_free(struct seal *s)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &s->pages, lru) {
		list_del(&page->lru);
		put_page(page);
	}
	if (!IS_ERR(s->cipher))
		hermit_cipher_free(s->cipher);
	kfree(s);
}

static void seal_close(struct hermit_link *link, bool end)
{
	struct seal *s = to_seal(link);

	hermit_link_close(s->below, end);
	/* Nothing arrives any more; what has is opened yet. */
	cancel_delayed_work_sync(&s->work);
	while (read_open_next(s))
		cond_resched();
	seal_free(s);
}

static const struct hermit_transport_ops seal_ops = {
	.scheme = "seal",
	.owner = THIS_MODULE,
	.submit = seal_submit,
	.submit_one = seal_submit_one,
	.poll = seal_poll,
	.stats = seal_stats,
	.close = seal_close,
};

struct hermit_link *hermit_seal_over(const struct hermit_seal_params *p)
{
	struct seal *s = kzalloc(sizeof(*s), GFP_KERNEL);
	struct page *page;
	long why;

	if (!s) {
		snprintf(p->error, HERMIT_ERROR_LEN, "seal: out of memory");
		return ERR_PTR(-ENOMEM);
	}
	s->base.ops = &seal_ops;
	s->below = p->below;
	s->slot = p->slot;
	s->user = p->user;
	spin_lock_init(&s->lock);
	INIT_LIST_HEAD(&s->arrived);
	INIT_LIST_HEAD(&s->pages);
	INIT_DELAYED_WORK(&s->work, seal_work);
	s->cipher = hermit_cipher_new(p->uuid);
	why = PTR_ERR(s->cipher);
	if (IS_ERR(s->cipher)) {
		snprintf(p->error, HERMIT_ERROR_LEN,
			 "seal: this kernel gives no ChaCha20-Poly1305 (error %ld); load the module chacha20poly1305",
			 why);
		goto free;
	}
	for (; s->nr_pages < RESERVE; s->nr_pages++) {
		page = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!page) {
			snprintf(p->error, HERMIT_ERROR_LEN, "seal: out of memory");
			why = -ENOMEM;
			goto free;
		}
		list_add(&page->lru, &s->pages);
	}
	/* Cannot fail: we run. For hermit_link_close(). */
	if (WARN_ON_ONCE(!try_module_get(THIS_MODULE))) {
		why = -ENODEV;
		goto free;
	}
	return &s->base;
free:
	seal_free(s);
	return ERR_PTR(why);
}

struct hermit_link *hermit_seal_below(struct hermit_link *link)
{
	return to_seal(link)->below;
}

u64 hermit_seal_numbers(struct hermit_link *link)
{
	return atomic64_read(&to_seal(link)->numbers);
}
