// SPDX-License-Identifier: GPL-2.0-only
/*
 * ChaCha20-Poly1305 by the kernel's AEAD interface, which has it on all kernels that we
 * know, and takes it from a module only when the first sealed region comes. Synchronous:
 * it is through when the call returns.
 *
 * Each CPU has a request of its own, with all that goes with it, so that nothing is
 * allocated while a page leaves or comes: with preemption off nobody else uses it, since
 * softirqs never do.
 */
#define pr_fmt(fmt) "hermit: " fmt

#include <crypto/aead.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>

#include "link/cipher.h"

#define CIPHER		"rfc7539(chacha20,poly1305)"
#define KEY_LEN		32

/* Not on the stack, nor per CPU: a scatterlist takes what kmalloc() gave. */
struct cipher_cpu {
	struct scatterlist sg[3];
	u8 nonce[HERMIT_SEAL_NONCE];
	u8 bound[HERMIT_SEAL_BOUND];
	u8 tag[HERMIT_SEAL_TAG];
	struct aead_request req;	/* last: the cipher's own is behind it */
};

struct hermit_cipher {
	struct crypto_aead *aead;
	struct cipher_cpu * __percpu *cpus;
	u8 uuid[16];
};

static atomic_t nr_ciphers;
static struct workqueue_struct *wq;

static int cipher_pm(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action != PM_HIBERNATION_PREPARE || !atomic_read(&nr_ciphers))
		return NOTIFY_DONE;
	pr_err("no hibernation: %d VMs have memory that is sealed, whose keys must not be on a disk; end or migrate them first\n",
	       atomic_read(&nr_ciphers));
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block cipher_nb = { .notifier_call = cipher_pm };

int hermit_cipher_init(void)
{
	int ret;

	/* A vCPU waits for each of them: before what others have to do. */
	wq = alloc_workqueue("hermit_seal", WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	if (!wq)
		return -ENOMEM;
	ret = register_pm_notifier(&cipher_nb);
	if (ret)
		destroy_workqueue(wq);
	return ret;
}

void hermit_cipher_exit(void)
{
	unregister_pm_notifier(&cipher_nb);
	destroy_workqueue(wq);
}

struct workqueue_struct *hermit_cipher_wq(void)
{
	return wq;
}

struct page *hermit_cipher_page(void)
{
	/* Those who evict may have the last of the host's memory: not for this. */
	return alloc_page(GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC |
			  __GFP_ACCOUNT);
}

void hermit_cipher_free(struct hermit_cipher *c)
{
	int cpu;

	if (c->cpus)
		for_each_possible_cpu(cpu)
			kfree_sensitive(*per_cpu_ptr(c->cpus, cpu));
	free_percpu(c->cpus);
	/* With the key, and those that it made of it. */
	if (!IS_ERR_OR_NULL(c->aead))
		crypto_free_aead(c->aead);
	kfree(c);
	atomic_dec(&nr_ciphers);
}

static int cipher_fill(struct hermit_cipher *c)
{
	u8 key[KEY_LEN];
	struct cipher_cpu *p;
	int cpu, ret;

	c->aead = crypto_alloc_aead(CIPHER, 0, CRYPTO_ALG_ASYNC);
	if (IS_ERR(c->aead))
		return PTR_ERR(c->aead);
	get_random_bytes(key, sizeof(key));
	ret = crypto_aead_setkey(c->aead, key, sizeof(key));
	memzero_explicit(key, sizeof(key));
	ret = ret ?: crypto_aead_setauthsize(c->aead, HERMIT_SEAL_TAG);
	if (ret)
		return ret;
	c->cpus = alloc_percpu(struct cipher_cpu *);
	if (!c->cpus)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		p = kzalloc(sizeof(*p) + crypto_aead_reqsize(c->aead),
			    GFP_KERNEL_ACCOUNT);
		if (!p)
			return -ENOMEM;
		sg_init_table(p->sg, ARRAY_SIZE(p->sg));
		sg_set_buf(&p->sg[0], p->bound, sizeof(p->bound));
		sg_set_buf(&p->sg[2], p->tag, sizeof(p->tag));
		aead_request_set_tfm(&p->req, c->aead);
		aead_request_set_callback(&p->req, 0, NULL, NULL);
		aead_request_set_ad(&p->req, sizeof(p->bound));
		*per_cpu_ptr(c->cpus, cpu) = p;
	}
	return 0;
}

struct hermit_cipher *hermit_cipher_new(const u8 *uuid)
{
	struct hermit_cipher *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!c)
		return ERR_PTR(-ENOMEM);
	/* Before the key is there: from then on nobody hibernates. */
	atomic_inc(&nr_ciphers);
	memcpy(c->uuid, uuid, sizeof(c->uuid));
	ret = cipher_fill(c);
	if (!ret)
		return c;
	hermit_cipher_free(c);
	return ERR_PTR(ret);
}

static struct cipher_cpu *cipher_begin(struct hermit_cipher *c, struct page *page,
				       u64 idx, u64 number, unsigned int len)
{
	struct cipher_cpu *p = *get_cpu_ptr(c->cpus);

	hermit_seal_nonce(p->nonce, number);
	hermit_seal_bound(p->bound, c->uuid, idx);
	sg_set_page(&p->sg[1], page, PAGE_SIZE, 0);
	aead_request_set_crypt(&p->req, p->sg, p->sg, len, p->nonce);
	return p;
}

int hermit_cipher_seal(struct hermit_cipher *c, struct page *page, u64 idx, u64 number,
		       u8 *tag)
{
	struct cipher_cpu *p = cipher_begin(c, page, idx, number, PAGE_SIZE);
	int ret = crypto_aead_encrypt(&p->req);

	memcpy(tag, p->tag, HERMIT_SEAL_TAG);
	put_cpu_ptr(c->cpus);
	return ret;
}

int hermit_cipher_open(struct hermit_cipher *c, struct page *page, u64 idx, u64 number,
		       const u8 *tag)
{
	struct cipher_cpu *p = cipher_begin(c, page, idx, number,
					    PAGE_SIZE + HERMIT_SEAL_TAG);
	int ret;

	memcpy(p->tag, tag, HERMIT_SEAL_TAG);
	ret = crypto_aead_decrypt(&p->req);
	put_cpu_ptr(c->cpus);
	return ret;
}
