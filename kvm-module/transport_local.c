// SPDX-License-Identifier: GPL-2.0-only
/*
 * No server: the pages go to a pool on this host, each copied to a page of its
 * own. It saves nothing, and is for measuring what everything but the wire
 * costs, and for trying things out.
 *
 *	slots[] ──► 512 pointers each ──► stored page, one reference
 *
 * A write and a discard of the same page never overlap (the page word allows
 * one of them in flight). A read may overlap either, if it is going to be
 * thrown away: so it takes a reference and looks again.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "transport.h"

#define SLOT_SHIFT	9
#define SLOT_PAGES	(1UL << SLOT_SHIFT)

struct local_slot {
	struct page *pages[SLOT_PAGES];
};

struct local_link {
	struct hermit_link link;
	struct local_slot **slots;
	u64 nr_slots;
	atomic_long_t stored;		/* pages */
	atomic_long_t reads, writes, discards, errors;
};

static struct page **local_entry(struct local_link *l, u64 idx, bool alloc)
{
	struct local_slot **slot = &l->slots[idx >> SLOT_SHIFT], *s, *old;

	s = READ_ONCE(*slot);
	if (!s) {
		if (!alloc)
			return NULL;
		s = kzalloc(sizeof(*s), GFP_NOWAIT | __GFP_NOWARN);
		if (!s)
			return NULL;
		old = cmpxchg(slot, NULL, s);
		if (old) {
			kfree(s);
			s = old;
		}
	}
	return &s->pages[idx & (SLOT_PAGES - 1)];
}

static int local_read(struct local_link *l, struct hermit_io *io)
{
	struct page **e = local_entry(l, io->offset >> PAGE_SHIFT, false);
	struct page *page;

	for (;;) {
		page = e ? READ_ONCE(*e) : NULL;
		if (!page) {
			clear_highpage(io->page);
			return 0;
		}
		if (!get_page_unless_zero(page))
			continue;
		if (likely(READ_ONCE(*e) == page))
			break;
		put_page(page);
	}
	copy_page(page_address(io->page), page_address(page));
	put_page(page);
	return 0;
}

static int local_write(struct local_link *l, struct hermit_io *io)
{
	struct page **e = local_entry(l, io->offset >> PAGE_SHIFT, true);
	struct page *page;

	if (!e)
		return -ENOSPC;
	page = *e;
	if (!page) {
		page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);
		if (!page)
			return -ENOSPC;
		copy_page(page_address(page), page_address(io->page));
		smp_store_release(e, page);
		atomic_long_inc(&l->stored);
	} else {
		copy_page(page_address(page), page_address(io->page));
	}
	return 0;
}

static void local_drop(struct local_link *l, u64 idx)
{
	struct page **e = local_entry(l, idx, false);
	struct page *page;

	if (!e)
		return;
	page = xchg(e, NULL);
	if (page) {
		put_page(page);
		atomic_long_dec(&l->stored);
	}
}

static void local_submit_one(struct hermit_link *link, struct hermit_io *io)
{
	struct local_link *l = container_of(link, struct local_link, link);
	u64 i;

	switch (io->op) {
	case HERMIT_IO_READ:
		io->status = local_read(l, io);
		atomic_long_inc(&l->reads);
		break;
	case HERMIT_IO_WRITE:
		io->status = local_write(l, io);
		atomic_long_inc(&l->writes);
		break;
	case HERMIT_IO_DISCARD:
		for (i = 0; i < io->length >> PAGE_SHIFT; i++)
			local_drop(l, (io->offset >> PAGE_SHIFT) + i);
		io->status = 0;
		atomic_long_inc(&l->discards);
		break;
	}
	if (io->status)
		atomic_long_inc(&l->errors);
	io->done(io);
}

static void local_submit(struct hermit_link *link, struct list_head *ios)
{
	struct hermit_io *io, *next;

	list_for_each_entry_safe(io, next, ios, node) {
		list_del_init(&io->node);
		local_submit_one(link, io);
	}
}

static void local_stats(struct hermit_link *link, struct hermit_server_stats *st)
{
	struct local_link *l = container_of(link, struct local_link, link);

	st->state = HERMIT_SERVER_UP;
	st->bytes_used = atomic_long_read(&l->stored) << PAGE_SHIFT;
	st->reads = atomic_long_read(&l->reads);
	st->writes = atomic_long_read(&l->writes);
	st->discards = atomic_long_read(&l->discards);
	st->errors = atomic_long_read(&l->errors);
}

static void local_close(struct hermit_link *link, bool end)
{
	struct local_link *l = container_of(link, struct local_link, link);
	u64 i, j;

	for (i = 0; i < l->nr_slots; i++) {
		if (!l->slots[i])
			continue;
		for (j = 0; j < SLOT_PAGES; j++)
			if (l->slots[i]->pages[j])
				put_page(l->slots[i]->pages[j]);
		kfree(l->slots[i]);
		cond_resched();
	}
	kvfree(l->slots);
	kfree(l);
}

static struct hermit_link *local_connect(const struct hermit_link_params *params)
{
	struct local_link *l;

	if (*params->address) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server \"local:%s\": the local pool takes no address",
			 params->address);
		return ERR_PTR(-EINVAL);
	}
	l = kzalloc(sizeof(*l), GFP_KERNEL);
	if (!l)
		return ERR_PTR(-ENOMEM);
	l->nr_slots = DIV_ROUND_UP(params->region_size >> PAGE_SHIFT, SLOT_PAGES);
	l->slots = kvcalloc(l->nr_slots, sizeof(*l->slots), GFP_KERNEL);
	if (!l->slots) {
		kfree(l);
		return ERR_PTR(-ENOMEM);
	}
	return &l->link;
}

const struct hermit_transport_ops hermit_transport_local = {
	.scheme = "local",
	.owner = THIS_MODULE,
	.synchronous = true,
	.connect = local_connect,
	.submit = local_submit,
	.submit_one = local_submit_one,
	.stats = local_stats,
	.close = local_close,
};
