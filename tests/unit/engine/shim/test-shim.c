// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each primitive of the shim does what the kernel's does, over many seeds; and
 * each misuse that it is there to find ends the walk, in a child.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

#define SEEDS	300

static int x, y, seen_x, seen_y, total, inside, most;
static spinlock_t lock = SHIM_LOCK_INIT, other = SHIM_LOCK_INIT;
static struct rw_semaphore sem = SHIM_LOCK_INIT;
static wait_queue_head_t wq;
static struct page *page;
static bool woken, freed;

#define CHECK(cond) do { if (!(cond)) fiber_fail("%s:%d: %s", __FILE__, __LINE__, #cond); } while (0)

static void run2(uint64_t seed, void (*a)(void *), void (*b)(void *), bool softirq)
{
	fiber_init(seed);
	fiber_start("a", a, (void *)1L, false, 0);
	if (b)
		fiber_start("b", b, (void *)2L, softirq, 0);
	fiber_run(100000);
}

/* ---- store buffers: what x86 allows, and no more ---- */

/* The end of a fiber drains: both have to be at it for a while. */
static void go_round(void)
{
	int i;

	for (i = 0; i < 5; i++)
		fiber_point();
}

static void sb(int *mine, int *others, int *seen)
{
	WRITE_ONCE(*mine, 1);
	if (total)
		smp_mb();
	*seen = READ_ONCE(*others);
	go_round();
}

static void sb_a(void *arg) { sb(&x, &y, &seen_y); }
static void sb_b(void *arg) { sb(&y, &x, &seen_x); }
static void mp_a(void *arg) { WRITE_ONCE(x, 1); smp_store_release(&y, 1); }
static void mp_b(void *arg) { seen_y = smp_load_acquire(&y); seen_x = READ_ONCE(x); }

static void test_stores(void)
{
	int both = 0, barrier, late = 0, i;

	for (barrier = 0; barrier < 2; barrier++)
		for (i = 0; i < 10 * SEEDS; i++) {
			x = y = 0;
			total = barrier;
			run2(i, sb_a, sb_b, false);
			both += !seen_x && !seen_y;
			CHECK(!barrier || seen_x || seen_y);
			CHECK(x == 1 && y == 1);
		}
	CHECK(both);
	for (i = 0; i < SEEDS; i++) {
		x = y = 0;
		run2(i, mp_a, mp_b, false);
		CHECK(!seen_y || seen_x);
		late += !seen_y && seen_x;
	}
	CHECK(late);
}

/* ---- locks ---- */

static void add_locked(void *arg)
{
	int i, n;

	for (i = 0; i < 5; i++) {
		spin_lock_bh(&lock);
		n = total;
		fiber_point();
		total = n + 1;
		spin_unlock_bh(&lock);
	}
}

static void reader(void *arg)
{
	down_read(&sem);
	most = max(most, ++inside);
	fiber_point();
	CHECK(inside > 0);
	inside--;
	up_read(&sem);
}

static void writer(void *arg)
{
	down_write(&sem);
	CHECK(!inside);
	inside = -1;
	fiber_point();
	CHECK(inside == -1);
	inside = 0;
	up_write(&sem);
}

static void on_a_cpu(void *arg)
{
	static int cpus[FIBER_CPUS];
	int *mine = get_cpu_ptr(cpus), i;

	for (i = 0; i < 5; i++) {
		CHECK(!*mine);
		*mine = 1;
		fiber_point();
		*mine = 0;
	}
	put_cpu_ptr(cpus);
}

static void test_locks(void)
{
	int i;

	for (i = 0; i < SEEDS; i++) {
		total = inside = 0;
		run2(i, add_locked, add_locked, true);
		CHECK(total == 10);
		run2(i, reader, reader, false);
		run2(i, reader, writer, false);
		run2(i, writer, writer, false);
		/* Never two tasks on a CPU; a softirq has none of theirs. */
		fiber_init(i);
		fiber_start("c", on_a_cpu, NULL, false, 0);
		fiber_start("c", on_a_cpu, NULL, false, 0);
		fiber_start("c", on_a_cpu, NULL, false, 0);
		fiber_run(100000);
	}
	CHECK(most == 2);
}

