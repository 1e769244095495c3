/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_LOCAL_COMPAT_H
#define HERMIT_LOCAL_COMPAT_H
/*
 * What differs between the kernels that hermit.ko is built for, 6.12 and 7.3,
 * in the words of the newer one: zsmalloc, and a work queue's name. Who gives up
 * a kernel takes its part of this file away, and touches no other.
 */
#include <linux/string.h>
#include <linux/version.h>
#include <linux/workqueue.h>
#include <linux/zsmalloc.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)

#define system_percpu_wq	system_wq

/* zsmalloc mapped objects, and had no allocations on a node. */
#define zs_malloc(pool, size, gfp, nid)	zs_malloc(pool, size, gfp)

static inline void zs_obj_write(struct zs_pool *pool, unsigned long handle,
				const void *data, size_t len)
{
	memcpy(zs_map_object(pool, handle, ZS_MM_WO), data, len);
	zs_unmap_object(pool, handle);
}

/* @copy: where an object goes that is in two pages, if it has to. */
static inline void *zs_obj_read_begin(struct zs_pool *pool, unsigned long handle,
				      size_t len, void *copy)
{
	return zs_map_object(pool, handle, ZS_MM_RO);
}

static inline void zs_obj_read_end(struct zs_pool *pool, unsigned long handle,
				   size_t len, void *data)
{
	zs_unmap_object(pool, handle);
}

#endif

#endif /* HERMIT_LOCAL_COMPAT_H */
