// SPDX-License-Identifier: GPL-2.0-or-later
/* Locks, waiting, tasks. */
#include "shim.h"

struct shim_task shim_current;
struct rw_semaphore shim_mmap_lock = SHIM_LOCK_INIT;

/* ---- references ---- */

void kref_get(struct kref *k)
{
	if (atomic_inc_return(&k->count) <= 1)
		fiber_fail("kref_get() of a dead object");
}

int kref_put(struct kref *k, void (*release)(struct kref *k))
{
	int left = atomic_dec_return(&k->count);

	if (left < 0)
		fiber_fail("kref_put() of a dead object");
	if (!left)
		release(k);
	return !left;
}

/* ---- locks ---- */

#define CLASSES 64

static struct {
	const char *name;
	bool in_softirq, softirqs_on;
	u64 after;			/* classes that were taken inside of it */
} classes[CLASSES];

static int class_of(const struct shim_lock *l)
{
	int i;

	for (i = 0; i < CLASSES && classes[i].name; i++)
		if (!strcmp(classes[i].name, l->class))
			return i;
	if (i == CLASSES)
		fiber_fail("more than %d classes of locks", CLASSES);
	classes[i].name = l->class;
	return i;
}

static bool reaches(int from, int to)
{
	u64 seen = 0, todo = 1ull << from;
	int c;

	while ((todo &= ~seen)) {
		c = __builtin_ctzll(todo);
		seen |= 1ull << c;
		todo |= classes[c].after;
	}
	return seen >> to & 1;
}

static void lock_order(const struct shim_lock *l, bool spin)
{
	struct fiber_local *me = fiber_local();
	int c = class_of(l), i, outer;

	if (fiber_softirq())
		classes[c].in_softirq = true;
	else if (spin && !fiber_bh())
		classes[c].softirqs_on = true;
	if (classes[c].in_softirq && classes[c].softirqs_on)
		fiber_fail("lock of %s: taken in softirqs, and by tasks with softirqs on",
			   l->class);
	for (i = 0; i < me->nr_held; i++) {
		outer = class_of(me->held[i]);
		if (outer == c && me->held[i] != l)
			continue;	/* the order within a class is not checked */
		if (classes[outer].after >> c & 1)
			continue;
		if (reaches(c, outer))
			fiber_fail("lock order: %s inside of %s, and the other way round",
				   l->class, classes[outer].name);
		classes[outer].after |= 1ull << c;
	}
}

static void lock_held(struct shim_lock *l)
{
	struct fiber_local *me = fiber_local();

	if (me->nr_held == ARRAY_SIZE(me->held))
		fiber_fail("holds more than %zu locks", ARRAY_SIZE(me->held));
	me->held[me->nr_held++] = l;
}

bool shim_trylock(struct shim_lock *l, bool read)
{
	fiber_point();
	fiber_drain();
	if (l->owner || (!read && l->readers))
		return false;
	if (read)
		l->readers++;
	else
		l->owner = fiber_self() ?: (void *)&shim_current;
	lock_held(l);
	return true;
}

void shim_lock(struct shim_lock *l, bool spin, bool read)
{
	if (!spin)
		might_sleep();
	lock_order(l, spin);
	while (!shim_trylock(l, read))
		fiber_yield();
}

void shim_unlock(struct shim_lock *l, bool read)
{
	struct fiber_local *me = fiber_local();
	int i;

	for (i = me->nr_held; i--;)
		if (me->held[i] == l)
			break;
	if (i < 0)
		fiber_fail("unlocks %s, which it does not hold", l->class);
	me->held[i] = me->held[--me->nr_held];
	fiber_drain();
	if (read)
		l->readers--;
	else
		l->owner = NULL;
	fiber_point();
}

bool shim_held(const struct shim_lock *l, bool read)
{
	struct fiber_local *me = fiber_local();
	int i;

	for (i = 0; i < me->nr_held; i++)
		if (me->held[i] == l)
			return true;
	return false;
}

/* ---- waiting ---- */

long schedule_timeout(long timeout)
{
	struct fiber_local *me = fiber_local();
	unsigned long begin = jiffies, end = begin + timeout, now;

	might_sleep();
	fiber_point();
	if (me->state != TASK_RUNNING && !(signal_pending_state(me->state, 0)))
		fiber_sleep(timeout == MAX_SCHEDULE_TIMEOUT ? 0 :
			    (u64)end * JIFFY_NS + 1);
	__set_current_state(TASK_RUNNING);
	now = jiffies;
	if (timeout == MAX_SCHEDULE_TIMEOUT)
		return timeout;
	return now >= end ? 0 : end - now;
}

