// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program for GNU Mach, which starts it as its only one (a multiboot module).
 * It takes memory, goes over it for ever, one page in 37 steps after the other, and
 * finds in each page what it has written there the round before. Its words come
 * out of the kernel's console:
 *
 *	mach-load: round 3 of 12288 pages, wrong 0
 *
 * The calls are those of <mach/syscall_sw.h>: a negative number, and arguments as
 * Linux takes them.
 */
#define PAGE	4096ul
#define PAGES	12288ul		/* 48 MiB */
#define STEP	37ul		/* has no factor in common with PAGES */
#define WORDS	(PAGE / sizeof(unsigned long))

enum {
	TASK_SELF = -28,
	PRINT = -30,
	VM_ALLOCATE = -65,
};

static long call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	register unsigned long fourth asm("r10") = d;
	long result;

	asm volatile("syscall" : "=a"(result), "+r"(fourth), "+D"(a), "+S"(b), "+d"(c)
		     : "0"(number) : "rcx", "r8", "r9", "r11", "memory");
	return result;
}

static void print(const char *text)
{
	call(PRINT, (unsigned long)text, 0, 0, 0);
}

static void print_number(unsigned long n)
{
	char text[24], *at = text + sizeof(text);

	*--at = 0;
	do {
		*--at = '0' + n % 10;
	} while (n /= 10);
	print(at);
}

/* What word @i of @page is to be in @round: no two are alike. */
static unsigned long mark(unsigned long page, unsigned long i, unsigned long round)
{
	return (round << 48 ^ page << 16 ^ i) * 0x9e3779b97f4a7c15ul;
}

/* The number of wrong pages. */
static unsigned long go_over(unsigned long *memory, unsigned long round)
{
	unsigned long wrong = 0;

	for (unsigned long n = 0; n < PAGES; n++) {
		unsigned long page = n * STEP % PAGES, bad = 0, *words = memory + page * WORDS;

		for (unsigned long i = 0; i < WORDS; i++) {
			/* what nobody has written yet is zero */
			bad |= words[i] ^ (round ? mark(page, i, round - 1) : 0);
			words[i] = mark(page, i, round);
		}
		wrong += bad != 0;
	}
	return wrong;
}

void _start(void)
{
	unsigned long address = 0;
	long r = call(VM_ALLOCATE, call(TASK_SELF, 0, 0, 0, 0), (unsigned long)&address, PAGES * PAGE, 1);

	if (r) {
		print("mach-load: no memory: error ");
		print_number(r);
		print("\n");
		for (;;)
			;
	}
	for (unsigned long round = 0;; round++) {
		unsigned long wrong = go_over((unsigned long *)address, round);

		print("mach-load: round ");
		print_number(round);
		print(" of ");
		print_number(PAGES);
		print(" pages, wrong ");
		print_number(wrong);
		print("\n");
	}
}
