/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_LOCAL_COMP_H
#define HERMIT_LOCAL_COMP_H
/*
 * Compressors for the local pool, from the kernel's crypto. Their tables and
 * buffers are per CPU and shared by all VMs: what a pool costs a host does not
 * grow with the number of VMs.
 */
#include <linux/types.h>

struct hermit_local_comp;
struct page;

/* One CPU's. Held with preemption off: nobody else can be using it. */
struct hermit_local_stream {
	void *in;			/* a page: the caller fills it */
	void *out;			/* compressed: by compress, or the caller */
	void *req;			/* the compressor's */
};

/*
 * The compressor called @name, loaded and set up, or ERR_PTR: -ENOENT if this
 * kernel has none of that name. Process context; put it once.
 */
struct hermit_local_comp *hermit_local_comp_get(const char *name);
void hermit_local_comp_put(struct hermit_local_comp *c);

/* This CPU's buffers, until put. Task context, in between nothing sleeps. */
struct hermit_local_stream *hermit_local_stream_get(struct hermit_local_comp *c);
void hermit_local_stream_put(struct hermit_local_comp *c);
/* s->in to s->out: bytes, at most PAGE_SIZE, or 0 if they do not fit. */
unsigned int hermit_local_compress(struct hermit_local_stream *s);
/* @len bytes of s->out fill @page: 0 or -EIO. */
int hermit_local_decompress(struct hermit_local_stream *s, unsigned int len,
			    struct page *page);

#endif /* HERMIT_LOCAL_COMP_H */