u64 shim_memstall_ns;

void psi_memstall_enter(unsigned long *flags)
{
	*flags = fiber_local()->memstall;
	fiber_local()->memstall = *flags ?: fiber_now();
}

void psi_memstall_leave(unsigned long *flags)
{
	if (*flags)
		return;
	shim_memstall_ns += fiber_now() - fiber_local()->memstall;
	fiber_local()->memstall = 0;
}

void shim_wake_task(struct fiber *f)
{
	fiber_point();
	fiber_local_of(f)->state = TASK_RUNNING;
	fiber_wake(f);
}

void prepare_to_wait(wait_queue_head_t *w, struct wait_queue_entry *e,
		     unsigned int state)
{
	spin_lock_bh(&w->lock);
	if (list_empty(&e->entry))
		list_add_tail(&e->entry, &w->head);
	set_current_state(state);
	spin_unlock_bh(&w->lock);
}

void finish_wait(wait_queue_head_t *w, struct wait_queue_entry *e)
{
	__set_current_state(TASK_RUNNING);
	spin_lock_bh(&w->lock);
	if (!list_empty(&e->entry))
		list_del_init(&e->entry);
	spin_unlock_bh(&w->lock);
}

static void wake_all(wait_queue_head_t *w)
{
	struct wait_queue_entry *e, *next;

	list_for_each_entry_safe(e, next, &w->head, entry) {
		if (e->func) {
			e->func(e, 0, 0, NULL);
			continue;
		}
		/* As autoremove_wake_function(): off the queue, then awake. */
		list_del_init(&e->entry);
		shim_wake_task(e->task);
	}
}

void wake_up_all(wait_queue_head_t *w)
{
	spin_lock_bh(&w->lock);
	wake_all(w);
	spin_unlock_bh(&w->lock);
}

bool wq_has_sleeper(wait_queue_head_t *w)
{
	smp_mb();
	return !list_empty(&w->head);
}

/* ---- threads ---- */

struct vhost_task {
	bool (*fn)(void *arg);
	void *arg;
	const char *name;
	struct fiber *fiber;
	bool stop, kicked, exited;
};

static void vhost_task_main(void *arg)
{
	struct vhost_task *t = arg;

	/* As kernel/vhost_task.c: the state is set before the look at stop. */
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(t->stop)) {
			__set_current_state(TASK_RUNNING);
			break;
		}
		if (!t->fn(t->arg))
			schedule();
	}
	/* Nothing of it after this. */
	WRITE_ONCE(t->exited, true);
}

struct vhost_task *vhost_task_create(bool (*fn)(void *), void (*killed)(void *),
				     void *arg, const char *name)
{
	struct vhost_task *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	*t = (struct vhost_task){ .fn = fn, .arg = arg, .name = name };
	return t;
}

void vhost_task_start(struct vhost_task *t)
{
	t->fiber = fiber_start(t->name, vhost_task_main, t, false, 0);
}

void vhost_task_wake(struct vhost_task *t)
{
	shim_wake_task(t->fiber);
}

bool shim_vhost_task_rests(struct vhost_task *t)
{
	return fiber_rests(t->fiber);
}

void vhost_task_stop(struct vhost_task *t)
{
	WRITE_ONCE(t->stop, true);
	vhost_task_wake(t);
	while (!READ_ONCE(t->exited))
		fiber_sleep(fiber_now() + 1000);
	kfree(t);
}

static void work_main(void *arg)
{
	struct delayed_work *d = arg;

	/* A work item never runs twice at once. */
	while (d->running)
		fiber_yield();
	d->pending = false;
	if (d->cancelled) {
		d->fiber = NULL;
		return;
	}
	d->running = true;
	d->work.fn(&d->work);
	d->running = false;
	if (!d->pending)
		d->fiber = NULL;
}

bool queue_delayed_work(void *wq, struct delayed_work *d, unsigned long delay)
{
	if (d->cancelled || d->pending)
		return false;
	d->pending = true;
	d->fiber = fiber_start("work", work_main, d, false,
			       delay * JIFFY_NS + 1);
	return true;
}

bool cancel_delayed_work_sync(struct delayed_work *d)
{
	d->cancelled = true;
	while (d->pending || d->running) {
		if (d->pending && d->fiber)
			fiber_wake(d->fiber);
		fiber_yield();
	}
	d->cancelled = false;
	return true;
}
