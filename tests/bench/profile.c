// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin of QEMU's TCG for tests/bench/run fault --profile: how often each
 * block of code ran between two marks of L1 (mark_begin() and mark_end() of
 * tests/vm/tools/mini-bench.c).
 *
 *	-plugin profile.so,out=FILE
 *
 * FILE gets a line for each block that ran: number of the measurement, address,
 * instructions in the block, runs. One CPU only, since L1's other CPUs would
 * not stop at the marks of the first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <qemu-plugin.h>

/* A run of L1 and a guest translates some 150,000. */
#define BLOCKS_MAX (1u << 20)

typedef struct {
	uint64_t address;
	uint64_t insns;
	uint32_t index;		/* of its counter */
} Block;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static const uint8_t begin_mark[] = { 0x0f, 0x1f, 0x84, 0x00, 0x01, 0xba, 0xfe, 0xca };
static const uint8_t end_mark[] = { 0x0f, 0x1f, 0x84, 0x00, 0x02, 0xba, 0xfe, 0xca };

static GHashTable *blocks;
static struct qemu_plugin_scoreboard *counters;	/* BLOCKS_MAX words */
static FILE *out;
static unsigned int measurement;

static guint block_hash(gconstpointer p)
{
	const Block *b = p;

	return (b->address ^ b->insns << 48) * 0x9e3779b97f4a7c15ull >> 32;
}

static gboolean block_equal(gconstpointer p, gconstpointer q)
{
	const Block *a = p, *b = q;

	return a->address == b->address && a->insns == b->insns;
}

static void at_begin(unsigned int vcpu, void *unused)
{
	memset(qemu_plugin_scoreboard_find(counters, 0), 0, BLOCKS_MAX * sizeof(uint64_t));
}

static void at_end(unsigned int vcpu, void *unused)
{
	const uint64_t *runs = qemu_plugin_scoreboard_find(counters, 0);
	GHashTableIter i;
	gpointer p;

	g_hash_table_iter_init(&i, blocks);
	while (g_hash_table_iter_next(&i, &p, NULL)) {
		const Block *b = p;

		if (runs[b->index])
			fprintf(out, "%u %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", measurement,
				b->address, b->insns, runs[b->index]);
	}
	fflush(out);
	measurement++;
}

/* Code is translated again now and then; it keeps its counter. */
static const Block *block_of(const struct qemu_plugin_tb *tb)
{
	Block key = { qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb), 0 };
	Block *b = g_hash_table_lookup(blocks, &key);

	if (b)
		return b;
	key.index = g_hash_table_size(blocks);
	if (key.index == BLOCKS_MAX) {
		fprintf(stderr, "profile: more than %u blocks of code\n", BLOCKS_MAX);
		exit(1);
	}
	b = g_memdup2(&key, sizeof(key));
	g_hash_table_add(blocks, b);
	return b;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const Block *b = block_of(tb);
	qemu_plugin_u64 counter = { counters, b->index * sizeof(uint64_t) };

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
	for (uint64_t i = 0; i < b->insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[sizeof(begin_mark)];

		if (qemu_plugin_insn_size(insn) != sizeof(bytes) ||
		    qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
			continue;
		if (!memcmp(bytes, begin_mark, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (!memcmp(bytes, end_mark, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_end, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	if (argc == 1 && g_str_has_prefix(argv[0], "out="))
		out = fopen(argv[0] + strlen("out="), "w");
	if (!out) {
		fprintf(stderr, "profile: say out=FILE, one that can be written\n");
		return -1;
	}
	if (info->system.smp_vcpus != 1) {
		fprintf(stderr, "profile: it counts one CPU; use -smp 1\n");
		return -1;
	}
	blocks = g_hash_table_new(block_hash, block_equal);
	counters = qemu_plugin_scoreboard_new(BLOCKS_MAX * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
