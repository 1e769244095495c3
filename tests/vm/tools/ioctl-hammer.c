// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a careless or a hostile program may ask of /dev/hermit and of a memory
 * fd: every size of every struct, pointers that lead nowhere, flags one by one,
 * ranges that overflow, calls nobody knows, and threads that create, open,
 * change, recall and close the same few regions at once.
 *
 *	ioctl-hammer [--server S] [--seconds N] [--threads N] [--seed N]
 *		     [--user] [WHAT...]
 *
 * WHAT is of: sizes pointers fields unknown files memory limits races; all
 * without. --user drops to nobody, with control fds opened before: what needs
 * CAP_SYS_ADMIN must be refused, the rest must be as it is for root. --seconds
 * is for races. Each wrong answer is a line; exit status 0: there was none. The
 * last line counts the calls.
 *
 * It says what must be answered where the header promises it. Everything else
 * only must not harm: the kernel's log and the regions left are looked at by
 * the test that runs this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "hammer.h"

#define NOBODY 65534

const char *server = "local:";
unsigned int seconds = 20, nthreads = 6;
uint64_t seed = 1;
bool user;
uint8_t *arena;				/* ARENA bytes, then PROT_NONE */
uint64_t region_size, region_limit;

static atomic_ulong failures, calls;
static int opened[512], nr_opened;	/* before the privileges went */

void expect(bool ok, const char *format, ...)
{
	va_list ap;

	if (ok)
		return;
	va_start(ap, format);
	if (atomic_fetch_add(&failures, 1) < 40) {
		vfprintf(stderr, format, ap);
		fputc('\n', stderr);
	}
	va_end(ap);
}

void said(const char *what, int ret, int want, const char *error)
{
	expect(ret == want, "%s: %s, not %s", what, strerror(ret), strerror(want));
	expect(!ret || (*error && memchr(error, 0, HERMIT_ERROR_LEN)), "%s: refused (%s) without a word", what, strerror(ret));
}

void die(const char *what)
{
	perror(what);
	exit(2);
}

uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

const struct call table[CALLS] = {
	{ "CREATE", HERMIT_CREATE, sizeof(struct hermit_create), FRESH, false, true },
	{ "OPEN", HERMIT_OPEN, sizeof(struct hermit_open), FRESH, true, false },
	{ "LIST", HERMIT_LIST, sizeof(struct hermit_list), ANY, true, true },
	{ "SET_LIMIT", HERMIT_SET_LIMIT, sizeof(struct hermit_limit), ATTACHED, false, true },
	{ "GET_STATS", HERMIT_GET_STATS, sizeof(struct hermit_stats), ATTACHED, false, true },
	{ "GET_PAGEMAP", HERMIT_GET_PAGEMAP, sizeof(struct hermit_pagemap), ATTACHED, false, false },
	{ "SET_POLICY", HERMIT_SET_POLICY, sizeof(struct hermit_policy), ATTACHED, false, true },
	{ "RECALL", HERMIT_RECALL, sizeof(struct hermit_recall), ATTACHED, false, true },
	{ "GET_VCPUS", HERMIT_GET_VCPUS, sizeof(struct hermit_vcpus), ATTACHED, false, true },
};

int call(int fd, unsigned long cmd, void *arg)
{
	atomic_fetch_add(&calls, 1);
	return ioctl(fd, cmd, arg) ? errno : 0;
}

