// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drive links of a transport without a region, KVM or a guest: of tcp, which is
 * compiled in; or, as hermit-rdma-test.ko, of rdma in hermit-rdma.ko.
 *
 * /sys/kernel/debug/hermit_tcp_test/{0,1}/ are two clients (hermit_rdma_test). `ctl` takes one
 * command at a time, and the write fails with the command's errno:
 *
 *	connect ADDRESS UUID MIB [KEY]	a region of MIB; UUID is a number
 *	load THREADS OPS		start threads, each with OPS requests
 *	wait				until they are done
 *	stop				the same, but let them end early
 *	put FIRST N, get FIRST N	write or read N pages, one batch: at most 32
 *	latency N			N demand reads of what was written, one
 *					after the other
 *	close | end			without or with ending the region
 *
 * `status` has a line "name=value" each. Every worker has pages of its own and
 * knows what each must contain: {page, version} in every word, or that the server
 * does not have it. What the server lost is known exactly, too: an acknowledgment that came before
 * contents_lost() began was of the old incarnation, any later one of the new.
 */
#define pr_fmt(fmt) TEST_NAME ": " fmt

#ifdef HERMIT_TEST_RDMA
#define TEST_NAME "hermit_rdma_test"
#else
#define TEST_NAME "hermit_tcp_test"
#endif

#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#ifndef HERMIT_TEST_RDMA
#include "core/crc.h"
#endif
#include "link/transport.h"

#define CLIENTS		2
#define MAX_THREADS	16
#define BATCH		32
#define WORDS		(PAGE_SIZE / sizeof(u64))

/* What a page of the region must contain. */
struct record {
	u32 version;			/* 0: not stored */
	u32 incarnation;		/* a count; not stored if it is an older one */
};

struct test_io {
	struct hermit_io io;
	struct worker *worker;
	unsigned long page;
	u32 version;			/* WRITE: to be */
	u32 incarnation;		/* at the completion */
	atomic_t pending;
};

struct worker {
	struct client *client;
	struct task_struct *task;
	unsigned long first, pages;	/* its slice */
	unsigned long ops;
	struct rnd_state rnd;
	u32 version;
	atomic_t outstanding;
	struct completion batch_done;
	struct test_io ios[BATCH];
};

enum counter {
	OPS, READS, WRITES, DISCARDS, MISMATCHES, DOUBLES,
	NODATA, NOSPC, CANCELED, OTHER, NR_COUNTERS
};

static const char * const counter_names[NR_COUNTERS] = {
	"ops", "reads", "writes", "discards", "mismatches", "doubles",
	"nodata", "nospc", "canceled", "other",
};

struct client {
	struct mutex ctl;		/* one command at a time */
	struct rw_semaphore submit_sem;	/* read: submitting; write: stop it */
	bool stop;
	struct hermit_link *link;
	struct record *records;
	unsigned long pages;
	u32 incarnation;		/* contents_lost() calls + 1 */
	struct worker *workers[MAX_THREADS];
	unsigned int nr_workers;
	atomic_t running;
	wait_queue_head_t idle;
	atomic_long_t counters[NR_COUNTERS];
	unsigned long states[8];	/* how often each was told */
	enum hermit_server_state state;
	u64 latency_ns;
	char error[HERMIT_ERROR_LEN];
};

static struct client clients[CLIENTS];
static struct dentry *dir;

static void count(struct client *c, enum counter n)
{
	atomic_long_inc(&c->counters[n]);
}

/* --- contents -------------------------------------------------------------- */

static u64 word(unsigned long page, u32 version, unsigned int i)
{
	return ((u64)page << 32 | version) * 0x9e3779b97f4a7c15ULL + i;
}

static void fill(struct page *page, unsigned long n, u32 version)
{
	u64 *p = page_address(page);
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		p[i] = word(n, version, i);
}

static u32 stored(struct client *c, const struct test_io *t)
{
	const struct record *r = &c->records[t->page];

	return r->incarnation == t->incarnation ? r->version : 0;
}

static void verify(struct client *c, const struct test_io *t)
{
	u32 version = stored(c, t);
	const u64 *p = page_address(t->io.page);
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		u64 expected = version ? word(t->page, version, i) : 0;

		/* Zeros are not the same as nothing. */
		if (version && p[i] == expected)
			continue;
		count(c, MISMATCHES);
		pr_err_ratelimited("page %lu, word %u: %llx, not %llx of version %u\n",
				   t->page, i, p[i], expected, version);
		return;
	}
}

/* --- ios ------------------------------------------------------------------- */

