// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine of the model: the steps of the module's fault.c, reclaim.c and
 * discard.c around the same page word, in the order of design section 4,
 * invariants 1 to 4. See model.h.
 */
#include <stdlib.h>

#include "model.h"

#define W HERMIT_W_INFLIGHT
#define C HERMIT_W_COPY
#define H HERMIT_W_HOSTMAPPED
#define R HERMIT_W_RESCUED
#define F HERMIT_W_FOREIGN

_Atomic u64 words[NPAGES];
_Atomic bool dedup;
_Atomic unsigned long events[HERMIT_NR_EVENTS];
struct stats stats;

static _Atomic u64 generation;

void engine_reset(void)
{
	int i;

	for (i = 0; i < NPAGES; i++)
		words[i] = 0;
	generation = 0;
	dedup = false;
}

static u64 next_generation(void)
{
	return bug == BUG_NO_GENERATION ? 1 : ++generation;
}

static u64 pfn(const struct frame *f)
{
	return (u64)frame_nr(f) + 1;
}

static struct frame *word_frame(int page, u64 w)
{
	const u64 value = hermit_word_value(w);

	if (!hermit_word_has_page(w) || !value || value > NFRAMES)
		violation(page, "%s, and its owner looks for a page in it",
			  hermit_state_name(hermit_word_state(w)));
	return &frames[value - 1];
}

/* hermit_word_next(), and what some planted bugs make of it. */
static int word_next(u64 old, enum hermit_event ev, u64 value, u64 *new)
{
	/* Coarse, so that it never stands in for a generation. */
	const unsigned int stamp = (unsigned int)(steps >> 20);
	u64 seen = old;
	int rc;

	if (bug == BUG_TWO_WRITES && ev >= HERMIT_EV_EVICT_BEGIN &&
	    ev <= HERMIT_EV_EVICT_ZERO)
		seen &= ~W;
	if (bug == BUG_IGNORE_RESCUE && ev >= HERMIT_EV_EVICT_WRITE &&
	    ev <= HERMIT_EV_EVICT_ZERO)
		seen &= ~R;
	if (bug == BUG_FOREIGN_COPY && ev == HERMIT_EV_WRITE_OK)
		seen &= ~F;
	rc = hermit_word_next(seen, ev, value, stamp, new);
	if (bug == BUG_TWO_WRITES && seen != old && !rc)
		*new |= W;
	if (bug == BUG_RESCUE_STEALS && ev == HERMIT_EV_RESCUE && !rc && !(old & W))
		*new = (old & ~HERMIT_W_STATE) | HERMIT_LOCAL;
	if (bug == BUG_LOSE_KEEPS_COPY && ev == HERMIT_EV_LOSE &&
	    hermit_word_has_page(old))
		*new = old;
	if (bug == BUG_DISCARD_UNCOUNTED && (ev == HERMIT_EV_DISCARD_OK ||
					     ev == HERMIT_EV_DISCARD_FAIL)) {
		*new = old;
		return 0;
	}
	return rc;
}

/* One compare-exchange. */
static bool word_store(int page, u64 old, u64 new, enum hermit_event ev)
{
	u64 expected = old, store = new;

	if (bug == BUG_DISCARD_UNCOUNTED && ev != HERMIT_EV_EVICT_WRITE &&
	    !(old & W))
		store &= ~W;
	step();
	if (!atomic_compare_exchange_strong(&words[page], &expected, store))
		return false;
	events[ev]++;
	trace(page, hermit_event_name(ev), old, store);
	return true;
}

/* Until it is stored, or not possible. */
static int word_apply(int page, enum hermit_event ev, u64 value, u64 *old,
		      u64 *new)
{
	int rc;

	do {
		step();
		*old = words[page];
		rc = word_next(*old, ev, value, new);
		if (rc == -EINVAL || *new == *old)
			return rc;
	} while (!word_store(page, *old, *new, ev));
	return rc;
}

/* The same for one who owns the word, or W: it cannot be refused. */
static void word_must(int page, enum hermit_event ev, u64 value, u64 *old,
		      u64 *new)
{
	if (word_apply(page, ev, value, old, new))
		violation(page, "%s refused in state %s", hermit_event_name(ev),
			  hermit_state_name(hermit_word_state(*old)));
}

/* ---- requests ---- */

static struct req *req_new(enum op op, int page, struct frame *f)
{
	struct req *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->op = op;
	r->page = page;
	r->frame = f;
	r->ref = 1;
	return r;
}

