// SPDX-License-Identifier: GPL-2.0-only
/*
 * No memory for our modules, and for nobody else, on a stock kernel: what they
 * call to allocate returns as if there were none. Failslab would need a kernel
 * built for it, cannot refuse a thread or a socket, and knows a caller only by
 * walking the stack; a function tracer that may change where a call goes
 * (as livepatch does) is told the caller.
 *
 *	insmod hermit-shortage.ko text=START,END[,START,END...]
 *
 * Calls from these ranges of addresses are refused; START and END are those of
 * the text of hermit.ko and its like, from /proc/kallsyms. In
 * /sys/kernel/debug/hermit_shortage:
 *
 *	nth	N: the Nth call from now on is refused, once; 0: none
 *	rest	1: and from then on all, as with one_in=1
 *	one_in	N: one of N, at random; 1: all; 0: none
 *	tgid	only in the threads of this process; 0: in all, kworkers and
 *		softirqs as well
 *	seen	calls since `nth` was written; failed: of these, refused
 *	callers	each place that was refused since loading, and how often
 *
 * An allocation that may wait for memory and has a reserve never fails
 * (mempool_alloc with __GFP_DIRECT_RECLAIM): those go through.
 */
#define pr_fmt(fmt) "hermit_shortage: " fmt

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/ftrace.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

static unsigned long text[16];
static int nr_text;
module_param_array(text, ulong, &nr_text, 0);
MODULE_PARM_DESC(text, "start and end of each range of callers");

static atomic_t nth, seen, failed;
static u32 one_in, rest, tgid;

/* Places that were refused; the first that finds a slot free has it. */
#define CALLERS	256

static struct {
	atomic_long_t ip;
	atomic_t count;
} callers[CALLERS];

static void *return_null(void)
{
	return NULL;
}

/* An int, or an ERR_PTR(). */
static long return_enomem(void)
{
	return -ENOMEM;
}

static void note_caller(unsigned long ip)
{
	unsigned int i;
	long old;

	for (i = 0; i < CALLERS; i++) {
		old = atomic_long_read(&callers[i].ip);
		if (!old)
			old = atomic_long_cmpxchg(&callers[i].ip, 0, ip) ?: ip;
		if (old == ip) {
			atomic_inc(&callers[i].count);
			return;
		}
	}
}

static bool notrace refuse(unsigned long caller)
{
	u32 n = READ_ONCE(one_in), who = READ_ONCE(tgid);
	int i;

	for (i = 0; i < nr_text; i += 2)
		if (caller >= text[i] && caller < text[i + 1])
			break;
	if (i >= nr_text || (who && (!in_task() || current->tgid != who)))
		return false;
	atomic_inc(&seen);
	if (!(n && !get_random_u32_below(n)) &&
	    !(atomic_read(&nth) > 0 && !atomic_dec_return(&nth)))
		return false;
	if (READ_ONCE(rest))
		WRITE_ONCE(one_in, 1);
	atomic_inc(&failed);
	note_caller(caller);
	return true;
}

static void notrace shortage(unsigned long ip, unsigned long parent_ip,
			     struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	int bit = ftrace_test_recursion_trylock(ip, parent_ip);

	if (bit < 0)
		return;
	if (refuse(parent_ip))
		ftrace_regs_set_instruction_pointer(fregs, (unsigned long)ops->private);
	ftrace_test_recursion_unlock(bit);
}

/* mempool_alloc(pool, gfp) */
static void notrace shortage_mempool(unsigned long ip, unsigned long parent_ip,
				     struct ftrace_ops *ops,
				     struct ftrace_regs *fregs)
{
	if (!(ftrace_regs_get_argument(fregs, 1) & __GFP_DIRECT_RECLAIM))
		shortage(ip, parent_ip, ops, fregs);
}

static const char *const null_functions[] = {
	"__alloc_pages_noprof", "alloc_pages_noprof", "get_free_pages_noprof",
	"__kmalloc_noprof", "__kmalloc_cache_noprof", "__kmalloc_large_noprof",
	"__kvmalloc_node_noprof", "kmem_cache_alloc_noprof", "pcpu_alloc_noprof",
	"acomp_request_alloc", "zs_create_pool", "alloc_workqueue", NULL
};

static const char *const errno_functions[] = {
	"zs_malloc", "vhost_task_create", "anon_inode_create_getfile",
	"sock_create_kern", "crypto_alloc_acomp", "crypto_alloc_shash",
	"kthread_create_on_node", NULL
};

static const char *const mempool_functions[] = { "mempool_alloc_noprof", NULL };

static struct shortage_ops {
	struct ftrace_ops ops;
	const char *const *functions;
} all[] = {
	{ { .func = shortage, .private = return_null }, null_functions },
	{ { .func = shortage, .private = return_enomem }, errno_functions },
	{ { .func = shortage_mempool, .private = return_null }, mempool_functions },
};

static int shortage_start(struct shortage_ops *s)
{
	const char *const *f;
	int ret;

	s->ops.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY;
	for (f = s->functions; *f; f++) {
		ret = ftrace_set_filter(&s->ops, (unsigned char *)*f, strlen(*f), 0);
		if (ret) {
			pr_err("%s cannot be traced (error %d): this kernel calls it otherwise; rename it here\n",
			       *f, ret);
			return ret;
		}
	}
	return register_ftrace_function(&s->ops);
}

/* Of the first @n, which were started; filters there may be of all. */
static void shortage_stop(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (i < n)
			unregister_ftrace_function(&all[i].ops);
		ftrace_free_filter(&all[i].ops);
	}
}

static int callers_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < CALLERS && atomic_long_read(&callers[i].ip); i++)
		seq_printf(m, "%d %pS\n", atomic_read(&callers[i].count),
			   (void *)atomic_long_read(&callers[i].ip));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(callers);

/* Writing it starts the counts anew. */
static int nth_set(void *data, u64 val)
{
	atomic_set(&nth, 0);
	atomic_set(&seen, 0);
	atomic_set(&failed, 0);
	atomic_set(&nth, val);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(nth_fops, NULL, nth_set, "%llu\n");

static struct dentry *dir;

static int __init shortage_init(void)
{
	int i, ret;

	if (!nr_text || nr_text % 2) {
		pr_err("text=%d numbers: give the start and the end of each range\n",
		       nr_text);
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ret = shortage_start(&all[i]);
		if (ret) {
			shortage_stop(i);
			return ret;
		}
	}
	dir = debugfs_create_dir("hermit_shortage", NULL);
	debugfs_create_file_unsafe("nth", 0200, dir, NULL, &nth_fops);
	debugfs_create_u32("one_in", 0600, dir, &one_in);
	debugfs_create_u32("rest", 0600, dir, &rest);
	debugfs_create_u32("tgid", 0600, dir, &tgid);
	debugfs_create_atomic_t("seen", 0400, dir, &seen);
	debugfs_create_atomic_t("failed", 0400, dir, &failed);
	debugfs_create_file("callers", 0400, dir, NULL, &callers_fops);
	return 0;
}

static void __exit shortage_exit(void)
{
	debugfs_remove_recursive(dir);
	shortage_stop(ARRAY_SIZE(all));
}

module_init(shortage_init);
module_exit(shortage_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Allocations of chosen callers fail, for tests");
