/* SPDX-License-Identifier: GPL-2.0-only */
#include "kernel.h"

#include <glib.h>

int shim_locks;
bool shim_softirq;
unsigned long shim_jiffies;
struct task_struct *shim_task;

static bool sleeping;

struct crypto_shash {
	u8 key[64];
	u32 length;
};

void *shim_alloc(size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, 64, size))
		abort();
	return memset(p, 0, size);
}

struct task_struct *kthread_create(int (*fn)(void *data), void *data,
				   const char *format, ...)
{
	struct task_struct *task = shim_alloc(sizeof(*task));

	task->fn = fn;
	task->data = data;
	shim_task = task;
	return task;
}

void kthread_stop(struct task_struct *task)
{
	free(task);
}

/* Where it sleeps the thread's function is made to return: it keeps no state. */
bool kthread_should_stop(void)
{
	return sleeping;
}

void schedule(void)
{
	sleeping = true;
}

void shim_run(struct task_struct *task)
{
	if (task->parked || !task->awake)
		return;
	task->awake = false;
	sleeping = false;
	task->fn(task->data);
}

void get_random_bytes(void *to, size_t length)
{
	static u8 next;

	for (u8 *at = to; length; length--)
		*at++ = ++next;
}

struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask)
{
	return shim_alloc(sizeof(struct crypto_shash));
}

void crypto_free_shash(struct crypto_shash *tfm)
{
	free(tfm);
}

int crypto_shash_setkey(struct crypto_shash *tfm, const u8 *key, u32 length)
{
	shim_require(length <= sizeof(tfm->key));
	memcpy(tfm->key, key, length);
	tfm->length = length;
	return 0;
}

int crypto_shash_init(struct shash_desc *desc)
{
	desc->hmac = g_hmac_new(G_CHECKSUM_SHA256, desc->tfm->key,
				desc->tfm->length);
	return 0;
}

int crypto_shash_update(struct shash_desc *desc, const void *data, u32 length)
{
	g_hmac_update(desc->hmac, data, length);
	return 0;
}

int crypto_shash_final(struct shash_desc *desc, u8 *mac)
{
	gsize length = 32;

	g_hmac_get_digest(desc->hmac, mac, &length);
	return 0;
}

void shash_desc_zero(struct shash_desc *desc)
{
	g_clear_pointer(&desc->hmac, g_hmac_unref);
}
