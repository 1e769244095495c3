// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hermit region without any KVM: threads of this process map the memory fd
 * and write and verify patterns in it while reclaim takes pages away. It goes
 * through vm_ops->fault, pread, punch-hole and O_DIRECT pins, and is the
 * quickest way to see that a page always comes back as it went.
 *
 *	region-stress [--size MiB] [--limit MiB] [--threads N] [--ops N]
 *		      [--server S]... [--replicas N] [--key FILE] [--seed N] [--dio FILE] [--flip]
 *		      [--poison N] [--seal]
 *
 * Each page is owned by the thread of its number modulo the threads, which
 * keeps its version; every access checks all words of the page, each made of
 * page, version and place. --flip moves the limit up and down meanwhile. --dio
 * reads a file of such pages with O_DIRECT into pages of the region (pins).
 * --poison has frames of N pages taken for bad (hard_offline_page): what they held
 * comes from the server, or is lost, and then the page is discarded and goes on.
 * SIGTERM ends the threads early. Exit status 0: every check passed, also of all
 * pages at the end, and of the counters, once the region is at rest; the last line
 * gives them, and how long an access took at most, to a tick of the clock.
 */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "counters.h"
#include "region-tool.h"

#define PAGE 4096UL
#define WORDS (PAGE / 8)

static uint64_t size_mib = 64, limit_mib = 16, ops = 200000, seed = 1;
static unsigned int nthreads = 2;
static const char *key_file, *dio_file;
static bool flip;
static int memory;
static uint64_t *base;
static uint64_t npages;
static uint32_t *version;	/* 0: never written, or punched: zeros */
static atomic_ulong failures;
static uint64_t poison;		/* frames to be taken for bad */
static atomic_bool poisoning;	/* not all of them are yet: go on */
static atomic_ulong lost, operations, longest_ms;
static _Thread_local sigjmp_buf on_bus;
static atomic_bool stop;

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static uint64_t pattern(uint64_t page, uint32_t v, unsigned int word)
{
	return v ? (page << 40) ^ ((uint64_t)v << 9) ^ word ^ 0x5a5a : 0;
}

/* The version of the pages of --dio's file, by their number there. */
#define DIO_VERSION 0x7fffffu
#define DIO_PAGES 256

static void check(const uint64_t *p, uint64_t page, uint32_t v, const char *how)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		uint64_t got = p[i], want = pattern(page, v, i);

		if (got == want)
			continue;
		if (atomic_fetch_add(&failures, 1) < 10)
			fprintf(stderr, "%s: page %lu word %u: %#lx, not %#lx (version %u)\n",
				how, page, i, got, want, v);
		return;
	}
}

static void store(uint64_t *p, uint64_t page, uint32_t v)
{
	for (unsigned int i = 0; i < WORDS; i++)
		p[i] = pattern(page, v, i);
}

static void punch(uint64_t page)
{
	if (fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      page * PAGE, PAGE)) {
		perror("punch");
		atomic_fetch_add(&failures, 1);
	}
	version[page] = 0;
}

/* The page is lost: as it may be if its frame was bad. It begins anew. */
static void give_up(uint64_t page, const char *how)
{
	/* A frame may have gone on to another page when it is marked. */
	if (atomic_fetch_add(&lost, 1) >= poison) {
		fprintf(stderr, "%s: page %lu is lost, the %lu-th\n", how, page,
			atomic_load(&lost));
		atomic_fetch_add(&failures, 1);
	}
	punch(page);
}

static void bus(int sig)
{
	siglongjmp(on_bus, 1);
}

static uint64_t frame_of(int pagemap, uint64_t page)
{
	uint64_t w;

	if (pread(pagemap, &w, 8, (uintptr_t)(base + page * WORDS) / PAGE * 8) != 8)
		return 0;
	return w >> 63 ? w & ((1UL << 55) - 1) : 0;
}

/*
 * Half of the frames go bad while the page is in no page table of the host. Not
 * before a third of all operations is over: then there are pages with a copy.
 */
static void *poisoner(void *arg)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int f = open("/sys/devices/system/memory/hard_offline_page", O_WRONLY);
	uint64_t s = seed * 2654435761u + 1;
	char text[32];

	if (pagemap < 0 || f < 0) {
		perror("pagemap, hard_offline_page");
		exit(2);
	}
	for (uint64_t n = 0; n < poison && !atomic_load(&stop); ) {
		uint64_t page = next(&s) % npages, frame = frame_of(pagemap, page);
		uint64_t all = ops * nthreads;

		if (!frame || atomic_load(&operations) < all / 3 + all / 2 * n / poison) {
			usleep(100);
			continue;
		}
		if (n % 2)
			madvise(base + page * WORDS, PAGE, MADV_DONTNEED);
		snprintf(text, sizeof(text), "%#lx", frame * PAGE);
		if (write(f, text, strlen(text)) < 0 && errno != EBUSY && errno != EIO) {
			perror("hard_offline_page");
			atomic_fetch_add(&failures, 1);
		}
		n++;
	}
	atomic_store(&poisoning, false);
	close(pagemap);
	close(f);
	return NULL;
}

