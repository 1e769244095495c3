/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HAMMER_H
#define HAMMER_H
/* What the parts of ioctl-hammer share; one thread uses it, but for call() and expect(). */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "uapi/hermit.h"

#define PAGE 4096UL
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Room for the largest struct and what may follow it, then a hole. */
#define ARENA (4 * PAGE)
extern uint8_t *arena;

extern const char *server;
extern unsigned int seconds, nthreads;
extern uint64_t seed;
extern bool user;			/* without privileges */
extern uint64_t region_size, region_limit;	/* of make(); learnt from the floor */

enum fit { FRESH, ANY, ATTACHED };	/* what a call wants its control fd to be */

struct call {
	const char *name;
	unsigned long cmd;
	size_t size;
	enum fit fit;
	bool admin;			/* wants CAP_SYS_ADMIN */
	bool writes;			/* back into the struct */
};

#define CALLS 9
extern const struct call table[CALLS];

struct region {
	int control, memory;
	uint8_t uuid[16];
	uint8_t *base;
};

/* A wrong answer is told, and counted. */
__attribute__((format(printf, 2, 3)))
void expect(bool ok, const char *format, ...);
/* A limit's or a create's refusal says what was wrong. */
void said(const char *what, int ret, int want, const char *error);
void die(const char *what) __attribute__((noreturn));
uint64_t next(uint64_t *s);
void set_uuid(uint8_t *uuid);

/* 0, or the errno of a call. */
int call(int fd, unsigned long cmd, void *arg);
int control_fd(void);
struct hermit_create valid_create(void);
/* A valid struct for the call, with size the kernel's. */
void fill(const struct call *k, void *p, const uint8_t *uuid);

struct region make(void);
void drop(struct region *r);

/* The highest fd that is to stay open. */
int highest_fd(void);

/* The parts, each with regions of its own that are gone when it returns. */
void hammer_sizes(void);
void hammer_pointers(void);
void hammer_fields(void);
void hammer_unknown(void);
void hammer_files(void);
void hammer_memory(void);
void hammer_limits(void);
void hammer_races(void);

#endif /* HAMMER_H */
