/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "race.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE		4096
#define DONE		(0x10 * PAGE)
#define ORDER		(0x11 * PAGE)
#define RUN		(0x40 * PAGE)		/* as race.S and QEMU have it */
#define RUN_SIZE	(0x40 * PAGE)

static bool on;
static pthread_mutex_t *volatile main_waits;	/* for this one */
static pthread_mutex_t *volatile held;		/* the one of the race */
static volatile bool taken;			/* by the main thread */
static volatile pid_t reader;

static void __attribute__((constructor)) race_init(void)
{
	on = getenv("FAKE_HERMIT_RACE");
}

#define AWAIT(condition)						\
	do {								\
		for (int i = 0; !(condition); i++) {			\
			if (i == 60000) {				\
				fprintf(stderr, "race: not in 60 s: %s\n", #condition); \
				abort();				\
			}						\
			usleep(1000);					\
		}							\
	} while (0)

static bool main_waits_for(pid_t who)
{
	pthread_mutex_t *m = main_waits;

	return m && m->__data.__owner == who;
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	static int (*real)(pthread_mutex_t *);
	bool is_main;
	int ret;

	if (!real)
		real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	if (!on)
		return real(m);
	is_main = gettid() == getpid();
	if (is_main)
		main_waits = m;
	else if (m == held && gettid() == reader)
		AWAIT(taken);			/* mutexes are not fair */
	ret = real(m);
	if (is_main) {
		main_waits = NULL;
		if (m == held)
			taken = true;
	}
	return ret;
}

void race_read(int fd, size_t n, off_t offset)
{
	static volatile unsigned short *order, *done;
	static unsigned int rounds;
	char *memory;

	if (!on || taken)
		return;
	if (!held) {
		/* the main thread does not synchronize in the first round */
		if (offset != RUN || n != RUN_SIZE || ++rounds < 2)
			return;
		memory = mmap(NULL, RUN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			abort();
		order = (void *)(memory + ORDER);
		done = (void *)(memory + DONE);
		reader = gettid();
		AWAIT(main_waits_for(reader));
		held = main_waits;
	}
	++*order;
	AWAIT(*done == *order);
}