static void io_done(struct hermit_io *io)
{
	struct test_io *t = container_of(io, struct test_io, io);
	struct worker *w = t->worker;

	if (!atomic_xchg(&t->pending, 0)) {
		count(w->client, DOUBLES);
		return;
	}
	t->incarnation = READ_ONCE(w->client->incarnation);
	if (atomic_dec_and_test(&w->outstanding))
		complete(&w->batch_done);
}

static void prepare(struct worker *w, struct test_io *t, unsigned long page,
		    u8 op, u32 length)
{
	t->page = page;
	t->io.offset = (u64)page * PAGE_SIZE;
	t->io.length = length;
	t->io.op = op;
	t->io.demand = op == HERMIT_IO_READ && prandom_u32_state(&w->rnd) % 2;
	t->io.status = 1;
	t->io.done = io_done;
	atomic_set(&t->pending, 1);
	if (op == HERMIT_IO_WRITE) {
		t->version = ++w->version;
		fill(t->io.page, page, t->version);
#ifndef HERMIT_TEST_RDMA
		t->io.crc = hermit_crc_page(page_address(t->io.page));
#endif
	} else if (op == HERMIT_IO_READ) {
		/* No page that was read before may pass for this one. */
		memset(page_address(t->io.page), 0xee, PAGE_SIZE);
	}
}

static void check(struct worker *w, struct test_io *t)
{
	struct client *c = w->client;
	unsigned long i;

	count(c, OPS);
	switch (t->io.status) {
	case 0:
		break;
	case -ENODATA:
		count(c, NODATA);
		return;
	case -ENOENT:
		/* So it is, or the server has forgotten it. */
		count(c, t->io.op != HERMIT_IO_READ ? OTHER :
			 stored(c, t) ? MISMATCHES : READS);
		return;
	case -ENOSPC:
		/* Not stored: what was there before must still be there. */
		count(c, t->io.op == HERMIT_IO_WRITE ? NOSPC : OTHER);
		return;
	case -ECANCELED:
		count(c, CANCELED);
		return;
	default:
		count(c, OTHER);
		pr_err_ratelimited("page %lu, op %u: status %d\n", t->page,
				   t->io.op, t->io.status);
		return;
	}
	switch (t->io.op) {
	case HERMIT_IO_READ:
		count(c, READS);
		verify(c, t);
		break;
	case HERMIT_IO_WRITE:
		count(c, WRITES);
		c->records[t->page].version = t->version;
		c->records[t->page].incarnation = t->incarnation;
		break;
	case HERMIT_IO_DISCARD:
		count(c, DISCARDS);
		for (i = 0; i < t->io.length / PAGE_SIZE; i++)
			c->records[t->page + i].version = 0;
		break;
	}
}

/* Submit the first @n ios of @w and wait; false if it is to stop. */
static bool run_batch(struct worker *w, unsigned int n, bool as_list)
{
	struct client *c = w->client;
	LIST_HEAD(ios);
	unsigned int i;

	atomic_set(&w->outstanding, n);
	reinit_completion(&w->batch_done);
	down_read(&c->submit_sem);
	if (c->stop) {
		up_read(&c->submit_sem);
		return false;
	}
	for (i = 0; i < n; i++) {
		struct hermit_io *io = &w->ios[i].io;

		if (as_list)
			list_add_tail(&io->node, &ios);
		else
			c->link->ops->submit_one(c->link, io);
	}
	if (as_list)
		c->link->ops->submit(c->link, &ios);
	up_read(&c->submit_sem);

	/* However long a test is without a server, this is no task that hangs. */
	wait_for_completion_state(&w->batch_done, TASK_IDLE);
	for (i = 0; i < n; i++)
		check(w, &w->ios[i]);
	return true;
}

static unsigned int pick(struct worker *w, unsigned int below)
{
	return prandom_u32_state(&w->rnd) % below;
}

/* Requests of a batch are for different pages, as a region's are. */
static unsigned int random_batch(struct worker *w)
{
	unsigned int n = 1 + pick(w, min(BATCH, w->pages)), i;
	unsigned long first = w->first + pick(w, w->pages - n + 1);

	if (!pick(w, 64)) {
		prepare(w, &w->ios[0], first, HERMIT_IO_DISCARD,
			n * PAGE_SIZE);
		return 1;
	}
	for (i = 0; i < n; i++) {
		unsigned int dice = pick(w, 20);
		u8 op = dice < 9 ? HERMIT_IO_READ :
			dice < 18 ? HERMIT_IO_WRITE : HERMIT_IO_DISCARD;

		prepare(w, &w->ios[i], first + i, op, PAGE_SIZE);
	}
	return n;
}

