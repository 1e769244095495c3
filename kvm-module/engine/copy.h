/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_COPY_H
#define HERMIT_COPY_H
/*
 * Is what a server answers what was sent to it? The CRC of each page that leaves is
 * kept beside its word, and that of each page that arrives is compared before
 * anybody gets it; whatever the link is.
 *
 * A server that does not have a page, or has the wrong one for good, has lost it:
 * then the page is LOST (sweep.h), and nobody asks for it for ever.
 *
 * Who may write the CRC, and when it holds:
 *
 *  - Only the owner of EVICTING writes it, before the page gets W, of a page that is
 *    in no page table and has no other holder, and only if it is about to be sent:
 *    it is dirty, or has no copy. If it stays after all it is kept dirty, or has no
 *    copy still: so whatever the CRC is of by then, no read is compared with it
 *    before the page is sent again, and it written again.
 *  - From W on to the completion it does not change: a word with W is not evicted.
 *    Whoever finds REMOTE finds the CRC of what was sent, since the exchange that
 *    stored W came behind it.
 *  - A clean page that is dropped, and a read that failed, leave it as it is: the
 *    copy is the same. Discarded, or lost, there is nothing to read.
 *
 * A read is judged by it only if the word is still the one that the read expects:
 * then it was so all the time, and the CRC with it. If not, another one was faster,
 * and whatever came is thrown away for that.
 */
#include <linux/types.h>

struct hermit_region;
struct page;

/*
 * A copy is wrong for good if it was read so often, in the course of so long, with
 * the same wrong answer each time, or so much more often than with another wrong one,
 * and never right between. What is damaged on its way is damaged differently each time.
 */
#define HERMIT_WRONG_TIMES	16
#define HERMIT_WRONG_S		30

/*
 * Keep the CRC of @page, which is about to be sent, and return it; by the owner of
 * EVICTING. Any context.
 */
u32 hermit_copy_note(struct hermit_region *r, u64 idx, struct page *page);
/* What was noted; of a page that is clean and has a copy, so it is of that. */
u32 hermit_copy_noted(struct hermit_region *r, u64 idx);
/*
 * A read of page @idx brought @page, and may be used if the word is @expected: 0, or
 * -EBADMSG: it is not what was sent, which is counted and told of here, and if it
 * is so for good the page is lost, and the word another one. 0 also if
 * the word is another one by now: the caller's exchange, or comparison, of the word
 * will find that, and has to be there. @server gave the answer; with @others there are
 * some to ask before that is a reason to lose a page. Task or softirq.
 */
int hermit_copy_check(struct hermit_region *r, u64 idx, u64 expected,
		      struct page *page, unsigned int server, bool others);
/*
 * The same of an answer that the region's seal has refused (link/seal.h), whatever its CRC
 * is: -EKEYREJECTED. Another @status comes back as it is.
 */
int hermit_copy_refused(struct hermit_region *r, u64 idx, u64 expected,
			struct page *page, int status, unsigned int server,
			bool others);
/*
 * A read of page @idx was answered -ENOENT, by all that have it, and the word was @expected when it was
 * posted. In any case it is another one now: the page is lost, and true, or somebody
 * was faster. Task or softirq.
 */
bool hermit_copy_missing(struct hermit_region *r, u64 idx, u64 expected);

#endif /* HERMIT_COPY_H */
