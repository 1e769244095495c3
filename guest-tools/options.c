// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "pattern.h"

struct options opt = {
	.pages = (64 << 20) / PATTERN_PAGE,
	.threads = 1,
	.dio_threads = 1,
	.write_ratio = 0.5,
	.fill = true,
	.seed = 1,
};

void fail(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "hermit-guest-load: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static const char usage_text[] =
	"usage: hermit-guest-load [OPTION...]\n"
	"Load memory and check every page that is touched.\n"
	"  --size SIZE         memory to use (64M); K, M, G\n"
	"  --threads N         threads (1)\n"
	"  --write-ratio R     share of accesses that write, 0 to 1 (0.5)\n"
	"  --pattern P         uniform (default), zipf:THETA (0 to 1), seq\n"
	"  --seconds N         run so long (10, unless --ops; 0: until a signal)\n"
	"  --ops N             run so many accesses, of all threads together\n"
	"  --no-fill           do not write every page once before\n"
	"  --verify            read every page once after\n"
	"  --seed N            of the random numbers (1)\n"
	"  --port FILE         report there and not to standard output\n"
	"  --dio DEVICE        also read DEVICE into random pages with O_DIRECT\n"
	"  --dio-threads N     threads that do that (1)\n"
	"  --break KIND        damage a page after the fill, to see it found: zero,\n"
	"                      stale, foreign, torn or garbage\n"
	"  --make FILE         write a disk for --dio, of --size, and exit\n"
	"The last line of the report is 'verdict ok ...' or 'verdict MISMATCH N ...'.\n"
	"Exit status: 0 ok, 1 mismatch, 2 cannot run.\n";

static uint64_t parse_size(const char *s)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 10);
	switch (*end) {
	case 'G': case 'g':
		v <<= 10;
		/* fall through */
	case 'M': case 'm':
		v <<= 10;
		/* fall through */
	case 'K': case 'k':
		v <<= 10;
		end++;
	}
	if (end == s || *end || errno || v < PATTERN_PAGE || v >> 46)
		fail("--size %s: give a number of bytes, or one with K, M or G", s);
	return v;
}

static uint64_t parse_number(const char *name, const char *s, uint64_t max)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (end == s || *end || errno || *s == '-' || v > max)
		fail("--%s %s: give a number from 0 to %" PRIu64, name, s, max);
	return v;
}

static double parse_share(const char *name, const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= 0 && v <= 1))
		fail("--%s %s: give a number from 0 to 1", name, s);
	return v;
}

static void parse_pattern(const char *s)
{
	if (!strcmp(s, "uniform")) {
		opt.access = WALK_UNIFORM;
	} else if (!strcmp(s, "seq")) {
		opt.access = WALK_SEQUENTIAL;
	} else if (!strncmp(s, "zipf:", 5)) {
		opt.access = WALK_ZIPF;
		opt.theta = parse_share("pattern", s + 5);
		if (opt.theta <= 0 || opt.theta >= 1)
			fail("--pattern %s: THETA must be between 0 and 1", s);
	} else {
		fail("--pattern %s: give uniform, zipf:THETA or seq", s);
	}
}

static enum damage parse_damage(const char *s)
{
	static const char *const names[] = { "", "zero", "stale", "foreign",
					     "torn", "garbage" };
	unsigned int i;

	for (i = 1; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(s, names[i]))
			return (enum damage)i;
	fail("--break %s: give zero, stale, foreign, torn or garbage", s);
}

enum {
	SIZE, THREADS, WRITE_RATIO, PATTERN, SECONDS, OPS, NO_FILL, VERIFY, SEED,
	PORT, DIO, DIO_THREADS, MAKE, BREAK, HELP
};

static const struct option options[] = {
	{ "size", required_argument, NULL, SIZE },
	{ "threads", required_argument, NULL, THREADS },
	{ "write-ratio", required_argument, NULL, WRITE_RATIO },
	{ "pattern", required_argument, NULL, PATTERN },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "ops", required_argument, NULL, OPS },
	{ "no-fill", no_argument, NULL, NO_FILL },
	{ "verify", no_argument, NULL, VERIFY },
	{ "seed", required_argument, NULL, SEED },
	{ "port", required_argument, NULL, PORT },
	{ "dio", required_argument, NULL, DIO },
	{ "dio-threads", required_argument, NULL, DIO_THREADS },
	{ "make", required_argument, NULL, MAKE },
	{ "break", required_argument, NULL, BREAK },
	{ "help", no_argument, NULL, HELP },
	{ 0 }
};

void options_parse(int argc, char **argv)
{
	bool seconds = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case SIZE:
			opt.pages = parse_size(optarg) / PATTERN_PAGE;
			break;
		case THREADS:
			opt.threads = (unsigned int)parse_number("threads", optarg, MAX_THREADS);
			break;
		case WRITE_RATIO:
			opt.write_ratio = parse_share("write-ratio", optarg);
			break;
		case PATTERN:
			parse_pattern(optarg);
			break;
		case SECONDS:
			opt.seconds = (unsigned int)parse_number("seconds", optarg, 100000000);
			seconds = true;
			break;
		case OPS:
			opt.ops = parse_number("ops", optarg, INT64_MAX);
			break;
		case NO_FILL:
			opt.fill = false;
			break;
		case VERIFY:
			opt.verify = true;
			break;
		case SEED:
			opt.seed = parse_number("seed", optarg, UINT64_MAX);
			break;
		case PORT:
			opt.port = optarg;
			break;
		case DIO:
			opt.dio = optarg;
			break;
		case DIO_THREADS:
			opt.dio_threads = (unsigned int)parse_number("dio-threads", optarg, MAX_THREADS);
			break;
		case MAKE:
			opt.make = optarg;
			break;
		case BREAK:
			opt.damage = parse_damage(optarg);
			break;
		case HELP:
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind < argc)
		fail("%s: every argument belongs to an option; see --help", argv[optind]);
	if (!opt.threads)
		fail("--threads 0: give at least 1");
	if (opt.dio && opt.access == WALK_SEQUENTIAL && opt.pages < 2 * opt.threads)
		fail("--size: too few pages for so many threads");
	if (!seconds && !opt.ops)
		opt.seconds = 10;
}