static void req_put(struct req *r)
{
	if (atomic_fetch_sub(&r->ref, 1) != 1)
		return;
	if (r->peek)
		frame_give(r->frame, true);
	free(r);
}

/* Submit and wait; false if a signal came first. The caller puts @r. */
static bool req_wait(struct req *r)
{
	r->ref = 2;
	server_submit(r);
	while (!r->done) {
		if (self >= 0 && !r->peek && one_in(64)) {
			stats.orphans++;
			return false;
		}
		step_wait();
	}
	return true;
}

static void read_done(struct req *r)
{
	struct frame *f = r->frame;
	u64 new;

	if (r->peek)
		return;
	if (!r->status || bug == BUG_FAILED_READ) {
		if (bug == BUG_INSTALL_NO_CAS)
			r->expected = words[r->page];
		if (!word_next(r->expected, HERMIT_EV_INSTALL_READ, pfn(f), &new)) {
			if (r->prefetch)
				new |= HERMIT_W_PREFETCHED;
			if (word_store(r->page, r->expected, new,
				       HERMIT_EV_INSTALL_READ))
				return;
		} else if (bug == BUG_INSTALL_NO_CAS) {
			words[r->page] = hermit_word_make(HERMIT_LOCAL, C, pfn(f), 0);
			return;
		}
		stats.conflicts++;
	} else {
		stats.failed_reads++;
		if (!word_next(r->expected, HERMIT_EV_FETCH_FAIL,
			       next_generation(), &new))
			word_store(r->page, r->expected, new,
				   HERMIT_EV_FETCH_FAIL);
	}
	frame_give(f, true);
}

static void discard_copy(int page)
{
	server_submit(req_new(OP_DISCARD, page, NULL));
}

void engine_drain_copies(int page)
{
	u64 old = words[page], new;
	int rc, pause;

	if (hermit_word_state(old) != HERMIT_ABSENT || !(old & C) || old & W)
		return;
	for (pause = (int)(rnd() % 30); pause; pause--)
		step();
	/* Of this very word: once it is touched it is another's business. */
	if (bug == BUG_DRAIN_REREADS) {
		rc = word_apply(page, HERMIT_EV_DISCARD_BEGIN, 0, &old, &new);
		if (!rc && hermit_word_state(old) == HERMIT_ABSENT && old != new)
			discard_copy(page);
	} else if (!word_next(old, HERMIT_EV_DISCARD_BEGIN, 0, &new) &&
		   word_store(page, old, new, HERMIT_EV_DISCARD_BEGIN)) {
		discard_copy(page);
	}
}

static void write_done(struct req *r)
{
	const bool failed = r->status;
	u64 old, new;
	bool own;

	/* Before the word is LOCAL again; a bit on a page of ours is harmless. */
	if (failed && bug != BUG_FAIL_CLEAN)
		r->frame->dirty = true;
	stats.failed_writes += failed;
	word_must(r->page, failed ? HERMIT_EV_WRITE_FAIL : HERMIT_EV_WRITE_OK,
		  next_generation(), &old, &new);

	own = hermit_word_state(old) == HERMIT_ABSENT || (old & F);
	stats.foreign += !!(old & F);
	if (bug == BUG_FOREIGN_LEAK)
		own = hermit_word_state(old) == HERMIT_ABSENT;
	if (bug == BUG_FREE_EARLY)
		return;
	if (own)
		frame_give(r->frame, false);
	else if (hermit_word_state(new) == HERMIT_REMOTE) {
		stats.evictions++;
		frame_give(r->frame, true);
	}
	if (one_in(2))
		engine_drain_copies(r->page);
}

void req_done(struct req *r, int status)
{
	u64 old, new;

	r->status = status;
	if (r->op == OP_READ)
		read_done(r);
	else if (r->op == OP_WRITE)
		write_done(r);
	else
		word_must(r->page, status ? HERMIT_EV_DISCARD_FAIL :
					    HERMIT_EV_DISCARD_OK, 0, &old, &new);
	r->done = true;
	req_put(r);
}

/* ---- faults ---- */

static void fetch(int page, u64 w)
{
	struct frame *f = frame_get_new(false);
	struct req *r;
	u64 new;

	if (!f) {
		step_wait();
		return;
	}
	if (dedup && one_in(4) == 0) {
		if (word_next(w, HERMIT_EV_FETCH_BEGIN, 0, &new) ||
		    !word_store(page, w, new, HERMIT_EV_FETCH_BEGIN)) {
			frame_give(f, true);
			return;
		}
		w = new;
	}
	r = req_new(OP_READ, page, f);
	r->expected = w;
	req_wait(r);
	req_put(r);
}

