// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is what a server answers what was sent to it? Beside each page word:
 *
 *	 63  56 55     46 45      36 35   32 31			     0
 *	+------+---------+----------+-------+------------------------+
 *	|holder| wrong   | since, s | times | CRC of what was sent   |
 *	+------+---------+----------+-------+------------------------+
 *
 * The upper 8 bits are holder.h's. What is between them and the CRC is 0 until a read is
 * answered wrong: then it has ten bits of that answer's CRC, how many more such there
 * were than other wrong ones, 15 at most, and when the first one came, modulo 1024 (the
 * vote of Boyer and Moore: once that is 0 the next answer takes its place). A right
 * answer and the next page that is sent make it 0 again; so who compares the lower 56
 * bits with a CRC alone sees in one look that all is well.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>

#include "core/crc.h"
#include "engine/copy.h"
#include "engine/event.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/sweep.h"
#include "engine/word.h"

#define TIMES_SHIFT	32
#define TIMES_MAX	15ULL
#define SINCE_SHIFT	36
#define SINCE_MAX	1023ULL
#define WRONG_SHIFT	46
#define WRONG_MAX	1023ULL
static_assert(HERMIT_WRONG_TIMES == TIMES_MAX + 1, "the last one is not stored");

static u32 copy_crc(struct page *page)
{
	void *p = kmap_local_page(page);
	u32 crc = hermit_crc_page(p);

	kunmap_local(p);
	return crc;
}

u32 hermit_copy_note(struct hermit_region *r, u64 idx, struct page *page)
{
	u32 crc = copy_crc(page);

	atomic64_set(hermit_word_copy(r, idx), crc);
	return crc;
}

u32 hermit_copy_noted(struct hermit_region *r, u64 idx)
{
	return (u32)atomic64_read(hermit_word_copy(r, idx));
}

/* Each is counted; a server that damages all it sends has one event in a second. */
static noinline void copy_is_wrong(struct hermit_region *r, u64 idx,
				   unsigned int server)
{
	HERMIT_MARK(answer_is_wrong);
	hermit_count(r, HERMIT_C_MISMATCHES, 1);
	pr_warn_ratelimited("%s: server %s: the answer to a read of page %llu is not what was written there; it is not used, and read again. See to the memory of the server and to the network\n",
			    r->name, r->servers[server], idx);
	if (time_before(jiffies, READ_ONCE(r->mismatch_told) + HZ))
		return;
	/* Two at once are told of twice. */
	WRITE_ONCE(r->mismatch_told, jiffies);
	hermit_event(r, HERMIT_EVENT_PAGE_MISMATCH, server, idx);
}

/*
 * A wrong answer with this @crc, and @was is what was there before it: true if that
 * is how it will stay. Of several at once one is noted.
 */
static bool copy_stays_wrong(atomic64_t *copy, u64 was, u32 crc)
{
	u64 now = jiffies / HZ & SINCE_MAX, since = was >> SINCE_SHIFT & SINCE_MAX;
	u64 times = was >> TIMES_SHIFT & TIMES_MAX, wrong = crc >> 22;
	u64 voted = was >> WRONG_SHIFT & WRONG_MAX;

	if (times && voted != wrong) {
		wrong = voted;
		times--;
	} else if (times == TIMES_MAX &&
		   ((now - since) & SINCE_MAX) >= HERMIT_WRONG_S) {
		return true;
	} else {
		since = times ? since : now;
		times = min(times + 1, TIMES_MAX);
	}
	/* What was sent meanwhile is another copy. */
	atomic64_cmpxchg(copy, was, (was & HERMIT_HOLDERS_MASK) | (u32)was |
			 times << TIMES_SHIFT |
			 since << SINCE_SHIFT | wrong << WRONG_SHIFT);
	return false;
}

static int copy_judge(struct hermit_region *r, u64 idx, u64 expected, u64 was,
		      u32 crc, unsigned int server, bool others)
{
	atomic64_t *copy = hermit_word_copy(r, idx);

	/* The word after the CRC: if it is @expected the CRC was of that. */
	smp_rmb();
	if (atomic64_read(hermit_word(r, idx)) != expected) {
		HERMIT_MARK(wrong_for_another_word);
		return 0;
	}
	copy_is_wrong(r, idx, server);
	if (others) {
		/* The last one's answer decides. */
		HERMIT_MARK(wrong_of_one_server);
	} else if (copy_stays_wrong(copy, was, crc) &&
		   hermit_lose(r, idx, expected)) {
		HERMIT_MARK(wrong_for_good);
		pr_warn_ratelimited("%s: server %s: all reads of page %llu have had the same wrong answer, for %u seconds: the page is lost. See to the memory of the server\n",
				    r->name, r->servers[server], idx, HERMIT_WRONG_S);
	}
	return -EBADMSG;
}

static noinline int copy_differs(struct hermit_region *r, u64 idx, u64 expected,
				 u64 was, u32 crc, unsigned int server,
				 bool others)
{
	if ((u32)was == crc) {
		HERMIT_MARK(right_again);
		atomic64_cmpxchg(hermit_word_copy(r, idx), was,
				 (was & HERMIT_HOLDERS_MASK) | crc);
		return 0;
	}
	return copy_judge(r, idx, expected, was, crc, server, others);
}

int hermit_copy_refused(struct hermit_region *r, u64 idx, u64 expected,
			struct page *page, int status, unsigned int server,
			bool others)
{
	int ret;

	if (status != -EKEYREJECTED)
		return status;
	/* What it is of is the same for the same answer: that is all that it is for here. */
	ret = copy_judge(r, idx, expected,
			 atomic64_read(hermit_word_copy(r, idx)),
			 copy_crc(page), server, others);
	if (ret) {
		HERMIT_MARK(seal_refuses);
		hermit_count(r, HERMIT_C_SEAL_REFUSED, 1);
	}
	return ret;
}

int hermit_copy_check(struct hermit_region *r, u64 idx, u64 expected,
		      struct page *page, unsigned int server, bool others)
{
	u32 crc = copy_crc(page);
	u64 was = atomic64_read(hermit_word_copy(r, idx));

	if (likely((was & ~HERMIT_HOLDERS_MASK) == crc))
		return 0;
	return copy_differs(r, idx, expected, was, crc, server, others);
}

/*
 * To ask again is of no use. The word became REMOTE when the server had acknowledged
 * the page, in this incarnation: after an older one the sweep came by, and that word
 * is gone. No write of it is out, which is posted once more, since that holds W, and
 * no word with W gets REMOTE but by the acknowledgment. No discard: that was through
 * before the page could be sent, W again; and one that came since the read was posted
 * took the word with it. So if the word is still that one the server had the page and
 * does not have it.
 */
bool hermit_copy_missing(struct hermit_region *r, u64 idx, u64 expected)
{
	if (!hermit_lose(r, idx, expected)) {
		HERMIT_MARK(missing_for_another_word);
		return false;
	}
	HERMIT_MARK(copy_is_missing);
	pr_warn_ratelimited("%s: server %s: it says that it does not have page %llu, which it has acknowledged: the page is lost. See to the server\n",
			    r->name, r->replicas ? "all that have it" : r->servers[0],
			    idx);
	return true;
}