/* ---- waiting, RCU, tasks ---- */

static void waiter(void *arg)
{
	CHECK(wait_event_timeout(wq, READ_ONCE(woken), HZ));
}

static void waker(void *arg)
{
	WRITE_ONCE(woken, true);
	if (wq_has_sleeper(&wq))
		wake_up_all(&wq);
}

static void napper(void *arg)
{
	unsigned long begin = jiffies;

	CHECK(!schedule_timeout_interruptible(7));
	/* 65 ms more if it is stalled. */
	CHECK(jiffies - begin >= 7 && jiffies - begin <= 8 + 17);
}

/* A stall for memory counts once, from the first enter to the last leave. */
static void stalls(void *arg)
{
	u64 before = shim_memstall_ns, begin = fiber_now();
	unsigned long outer, inner;

	psi_memstall_enter(&outer);
	psi_memstall_enter(&inner);
	schedule_timeout_interruptible(2);
	psi_memstall_leave(&inner);
	schedule_timeout_interruptible(2);
	psi_memstall_leave(&outer);
	CHECK(shim_memstall_ns - before == fiber_now() - begin);
	schedule_timeout_interruptible(2);
	CHECK(shim_memstall_ns - before < fiber_now() - begin);
}

/* The clock jumps, and who sleeps sleeps as long as it wanted. */
static u64 jumped;

static void shifted(void *arg)
{
	u64 begin = fiber_now(), before = jumped;

	fiber_sleep(begin + 1000000);
	CHECK(fiber_now() - begin >= 1000000 + jumped - before);
}

static void shifting(void *arg)
{
	u64 begin = fiber_now();

	fiber_shift(NSEC_PER_SEC);
	CHECK(fiber_now() - begin == NSEC_PER_SEC);
	jumped += NSEC_PER_SEC;
}

/* A killable sleep ends for a signal that kills, and for no other. */
static void killed(void *arg)
{
	fiber_local()->signal = true;
	CHECK(!schedule_timeout_killable(1));
	fiber_local()->killed = true;
	CHECK(schedule_timeout_killable(1000) > 900);
	CHECK(signal_pending_state(TASK_KILLABLE, 0) && !signal_pending_state(TASK_UNINTERRUPTIBLE, 0));
}

static void rcu_reader(void *arg)
{
	rcu_read_lock();
	if (!READ_ONCE(x)) {
		fiber_point();
		CHECK(!freed);
	}
	rcu_read_unlock();
}

static void rcu_freer(void *arg)
{
	WRITE_ONCE(x, 1);
	synchronize_rcu();
	freed = true;
}

static bool thread_fn(void *arg)
{
	total++;
	return total % 3;
}

static void thread_owner(void *arg)
{
	struct vhost_task *t = vhost_task_create(thread_fn, NULL, NULL, "t");
	int before;

	vhost_task_start(t);
	fiber_sleep(fiber_now() + NSEC_PER_SEC);
	before = total;
	CHECK(before && !(total % 3) && shim_vhost_task_rests(t));
	vhost_task_wake(t);
	fiber_sleep(fiber_now() + NSEC_PER_SEC);
	CHECK(total == before + 3);
	vhost_task_stop(t);
}

static void work_fn(struct work_struct *w)
{
	if (++total < 3)
		queue_delayed_work(system_wq, to_delayed_work(w), 1);
}

static void work_owner(void *arg)
{
	struct delayed_work d;

	INIT_DELAYED_WORK(&d, work_fn);
	queue_delayed_work(system_wq, &d, 1);
	if (fiber_random(2))
		fiber_sleep(fiber_now() + fiber_random(20000000));
	cancel_delayed_work_sync(&d);
	total = 0;
	fiber_sleep(fiber_now() + 50000000);
	CHECK(!total);
}

