/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_VCPU_H
#define HERMIT_VCPU_H
/* Who waited how long; the thread of the vCPU alone adds to it. */
#include <linux/list.h>
#include <linux/types.h>

struct hermit_region;
struct hermit_vcpu_entry;
struct pid;

struct hermit_vcpu {
	struct list_head node;
	void *vm;
	struct pid *thread;
	u64 waits;
	u64 stall_ns;
};

/* @v is zeroed; its thread is the caller. del: after add, any task. */
void hermit_vcpu_add(struct hermit_vcpu *v, void *vm);
void hermit_vcpu_del(struct hermit_vcpu *v);
void hermit_vcpu_waited(struct hermit_vcpu *v, u64 ns);
/* Those of the region's VM, up to @room; returns how many there are. */
u32 hermit_vcpu_list(struct hermit_region *r, struct hermit_vcpu_entry *e,
		     u32 room);

#endif /* HERMIT_VCPU_H */