static void install_zero(int page, u64 w)
{
	struct frame *f = frame_get_new(true);
	u64 new;

	if (!f) {
		step_wait();
		return;
	}
	if (word_next(w, HERMIT_EV_INSTALL_ZERO, pfn(f), &new) ||
	    !word_store(page, w, new, HERMIT_EV_INSTALL_ZERO))
		frame_give(f, true);
}

static bool same_page(u64 a, u64 b)
{
	if (bug == BUG_NO_REREAD)
		return true;
	return hermit_word_value(a) == hermit_word_value(b) &&
	       (hermit_word_state(a) == HERMIT_LOCAL ||
		hermit_word_state(a) == HERMIT_EVICTING);
}

/* The page with a reference; or NULL: look again, or *@rc is set. */
static struct frame *page_get(int page, int *rc)
{
	u64 w, old;
	struct frame *f;

	*rc = 0;
	step();
	w = words[page];
	switch (hermit_word_state(w)) {
	case HERMIT_EVICTING:
		if (word_apply(page, HERMIT_EV_RESCUE, 0, &old, &w))
			return NULL;
		stats.rescued += old != w;
		/* fall through */
	case HERMIT_LOCAL:
		f = word_frame(page, w);
		if (!frame_tryget(f))
			return NULL;
		step();
		if (same_page(words[page], w))
			return f;
		frame_unref(f);
		return NULL;
	case HERMIT_ABSENT:
		install_zero(page, w);
		return NULL;
	case HERMIT_REMOTE:
		fetch(page, w);
		return NULL;
	case HERMIT_LOST:
		stats.lost++;
		*rc = -EHWPOISON;
		return NULL;
	default:
		step_wait();
		return NULL;
	}
}

int guest_fault(int page, bool write)
{
	const uint64_t seq = mmu_seq();
	struct frame *f;
	int rc;

	f = page_get(page, &rc);
	if (f) {
		spte_map(page, f, write, seq);
		frame_unref(f);
	}
	return rc;
}

void guest_prefetch(int page)
{
	const u64 w = words[page];
	struct frame *f;
	struct req *r;

	if (hermit_word_state(w) != HERMIT_REMOTE)
		return;
	f = frame_get_new(false);
	if (!f)
		return;
	r = req_new(OP_READ, page, f);
	r->expected = w;
	r->prefetch = true;
	server_submit(r);
}

int host_fault(int page, bool write)
{
	struct frame *f;
	u64 old, new;
	bool taken = false, ok = true;
	int rc;

	f = page_get(page, &rc);
	if (!f)
		return rc;
	lock(&f->lock);
	if (bug != BUG_HOST_MAP_BLIND) {
		step();
		old = words[page];
		do {
			ok = hermit_word_value(old) == pfn(f) &&
			     !word_next(old, HERMIT_EV_HOST_MAP, 0, &new);
			if (!ok || old == new ||
			    word_store(page, old, new, HERMIT_EV_HOST_MAP))
				break;
			old = words[page];
		} while (true);
	}
	if (ok)
		taken = hpte_map(page, f, write);
	unlock(&f->lock);
	if (!taken)
		frame_unref(f);
	if (!ok)
		step_wait();
	return 0;
}

int engine_pread(int page, u64 *data)
{
	struct frame *f;
	struct req *r;
	bool good;
	int i;
	u64 w;

	for (;;) {
		step();
		w = words[page];
		switch (hermit_word_state(w)) {
		case HERMIT_ABSENT:
			memset(data, 0, PAGE_WORDS * sizeof(*data));
			return 0;
		case HERMIT_LOST:
			return -EHWPOISON;
		case HERMIT_DISCARDING:
			step_wait();
			continue;
		case HERMIT_REMOTE:
		case HERMIT_FETCHING:
			f = frame_get_new(false);
			if (!f) {
				step_wait();
				continue;
			}
			r = req_new(OP_READ, page, f);
			r->peek = true;
			good = req_wait(r) && !r->status &&
			       (words[page] == w || bug == BUG_PREAD_UNCHECKED);
			break;
		default:
			r = NULL;
			f = word_frame(page, w);
			if (!frame_tryget(f))
				continue;
			step();
			good = same_page(words[page], w);
			break;
		}
		for (i = 0; good && i < PAGE_WORDS; i++) {
			data[i] = f->data[i];
			step();
		}
		if (r)
			req_put(r);
		else
			frame_unref(f);
		if (good)
			return 0;
	}
}

