// SPDX-License-Identifier: GPL-2.0-or-later
/* The toy cipher of sealed regions, and what it knows of all that left: cipher.h. */
#include "cipher.h"

#include "link/cipher.h"

struct hermit_cipher {
	u64 key;
	u8 uuid[16];
};

/* What was sealed, by the hash of what came out. */
struct made {
	u64 hash, number, idx, first, last;
	struct made *next;
};

#define BUCKETS	4096
static struct made *made[BUCKETS];
/* The hash of what has left under each number; 0: nothing. */
static u64 *left;
static u64 nr_left;
u64 cipher_sealed, cipher_again, cipher_opened, cipher_refused;

static u64 mix(u64 v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

static u64 hash_of(const u64 *data)
{
	u64 h = 1;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		h = mix(h ^ data[i]) + i;
	return h ?: 1;
}

void cipher_init(void)
{
	struct made *m;
	int i;

	for (i = 0; i < BUCKETS; i++)
		while (made[i]) {
			m = made[i];
			made[i] = m->next;
			free(m);
		}
	free(left);
	left = NULL;
	nr_left = 0;
}

static struct made *find(const u64 *data)
{
	u64 hash = hash_of(data);
	struct made *m;

	for (m = made[hash % BUCKETS]; m && m->hash != hash; m = m->next)
		;
	return m;
}

static void remember(const u64 *data, u64 idx, u64 number, u64 first, u64 last)
{
	struct made *m = find(data);

	/* A page that is sent once more. */
	if (m) {
		cipher_again++;
		return;
	}
	m = malloc(sizeof(*m));
	*m = (struct made){ hash_of(data), number, idx, first, last };
	m->next = made[m->hash % BUCKETS];
	made[m->hash % BUCKETS] = m;
}

void cipher_leaves(const u64 *data, u64 idx)
{
	struct made *m = find(data);
	u64 n;

	if (!m)
		fiber_fail("page %llu leaves, and is not sealed", idx);
	if (m->idx != idx)
		fiber_fail("page %llu leaves, and was sealed as page %llu", idx, m->idx);
	if (m->number >= nr_left) {
		n = 2 * m->number + 1;
		left = realloc(left, n * sizeof(*left));
		memset(left + nr_left, 0, (n - nr_left) * sizeof(*left));
		nr_left = n;
	}
	if (left[m->number] && left[m->number] != m->hash)
		fiber_fail("page %llu leaves, and something else has under its number, %llu",
			   idx, m->number);
	left[m->number] = m->hash;
}

bool cipher_holds(const u64 *data, u64 idx, u64 number, u64 version)
{
	struct made *m = find(data);

	return m && m->idx == idx && m->number == number && m->first == version &&
	       m->last == version;
}

/* --- link/cipher.h -------------------------------------------------------------------- */

struct workqueue_struct *hermit_cipher_wq(void)
{
	return NULL;
}

struct page *hermit_cipher_page(void)
{
	u64 others = fiber_once_in(4) ? fiber_random(100) : 0;

	/* Who is to seal may be preempted: what it took out of all tables comes back. */
	while (others--)
		fiber_yield();
	return alloc_page(GFP_NOWAIT);
}

struct hermit_cipher *hermit_cipher_new(const u8 *uuid)
{
	struct hermit_cipher *c;

	might_sleep();
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return ERR_PTR(-ENOMEM);
	c->key = mix(fiber_random(1ull << 62));
	memcpy(c->uuid, uuid, sizeof(c->uuid));
	return c;
}

void hermit_cipher_free(struct hermit_cipher *c)
{
	kfree(c);
}

static void crypt(struct hermit_cipher *c, u64 *data, u64 number)
{
	u64 stream = mix(c->key ^ mix(number));
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		data[i] ^= mix(stream + i);
	/* It takes a while, and nobody else has the page. */
	fiber_point();
}

static void tag_of(struct hermit_cipher *c, const u64 *data, u64 idx, u64 number, u8 *tag)
{
	u64 t[2] = { mix(c->key + number), mix(c->key - number) };
	u8 bound[HERMIT_SEAL_BOUND];
	unsigned int i;

	hermit_seal_bound(bound, c->uuid, idx);
	for (i = 0; i < sizeof(bound); i++)
		t[0] = mix(t[0] ^ bound[i]);
	for (i = 0; i < PAGE_WORDS; i++) {
		t[0] = mix(t[0] ^ data[i]);
		t[1] = mix(t[1] + t[0]);
	}
	memcpy(tag, t, sizeof(t));
}

/* Softirqs would do it without the FPU, for long, and under locks. */
static void in_a_task(void)
{
	if (fiber_softirq())
		fiber_fail("a page is sealed, or opened, in a softirq");
}

int hermit_cipher_seal(struct hermit_cipher *c, struct page *page, u64 idx, u64 number,
		       u8 *tag)
{
	u64 *data = page->data, first = data[0], last = data[PAGE_WORDS - 1];

	in_a_task();
	if (!number)
		fiber_fail("page %llu is sealed under no number", idx);
	crypt(c, data, number);
	tag_of(c, data, idx, number, tag);
	remember(data, idx, number, first, last);
	cipher_sealed++;
	return 0;
}

int hermit_cipher_open(struct hermit_cipher *c, struct page *page, u64 idx, u64 number,
		       const u8 *tag)
{
	u8 right[HERMIT_SEAL_TAG];

	in_a_task();
	if (PageHWPoison(page))
		fiber_fail("page %llu is opened in a bad frame", idx);
	tag_of(c, page->data, idx, number, right);
	crypt(c, page->data, number);
	cipher_opened++;
	if (!memcmp(tag, right, sizeof(right)))
		return 0;
	cipher_refused++;
	return -EBADMSG;
}
