// SPDX-License-Identifier: GPL-2.0-only
/*
 * pread() of the memory fd: a copy of pages, wherever they are, for who saves
 * or migrates a VM. None of them comes here for it, and none leaves.
 *
 * A remote page is read into a page of its own. While the copy waits for one,
 * the reads of the next are out:
 *
 *	copied │ waited for │ read ahead            │ not looked at
 *	       idx                                  next         end
 *	       └─────────── READ_WINDOW at most ────┘
 *
 * A read counts only if the page's word is, when the copy comes to it, what it
 * was when the read was posted: then the page was remote all the time, and
 * nobody wrote to it.
 */
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "engine/mark.h"
#include "engine/peek.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/unmap.h"
#include "engine/word.h"
#include "read.h"

/*
 * Two batches of reclaim: enough for 64 MB/s at a round trip of 4 ms, and few
 * beside the least limit (region.c). They are charged as all pages are.
 */
#define READ_WINDOW	(2 * HERMIT_BATCH)

struct reader {
	struct hermit_region *region;
	u64 next, end;
	/* By page mod READ_WINDOW: its read, or NULL, and the word before it. */
	struct hermit_req *reqs[READ_WINDOW];
	u64 words[READ_WINDOW];
};

static bool word_is_remote(u64 w)
{
	return hermit_word_state(w) == HERMIT_REMOTE ||
	       hermit_word_state(w) == HERMIT_FETCHING;
}

/* Post the reads of what follows @idx, as far as there is room to spare. */
static void read_ahead(struct reader *rd, u64 idx)
{
	struct hermit_region *r = rd->region;
	u64 end = min(rd->end, idx + READ_WINDOW);

	/* A link that reads at once gains nothing. */
	if (r->sync)
		return;
	for (rd->next = max(rd->next, idx); rd->next < end; rd->next++) {
		atomic64_t *word = hermit_word(r, rd->next);
		u64 w = word ? atomic64_read(word) : 0;
		struct hermit_req *req;

		if (!word_is_remote(w))
			continue;
		/* Faults come first. */
		if (rd->next != idx && hermit_room(r) < HERMIT_BATCH)
			return;
		req = hermit_peek_begin(r, rd->next, w, rd->next == idx);
		if (IS_ERR(req))
			return;
		rd->reqs[rd->next % READ_WINDOW] = req;
		rd->words[rd->next % READ_WINDOW] = w;
	}
}

/* The page's read, and the word before it; posted now if it was not yet. */
static struct hermit_req *read_take(struct reader *rd, u64 idx, u64 w,
				    u64 *before)
{
	struct hermit_req **slot = &rd->reqs[idx % READ_WINDOW], *req = *slot;

	*before = w;
	if (!req)
		return hermit_peek_begin(rd->region, idx, w, true);
	*before = rd->words[idx % READ_WINDOW];
	*slot = NULL;
	return req;
}

/* A read that nobody takes; the wire has a reference of its own. */
static void read_drop(struct reader *rd, u64 idx)
{
	struct hermit_req **slot = &rd->reqs[idx % READ_WINDOW];

	if (*slot)
		hermit_req_put(*slot);
	*slot = NULL;
}

/* A remote page: bytes, -EAGAIN if the word is to be looked at again, -EINTR. */
static ssize_t read_remote(struct reader *rd, u64 idx, u64 w, size_t offset,
			   size_t len, struct iov_iter *to)
{
	struct hermit_region *r = rd->region;
	ssize_t ret = -EAGAIN;
	struct hermit_req *req;
	u64 before;
	int status;

	req = read_take(rd, idx, w, &before);
	if (IS_ERR(req))
		return hermit_peek_room(r, PTR_ERR(req)) ?: -EAGAIN;
	status = hermit_peek_wait(req);
	if (status == -EINTR)
		ret = status;
	else if (atomic64_read(hermit_word(r, idx)) != before)
		HERMIT_MARK(pread_too_late);	/* not this page any more, whatever was read */
	else if (status)
		schedule_timeout_killable(HZ / 100);
	else
		ret = copy_page_to_iter(req->io.page, offset, len, to);
	hermit_req_put(req);
	return ret;
}

/* One page, or a part of it. */
static ssize_t read_page(struct reader *rd, u64 idx, size_t offset, size_t len,
			 struct iov_iter *to)
{
	struct hermit_region *r = rd->region;
	struct page *page;
	atomic64_t *word;
	ssize_t n;
	u64 w;

	for (;;) {
		if (READ_ONCE(r->dead))
			return -EIO;
		if (fatal_signal_pending(current))
			return -EINTR;
		word = hermit_word(r, idx);
		w = word ? atomic64_read(word) : 0;
		switch (hermit_word_state(w)) {
		case HERMIT_ABSENT:
			return iov_iter_zero(len, to);
		case HERMIT_LOST:
			return -EIO;
		case HERMIT_REMOTE:
		case HERMIT_FETCHING:
			n = read_remote(rd, idx, w, offset, len, to);
			if (n == -EAGAIN)
				continue;
			return n;
		case HERMIT_DISCARDING:
			HERMIT_MARK(pread_waits_for_a_discard);
			schedule_timeout_killable(1);
			continue;
		default:
			page = hermit_word_page(w);
			if (!get_page_unless_zero(page)) {
				cond_resched();
				continue;
			}
			/* A generation may look like the pfn. */
			w = atomic64_read(word);
			if (!hermit_word_has_page(w) ||
			    hermit_word_value(w) != page_to_pfn(page)) {
				HERMIT_MARK(pread_of_a_stale_word);
				put_page(page);
				continue;
			}
			if (unlikely(PageHWPoison(page))) {
				put_page(page);
				hermit_poison_report(r, idx);
				schedule_timeout_killable(1);
				continue;
			}
			n = copy_page_to_iter(page, offset, len, to);
			put_page(page);
			return n;
		}
	}
}

ssize_t hermit_read(struct hermit_region *r, loff_t pos, struct iov_iter *to)
{
	u64 end = min_t(u64, r->npages << PAGE_SHIFT, pos + iov_iter_count(to));
	struct reader rd = {
		.region = r,
		.end = DIV_ROUND_UP(end, PAGE_SIZE),
	};
	ssize_t done = 0, n = 0;
	unsigned int i;

	while (pos + done < end) {
		u64 at = pos + done, idx = at >> PAGE_SHIFT;
		size_t offset = offset_in_page(at);
		size_t len = min_t(u64, PAGE_SIZE - offset, end - at);

		read_ahead(&rd, idx);
		n = read_page(&rd, idx, offset, len, to);
		read_drop(&rd, idx);
		if (n <= 0)
			break;
		done += n;
		if (n < len)
			break;
		cond_resched();
	}
	for (i = 0; i < READ_WINDOW; i++)
		read_drop(&rd, i);
	if (!done && pos < end)
		return n ?: -EFAULT;
	return done;
}
