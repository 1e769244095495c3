// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that can be told from all others, wherever a test finds them again: in
 * this process after its machine slept, or in the dump of one that crashed.
 *
 *	marks keep MIB KIND	fill so many pages, say "kept PAGES", and wait:
 *				SIGUSR1: look at all, say "checked PAGES wrong N"
 *				SIGUSR2: change a bit of one, say "spoilt"
 *	marks find FILE MIB KIND	look for those of that kind at all multiples of a page, say
 *				"found PAGES wrong N missing N": one that was moved
 *				may be there twice
 *
 * KIND, a number, keeps those of several apart.
 *
 * Exit status of find: 0 all are there, as they were, 1 they are not, 2 the
 * file cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096
#define WORDS	(PAGE / sizeof(uint64_t))
#define CHUNK	(256 * PAGE)

static uint64_t kind;

/* Made at run time, so it is in no page of the program itself. */
static uint64_t mark_of(uint64_t page)
{
	return ((kind << 40) + 0x6865726d69740000 + page) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t *words, uint64_t page)
{
	uint64_t x = mark_of(page) | 1;

	words[0] = mark_of(0);
	words[1] = page;
	for (unsigned int i = 2; i < WORDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

static int right(const uint64_t *words, uint64_t page)
{
	uint64_t want[WORDS];

	fill(want, page);
	return !memcmp(words, want, PAGE);
}

static int keep(uint64_t pages)
{
	uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t set;
	int sig;

	if (memory == MAP_FAILED) {
		fprintf(stderr, "marks: no memory for %lu pages: %s\n", pages, strerror(errno));
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (uint64_t i = 0; i < pages; i++)
		fill(memory + i * WORDS, i);
	printf("kept %lu\n", pages);
	for (;;) {
		uint64_t wrong = 0;

		fflush(stdout);
		if (sigwait(&set, &sig))
			return 2;
		if (sig == SIGUSR2) {
			memory[pages / 2 * WORDS + 100] ^= 1 << 5;
			printf("spoilt\n");
			continue;
		}
		for (uint64_t i = 0; i < pages; i++)
			wrong += !right(memory + i * WORDS, i);
		printf("checked %lu wrong %lu\n", pages, wrong);
	}
}

static int find(const char *path, uint64_t pages)
{
	static uint64_t chunk[CHUNK / sizeof(uint64_t)];
	uint64_t found = 0, wrong = 0, missing = 0;
	uint8_t *seen = calloc(pages, 1);
	int fd = open(path, O_RDONLY);
	size_t have = 0;
	ssize_t n;

	if (fd < 0 || !seen) {
		fprintf(stderr, "marks: %s: %s\n", path, strerror(errno));
		return 2;
	}
	do {
		n = read(fd, (char *)chunk + have, CHUNK - have);
		if (n < 0) {
			fprintf(stderr, "marks: %s: %s\n", path, strerror(errno));
			return 2;
		}
		have += n;
		if (n && have < CHUNK)
			continue;
		for (size_t at = 0; at + PAGE <= have; at += PAGE) {
			const uint64_t *words = chunk + at / sizeof(*chunk);

			if (words[0] != mark_of(0))
				continue;
			found++;
			if (words[1] >= pages || !right(words, words[1]))
				wrong++;
			else
				seen[words[1]] = 1;
		}
		have = 0;
	} while (n);
	close(fd);
	for (uint64_t i = 0; i < pages; i++)
		missing += !seen[i];
	free(seen);
	printf("found %lu wrong %lu missing %lu\n", found, wrong, missing);
	return wrong || missing;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "keep")) {
		kind = strtoull(argv[3], NULL, 0);
		return keep(strtoull(argv[2], NULL, 0) << 20 >> 12);
	}
	if (argc == 5 && !strcmp(argv[1], "find")) {
		kind = strtoull(argv[4], NULL, 0);
		return find(argv[2], strtoull(argv[3], NULL, 0) << 20 >> 12);
	}
	fprintf(stderr, "usage: marks keep MIB KIND | marks find FILE MIB KIND\n");
	return 2;
}
