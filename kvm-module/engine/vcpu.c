// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long each vCPU waited for pages. A vCPU is listed from its first wait to
 * its end, under the VM that it is of: a VM has several regions, one for each
 * NUMA node, but a vCPU waits for one page at a time.
 */
#include <linux/list.h>
#include <linux/pid.h>
#include <linux/spinlock.h>

#include "engine/region.h"
#include "engine/vcpu.h"

static LIST_HEAD(vcpus);
static DEFINE_SPINLOCK(vcpus_lock);

void hermit_vcpu_add(struct hermit_vcpu *v, void *vm)
{
	v->vm = vm;
	v->thread = get_task_pid(current, PIDTYPE_PID);
	spin_lock(&vcpus_lock);
	list_add_tail(&v->node, &vcpus);
	spin_unlock(&vcpus_lock);
}

void hermit_vcpu_del(struct hermit_vcpu *v)
{
	spin_lock(&vcpus_lock);
	list_del(&v->node);
	spin_unlock(&vcpus_lock);
	put_pid(v->thread);
}

/* Read without a lock: the two may be of different moments. */
void hermit_vcpu_waited(struct hermit_vcpu *v, u64 ns)
{
	WRITE_ONCE(v->waits, v->waits + 1);
	WRITE_ONCE(v->stall_ns, v->stall_ns + ns);
}

u32 hermit_vcpu_list(struct hermit_region *r, struct hermit_vcpu_entry *e,
		     u32 room)
{
	struct hermit_vcpu *v;
	void *vm = NULL;
	u32 n = 0;

	/* Without a binding r->vm is that of a VM that may be gone. */
	down_read(&r->bind_lock);
	if (r->nr_bindings)
		vm = r->vm;
	up_read(&r->bind_lock);
	if (!vm)
		return 0;
	spin_lock(&vcpus_lock);
	list_for_each_entry(v, &vcpus, node) {
		if (v->vm != vm)
			continue;
		if (n < room)
			e[n] = (struct hermit_vcpu_entry) {
				.tid = pid_vnr(v->thread),
				.waits = READ_ONCE(v->waits),
				.stall_ns = READ_ONCE(v->stall_ns),
			};
		n++;
	}
	spin_unlock(&vcpus_lock);
	return n;
}
