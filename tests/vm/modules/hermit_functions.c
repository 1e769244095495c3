// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which functions of our modules are entered, and how often, on a stock kernel,
 * which has no function profiler. A trace would lose what does not fit its
 * buffer; here each function has a counter. It is loaded before the others, and
 * follows them as they come and go.
 *
 * /sys/kernel/debug/hermit_functions: "COUNT MODULE FUNCTION" lines, also of
 * modules that have gone; a module that was loaded twice is there twice. What
 * was entered often is counted no more, or the test would take many times as
 * long: a COUNT of ENOUGH and more is a lower bound.
 */
#define pr_fmt(fmt) "hermit_functions: " fmt

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/ftrace.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/workqueue.h>

static const char *const names[] = { "hermit", "hermit_kvm", "hermit_rdma" };

#define ENOUGH		1000
#define LOOK_MS		500

struct function {
	unsigned long ip;
	bool traced;		/* under lock */
	atomic_long_t count;
	const char *name;
};

/* A module, from when it was loaded on; kept when it has gone. */
struct loaded {
	struct list_head node;	/* all, under lock */
	struct module *module;	/* NULL: it has gone */
	unsigned int nr;
	struct function functions[] __counted_by(nr);	/* by address */
};

static DEFINE_MUTEX(lock);
static LIST_HEAD(all);

/*
 * Those that are there now, for the tracer, which takes no lock. What it reads
 * here is freed only when the tracer has ended.
 */
static struct loaded *now[ARRAY_SIZE(names)];

static int by_address(const void *a, const void *b)
{
	unsigned long x = ((const struct function *)a)->ip;
	unsigned long y = ((const struct function *)b)->ip;

	return x < y ? -1 : x > y;
}

static void notrace enter(unsigned long ip, unsigned long parent_ip,
			  struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(now); i++) {
		struct loaded *l = READ_ONCE(now[i]);
		unsigned int first = 0, last, mid;

		/* bsearch() could be traced itself */
		for (last = l ? l->nr : 0; first < last;) {
			mid = (first + last) / 2;
			if (l->functions[mid].ip == ip) {
				atomic_long_inc(&l->functions[mid].count);
				return;
			}
			if (l->functions[mid].ip < ip)
				first = mid + 1;
			else
				last = mid;
		}
	}
}

static struct ftrace_ops ops = {
	.func = enter,
	.flags = FTRACE_OPS_FL_RECURSION,
};

static void loaded_free(struct loaded *l)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		kfree(l->functions[i].name);
	kfree(l);
}

/* All that can be traced of a module, by the compiler's own list. */
static struct loaded *loaded_new(struct module *module)
{
	unsigned int i, nr = module->num_ftrace_callsites;
	struct loaded *l;

	l = kzalloc(struct_size(l, functions, nr), GFP_KERNEL);
	if (!l)
		return NULL;
	l->module = module;
	l->nr = nr;
	for (i = 0; i < nr; i++) {
		struct function *f = &l->functions[i];

		f->ip = module->ftrace_callsites[i];
		/* "NAME [MODULE]" */
		f->name = kasprintf(GFP_KERNEL, "%ps", (void *)f->ip);
		if (!f->name) {
			loaded_free(l);
			return NULL;
		}
	}
	sort(l->functions, nr, sizeof(*l->functions), by_address, NULL);
	return l;
}

static int loaded_trace(struct loaded *l)
{
	unsigned long *ips = kcalloc(l->nr, sizeof(*ips), GFP_KERNEL);
	unsigned int i;
	int ret;

	if (!ips)
		return -ENOMEM;
	for (i = 0; i < l->nr; i++) {
		ips[i] = l->functions[i].ip;
		l->functions[i].traced = true;
	}
	ret = ftrace_set_filter_ips(&ops, ips, l->nr, 0, 0);
	kfree(ips);
	return ret;
}

/*
 * Trace those functions of @l no more that were entered @often. Those of its
 * init section the kernel itself has taken out when it was freed.
 */
