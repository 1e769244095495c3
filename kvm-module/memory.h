/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_MEMORY_H
#define HERMIT_MEMORY_H
/* The memory fd. */
struct file;
struct hermit_region;
struct vm_operations_struct;

/* A mapping with these is of a region: vm_private_data. */
extern const struct vm_operations_struct hermit_vm_ops;
/* Sets r->mapping. The file holds the region. An ERR_PTR on error. */
struct file *hermit_memory_create(struct hermit_region *r);

#endif /* HERMIT_MEMORY_H */
