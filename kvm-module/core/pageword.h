/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_PAGEWORD_H
#define HERMIT_CORE_PAGEWORD_H
/*
 * The page word: one atomic 64-bit word per guest page says where the page is
 * and who may do what with it. hermit_word_next() below owns every transition;
 * the module reads a word, asks it for the successor and compare-exchanges.
 *
 *	 63            24 23     12 11  10   9   8   7   6   5   4  3    0
 *	+----------------+---------+---+---+---+---+---+---+---+---+------+
 *	| pfn/generation |  stamp  | P | 0 | U | F | R | H | C | W | state|
 *	+----------------+---------+---+---+---+---+---+---+---+---+------+
 *
 * States:
 *
 *  ABSENT	Reads as zeros. Nothing local; at most a stale remote copy (C).
 *		An untouched page is ABSENT, and its word is 0.
 *  LOCAL	The page is pfn, and the region holds one reference to it. It
 *		may be mapped by SPTEs, and by host PTEs if H.
 *  EVICTING	A reclaim thread is taking the page away. Without W the thread
 *		that set it owns the word: others may only set R ("rescued"),
 *		and the owner leaves the state after its flush. With W the
 *		page is out of all page tables and its write is on the wire;
 *		anybody may rescue it to LOCAL + W.
 *  DISCARDING	A discard (balloon, punch hole) is taking the page away and
 *		owns the word. Faults wait.
 *  REMOTE	The remote copy is the page. The field holds a generation, new
 *		at every entry into REMOTE, so that a read posted before the
 *		page came home and left again can never be installed: the
 *		installer compare-exchanges the whole word it read before it
 *		posted.
 *  FETCHING	REMOTE with a read on the wire that later faults join. Used
 *		only while eager fetch is off.
 *  LOST	The only copy died with its server, or with the frame that it
 *		was in. Never leaves but through a discard.
 *
 * Flags:
 *
 *  W  write in flight: a WRITE or DISCARD of this page is on the wire. It
 *     lives in every state; only the completion of that request clears it. A
 *     word with W is never selected for eviction: at most one is in flight.
 *  C  copy: the server holds a copy of the page. Valid if the page is clean
 *     (LOCAL, EVICTING); stale in ABSENT.
 *  H  host-mapped: host PTEs may exist. Set from LOCAL under the page lock,
 *     cleared by the owner of EVICTING or DISCARDING after the unmap.
 *  R  rescued: see EVICTING.
 *  F  foreign: the request behind W carries another page than pfn (the page
 *     was discarded, and touched again, while the write was on the wire).
 *     The request then owns the page it carries and frees it.
 *  U  used by the host: a host PTE was made since the clock last passed by, so
 *     it does once more. No accessed bit says that QEMU, vhost or KVM itself use
 *     a page, and what they wait for makes more wait than one vCPU. With H only.
 *  P  prefetched and not known to be touched yet.
 *
 * A page has exactly one reference of ours. It belongs to the word while pfn
 * is in it; to the request if it was discarded under W and not F.
 */
#include "env.h"

enum hermit_state {
	HERMIT_ABSENT = 0,
	HERMIT_LOCAL = 1,
	HERMIT_EVICTING = 2,
	HERMIT_DISCARDING = 3,
	HERMIT_REMOTE = 4,
	HERMIT_FETCHING = 5,
	HERMIT_LOST = 6,
};

#define HERMIT_W_STATE		0xfULL
#define HERMIT_W_INFLIGHT	(1ULL << 4)
#define HERMIT_W_COPY		(1ULL << 5)
#define HERMIT_W_HOSTMAPPED	(1ULL << 6)
#define HERMIT_W_RESCUED	(1ULL << 7)
#define HERMIT_W_FOREIGN	(1ULL << 8)
#define HERMIT_W_HOSTUSED	(1ULL << 9)
#define HERMIT_W_PREFETCHED	(1ULL << 11)
#define HERMIT_W_FLAGS		0xbf0ULL	/* all of these */
#define HERMIT_W_STAMP_SHIFT	12
#define HERMIT_W_STAMP_BITS	12
#define HERMIT_W_STAMP_MASK	((1U << HERMIT_W_STAMP_BITS) - 1)
#define HERMIT_W_VALUE_SHIFT	24
#define HERMIT_W_VALUE_MASK	((1ULL << 40) - 1)