/* ---- reclaim ---- */

static void host_unmap(int page, struct frame *f)
{
	u64 old, new;

	/* Under the folio lock; H is clear only when no PTE is left. */
	hpte_unmap(page);
	word_must(page, HERMIT_EV_HOST_UNMAP, 0, &old, &new);
	unlock(&f->lock);
}

static void decide(int page, bool dirty, bool keep)
{
	const u64 w = words[page];
	struct frame *f = word_frame(page, w);
	enum hermit_event ev;
	u64 old, new;

	if (!keep && !frame_freeze(f)) {
		stats.pinned++;
		keep = bug != BUG_NO_FREEZE;
		if (!keep)
			dirty |= atomic_exchange(&f->dirty, false);
	} else if (!keep) {
		dirty |= atomic_exchange(&f->dirty, false);
		frame_unfreeze(f);
	}
	/* Now and then for no reason: a server that is full, no memory. */
	if (keep || one_in(16))
		goto keep;

	if (!dirty && (w & C))
		ev = HERMIT_EV_EVICT_DROP;
	else if (one_in(64))	/* its frame has a memory error */
		ev = HERMIT_EV_EVICT_LOSE;
	else if (frame_is_zero(f))
		ev = HERMIT_EV_EVICT_ZERO;
	else
		ev = HERMIT_EV_EVICT_WRITE;
	if (word_apply(page, ev, next_generation(), &old, &new))
		goto keep;	/* rescued since, or the copy was lost */

	if (ev == HERMIT_EV_EVICT_WRITE) {
		struct req *r = req_new(OP_WRITE, page, f);

		server_submit(r);
		if (bug == BUG_FREE_EARLY)
			frame_give(f, true);
		return;
	}
	stats.evictions++;
	frame_give(f, true);
	if (new & W && !(old & W))
		discard_copy(page);
	return;

keep:
	/* What was harvested is put back before the word is LOCAL. */
	if (dirty && bug != BUG_KEEP_CLEAN)
		f->dirty = true;
	if (word_apply(page, HERMIT_EV_EVICT_KEEP, 0, &old, &new) &&
	    bug != BUG_RESCUE_STEALS)
		violation(page, "the owner cannot keep it");
}

void engine_reclaim(void)
{
	const int start = (int)(rnd() % NPAGES);
	int pages[BATCH], n = 0, i;
	bool dirty[BATCH], keep[BATCH] = { false };
	u64 old, new;

	for (i = 0; i < NPAGES && n < BATCH; i++) {
		const int page = (start + i * 5) % NPAGES;

		if (one_in(4)) {
			word_apply(page, HERMIT_EV_PASS, 0, &old, &new);
			continue;
		}
		if (!one_in(3) &&
		    !word_apply(page, HERMIT_EV_EVICT_BEGIN, 0, &old, &new))
			pages[n++] = page;
	}
	if (!n) {
		step_wait();
		return;
	}
	spte_zap(pages, n, dirty);
	for (i = 0; i < n; i++) {
		const u64 w = words[pages[i]];
		struct frame *f = word_frame(pages[i], w);

		if (!(w & H))
			continue;
		keep[i] = !trylock(&f->lock);
		if (!keep[i])
			host_unmap(pages[i], f);
	}
	for (i = 0; i < n; i++)
		decide(pages[i], dirty[i], keep[i]);
}

/* ---- discard, and the sweep ---- */

void engine_discard(int page)
{
	struct frame *f;
	bool dirty;
	u64 old, new;
	int rc;

	for (;;) {
		rc = word_apply(page, HERMIT_EV_DISCARD_BEGIN, 0, &old, &new);
		if (rc != -EAGAIN)
			break;
		step_wait();
	}
	if (hermit_word_state(new) != HERMIT_DISCARDING) {
		if (new & W && !(old & W))
			discard_copy(page);
		return;
	}
	f = word_frame(page, new);
	spte_zap(&page, 1, &dirty);
	if (new & H) {
		lock(&f->lock);
		host_unmap(page, f);
	}
	word_must(page, HERMIT_EV_DISCARD_DONE, 0, &old, &new);
	/* The write on the wire owns the page now, if it carries this one. */
	if (!(old & W) || (old & F))
		frame_give(f, false);
	if (new & W && !(old & W))
		discard_copy(page);
}

void engine_lose(void)
{
	u64 old, new;
	int page;

	for (page = 0; page < NPAGES; page++)
		word_must(page, HERMIT_EV_LOSE, 0, &old, &new);
}