static void test_waits(void)
{
	int i;

	for (i = 0; i < SEEDS; i++) {
		woken = freed = false;
		x = total = 0;
		init_waitqueue_head(&wq);
		run2(i, waiter, waker, true);
		run2(i, napper, NULL, false);
		run2(i, shifted, shifting, false);
		run2(i, killed, NULL, false);
		run2(i, rcu_reader, rcu_freer, false);
		run2(i, thread_owner, NULL, false);
		total = 0;
		run2(i, work_owner, NULL, false);
	}
}

/* ---- pages and memory ---- */

static void freezer(void *arg)
{
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	CHECK(!memchr_inv(page->data, 0, PAGE_SIZE));
	CHECK(page_ref_freeze(page, 1));
	CHECK(!get_page_unless_zero(page));
	page_ref_unfreeze(page, 1);
	CHECK(get_page_unless_zero(page) && !page_ref_freeze(page, 1));
	put_page(page);
	SetPageDirty(page);
	CHECK(TestClearPageDirty(page) && !PageDirty(page));
	lock_page(page);
	CHECK(!trylock_page(page));
	unlock_page(page);
	put_page(page);
	CHECK(!get_page_unless_zero(page));
}

static void nodes(void *arg)
{
	struct page *p[16];
	int i, seen[nr_node_ids] = {};

	for (i = 0; i < 16; i++) {
		p[i] = alloc_page(GFP_KERNEL);
		seen[page_to_nid(p[i])]++;
	}
	CHECK(seen[0] && seen[1]);
	while (i)
		put_page(p[--i]);
	fiber_preempt_off();
	i = numa_mem_id();
	fiber_point();
	CHECK(i == numa_mem_id() && i < nr_node_ids);
	fiber_preempt_on();
}

static int file_release(struct inode *inode, struct file *file)
{
	total++;
	return 0;
}

static const struct file_operations file_ops = { .release = file_release };

static void files(void *arg)
{
	struct file *f = anon_inode_create_getfile("file", &file_ops, NULL, 0, NULL);
	struct inode *inode = file_inode(f);
	struct iov_iter to;
	char data[6] = "......";

	total = 0;
	ihold(inode);
	CHECK(get_file(f) == f && inode->i_mapping->host == inode);
	fput(f);
	CHECK(!total);
	fput(f);
	CHECK(total == 1);
	iput(inode);
	page = alloc_page(GFP_KERNEL);
	memcpy((char *)page->data + 7, "abcd", 4);
	to = (struct iov_iter){ data, sizeof(data) };
	CHECK(copy_page_to_iter(page, 7, 3, &to) == 3 && iov_iter_zero(1, &to) == 1);
	CHECK(iov_iter_count(&to) == 2 && !memcmp(data, "abc\0..", 6));
	put_page(page);
}

static void pooled(void *arg)
{
	struct kmem_cache *c = (struct kmem_cache *)8;
	mempool_t *p = mempool_create_slab_pool(1, c);
	void *e;

	shim_fail_once_in = 1;
	e = mempool_alloc(p, GFP_NOWAIT);
	CHECK(e && !mempool_alloc(p, GFP_NOWAIT) && !kzalloc(1, GFP_KERNEL));
	mempool_free(e, p);
	shim_fail_once_in = 0;
	mempool_destroy(p);
	kmem_cache_destroy(c);
}

static void test_memory(void)
{
	int i;

	for (i = 0; i < SEEDS; i++) {
		shim_pages_init();
		run2(i, freezer, NULL, false);
		run2(i, nodes, NULL, false);
		CHECK(!shim_pages_used());
	}
}

/* ---- what has to fail ---- */

