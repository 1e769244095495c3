// SPDX-License-Identifier: GPL-2.0-only
/* The same program for the rdma transport, which hermit-rdma.ko has. */
#define HERMIT_TEST_RDMA
#include "hermit_tcp_test.c"
