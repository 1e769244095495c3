// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who runs the one processor's instructions: for tests/bench/run wire. Under
 * QEMU's icount the TSC ticks once an instruction. From a few tracepoints it is
 * known what runs, and ticks are added to a row by name:
 *
 *	COMM		a task, up to the first "/", ":" or digit of its name
 *	work:FUNCTION	a kworker, while it runs that work item
 *	softirq:NAME	on top of whoever was interrupted
 *	net:DEVICE	in softirq:NET_RX, from a packet of that device on
 *	verbs:NAME	a call into the driver of one of the RDMA devices named
 *			by the parameter `devices`: what a NIC's would do instead
 *	overhead	of counting: what is between its two looks at the TSC, and
 *			what is outside of them, as measured when it is loaded
 *
 * Rows exclude what is on top of them. Interrupts count for whom they
 * interrupted. /sys/kernel/debug/hermit_count/ctl takes "start" (from zero) and
 * "stop"; `rows` has "NAME TICKS ENTRIES" lines.
 */
#define pr_fmt(fmt) "hermit_count: " fmt

#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <asm/msr.h>
#include <rdma/ib_verbs.h>

static char *devices[4];
static int nr_devices;
module_param_array(devices, charp, &nr_devices, 0444);
MODULE_PARM_DESC(devices, "RDMA devices whose driver is counted apart");

#define MAX_ROWS	96
#define MAX_TASKS	512		/* a power of two */
#define MAX_DEPTH	16

struct row {
	char name[48];
	u64 ticks, entries;
};

/* All is changed with interrupts off on the one processor. */
static struct row rows[MAX_ROWS];
static unsigned int nr_rows;
static struct row shown[MAX_ROWS];	/* rows as of "stop" */
static struct row *overhead, *many;
static struct row *stack[MAX_DEPTH];
static unsigned int depth;		/* of the innermost */
static u64 last;
static u64 outside;		/* of an event, before its first and after its last look */
static unsigned long confused;		/* times that did not nest */

static struct {
	struct task_struct *task;
	char comm[TASK_COMM_LEN];	/* that row is for: it changes, and tasks are reused */
	struct row *row, *work;
} tasks[MAX_TASKS];

static struct {
	work_func_t func;
	struct row *row;
} works[64];

static struct {
	int ifindex;
	struct row *row;
} nets[16];

static struct row *softirqs[NR_SOFTIRQS];
static const char * const softirq_names[NR_SOFTIRQS] = {
	"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET",
	"SCHED", "HRTIMER", "RCU",
};

static struct row *row_named(const char *prefix, const char *name)
{
	char full[48];
	unsigned int i;

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	strreplace(full, ' ', '_');
	for (i = 0; i < nr_rows; i++)
		if (!strcmp(rows[i].name, full))
			return &rows[i];
	if (nr_rows == MAX_ROWS)
		return many;
	strscpy(rows[nr_rows].name, full);
	return &rows[nr_rows++];
}

/* --- what runs -------------------------------------------------------------- */

static u64 begin(void)
{
	u64 now = rdtsc();

	stack[depth]->ticks += now - last - outside;
	overhead->ticks += outside;
	return now;
}

static void end(u64 began)
{
	last = rdtsc();
	overhead->ticks += last - began;
	overhead->entries++;
}

static void push(struct row *row)
{
	unsigned long flags;
	u64 t;

	local_irq_save(flags);
	t = begin();
	if (depth < MAX_DEPTH - 1)
		stack[++depth] = row;
	else
		confused++;
	row->entries++;
	end(t);
	local_irq_restore(flags);
}

static void pop(void)
{
	unsigned long flags;
	u64 t;

	local_irq_save(flags);
	t = begin();
	if (depth)
		depth--;
	else
		confused++;
	end(t);
	local_irq_restore(flags);
}

static unsigned int task_slot(struct task_struct *p)
{
	unsigned int i = (unsigned long)p / sizeof(*p) % MAX_TASKS, n;
	char comm[TASK_COMM_LEN], *c;

	for (n = 0; n < MAX_TASKS && tasks[i].task && tasks[i].task != p; n++)
		i = (i + 1) % MAX_TASKS;
	if (n == MAX_TASKS)
		confused++;
	if (tasks[i].task == p && !memcmp(tasks[i].comm, p->comm, sizeof(comm)))
		return i;
	memcpy(tasks[i].comm, p->comm, sizeof(comm));
	strscpy(comm, p->comm);
	for (c = comm; *c && !isdigit(*c) && *c != '/' && *c != ':'; c++)
		;
	*c = '\0';
	tasks[i].task = p;
	tasks[i].row = row_named("", comm);
	tasks[i].work = NULL;
	return i;
}

static struct row *task_row(struct task_struct *p)
{
	unsigned int i = task_slot(p);

	return tasks[i].work ?: tasks[i].row;
}

static void on_switch(void *data, bool preempt, struct task_struct *prev,
		      struct task_struct *next, unsigned int prev_state)
{
	unsigned long flags;
	u64 t;

