/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RDMA_DATA_H
#define HERMIT_RDMA_DATA_H
/*
 * A data connection: a queue pair, and the ios that are on it. The object
 * outlives the connections that it has one after the other.
 *
 * create, open, start, stop and destroy exclude each other; they are process
 * context and may sleep. pump, poll, check and stats are for any context, any
 * time.
 */
#include <linux/list.h>
#include <linux/types.h>

struct hermit_rdma_ctl;
struct hermit_rdma_data;
struct hermit_rdma_env;
struct hermit_rdma_queue;
struct hermit_remote_check;
struct hermit_server_stats;

/* ios on one queue pair, at most */
#define HERMIT_RDMA_MAX_DEPTH	1024

/* It takes ios from @queue and has at most @depth posted. */
struct hermit_rdma_data *hermit_rdma_data_create(struct hermit_rdma_env *env,
						 struct hermit_rdma_queue *queue,
						 unsigned int depth,
						 unsigned int index);
/* Must be stopped. */
void hermit_rdma_data_destroy(struct hermit_rdma_data *data);

/*
 * Connect, joining @ctl's epoch, with at most @depth posted; post nothing yet.
 * 0, or a negative errno with env->why.
 */
int hermit_rdma_data_open(struct hermit_rdma_data *data,
			  struct hermit_rdma_ctl *ctl, unsigned int depth);
/* Post what is queued, and from now on what comes. */
void hermit_rdma_data_start(struct hermit_rdma_data *data);

/*
 * Close the connection; without one, nothing. What was not completed goes back
 * to the queue: the device uses none of its pages any more.
 */
void hermit_rdma_data_stop(struct hermit_rdma_data *data);

/* Post queued ios while there is room. False if it is not started. */
bool hermit_rdma_data_pump(struct hermit_rdma_data *data);

/*
 * Handle completions that there are, some at most; returns how many. The caller
 * sees to it that the connection is open meanwhile, and does not stop.
 */
int hermit_rdma_data_poll(struct hermit_rdma_data *data);

/* Broken, too, if an io waits longer than @deadline_ns. */
void hermit_rdma_data_check(struct hermit_rdma_data *data, u64 deadline_ns,
			    struct hermit_remote_check *check);

/* Add what it counted to @st. */
void hermit_rdma_data_stats(struct hermit_rdma_data *data,
			    struct hermit_server_stats *st);

#endif /* HERMIT_RDMA_DATA_H */