static int loaded_untrace(struct loaded *l, long often)
{
	unsigned long *ips = kcalloc(l->nr, sizeof(*ips), GFP_KERNEL);
	unsigned int i, nr = 0;
	int ret = 0;

	if (!ips)
		return -ENOMEM;
	for (i = 0; i < l->nr; i++) {
		struct function *f = &l->functions[i];

		if (f->traced && atomic_long_read(&f->count) >= often &&
		    within_module_core(f->ip, l->module)) {
			f->traced = false;
			ips[nr++] = f->ip;
		}
	}
	if (nr)
		ret = ftrace_set_filter_ips(&ops, ips, nr, 1, 0);
	kfree(ips);
	return ret;
}

static void look(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_work, look);

static void look(struct work_struct *work)
{
	int i, ret;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(now); i++) {
		ret = now[i] ? loaded_untrace(now[i], ENOUGH) : 0;
		if (ret)
			pr_err("%s stays traced: error %d\n", names[i], ret);
	}
	mutex_unlock(&lock);
	schedule_delayed_work(&look_work, msecs_to_jiffies(LOOK_MS));
}

static void coming(struct module *module, int slot)
{
	struct loaded *l = loaded_new(module);
	int ret = l ? loaded_trace(l) : -ENOMEM;

	if (ret) {
		pr_err("%s is not counted: error %d\n", module->name, ret);
		if (l)
			loaded_free(l);
		return;
	}
	list_add_tail(&l->node, &all);
	WRITE_ONCE(now[slot], l);
}

static void going(int slot)
{
	struct loaded *l = now[slot];
	int ret;

	if (!l)
		return;
	/* another may be loaded to the same addresses */
	WRITE_ONCE(now[slot], NULL);
	ret = loaded_untrace(l, 0);
	if (ret)
		pr_err("%s stays traced: error %d\n", names[slot], ret);
	l->module = NULL;
}

static int on_module(struct notifier_block *nb, unsigned long state, void *data)
{
	struct module *module = data;
	int slot = match_string(names, ARRAY_SIZE(names), module->name);

	if (slot < 0)
		return NOTIFY_DONE;
	mutex_lock(&lock);
	if (state == MODULE_STATE_COMING)
		coming(module, slot);
	else if (state == MODULE_STATE_GOING)
		going(slot);
	mutex_unlock(&lock);
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = on_module };

static int functions_show(struct seq_file *m, void *unused)
{
	const struct loaded *l;
	unsigned int i;

	mutex_lock(&lock);
	list_for_each_entry(l, &all, node) {
		for (i = 0; i < l->nr; i++) {
			const struct function *f = &l->functions[i];
			const char *module = strchr(f->name, '[');
			int length = module ? module - f->name - 1 : 0;

			if (module)
				seq_printf(m, "%ld %.*s %.*s\n",
					   atomic_long_read(&f->count),
					   (int)strcspn(module + 1, "]"),
					   module + 1, length, f->name);
		}
	}
	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(functions);

static struct dentry *file;

static int __init functions_init(void)
{
	int ret;

	/* one that is never called: no filter at all would mean all functions */
	ret = ftrace_set_filter(&ops, (unsigned char *)"panic", strlen("panic"), 1);
	if (!ret)
		ret = register_ftrace_function(&ops);
	if (ret) {
		pr_err("functions cannot be traced: error %d\n", ret);
		return ret;
	}
	ret = register_module_notifier(&notifier);
	if (ret) {
		pr_err("no notifier of modules: error %d\n", ret);
		unregister_ftrace_function(&ops);
		return ret;
	}
	file = debugfs_create_file("hermit_functions", 0400, NULL, NULL,
				   &functions_fops);
	schedule_delayed_work(&look_work, msecs_to_jiffies(LOOK_MS));
	return 0;
}

static void __exit functions_exit(void)
{
	struct loaded *l, *next;

	debugfs_remove(file);
	unregister_module_notifier(&notifier);
	cancel_delayed_work_sync(&look_work);
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
	list_for_each_entry_safe(l, next, &all, node)
		loaded_free(l);
}

module_init(functions_init);
module_exit(functions_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Counts how often each function of our modules is entered");