static int work(void *data)
{
	struct worker *w = data;
	struct client *c = w->client;
	unsigned long done = 0;

	while (done < w->ops) {
		unsigned int n = random_batch(w);

		if (!run_batch(w, n, pick(w, 2)))
			break;
		done += n;
		cond_resched();
	}
	if (atomic_dec_and_test(&c->running))
		wake_up_all(&c->idle);
	while (!kthread_should_stop()) {
		set_current_state(TASK_IDLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

/* --- workers --------------------------------------------------------------- */

static void worker_free(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++)
		if (w->ios[i].io.page)
			__free_page(w->ios[i].io.page);
	kvfree(w);
}

static struct worker *worker_new(struct client *c)
{
	struct worker *w = kvzalloc(sizeof(*w), GFP_KERNEL);
	unsigned int i;

	if (!w)
		return NULL;
	w->client = c;
	init_completion(&w->batch_done);
	prandom_seed_state(&w->rnd, get_random_u64());
	for (i = 0; i < BATCH; i++) {
		w->ios[i].worker = w;
		w->ios[i].io.page = alloc_page(GFP_KERNEL);
		if (!w->ios[i].io.page) {
			worker_free(w);
			return NULL;
		}
	}
	return w;
}

static void join_workers(struct client *c)
{
	while (c->nr_workers) {
		struct worker *w = c->workers[--c->nr_workers];

		kthread_stop(w->task);
		worker_free(w);
	}
}

static void stop_submitting(struct client *c)
{
	down_write(&c->submit_sem);
	c->stop = true;
	up_write(&c->submit_sem);
}

static int cmd_load(struct client *c, unsigned int threads, unsigned long ops)
{
	unsigned int i;

	if (!c->link)
		return -ENOTCONN;
	if (!threads || threads > MAX_THREADS || c->pages / threads < BATCH)
		return -EINVAL;
	if (atomic_read(&c->running))
		return -EBUSY;
	join_workers(c);
	c->stop = false;
	for (i = 0; i < threads; i++) {
		struct worker *w = worker_new(c);

		if (!w)
			break;
		w->pages = c->pages / threads;
		w->first = i * w->pages;
		w->ops = ops;
		/* Versions never come back, also in a later load. */
		w->version = c->records[w->first].version + get_random_u16() + 1;
		w->task = kthread_create(work, w, "hermit_test/%u", i);
		if (IS_ERR(w->task)) {
			worker_free(w);
			break;
		}
		c->workers[c->nr_workers++] = w;
		atomic_inc(&c->running);
	}
	for (i = 0; i < c->nr_workers; i++)
		wake_up_process(c->workers[i]->task);
	return c->nr_workers == threads ? 0 : -ENOMEM;
}

static int cmd_wait(struct client *c)
{
	int ret = wait_event_interruptible(c->idle, !atomic_read(&c->running));

	if (!ret)
		join_workers(c);
	return ret;
}

static unsigned long next_written(const struct client *c, unsigned long page)
{
	while (page < c->pages && !c->records[page].version)
		page++;
	return min(page, c->pages);
}

static int cmd_latency(struct client *c, unsigned int n)
{
	unsigned long page = 0;
	struct worker *w;
	u64 begin;
	unsigned int i;

	if (!c->link)
		return -ENOTCONN;
	if (!n || atomic_read(&c->running))
		return -EINVAL;
	w = worker_new(c);
	if (!w)
		return -ENOMEM;
	c->stop = false;
	begin = ktime_get_ns();
	for (i = 0; i < n; i++) {
		/* What was never written may be read without a server. */
		page = next_written(c, page + 1);
		if (page == c->pages)
			page = next_written(c, 0);
		if (page == c->pages)
			break;
		prepare(w, &w->ios[0], page, HERMIT_IO_READ, PAGE_SIZE);
		w->ios[0].io.demand = true;
		run_batch(w, 1, false);
	}
	c->latency_ns = div_u64(ktime_get_ns() - begin, n);
	worker_free(w);
	return i < n ? -ENODATA : 0;
}

/* One batch of one kind; 0 if all of it was done, and right. */
static int cmd_batch(struct client *c, u8 op, unsigned long first,
		     unsigned int n)
{
	struct worker *w;
	unsigned int i;
	int ret = 0;

	if (!c->link)
		return -ENOTCONN;
	if (!n || n > BATCH || first >= c->pages || n > c->pages - first ||
	    atomic_read(&c->running))
		return -EINVAL;
	w = worker_new(c);
	if (!w)
		return -ENOMEM;
	c->stop = false;
	w->version = c->records[first].version + get_random_u16() + 1;
	for (i = 0; i < n; i++)
		prepare(w, &w->ios[i], first + i, op, PAGE_SIZE);
	run_batch(w, n, true);
	for (i = 0; i < n && !ret; i++)
		ret = w->ios[i].io.status;
	worker_free(w);
	return ret;
}

/* --- the link -------------------------------------------------------------- */

static void on_state(void *user, enum hermit_server_state state)
{
	struct client *c = user;

	c->states[state % ARRAY_SIZE(c->states)]++;
	WRITE_ONCE(c->state, state);
}

static void on_contents_lost(void *user, u64 incarnation)
{
	struct client *c = user;

	WRITE_ONCE(c->incarnation, c->incarnation + 1);
}

static const struct hermit_link_user_ops user_ops = {
	.state = on_state,
	.contents_lost = on_contents_lost,
};

#ifdef HERMIT_TEST_RDMA
static struct hermit_link *open_link(struct hermit_link_params *params,
				     const char *address)
{
	char server[HERMIT_SERVER_LEN + sizeof("rdma:")];

	snprintf(server, sizeof(server), "rdma:%s", address);
	return hermit_link_open(server, params);
}

static void close_link(struct hermit_link *link, bool end)
{
	hermit_link_close(link, end);
}
#else
static struct hermit_link *open_link(struct hermit_link_params *params,
				     const char *address)
{
	params->address = address;
	return hermit_transport_tcp.connect(params);
}

static void close_link(struct hermit_link *link, bool end)
{
	link->ops->close(link, end);
}
#endif

static int cmd_connect(struct client *c, const char *address, u64 uuid,
		       unsigned int mib, const char *key)
{
	struct hermit_link_params params = {
		.name = "test",
		.region_size = (u64)mib << 20,
		.key = (const u8 *)key,
		.key_len = key ? strlen(key) : 0,
		.user_ops = &user_ops,
		.user = c,
		.error = c->error,
	};
	struct hermit_link *link;

	if (c->link)
		return -EISCONN;
	memcpy(params.uuid, &uuid, sizeof(uuid));
	c->pages = (unsigned long)mib << (20 - PAGE_SHIFT);
	c->records = vzalloc(array_size(c->pages, sizeof(*c->records)));
	if (!c->records)
		return -ENOMEM;
	c->error[0] = '\0';
	c->incarnation = 1;
	c->state = HERMIT_SERVER_UP;
	c->latency_ns = 0;
	memset(c->counters, 0, sizeof(c->counters));
	memset(c->states, 0, sizeof(c->states));
	link = open_link(&params, address);
	if (IS_ERR(link)) {
		pr_info("connect: %s\n", c->error);
		vfree(c->records);
		c->records = NULL;
		return PTR_ERR(link);
	}
	c->link = link;
	return 0;
}

static int cmd_close(struct client *c, bool end)
{
	if (!c->link)
		return -ENOTCONN;
	stop_submitting(c);
	close_link(c->link, end);
	c->link = NULL;
	/* Every io is completed: the workers cannot be waiting any more. */
	wait_event_idle(c->idle, !atomic_read(&c->running));
	join_workers(c);
	vfree(c->records);
	c->records = NULL;
	return 0;
}

/* --- debugfs --------------------------------------------------------------- */

static int run_command(struct client *c, char *line)
{
	char *cmd = strsep(&line, " ");
	char address[HERMIT_SERVER_LEN], key[HERMIT_KEY_LEN + 1];
	unsigned int a, n;
	unsigned long b;
	u64 uuid;

	if (!strcmp(cmd, "connect") && line) {
		n = sscanf(line, "%127s %llu %u %64s", address, &uuid, &a, key);
		if (n < 3)
			return -EINVAL;
		return cmd_connect(c, address, uuid, a, n == 4 ? key : NULL);
	}
	if (!strcmp(cmd, "load") && line)
		return sscanf(line, "%u %lu", &a, &b) == 2 ?
		       cmd_load(c, a, b) : -EINVAL;
	if (!strcmp(cmd, "latency") && line)
		return sscanf(line, "%u", &a) == 1 ? cmd_latency(c, a) :
		       -EINVAL;
	if (!strcmp(cmd, "put") && line)
		return sscanf(line, "%lu %u", &b, &a) == 2 ?
		       cmd_batch(c, HERMIT_IO_WRITE, b, a) : -EINVAL;
	if (!strcmp(cmd, "get") && line)
		return sscanf(line, "%lu %u", &b, &a) == 2 ?
		       cmd_batch(c, HERMIT_IO_READ, b, a) : -EINVAL;
	if (!strcmp(cmd, "wait"))
		return cmd_wait(c);
	if (!strcmp(cmd, "stop")) {
		stop_submitting(c);
		return cmd_wait(c);
	}
	if (!strcmp(cmd, "close"))
		return cmd_close(c, false);
	if (!strcmp(cmd, "end"))
		return cmd_close(c, true);
	return -EINVAL;
}

static ssize_t ctl_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *pos)
{
	struct client *c = file_inode(file)->i_private;
	char *line;
	int ret;

	if (len > 512)
		return -EINVAL;
	line = memdup_user_nul(buf, len);
	if (IS_ERR(line))
		return PTR_ERR(line);
	strim(line);
	mutex_lock(&c->ctl);
	ret = run_command(c, line);
	mutex_unlock(&c->ctl);
	kfree(line);
	return ret ? ret : len;
}

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = ctl_write,
};

