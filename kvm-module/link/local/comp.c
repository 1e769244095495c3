// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compressors for the local pool: crypto's acomp, synchronous algorithms only.
 * Those run to their end in the caller and never sleep.
 */
#include <crypto/acompress.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "link/local/comp.h"

/* lzo grows what it cannot compress, whatever room it is told of. */
#define OUT_ORDER	1

struct hermit_local_comp {
	struct list_head node;
	unsigned int users;
	struct crypto_acomp *tfm;
	struct hermit_local_stream __percpu *streams;
	char name[CRYPTO_MAX_ALG_NAME];
};

static LIST_HEAD(comps);
static DEFINE_MUTEX(comps_lock);

static void comp_free(struct hermit_local_comp *c)
{
	struct hermit_local_stream *s;
	int cpu;

	if (c->streams) {
		for_each_possible_cpu(cpu) {
			s = per_cpu_ptr(c->streams, cpu);
			if (s->req)
				acomp_request_free(s->req);
			free_page((unsigned long)s->in);
			free_pages((unsigned long)s->out, OUT_ORDER);
		}
		free_percpu(c->streams);
	}
	if (!IS_ERR_OR_NULL(c->tfm))
		crypto_free_acomp(c->tfm);
	kfree(c);
}

static struct hermit_local_comp *comp_create(const char *name)
{
	struct hermit_local_comp *c = kzalloc(sizeof(*c), GFP_KERNEL);
	struct hermit_local_stream *s;
	int cpu, ret = -ENOMEM;

	if (!c)
		return ERR_PTR(-ENOMEM);
	strscpy(c->name, name);
	/* An engine that answers later would have to be waited for. */
	c->tfm = crypto_alloc_acomp(name, 0, CRYPTO_ALG_ASYNC);
	if (IS_ERR(c->tfm)) {
		ret = PTR_ERR(c->tfm);
		goto free;
	}
	c->streams = alloc_percpu(struct hermit_local_stream);
	if (!c->streams)
		goto free;
	for_each_possible_cpu(cpu) {
		struct page *in, *out;

		s = per_cpu_ptr(c->streams, cpu);
		in = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL, 0);
		if (!in)
			goto free;
		s->in = page_address(in);
		out = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL, OUT_ORDER);
		if (!out)
			goto free;
		s->out = page_address(out);
		s->req = acomp_request_alloc(c->tfm);
		if (!s->req)
			goto free;
	}
	return c;
free:
	comp_free(c);
	return ERR_PTR(ret);
}

struct hermit_local_comp *hermit_local_comp_get(const char *name)
{
	struct hermit_local_comp *c;

	mutex_lock(&comps_lock);
	list_for_each_entry(c, &comps, node)
		if (!strcmp(c->name, name))
			goto found;
	c = comp_create(name);
	if (IS_ERR(c))
		goto out;
	list_add(&c->node, &comps);
found:
	c->users++;
out:
	mutex_unlock(&comps_lock);
	return c;
}

void hermit_local_comp_put(struct hermit_local_comp *c)
{
	mutex_lock(&comps_lock);
	if (!--c->users) {
		list_del(&c->node);
		comp_free(c);
	}
	mutex_unlock(&comps_lock);
}

struct hermit_local_stream *hermit_local_stream_get(struct hermit_local_comp *c)
{
	return get_cpu_ptr(c->streams);
}

void hermit_local_stream_put(struct hermit_local_comp *c)
{
	put_cpu_ptr(c->streams);
}

unsigned int hermit_local_compress(struct hermit_local_stream *s)
{
	struct acomp_req *req = s->req;
	struct scatterlist in, out;

	sg_init_one(&in, s->in, PAGE_SIZE);
	sg_init_one(&out, s->out, PAGE_SIZE << OUT_ORDER);
	acomp_request_set_params(req, &in, &out, PAGE_SIZE, PAGE_SIZE);
	if (crypto_acomp_compress(req) || req->dlen > PAGE_SIZE)
		return 0;
	return req->dlen;
}

int hermit_local_decompress(struct hermit_local_stream *s, unsigned int len,
			    struct page *page)
{
	struct acomp_req *req = s->req;
	struct scatterlist in, out;

	sg_init_one(&in, s->out, len);
	sg_init_table(&out, 1);
	sg_set_page(&out, page, PAGE_SIZE, 0);
	acomp_request_set_params(req, &in, &out, len, PAGE_SIZE);
	return crypto_acomp_decompress(req) || req->dlen != PAGE_SIZE ? -EIO : 0;
}
