/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PEEK_H
#define HERMIT_PEEK_H
/* Read a remote page without making it local. */
#include <linux/types.h>

struct hermit_region;
struct hermit_req;

/*
 * Post the read of page @idx into a page of its own, which is not installed:
 * the request, with a reference for the caller, who looks at
 * (*req)->io.page after hermit_peek_wait() and gives both back by
 * hermit_req_put(), at any time. It counts only if the word of the page is @word
 * then. @demand: somebody waits for it. ERR_PTR:
 * -ENOSPC or -ENOMEM, as hermit_page_get(); -EAGAIN no request; -EFAULT the region
 * has ended. Task context; does not wait.
 */
struct hermit_req *hermit_peek_begin(struct hermit_region *r, u64 idx,
				     u64 word, bool demand);
/*
 * 0, what the server answered, -EBADMSG: it is not what was sent, or -EINTR: killed.
 * Sleeps.
 */
int hermit_peek_wait(struct hermit_req *req);
/*
 * After @why of hermit_peek_begin(): until there may be a page, or a while: 0,
 * or -EINTR: killed. Sleeps.
 */
int hermit_peek_room(struct hermit_region *r, long why);

#endif /* HERMIT_PEEK_H */