enum hermit_event {
	/* a fault brings a page */
	HERMIT_EV_INSTALL_ZERO,	/* ABSENT -> LOCAL(value) */
	HERMIT_EV_INSTALL_READ,	/* REMOTE, FETCHING -> LOCAL(value) */
	HERMIT_EV_FETCH_BEGIN,	/* REMOTE -> FETCHING */
	HERMIT_EV_FETCH_FAIL,	/* FETCHING -> REMOTE(value) */
	HERMIT_EV_HOST_MAP,	/* LOCAL -> LOCAL + H + U */
	HERMIT_EV_RESCUE,	/* EVICTING -> + R, or LOCAL + W */
	/* the clock */
	HERMIT_EV_PASS,		/* LOCAL: - U */
	/* the owner of EVICTING */
	HERMIT_EV_EVICT_BEGIN,	/* LOCAL without W -> EVICTING */
	HERMIT_EV_HOST_UNMAP,	/* EVICTING, DISCARDING: - H - U */
	HERMIT_EV_EVICT_KEEP,	/* EVICTING without W -> LOCAL */
	HERMIT_EV_EVICT_WRITE,	/* EVICTING -> EVICTING + W */
	HERMIT_EV_EVICT_DROP,	/* clean, copy valid: EVICTING -> REMOTE(value) */
	HERMIT_EV_EVICT_ZERO,	/* all zeros: EVICTING -> ABSENT (+ W if C) */
	HERMIT_EV_EVICT_LOSE,	/* its frame is bad: EVICTING -> LOST */
	/* the completion of the request behind W */
	HERMIT_EV_WRITE_OK,
	HERMIT_EV_WRITE_FAIL,
	HERMIT_EV_DISCARD_OK,
	HERMIT_EV_DISCARD_FAIL,
	/* a discard */
	HERMIT_EV_DISCARD_BEGIN, /* LOCAL -> DISCARDING; REMOTE, or ABSENT with
				  * a stale copy -> ABSENT + W, to be posted */
	HERMIT_EV_DISCARD_DONE,	/* DISCARDING -> ABSENT (+ W if C) */
	/* the copies of a server are gone */
	HERMIT_EV_LOSE,		/* REMOTE, FETCHING -> LOST; others: - C */
	HERMIT_NR_EVENTS
};

static __always_inline enum hermit_state hermit_word_state(u64 w)
{
	return (enum hermit_state)(w & HERMIT_W_STATE);
}

/* pfn (LOCAL, EVICTING, DISCARDING) or generation (REMOTE, FETCHING). */
static __always_inline u64 hermit_word_value(u64 w)
{
	return w >> HERMIT_W_VALUE_SHIFT;
}

static __always_inline unsigned int hermit_word_stamp(u64 w)
{
	return (w >> HERMIT_W_STAMP_SHIFT) & HERMIT_W_STAMP_MASK;
}

/* True if the word holds a pfn. */
static __always_inline bool hermit_word_has_page(u64 w)
{
	enum hermit_state s = hermit_word_state(w);

	return s == HERMIT_LOCAL || s == HERMIT_EVICTING ||
	       s == HERMIT_DISCARDING;
}

static __always_inline u64 hermit_word_make(enum hermit_state s, u64 flags,
					    u64 value, unsigned int stamp)
{
	return (u64)s | flags |
	       ((u64)(stamp & HERMIT_W_STAMP_MASK) << HERMIT_W_STAMP_SHIFT) |
	       ((value & HERMIT_W_VALUE_MASK) << HERMIT_W_VALUE_SHIFT);
}