	local_irq_save(flags);
	t = begin();
	if (depth)
		confused++;
	depth = 0;
	stack[0] = task_row(next);
	stack[0]->entries++;
	end(t);
	local_irq_restore(flags);
}

static struct row *work_row(work_func_t func)
{
	char name[48];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(works) && works[i].func; i++)
		if (works[i].func == func)
			return works[i].row;
	snprintf(name, sizeof(name), "%ps", func);
	if (i == ARRAY_SIZE(works))
		return many;
	works[i].func = func;
	works[i].row = row_named("work:", name);
	return works[i].row;
}

static void set_work(struct row *row)
{
	unsigned long flags;
	unsigned int i;
	u64 t;

	local_irq_save(flags);
	t = begin();
	i = task_slot(current);
	tasks[i].work = row;
	stack[0] = row ?: tasks[i].row;
	stack[0]->entries++;
	end(t);
	local_irq_restore(flags);
}

static void on_work_start(void *data, struct work_struct *work)
{
	set_work(work_row(work->func));
}

static void on_work_end(void *data, struct work_struct *work, work_func_t func)
{
	set_work(NULL);
}

static void on_softirq_entry(void *data, unsigned int nr)
{
	push(softirqs[nr]);
}

static void on_softirq_exit(void *data, unsigned int nr)
{
	pop();
}

static struct row *net_row(const struct net_device *dev)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nets) && nets[i].row; i++)
		if (nets[i].ifindex == dev->ifindex)
			return nets[i].row;
	if (i == ARRAY_SIZE(nets))
		return many;
	nets[i].ifindex = dev->ifindex;
	nets[i].row = row_named("net:", dev->name);
	return nets[i].row;
}

/* Until the next packet, or the softirq's end. */
static void on_receive(void *data, struct sk_buff *skb)
{
	unsigned long flags;
	u64 t;

	local_irq_save(flags);
	t = begin();
	if (depth) {
		stack[depth] = net_row(skb->dev);
		stack[depth]->entries++;
	}
	end(t);
	local_irq_restore(flags);
}

/* --- the driver's functions ------------------------------------------------- */

static struct row *verbs[6];
static struct ib_device_ops driver;	/* the same for all devices */
static struct ib_device *ib_devices[ARRAY_SIZE(devices)];

#define COUNTED(row, call) ({ push(verbs[row]); typeof(call) _r = (call); pop(); _r; })

static int post_send(struct ib_qp *qp, const struct ib_send_wr *wr,
		     const struct ib_send_wr **bad)
{
	return COUNTED(0, driver.post_send(qp, wr, bad));
}

static int post_recv(struct ib_qp *qp, const struct ib_recv_wr *wr,
		     const struct ib_recv_wr **bad)
{
	return COUNTED(1, driver.post_recv(qp, wr, bad));
}

static int post_srq_recv(struct ib_srq *srq, const struct ib_recv_wr *wr,
			 const struct ib_recv_wr **bad)
{
	return COUNTED(2, driver.post_srq_recv(srq, wr, bad));
}

static int poll_cq(struct ib_cq *cq, int n, struct ib_wc *wc)
{
	return COUNTED(3, driver.poll_cq(cq, n, wc));
}

static int req_notify_cq(struct ib_cq *cq, enum ib_cq_notify_flags notify)
{
	return COUNTED(4, driver.req_notify_cq(cq, notify));
}

static int map_mr_sg(struct ib_mr *mr, struct scatterlist *sg, int n,
		     unsigned int *offset)
{
	return COUNTED(5, driver.map_mr_sg(mr, sg, n, offset));
}

static void unwrap_devices(void)
{
	int i;

	for (i = 0; i < nr_devices && ib_devices[i]; i++) {
		struct ib_device_ops *ops = &ib_devices[i]->ops;

		ops->post_send = driver.post_send;
		ops->post_recv = driver.post_recv;
		ops->post_srq_recv = driver.post_srq_recv;
		ops->poll_cq = driver.poll_cq;
		ops->req_notify_cq = driver.req_notify_cq;
		ops->map_mr_sg = driver.map_mr_sg;
		ib_device_put(ib_devices[i]);
	}
}

static int wrap_devices(void)
{
	int i;

	for (i = 0; i < nr_devices; i++) {
		struct ib_device_ops *ops;

		ib_devices[i] = ib_device_get_by_name(devices[i],
						      RDMA_DRIVER_UNKNOWN);
		if (!ib_devices[i]) {
			pr_err("no RDMA device %s\n", devices[i]);
			return -ENODEV;
		}
		ops = &ib_devices[i]->ops;
		if (!i)
			driver = *ops;
		if (ops->post_send != driver.post_send) {
			pr_err("%s has another driver than %s\n", devices[i],
			       devices[0]);
			ib_device_put(ib_devices[i]);
			ib_devices[i] = NULL;
			return -EINVAL;
		}
		ops->post_send = post_send;
		ops->post_recv = post_recv;
		ops->post_srq_recv = post_srq_recv;
		ops->poll_cq = poll_cq;
		ops->req_notify_cq = req_notify_cq;
		ops->map_mr_sg = map_mr_sg;
	}
	return 0;
}