static int status_show(struct seq_file *m, void *unused)
{
	struct client *c = m->private;
	struct hermit_server_stats st = {};
	unsigned int i;

	/* A command may be waiting: show what can be shown beside it. */
	for (i = 0; i < NR_COUNTERS; i++)
		seq_printf(m, "%s=%ld\n", counter_names[i],
			   atomic_long_read(&c->counters[i]));
	seq_printf(m, "running=%d\n", atomic_read(&c->running));
	seq_printf(m, "incarnations=%u\n", READ_ONCE(c->incarnation));
	seq_printf(m, "state=%u\n", READ_ONCE(c->state));
	seq_printf(m, "told_up=%lu\n", c->states[HERMIT_SERVER_UP]);
	seq_printf(m, "told_reconnecting=%lu\n",
		   c->states[HERMIT_SERVER_RECONNECTING]);
	seq_printf(m, "told_full=%lu\n", c->states[HERMIT_SERVER_FULL]);
	seq_printf(m, "told_failed=%lu\n", c->states[HERMIT_SERVER_FAILED]);
	seq_printf(m, "latency_ns=%llu\n", c->latency_ns);
	seq_printf(m, "error=%s\n", c->error);
	if (!mutex_trylock(&c->ctl))
		return 0;
	if (c->link) {
		c->link->ops->stats(c->link, &st);
		seq_printf(m, "address=%s\n", st.address);
		seq_printf(m, "connections=%u\n", st.connections);
		seq_printf(m, "epoch=%llu\n", st.epoch);
		seq_printf(m, "incarnation=%llx\n", st.incarnation);
		seq_printf(m, "link_reads=%llu\n", st.reads);
		seq_printf(m, "link_writes=%llu\n", st.writes);
		seq_printf(m, "link_discards=%llu\n", st.discards);
		seq_printf(m, "link_errors=%llu\n", st.errors);
		seq_printf(m, "reconnects=%llu\n", st.reconnects);
		seq_printf(m, "bytes_used=%llu\n", st.bytes_used);
		seq_printf(m, "rtt_ns=%llu\n", st.rtt_ns);
		seq_printf(m, "inflight=%llu\n", st.inflight);
		seq_printf(m, "doorbells=%llu\n", st.doorbells);
		seq_printf(m, "completions=%llu\n", st.completions);
	}
	mutex_unlock(&c->ctl);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(status);

static int __init test_init(void)
{
	char name[4];
	unsigned int i;

#ifndef HERMIT_TEST_RDMA
	hermit_crc_init();
#endif
	dir = debugfs_create_dir(TEST_NAME, NULL);
	for (i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];
		struct dentry *d;

		mutex_init(&c->ctl);
		init_rwsem(&c->submit_sem);
		init_waitqueue_head(&c->idle);
		snprintf(name, sizeof(name), "%u", i);
		d = debugfs_create_dir(name, dir);
		debugfs_create_file("ctl", 0200, d, c, &ctl_fops);
		debugfs_create_file("status", 0400, d, c, &status_fops);
	}
	return 0;
}

static void __exit test_exit(void)
{
	unsigned int i;

	debugfs_remove(dir);
	for (i = 0; i < CLIENTS; i++)
		if (clients[i].link)
			cmd_close(&clients[i], false);
}

module_init(test_init);
module_exit(test_exit);
MODULE_DESCRIPTION("Drives a transport of hermit.ko for tests");
MODULE_LICENSE("GPL");
