/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_REGION_TOOL_H
#define HERMIT_TEST_REGION_TOOL_H
/* What the tools that have one region and look at its pages share. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "uapi/hermit.h"

/* The region's, as HERMIT_CREATE left it. */
static int control;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static struct hermit_stats stats(void)
{
	static struct hermit_stats st;

	st.size = sizeof(st);
	if (ioctl(control, HERMIT_GET_STATS, &st))
		die("statistics: %s", strerror(errno));
	return st;
}

#endif /* HERMIT_TEST_REGION_TOOL_H */