static void sleeps_in_lock(void *arg) { spin_lock(&lock); cond_resched(); }
static void sleeps_in_rcu(void *arg) { rcu_read_lock(); schedule_timeout_interruptible(1); }
static void order_ab(void *arg)
{
	spin_lock(&lock); spin_lock(&other); spin_unlock(&other); spin_unlock(&lock);
	spin_lock(&other); spin_lock(&lock);
}
static void softirqs_on(void *arg) { spin_lock(&lock); spin_unlock(&lock); }
static void not_told(void *arg) { WRITE_ONCE(woken, true); }
static void never(void *arg) { wait_event(wq, false); }
static void ends_locked(void *arg) { spin_lock(&lock); }
static void twice(void *arg) { page = alloc_page(GFP_KERNEL); put_page(page); put_page(page); }
static void reads_freed(void *arg)
{
	page = alloc_page(GFP_KERNEL);
	put_page(page);
	total = *(volatile char *)page->data;
}
static void spins(void *arg) { for (;;) cpu_relax(); }

/* ---- the shrinker, by who allocates ---- */

static struct mutex shrinks = SHIM_LOCK_INIT;

static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
	return inside;
}

static unsigned long scan(struct shrinker *s, struct shrink_control *sc)
{
	total++;
	mutex_lock(&shrinks);
	kfree(kmalloc(8, GFP_KERNEL));	/* does not come here again */
	mutex_unlock(&shrinks);
	return SHRINK_STOP;
}

static struct shrinker shrinker = { .count_objects = count, .scan_objects = scan };

static void allocates(gfp_t gfp, int times)
{
	total = 0;
	put_page(alloc_page(gfp));
	CHECK(total == times);
	kfree(kmalloc(8, gfp));
	CHECK(total == 2 * times);
}

static void reclaims(void *arg)
{
	unsigned int flags;

	inside = 0;
	allocates(GFP_KERNEL, 0);
	inside = 1;
	allocates(GFP_KERNEL, 1);
	allocates(GFP_NOWAIT, 0);
	flags = memalloc_noreclaim_save();
	memalloc_noreclaim_restore(memalloc_noreclaim_save());
	allocates(GFP_KERNEL, 0);
	memalloc_noreclaim_restore(flags);
	allocates(GFP_KERNEL, 1);
}

static void allocates_locked(void *arg)
{
	mutex_lock(&shrinks);
	kfree(kmalloc(8, GFP_KERNEL));
	mutex_unlock(&shrinks);
}

static void must_fail(const char *what, void (*a)(void *), void (*b)(void *), bool softirq)
{
	int status, i;

	fflush(NULL);
	if (!fork()) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		shim_pages_init();
		init_waitqueue_head(&wq);
		for (i = 0; i < SEEDS; i++) {
			woken = false;
			run2(i, a, b, softirq);
		}
		_exit(0);
	}
	wait(&status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return;
	fprintf(stderr, "FAILED: nobody noticed: %s (status %#x)\n", what, status);
	exit(1);
}

int main(void)
{
	test_stores();
	test_locks();
	test_waits();
	test_memory();
	run2(1, pooled, NULL, false);
	run2(1, files, NULL, false);
	run2(1, stalls, NULL, false);
	shim_shrinker = &shrinker;
	shim_reclaim_once_in = 1;
	run2(1, reclaims, NULL, false);
	must_fail("sleeps under a spinlock", sleeps_in_lock, NULL, false);
	must_fail("sleeps under RCU", sleeps_in_rcu, NULL, false);
	must_fail("two orders of two locks", order_ab, NULL, false);
	must_fail("a softirq's lock, with softirqs on", softirqs_on, softirqs_on, true);
	must_fail("sleeps in a softirq", not_told, sleeps_in_rcu, true);
	must_fail("lost wake-up", waiter, not_told, false);
	must_fail("nobody wakes it", never, NULL, false);
	must_fail("ends with a lock", ends_locked, NULL, false);
	must_fail("a page is freed twice", twice, NULL, false);
	must_fail("a freed page is read", reads_freed, NULL, false);
	must_fail("a lock of the shrinker's, held across an allocation", allocates_locked, NULL, false);
	must_fail("no end", spins, NULL, false);
	printf("shim: ok\n");
	return 0;
}
