// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"

#define MAGIC	0x48524d5400000000ULL	/* "HRMT" */
#define SECTOR	(PATTERN_PAGE / PATTERN_SECTORS)

struct mark {
	uint64_t magic;
	uint64_t number;	/* << 3 | sector */
	uint64_t version;
	uint64_t checksum;
};

#define PLACES	(SECTOR / sizeof(struct mark))

static size_t mark_offset(uint64_t page, unsigned int sector)
{
	return sector * SECTOR +
	       (page * 7 + sector * 5) % PLACES * sizeof(struct mark);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15ULL;
	return x ^ (x >> 29);
}

static uint64_t checksum(const struct mark *m)
{
	return mix(mix(mix(m->magic) + m->number) + m->version);
}

static void make(struct mark *m, const struct pattern *p, unsigned int sector)
{
	memset(m, 0, sizeof(*m));
	if (p->kind == PATTERN_ZERO)
		return;
	m->magic = MAGIC | p->kind;
	m->number = p->number << 3 | sector;
	m->version = p->version;
	m->checksum = checksum(m);
}

void pattern_write(void *mem, uint64_t page, const struct pattern *p)
{
	struct mark m;
	unsigned int s;

	for (s = 0; s < PATTERN_SECTORS; s++) {
		make(&m, p, s);
		memcpy((char *)mem + mark_offset(page, s), &m, sizeof(m));
	}
}

bool pattern_check(const void *mem, uint64_t page, const struct pattern *p)
{
	struct mark m;
	unsigned int s;

	for (s = 0; s < PATTERN_SECTORS; s++) {
		make(&m, p, s);
		if (memcmp((const char *)mem + mark_offset(page, s), &m, sizeof(m)))
			return false;
	}
	return true;
}

static bool valid(const struct mark *m)
{
	return m->magic >> 32 == MAGIC >> 32 && m->checksum == checksum(m);
}

/* Another page's marks stand elsewhere in the sector. */
static bool search(struct mark *m, const void *mem, unsigned int sector)
{
	const char *at = (const char *)mem + sector * SECTOR;
	unsigned int i;

	for (i = 0; i < PLACES && !valid(m); i++)
		memcpy(m, at + i * sizeof(*m), sizeof(*m));
	return valid(m);
}

static void name(FILE *out, const struct mark *found, const void *mem,
		 uint64_t page, unsigned int sector, const struct pattern *p)
{
	static const struct mark zero;
	struct mark copy = *found, *m = &copy;
	const bool known = search(m, mem, sector);
	const uint64_t kind = m->magic & 0xffffffff;

	if (!known)
		fprintf(out, memcmp(found, &zero, sizeof(zero)) ?
			"no pattern of ours" : "zeros");
	else if ((m->number & 7) != sector)
		fprintf(out, "sector %u of %s %" PRIu64,
			(unsigned int)(m->number & 7),
			kind == PATTERN_DISK ? "disk block" : "page",
			m->number >> 3);
	else if (kind == PATTERN_DISK)
		fprintf(out, "disk block %" PRIu64, m->number >> 3);
	else if (m->number >> 3 != page)
		fprintf(out, "another page: %" PRIu64 " version %" PRIu64,
			m->number >> 3, m->version);
	else if (p->kind != PATTERN_MEMORY || m->version < p->version)
		fprintf(out, "stale: version %" PRIu64, m->version);
	else
		fprintf(out, "newer: version %" PRIu64, m->version);
}

void pattern_explain(FILE *out, const void *mem, uint64_t page,
		     const struct pattern *p)
{
	struct mark want, got;
	unsigned int s, wrong = 0;

	for (s = 0; s < PATTERN_SECTORS; s++) {
		const char *at = (const char *)mem + mark_offset(page, s);

		make(&want, p, s);
		memcpy(&got, at, sizeof(got));
		if (!memcmp(&want, &got, sizeof(got)))
			continue;
		fprintf(out, "  page %" PRIu64 " at %p: expected %016" PRIx64
			" %016" PRIx64 " %016" PRIx64 " %016" PRIx64
			" found %016" PRIx64 " %016" PRIx64 " %016" PRIx64
			" %016" PRIx64 ": ", page, (const void *)at, want.magic,
			want.number, want.version, want.checksum, got.magic,
			got.number, got.version, got.checksum);
		name(out, &got, mem, page, s, p);
		fputc('\n', out);
		wrong++;
	}
	if (!wrong)
		fprintf(out, "  page %" PRIu64 " at %p: right when looked at again\n",
			page, mem);
}

bool pattern_make_disk(const char *path, uint64_t bytes)
{
	struct pattern p = { .kind = PATTERN_DISK };
	char *block = calloc(1, PATTERN_PAGE);
	int fd, saved;

	if (!block)
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		free(block);
		return false;
	}
	for (p.number = 0; p.number < bytes / PATTERN_PAGE; p.number++) {
		pattern_write(block, 0, &p);
		errno = ENOSPC;		/* what a short write means */
		if (write(fd, block, PATTERN_PAGE) != PATTERN_PAGE)
			goto fail;
	}
	free(block);
	return !close(fd);
fail:
	saved = errno;
	close(fd);
	free(block);
	errno = saved;
	return false;
}
