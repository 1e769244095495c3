// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory server and the wire: requests are served in any order, a word at
 * a time, and their completions come later still; some fail, and some of those
 * after half of the work. See model.h.
 */
#include "model.h"

#define QUEUE 128
#define GARBAGE 0xbadbadbadbadbadbULL

_Atomic bool server_errors;

static struct lock queue_lock;
static struct req *queue[QUEUE];
static int nr_queue, busy;
static bool losing;

static _Atomic u64 store[NPAGES][PAGE_WORDS];
static _Atomic bool stored[NPAGES];
/* Writes and discards of a page on the wire: one, or the word is wrong. */
static _Atomic int in_flight[NPAGES];

void server_reset(void)
{
	int i, p;

	memset(&queue_lock, 0, sizeof(queue_lock));
	nr_queue = busy = 0;
	losing = false;
	server_errors = true;
	for (p = 0; p < NPAGES; p++) {
		stored[p] = false;
		in_flight[p] = 0;
		for (i = 0; i < PAGE_WORDS; i++)
			store[p][i] = 0;
	}
}

static void enqueue(struct req *r)
{
	if (nr_queue == QUEUE)
		violation(r->page, "%d requests on the wire", QUEUE);
	queue[nr_queue++] = r;
}

void server_submit(struct req *r)
{
	if (r->op != OP_READ && atomic_fetch_add(&in_flight[r->page], 1))
		violation(r->page, "two writes or discards in flight");
	if (r->frame && !r->frame->out)
		violation(r->page, "a request carries frame %d, which is free",
			  frame_nr(r->frame));
	if (r->frame)
		r->frame->io++;
	lock(&queue_lock);
	enqueue(r);
	unlock(&queue_lock);
}

static void transfer(struct req *r)
{
	const bool fail = server_errors && one_in(16);
	const int done = fail ? (int)(rnd() % (PAGE_WORDS + 1)) : PAGE_WORDS;
	int i;

	r->transferred = true;
	r->status = fail ? -EIO : 0;
	switch (r->op) {
	case OP_READ:
		for (i = 0; i < done; i++) {
			r->frame->data[i] = store[r->page][i];
			step();
		}
		for (; i < PAGE_WORDS; i++)
			r->frame->data[i] = GARBAGE;
		break;
	case OP_WRITE:
		/* What a failed write leaves is anything: nobody may read it. */
		for (i = 0; i < done; i++) {
			store[r->page][i] = fail ? GARBAGE : r->frame->data[i];
			step();
		}
		if (done)
			stored[r->page] = true;
		break;
	case OP_DISCARD:
		if (fail)
			break;
		for (i = 0; i < PAGE_WORDS; i++) {
			store[r->page][i] = 0;
			step();
		}
		stored[r->page] = false;
		break;
	}
}

static void finish(struct req *r, int status)
{
	if (r->frame)
		r->frame->io--;
	if (r->op != OP_READ)
		in_flight[r->page]--;
	req_done(r, status);
}

bool server_serve(void)
{
	struct req *r = NULL;
	bool late;
	int i;

	lock(&queue_lock);
	if (nr_queue && !losing) {
		i = (int)(rnd() % (unsigned int)nr_queue);
		r = queue[i];
		queue[i] = queue[--nr_queue];
		busy++;
	}
	unlock(&queue_lock);
	if (!r)
		return false;

	late = r->slow && !one_in(16);
	if (!r->transferred) {
		transfer(r);
		r->slow = one_in(6);
		late = one_in(2);
	}
	if (late) {
		lock(&queue_lock);
		enqueue(r);
		r = NULL;
		unlock(&queue_lock);
	}
	if (r)
		finish(r, r->status);
	lock(&queue_lock);
	busy--;
	unlock(&queue_lock);
	return true;
}

/*
 * The server dies and comes back empty. What was posted fails, whatever it had
 * done; the sweep follows; only then is anything posted to the new one.
 */
void server_lose(void)
{
	struct req *old[QUEUE];
	int n, i, p;

	lock(&queue_lock);
	losing = true;
	while (busy) {
		unlock(&queue_lock);
		step_wait();
		lock(&queue_lock);
	}
	n = nr_queue;
	memcpy(old, queue, sizeof(old[0]) * (size_t)n);
	nr_queue = 0;
	unlock(&queue_lock);

	for (p = 0; p < NPAGES; p++) {
		for (i = 0; i < PAGE_WORDS; i++)
			store[p][i] = 0;
		stored[p] = false;
	}
	for (i = 0; i < n; i++)
		finish(old[i], -ENODATA);
	engine_lose();

	lock(&queue_lock);
	losing = false;
	unlock(&queue_lock);
}

int server_pages(void)
{
	int p, n = 0;

	for (p = 0; p < NPAGES; p++)
		n += stored[p];
	return n;
}
