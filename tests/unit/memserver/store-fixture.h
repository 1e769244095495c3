/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_STORE_FIXTURE_H
#define HERMIT_TEST_STORE_FIXTURE_H
/*
 * What the tests of the store share: a store of this process, whose accounts
 * are compared with the kernel's, and pages that say what they are (client.h).
 * Everything that fails ends the test.
 */
#include "client.h"
#include "store.h"

#define EXTENT HERMIT_EXTENT_SIZE

/* New memory, and a region of it that the next process would adopt. */
HermitStore *store_new (guint64 capacity, gboolean overcommit);
HermitRegion *region_new (HermitStore *store, guint64 size);
/* The same with less reserved than all. */
HermitRegion *region_new_share (HermitStore *store, guint64 size,
                                guint64 reserved);
/* There is no room for one of @size. */
void expect_no_region (HermitStore *store, guint64 size);

/* The page of version @version, written; and expected, 0: zeros. */
void write_page (HermitRegion *region, guint64 offset, guint64 version);
void expect_page (HermitRegion *region, guint64 offset, guint64 version);
/* As a client does: a page that finds no memory comes again. */
void write_page_when_possible (HermitRegion *region, guint64 offset,
                               guint64 version);
/* For g_log_set_handler(), where a test makes many messages. */
void say_nothing (const char *domain, GLogLevelFlags level,
                  const char *message, gpointer data);

/* The memory's descriptor; and how much of it the kernel says there is. */
int memory_fd (void);
guint64 memory_of_kernel (void);

void expect_usage (HermitStore *store, guint64 taken, guint64 backed);
/*
 * The accounts agree with the kernel's, as soon as the keeper has nothing in
 * its hands.
 */
void expect_true_accounts (HermitStore *store);
/* Wait until the keeper has done its part. */
void wait_idle (HermitStore *store, guint64 bytes);

#endif /* HERMIT_TEST_STORE_FIXTURE_H */
