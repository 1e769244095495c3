// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin of QEMU's TCG that records which pages of its memory a guest reads and
 * writes, for tests/traces/record.
 *
 *	-plugin recorder.so,out=FILE,epoch=INSTRUCTIONS[,most=EPOCHS]
 *
 * The guest runs two instructions as marks (guest/mark.c): recording begins at the
 * first, and at the second, or after `most` epochs, the recorder ends QEMU. Before
 * the first mark the guest runs at nearly TCG's full speed.
 *
 * An epoch is so many instructions; in it, a page is there once, read or written.
 * FILE is a row of sets of pages: those that had contents at the first mark, then
 * one set for each epoch. What a set looks like: pages.h.
 *
 * Seen are loads and stores of the CPU, and pages that code is run from. Not seen
 * are the CPU's own page walks and the DMA of devices. One CPU; RAM below 3 GiB, in
 * a memory-backend-memfd, which is how code's pages are told.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <qemu-plugin.h>

#define PAGES_MAX	(3u << 18)
#define PAGE		4096

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static const uint8_t begin_mark[] = { 0x0f, 0x1f, 0x84, 0x00, 0x01, 0xba, 0xfe, 0xca };
static const uint8_t end_mark[] = { 0x0f, 0x1f, 0x84, 0x00, 0x02, 0xba, 0xfe, 0xca };

typedef struct {
	uint32_t insns, page;	/* PAGES_MAX: code that is not in RAM */
} Block;

static qemu_plugin_id_t self;
static FILE *out;
static const uint8_t *ram;
static uint32_t pages;
static uint64_t epoch, most, run, epochs, records;
static uint64_t touched[PAGES_MAX / 64], written[PAGES_MAX / 64];

static void put(uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		putc((v & 0x7f) | 0x80, out);
	putc(v, out);
}

static void put_set(void)
{
	uint64_t n = 0, next = 0;

	for (uint32_t i = 0; i < pages / 64; i++)
		n += __builtin_popcountll(touched[i]);
	put(n);
	records += n;
	for (uint32_t i = 0; i < pages / 64; i++)
		for (uint64_t left = touched[i]; left; left &= left - 1) {
			uint64_t page = i * 64 + __builtin_ctzll(left);

			put((page - next) << 1 | (written[i] >> page % 64 & 1));
			next = page + 1;
		}
	memset(touched, 0, pages / 8);
	memset(written, 0, pages / 8);
}

static void end(void)
{
	if (fflush(out) || ferror(out)) {
		perror("recorder: the trace cannot be written");
		exit(1);
	}
	fprintf(stderr, "recorder: %" PRIu64 " epochs, %" PRIu64 " records\n", epochs, records);
	exit(0);
}

static inline void touch(uint64_t page, bool write)
{
	if (page >= pages)
		return;
	touched[page / 64] |= 1ull << page % 64;
	if (write)
		written[page / 64] |= 1ull << page % 64;
}

static void at_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
	struct qemu_plugin_hwaddr *at = qemu_plugin_get_hwaddr(info, vaddr);

	if (at && !qemu_plugin_hwaddr_is_io(at))
		touch(qemu_plugin_hwaddr_phys_addr(at) / PAGE, qemu_plugin_mem_is_store(info));
}

static void at_block(unsigned int vcpu, void *data)
{
	const Block *b = data;

	run += b->insns;
	if (run >= epoch) {
		run -= epoch;
		put_set();
		if (++epochs == most)
			end();
	}
	touch(b->page, false);
}

static void at_end(unsigned int vcpu, void *unused)
{
	put_set();
	end();
}

static bool is_mark(const struct qemu_plugin_insn *insn, const uint8_t *mark)
{
	uint8_t bytes[sizeof(begin_mark)];

	return qemu_plugin_insn_size(insn) == sizeof(bytes) &&
	       qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) == sizeof(bytes) &&
	       !memcmp(bytes, mark, sizeof(bytes));
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, 0);
	const uint8_t *code = qemu_plugin_insn_haddr(insn);
	Block *b = g_new(Block, 1);	/* as long as its code, and that is for ever */

	b->insns = qemu_plugin_tb_n_insns(tb);
	b->page = code >= ram && code < ram + (uint64_t)pages * PAGE ?
		  (code - ram) / PAGE : PAGES_MAX;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, at_block, QEMU_PLUGIN_CB_NO_REGS, b);
	for (uint32_t i = 0; i < b->insns; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		qemu_plugin_register_vcpu_mem_cb(insn, at_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, NULL);
		if (is_mark(insn, end_mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_end,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static void recording(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
}

/* What of @page is not zero? */
static bool has_contents(const uint8_t *page)
{
	return page[0] || memcmp(page, page + 1, PAGE - 1);
}

static void find_ram(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t from, to;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:memory-backend") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2) {
			ram = (const uint8_t *)from;
			pages = MIN((to - from) / PAGE, PAGES_MAX);
			break;
		}
	if (maps)
		fclose(maps);
	if (!pages) {
		fprintf(stderr, "recorder: the guest's RAM is not found; give it a memory-backend-memfd\n");
		exit(1);
	}
}

static void at_begin(unsigned int vcpu, void *unused)
{
	if (ram)
		return;		/* the reset takes effect a little later */
	find_ram();
	for (uint32_t i = 0; i < pages; i++)
		if (has_contents(ram + (uint64_t)i * PAGE))
			touch(i, false);
	put_set();
	records = 0;
	fprintf(stderr, "recorder: %u pages of RAM\n", pages);
	qemu_plugin_reset(self, recording);
}

static void waiting(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_mark(insn, begin_mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_begin,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (g_str_has_prefix(argv[i], "out="))
			out = fopen(argv[i] + strlen("out="), "w");
		else if (g_str_has_prefix(argv[i], "epoch="))
			epoch = g_ascii_strtoull(argv[i] + strlen("epoch="), NULL, 10);
		else if (g_str_has_prefix(argv[i], "most="))
			most = g_ascii_strtoull(argv[i] + strlen("most="), NULL, 10);
	}
	if (!out || !epoch) {
		fprintf(stderr, "recorder: say out=FILE, one that can be written, and epoch=INSTRUCTIONS\n");
		return -1;
	}
	if (info->system.smp_vcpus != 1) {
		fprintf(stderr, "recorder: it records one CPU; use -smp 1\n");
		return -1;
	}
	self = id;
	qemu_plugin_register_vcpu_tb_trans_cb(id, waiting);
	return 0;
}