/* What @r says with the page. @fd: of --dio, with so many pages. */
static void operate(uint64_t page, uint64_t r, int fd, uint64_t dio_pages)
{
	uint64_t *p = base + page * WORDS, buf[WORDS];

	if (sigsetjmp(on_bus, 0)) {
		give_up(page, "load or store");
		return;
	}
	switch ((r >> 40) % 64) {
	case 0:
		punch(page);
		break;
	case 1:
	case 2:
		if (pread(memory, buf, PAGE, page * PAGE) == PAGE) {
			check(buf, page, version[page], "pread");
		} else if (errno == EIO) {
			give_up(page, "pread");
		} else {
			perror("pread");
			atomic_fetch_add(&failures, 1);
		}
		break;
	case 3:
		if (!dio_pages)
			break;
		/* The device writes into the page while it is pinned. */
		if (pread(fd, p, PAGE, r % dio_pages * PAGE) == PAGE) {
			check(p, r % dio_pages, DIO_VERSION, "O_DIRECT");
		} else if (errno == EFAULT && poison) {
			give_up(page, "O_DIRECT read");
		} else {
			perror("O_DIRECT read");
			atomic_fetch_add(&failures, 1);
		}
		store(p, page, ++version[page]);
		break;
	default:
		check(p, page, version[page], "load");
		if (r & (1ULL << 50))
			store(p, page, ++version[page]);
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	/* No clock is read for it, which takes long where that is emulated. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000UL + t.tv_nsec / 1000000;
}

static void took(uint64_t ms)
{
	unsigned long most = atomic_load(&longest_ms);

	while (ms > most && !atomic_compare_exchange_weak(&longest_ms, &most, ms))
		;
}

static void *worker(void *arg)
{
	unsigned int me = (uintptr_t)arg;
	uint64_t s = seed * 0x9e3779b97f4a7c15ULL + me + 1;
	int fd = dio_file ? open(dio_file, O_RDONLY | O_DIRECT) : -1;
	uint64_t dio_pages = fd >= 0 ? lseek(fd, 0, SEEK_END) / PAGE : 0;

	for (uint64_t n = 0; (n < ops || atomic_load(&poisoning)) && !atomic_load(&stop); n++) {
		uint64_t r = next(&s), page = r % npages / nthreads * nthreads + me;

		atomic_fetch_add(&operations, 1);
		if (page < npages) {
			uint64_t begin = now_ms();

			operate(page, r, fd, dio_pages);
			took(now_ms() - begin);
		}
	}
	return NULL;
}

static void check_final(uint64_t page)
{
	if (sigsetjmp(on_bus, 0))
		give_up(page, "final");
	else
		check(base + page * WORDS, page, version[page], "final");
}

/* Nobody asks for pages any more: soon nothing is under way, and the counters fit. */
static struct hermit_stats stats_at_rest(void)
{
	struct hermit_stats st;
	char why[200];

	for (unsigned int i = 0; i < 12000; i++) {
		st = stats();
		/* the limit may have been lowered just now */
		if (counters_fit(&st, why, sizeof(why)) && st.resident <= st.limit / PAGE)
			return st;
		usleep(10000);
	}
	if (st.resident <= st.limit / PAGE)
		fprintf(stderr, "counters: %s\n", why);
	atomic_fetch_add(&failures, 1);
	return st;
}

static void on_term(int sig)
{
	atomic_store(&stop, true);
}

static void set_limit(uint64_t mib)
{
	struct hermit_limit l = { .size = sizeof(l), .limit = mib << 20 };

	if (ioctl(control, HERMIT_SET_LIMIT, &l)) {
		fprintf(stderr, "set limit: %s: %s\n", strerror(errno), l.error);
		atomic_fetch_add(&failures, 1);
	}
}

static void *flipper(void *arg)
{
	for (unsigned int i = 0; !atomic_load(&stop); i++) {
		usleep(50000);
		set_limit(i & 1 ? limit_mib : (limit_mib + size_mib) / 2);
	}
	set_limit(limit_mib);
	return NULL;
}

static void make_dio_file(void)
{
	int fd = open(dio_file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t buf[WORDS];

	for (uint64_t i = 0; i < DIO_PAGES; i++) {
		store(buf, i, DIO_VERSION);
		if (write(fd, buf, PAGE) != PAGE) {
			perror(dio_file);
			exit(2);
		}
	}
	fsync(fd);
	close(fd);
}

static void read_key(struct hermit_create *c)
{
	int fd = open(key_file, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, c->key, sizeof(c->key));

	if (n <= 0) {
		perror(key_file);
		exit(2);
	}
	if (c->key[n - 1] == '\n')
		n--;
	c->key_len = n;
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", 1, 0, 's' }, { "limit", 1, 0, 'l' }, { "threads", 1, 0, 't' },
		{ "ops", 1, 0, 'n' }, { "server", 1, 0, 'S' }, { "replicas", 1, 0, 'R' }, { "seed", 1, 0, 'r' },
		{ "key", 1, 0, 'k' }, { "dio", 1, 0, 'd' }, { "flip", 0, 0, 'f' }, { "poison", 1, 0, 'p' },
		{ "seal", 0, 0, 'e' }, { 0 },
	};
	struct hermit_create c = { .size = sizeof(c), .version = HERMIT_UAPI_VERSION };
	static struct hermit_stats st;
	struct sigaction sa = { .sa_handler = bus, .sa_flags = SA_NODEFER };
	pthread_t t[64], ft, pt;
	uint64_t evictions, timed = 0;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's': size_mib = strtoull(optarg, NULL, 0); break;
		case 'l': limit_mib = strtoull(optarg, NULL, 0); break;
		case 't': nthreads = strtoul(optarg, NULL, 0); break;
		case 'n': ops = strtoull(optarg, NULL, 0); break;
		case 'S':
			if (c.nr_servers < HERMIT_MAX_SERVERS)
				strncpy(c.servers[c.nr_servers++], optarg, HERMIT_SERVER_LEN - 1);
			break;
		case 'R': c.replicas = strtoul(optarg, NULL, 0); break;
		case 'k': key_file = optarg; break;
		case 'e': c.flags = HERMIT_CREATE_SEAL; break;
		case 'r': seed = strtoull(optarg, NULL, 0); break;
		case 'd': dio_file = optarg; break;
		case 'f': flip = true; break;
		case 'p': poison = strtoull(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	if (!nthreads || nthreads > 64) {
		fprintf(stderr, "--threads: 1 to 64\n");
		return 2;
	}
	if (dio_file)
		make_dio_file();
	c.region_size = size_mib << 20;
	c.limit = limit_mib << 20;
	strcpy(c.name, "stress");
	if (getrandom(c.uuid, sizeof(c.uuid), 0) != sizeof(c.uuid)) {
		perror("getrandom");
		return 2;
	}
	if (key_file)
		read_key(&c);
	control = open("/dev/hermit", O_RDWR | O_CLOEXEC);
	if (control < 0) {
		perror("/dev/hermit");
		return 2;
	}
	if (ioctl(control, HERMIT_CREATE, &c)) {
		fprintf(stderr, "create: %s: %s\n", strerror(errno), c.error);
		return 1;
	}
	memory = c.memory_fd;
	base = mmap(NULL, c.region_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (base == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	npages = c.region_size / PAGE;
	signal(SIGTERM, on_term);
	if (poison)
		sigaction(SIGBUS, &sa, NULL);
	version = calloc(npages, sizeof(*version));
	atomic_store(&poisoning, poison > 0);
	for (uintptr_t i = 0; i < nthreads; i++)
		pthread_create(&t[i], NULL, worker, (void *)i);
	if (flip)
		pthread_create(&ft, NULL, flipper, NULL);
	if (poison)
		pthread_create(&pt, NULL, poisoner, NULL);
	for (unsigned int i = 0; i < nthreads; i++)
		pthread_join(t[i], NULL);
	atomic_store(&stop, true);
	if (flip)
		pthread_join(ft, NULL);
	if (poison)
		pthread_join(pt, NULL);
	for (uint64_t i = 0; i < npages; i++)
		check_final(i);

	st = stats_at_rest();
	for (unsigned int i = 0; i < HERMIT_HIST_BUCKETS; i++)
		timed += st.fault_hist[i];
	evictions = st.evicted_clean + st.evicted_dirty + st.evicted_zero;
	printf("stress failures=%lu evictions=%lu clean=%llu dirty=%llu zero=%llu fetches=%llu conflicts=%llu rescued=%llu pinned=%llu kept=%llu room_waits=%llu faults_host=%llu resident=%llu max=%llu limit=%llu local=%llu pool=%llu remote=%llu read_errors=%llu write_errors=%llu discarded=%llu metadata=%llu first_touch=%llu timed=%lu threads_max=%u scanned=%llu turn_waits=%llu longest_ms=%lu poisoned=%llu lost=%lu\n",
	       atomic_load(&failures), evictions, st.evicted_clean, st.evicted_dirty,
	       st.evicted_zero, st.fetches, st.conflicts, st.rescued, st.pinned, st.kept,
	       st.room_waits, st.faults_host, st.resident, st.resident_max,
	       st.limit / PAGE, st.local, st.pool, st.remote, st.read_errors,
	       st.write_errors, st.discarded, st.metadata_bytes, st.first_touch, timed,
	       st.threads_max, st.scanned, st.reclaim_turn_waits,
	       atomic_load(&longest_ms), st.poisoned, atomic_load(&lost));
	if (st.resident > st.limit / PAGE) {
		fprintf(stderr, "resident %llu above the limit of %llu pages\n",
			st.resident, st.limit / PAGE);
		return 1;
	}
	return atomic_load(&failures) ? 1 : 0;
}