/*
 * The successor of @old under @ev in *@new.
 *
 * @value: the pfn for INSTALL_*, the new generation for EVICT_DROP, WRITE_OK
 *	   and FETCH_FAIL; else ignored
 * @stamp: coarse time for a word that gets a new pfn or generation
 *
 * Returns 0 (*@new may equal @old: nothing to do), -EAGAIN if the event must
 * wait for the word to change by another's hand (*@new may still differ from
 * @old: a request to the owner that is to be stored), or -EINVAL if the event
 * is not possible in this state (the caller lost a race, or has a bug).
 *
 * Pure; @ev is a constant at every call, so this folds to a few instructions.
 */
static __always_inline int hermit_word_next(u64 old, enum hermit_event ev,
					    u64 value, unsigned int stamp,
					    u64 *new)
{
	const enum hermit_state s = hermit_word_state(old);
	const bool w = old & HERMIT_W_INFLIGHT;
	const u64 body = old & ~HERMIT_W_STATE;

	*new = old;
	switch (ev) {
	case HERMIT_EV_INSTALL_ZERO:
		if (s != HERMIT_ABSENT)
			return -EINVAL;
		/*
		 * C is dropped: the copy is stale, and this page would look
		 * clean. A request still on the wire carries another page.
		 */
		*new = hermit_word_make(HERMIT_LOCAL,
					w ? HERMIT_W_INFLIGHT | HERMIT_W_FOREIGN : 0,
					value, stamp);
		return 0;

	case HERMIT_EV_INSTALL_READ:
		if (s != HERMIT_REMOTE && s != HERMIT_FETCHING)
			return -EINVAL;
		*new = hermit_word_make(HERMIT_LOCAL, HERMIT_W_COPY, value,
					stamp);
		return 0;

	case HERMIT_EV_FETCH_BEGIN:
		if (s != HERMIT_REMOTE)
			return -EINVAL;
		*new = body | HERMIT_FETCHING;
		return 0;

	case HERMIT_EV_FETCH_FAIL:
		if (s != HERMIT_FETCHING)
			return -EINVAL;
		*new = hermit_word_make(HERMIT_REMOTE, HERMIT_W_COPY, value,
					hermit_word_stamp(old));
		return 0;

	case HERMIT_EV_HOST_MAP:
		if (s != HERMIT_LOCAL)
			return -EINVAL;
		*new = old | HERMIT_W_HOSTMAPPED | HERMIT_W_HOSTUSED;
		return 0;

	case HERMIT_EV_RESCUE:
		if (s != HERMIT_EVICTING)
			return -EINVAL;
		*new = w ? body | HERMIT_LOCAL : old | HERMIT_W_RESCUED;
		return 0;

	case HERMIT_EV_PASS:
		if (s != HERMIT_LOCAL)
			return -EINVAL;
		*new = old & ~HERMIT_W_HOSTUSED;
		return 0;

	case HERMIT_EV_EVICT_BEGIN:
		if (s != HERMIT_LOCAL || w)
			return -EINVAL;
		*new = body | HERMIT_EVICTING;
		return 0;

	case HERMIT_EV_HOST_UNMAP:
		if (s != HERMIT_EVICTING && s != HERMIT_DISCARDING)
			return -EINVAL;
		*new = old & ~(HERMIT_W_HOSTMAPPED | HERMIT_W_HOSTUSED);
		return 0;

	case HERMIT_EV_EVICT_KEEP:
		if (s != HERMIT_EVICTING || w)
			return -EINVAL;
		*new = (body & ~HERMIT_W_RESCUED) | HERMIT_LOCAL;
		return 0;

	case HERMIT_EV_EVICT_WRITE:
	case HERMIT_EV_EVICT_DROP:
	case HERMIT_EV_EVICT_ZERO:
	case HERMIT_EV_EVICT_LOSE:
		if (s != HERMIT_EVICTING || w ||
		    (old & (HERMIT_W_RESCUED | HERMIT_W_HOSTMAPPED)))
			return -EINVAL;
		if (ev == HERMIT_EV_EVICT_WRITE) {
			*new = old | HERMIT_W_INFLIGHT;
			return 0;
		}
		if (ev == HERMIT_EV_EVICT_ZERO) {
			*new = old & HERMIT_W_COPY ?
			       HERMIT_W_COPY | HERMIT_W_INFLIGHT : 0;
			return 0;
		}
		if (ev == HERMIT_EV_EVICT_LOSE) {
			/* A copy, if there is one, is stale. */
			*new = HERMIT_LOST;
			return 0;
		}
		if (!(old & HERMIT_W_COPY))
			return -EINVAL;
		*new = hermit_word_make(HERMIT_REMOTE, HERMIT_W_COPY, value,
					stamp);
		return 0;

	case HERMIT_EV_WRITE_OK:
		if (!w)
			return -EINVAL;
		if (s == HERMIT_EVICTING) {
			*new = hermit_word_make(HERMIT_REMOTE, HERMIT_W_COPY,
						value, stamp);
			return 0;
		}
		*new = old & ~(HERMIT_W_INFLIGHT | HERMIT_W_FOREIGN);
		/*
		 * Rescued: the copy is what the page was when it was posted,
		 * and later stores show as dirty. Discarded and touched again
		 * (F): what arrived is stale, and a clean page must not match.
		 */
		if (!(old & HERMIT_W_FOREIGN))
			*new |= HERMIT_W_COPY;
		return 0;

	case HERMIT_EV_WRITE_FAIL:
		/* The caller sets PG_dirty before this, if the page is its own. */
		if (!w)
			return -EINVAL;
		*new = old & ~(HERMIT_W_INFLIGHT | HERMIT_W_FOREIGN);
		if (s == HERMIT_EVICTING)
			*new = (*new & ~HERMIT_W_STATE) | HERMIT_LOCAL;
		return 0;

	case HERMIT_EV_DISCARD_OK:
	case HERMIT_EV_DISCARD_FAIL:
		/* EVICTING + W is a write: without W nobody would own it. */
		if (!w || s == HERMIT_EVICTING)
			return -EINVAL;
		*new = old & ~(HERMIT_W_INFLIGHT | HERMIT_W_FOREIGN);
		if (s == HERMIT_ABSENT && ev == HERMIT_EV_DISCARD_OK)
			*new &= ~HERMIT_W_COPY;
		return 0;

	case HERMIT_EV_DISCARD_BEGIN:
		switch (s) {
		case HERMIT_ABSENT:
			if ((old & HERMIT_W_COPY) && !w)
				*new = old | HERMIT_W_INFLIGHT;
			return 0;
		case HERMIT_LOST:
			*new = 0;
			return 0;
		case HERMIT_REMOTE:
		case HERMIT_FETCHING:
			/* An outstanding read finds another word: not installed. */
			*new = HERMIT_W_COPY | HERMIT_W_INFLIGHT;
			return 0;
		case HERMIT_LOCAL:
			*new = body | HERMIT_DISCARDING;
			return 0;
		case HERMIT_EVICTING:
			if (w) {
				*new = body | HERMIT_DISCARDING;
				return 0;
			}
			/* The owner leaves soon, and without any I/O. */
			*new = old | HERMIT_W_RESCUED;
			return -EAGAIN;
		default:
			return -EAGAIN;
		}

	case HERMIT_EV_DISCARD_DONE:
		if (s != HERMIT_DISCARDING || (old & HERMIT_W_HOSTMAPPED))
			return -EINVAL;
		/*
		 * With W the request on the wire must be the last: it leaves C
		 * behind, and whoever sees ABSENT + C without W may discard.
		 */
		if (w)
			*new = HERMIT_W_INFLIGHT | (old & HERMIT_W_COPY);
		else
			*new = old & HERMIT_W_COPY ?
			       HERMIT_W_COPY | HERMIT_W_INFLIGHT : 0;
		return 0;

	case HERMIT_EV_LOSE:
		if (s == HERMIT_REMOTE || s == HERMIT_FETCHING)
			*new = HERMIT_LOST;
		else
			*new = old & ~HERMIT_W_COPY;
		return 0;

	case HERMIT_NR_EVENTS:
		break;
	}
	return -EINVAL;
}

/* For messages and tests; never NULL. */
const char *hermit_state_name(enum hermit_state s);
const char *hermit_event_name(enum hermit_event ev);

#endif /* HERMIT_CORE_PAGEWORD_H */