/* --- tracepoints ------------------------------------------------------------ */

static struct probe {
	const char *name;
	void *fn;
	struct tracepoint *tp;
	bool registered;
} probes[] = {
	{ "sched_switch", on_switch },
	{ "workqueue_execute_start", on_work_start },
	{ "workqueue_execute_end", on_work_end },
	{ "softirq_entry", on_softirq_entry },
	{ "softirq_exit", on_softirq_exit },
	{ "netif_receive_skb", on_receive },
};

static void find_tracepoint(struct tracepoint *tp, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(tp->name, probes[i].name))
			probes[i].tp = tp;
}

/*
 * What an event takes from its tracepoint's call to its first look at the TSC,
 * and from the last to the return. The tracepoint's own part is not in it.
 */
static void calibrate(void)
{
	void (*volatile enter)(void *data, unsigned int nr) = on_softirq_entry;
	void (*volatile leave)(void *data, unsigned int nr) = on_softirq_exit;
	const unsigned int rounds = 1000;
	unsigned long flags;
	u64 began, inside;
	unsigned int i;

	local_irq_save(flags);
	inside = overhead->ticks;
	began = rdtsc();
	for (i = 0; i < rounds; i++) {
		enter(NULL, 0);
		leave(NULL, 0);
	}
	outside = rdtsc() - began;
	outside -= overhead->ticks - inside;
	outside /= 2 * rounds;
	local_irq_restore(flags);
}

static void unregister_probes(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (probes[i].registered)
			tracepoint_probe_unregister(probes[i].tp, probes[i].fn,
						    NULL);
	tracepoint_synchronize_unregister();
}

static int register_probes(void)
{
	unsigned int i;
	int ret;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (!probes[i].tp) {
			pr_err("no tracepoint %s\n", probes[i].name);
			return -ENOENT;
		}
		ret = tracepoint_probe_register(probes[i].tp, probes[i].fn,
						NULL);
		if (ret)
			return ret;
		probes[i].registered = true;
	}
	return 0;
}

/* --- debugfs ---------------------------------------------------------------- */

static ssize_t ctl_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *pos)
{
	char word[8] = {};
	unsigned long flags;
	unsigned int i;

	if (len >= sizeof(word) || copy_from_user(word, buf, len))
		return -EINVAL;
	strim(word);
	local_irq_save(flags);
	if (!strcmp(word, "start")) {
		for (i = 0; i < nr_rows; i++)
			rows[i].ticks = rows[i].entries = 0;
		confused = 0;
		last = rdtsc();
	} else if (!strcmp(word, "stop")) {
		begin();
		last = rdtsc();
		memcpy(shown, rows, sizeof(shown));
	} else {
		len = -EINVAL;
	}
	local_irq_restore(flags);
	return len;
}

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = ctl_write,
};

static int rows_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < MAX_ROWS; i++)
		if (shown[i].ticks)
			seq_printf(m, "%s %llu %llu\n", shown[i].name,
				   shown[i].ticks, shown[i].entries);
	seq_printf(m, "confused %lu 0\n", confused);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rows);

static struct dentry *dir;

static int __init count_init(void)
{
	static const char * const verb_names[] = {
		"post_send", "post_recv", "post_srq_recv", "poll_cq",
		"req_notify_cq", "map_mr_sg",
	};
	unsigned int i;
	int ret;

	if (num_online_cpus() != 1) {
		pr_err("this counts on one processor only\n");
		return -EOPNOTSUPP;
	}
	overhead = row_named("", "overhead");
	many = row_named("", "many");
	for (i = 0; i < NR_SOFTIRQS; i++)
		softirqs[i] = row_named("softirq:", softirq_names[i]);
	for (i = 0; i < ARRAY_SIZE(verb_names); i++)
		verbs[i] = row_named("verbs:", verb_names[i]);
	stack[0] = task_row(current);
	last = rdtsc();

	calibrate();
	pr_info("an event takes %llu instructions beside those that are counted\n",
		outside);
	ret = register_probes();
	if (ret)
		goto err_probes;
	ret = wrap_devices();
	if (ret)
		goto err_devices;
	dir = debugfs_create_dir("hermit_count", NULL);
	debugfs_create_file("ctl", 0200, dir, NULL, &ctl_fops);
	debugfs_create_file("rows", 0400, dir, NULL, &rows_fops);
	return 0;

err_devices:
	unwrap_devices();
err_probes:
	unregister_probes();
	return ret;
}

static void __exit count_exit(void)
{
	debugfs_remove(dir);
	unwrap_devices();
	unregister_probes();
}

module_init(count_init);
module_exit(count_exit);
MODULE_DESCRIPTION("Counts instructions by who runs them, for a benchmark");
MODULE_LICENSE("GPL");