int control_fd(void)
{
	int fd;

	if (user) {
		if (!nr_opened) {
			fprintf(stderr, "more control fds wanted than were opened as root\n");
			exit(2);
		}
		return opened[--nr_opened];
	}
	fd = open("/dev/hermit", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("/dev/hermit");
	return fd;
}

void set_uuid(uint8_t *uuid)
{
	if (getrandom(uuid, 16, 0) != 16)
		die("getrandom");
}

struct hermit_create valid_create(void)
{
	struct hermit_create c = { .size = sizeof(c), .version = HERMIT_UAPI_VERSION,
				   .region_size = region_size, .limit = region_limit,
				   .name = "hammer", .nr_servers = 1, .reclaim_threads = 1 };

	strncpy(c.servers[0], server, HERMIT_SERVER_LEN - 1);
	set_uuid(c.uuid);
	return c;
}

void fill(const struct call *k, void *p, const uint8_t *uuid)
{
	memset(p, 0, k->size);
	switch (k->cmd) {
	case HERMIT_CREATE:
		*(struct hermit_create *)p = valid_create();
		break;
	case HERMIT_OPEN:
		memcpy(((struct hermit_open *)p)->uuid, uuid, 16);
		break;
	case HERMIT_SET_LIMIT:
		((struct hermit_limit *)p)->limit = region_limit;
		break;
	}
	*(uint32_t *)p = k->size;
}

struct region make(void)
{
	struct hermit_create c = valid_create();
	struct region r = { .control = control_fd() };
	int ret = call(r.control, HERMIT_CREATE, &c);

	if (ret) {
		fprintf(stderr, "create: %s: %s\n", strerror(ret), c.error);
		exit(2);
	}
	r.memory = c.memory_fd;
	memcpy(r.uuid, c.uuid, 16);
	r.base = mmap(NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, r.memory, 0);
	if (r.base == MAP_FAILED)
		die("mmap");
	return r;
}

void drop(struct region *r)
{
	munmap(r->base, region_size);
	close(r->memory);
	close(r->control);
}

int highest_fd(void)
{
	int fd, top = 2;

	for (fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			top = fd;
	return top;
}

static void become_nobody(void)
{
	while (nr_opened < (int)ARRAY_SIZE(opened)) {
		int fd = open("/dev/hermit", O_RDWR | O_CLOEXEC);

		if (fd < 0)
			die("/dev/hermit");
		opened[nr_opened++] = fd;
	}
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		die("becoming nobody");
	expect(open("/dev/hermit", O_RDWR) < 0 && errno == EACCES, "nobody may open /dev/hermit: %s", strerror(errno));
}

/* The least limit there may be, with one reclaim thread; a region twice that. */
static void learn_floor(void)
{
	struct hermit_create c;
	int fd = control_fd(), ret;

	region_size = 1UL << 30;
	c = valid_create();
	c.limit = 0;
	ret = call(fd, HERMIT_CREATE, &c);
	if (ret != ERANGE || !c.floor) {
		fprintf(stderr, "the least limit is not told: %s: %s\n", strerror(ret), c.error);
		exit(2);
	}
	close(fd);
	/* for the races' four threads as well */
	region_limit = c.floor + 4 * 64 * PAGE;
	region_size = 2 * region_limit;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", 1, 0, 'S' }, { "seconds", 1, 0, 's' }, { "threads", 1, 0, 't' },
		{ "seed", 1, 0, 'r' }, { "user", 0, 0, 'u' }, { 0 },
	};
	static const struct { const char *name; void (*run)(void); } parts[] = {
		{ "sizes", hammer_sizes }, { "pointers", hammer_pointers }, { "fields", hammer_fields }, { "unknown", hammer_unknown },
		{ "files", hammer_files }, { "memory", hammer_memory }, { "limits", hammer_limits }, { "races", hammer_races },
	};
	int o, known_parts = 0;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'S': server = optarg; break;
		case 's': seconds = strtoul(optarg, NULL, 0); break;
		case 't': nthreads = strtoul(optarg, NULL, 0); break;
		case 'r': seed = strtoull(optarg, NULL, 0); break;
		case 'u': user = true; break;
		default: return 2;
		}
	}
	if (!nthreads || nthreads > 64 || !seed) {
		fprintf(stderr, "--threads: 1 to 64; --seed: not 0\n");
		return 2;
	}
	arena = mmap(NULL, ARENA + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || mprotect(arena + ARENA, PAGE, PROT_NONE))
		die("arena");
	if (user)
		become_nobody();
	learn_floor();
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		bool wanted = optind == argc;

		for (int a = optind; a < argc; a++)
			wanted |= !strcmp(argv[a], parts[i].name);
		if (!wanted)
			continue;
		known_parts++;
		parts[i].run();
	}
	if (!known_parts) {
		fprintf(stderr, "nothing to do: %s is none of sizes pointers fields unknown files memory limits races\n", argv[optind]);
		return 2;
	}
	printf("hammer failures=%lu calls=%lu\n", atomic_load(&failures), atomic_load(&calls));
	return atomic_load(&failures) ? 1 : 0;
}
