/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_SEAL_H
#define HERMIT_SEAL_H
/*
 * A seal is a link over another one, or over a set: pages leave by it encrypted and
 * authenticated, and what comes back is looked at, and decrypted, before its user gets
 * it. Its user sees a link as any other; no server, and nobody on the way, sees a page.
 *
 *	engine ── plain page ──► seal ── sealed page ──► tcp, rdma, or a set of them
 *				  │
 *				  └─ tag and number, beside the page's word
 *
 *  WRITE	The page is copied into a page of the seal's own, and sealed there, once,
 *		under a number of its own (core/seal.h). That is what is sent, and sent once
 *		more, and to others, until the io is done: it does not change, also if the
 *		page is rescued, and changes. -ENOMEM: there is no page to seal into, or the
 *		cipher failed; nothing was sent, and the page is to be kept.
 *		A page that is written once more as it is (io->same: the mover's, and of which
 *		there are too few copies) is sealed under its old number, which makes the
 *		same bytes of the same contents. It is sent only if the tag shows
 *		that they are the same; else it has changed since, and that is -EBADMSG. So
 *		no two contents leave under one number, and all who have the page have
 *		the same of it.
 *  READ	done() of the link below only says that it has arrived. It is opened in task
 *		context, in place: by who polls, as a vCPU that spins, or by a worker. Only
 *		then the io is done: with what was sealed, or with -EKEYREJECTED: this is not
 *		it. What is in the page then is of no use, but the same for the same answer.
 *  DISCARD	passes.
 *
 * Tag and number are written by submit() of a write, and read when a read has arrived:
 *
 *  - Who submits a write holds W of the page's word until it is done, so nobody else
 *    writes them. They say what the servers have, if the word is one that is read: it
 *    became REMOTE by that very write, and after it no other was submitted; or by a drop,
 *    which leaves them alone. A write that fails leaves the page here, and dirty.
 *  - A read that is late may find those of the next write. Then its word is another one,
 *    and it is for the user to see: -EKEYREJECTED says something of a server only if
 *    the word is still the one that the read expects, looked at after it.
 *
 * What a server still sees: sizes and times, which page is read and written when, which are
 * zeros (they are not sent), and which are discarded.
 */
#include "link/transport.h"
#include "core/seal.h"

/* Beside the word of a page that was touched. */
struct hermit_seal_slot {
	u8 *tag;			/* HERMIT_SEAL_TAG bytes */
	u64 *number;
};

struct hermit_seal_params {
	struct hermit_link *below;	/* not synchronous; closed with this one */
	u8 uuid[16];
	/* Of page @idx, which has been touched. Any context. */
	struct hermit_seal_slot (*slot)(void *user, u64 idx);
	void *user;
	char *error;			/* HERMIT_ERROR_LEN; one sentence on failure */
};

/*
 * ERR_PTR with p->error filled; then p->below is the caller's still. Sleeps. Closed as
 * any link: its key is wiped then.
 */
struct hermit_link *hermit_seal_over(const struct hermit_seal_params *p);
/* What it is over. */
struct hermit_link *hermit_seal_below(struct hermit_link *link);
/* The last number that was drawn. */
u64 hermit_seal_numbers(struct hermit_link *link);

#endif /* HERMIT_SEAL_H */
