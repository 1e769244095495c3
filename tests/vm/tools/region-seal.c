// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a memory server, and whoever listens on the way to it, sees of a region: each page
 * is full of a mark, which is looked for in the server's memory and in all that passes lo.
 *
 *	region-seal --server S --server-pid P		it is found in both
 *	region-seal --server S --server-pid P --seal	in neither; and what the server had
 *							before, and what it forges with the
 *							right CRC, is not served
 *
 * Exit status 0: so it is; the last line gives figures. With --ready FILE it makes that
 * file when its pages are at the server, and waits until it is gone.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "region-tool.h"

#define PAGE	4096UL
#define WORDS	(PAGE / 8)
/* Polynomial of the CRC: in bits that follow each other it changes no CRC. */
#define SAME_CRC (1ULL | 0x82f63b78ULL << 1)

static const char mark[] = "this is a secret of the guest's";	/* 32 bytes, with the 0 */
static uint64_t size = 24UL << 20, limit = 8UL << 20, npages;
static int memory, server_pid;
static volatile uint64_t *base;
static atomic_ulong packets, seen;
static atomic_bool stop;

static uint64_t value(uint64_t word, uint32_t version)
{
	uint64_t v;

	if (!(word % 8))
		return (word / WORDS) << 32 | version;
	memcpy(&v, mark + word % 4 * 8, sizeof(v));
	return v;
}

static void fill(uint32_t version)
{
	for (uint64_t i = 0; i < size / 8; i++)
		base[i] = value(i, version);
}

static void check(uint32_t version)
{
	for (uint64_t i = 0; i < size / 8; i++)
		if (base[i] != value(i, version))
			die("word %lu of page %lu reads %#lx, and version %u has %#lx there",
			    i % WORDS, i / WORDS, base[i], version, value(i, version));
}

/* A part of it that no other text has, wherever it begins. */
static unsigned long marks_in(const void *p, size_t n)
{
	const char *at = p, *end = at + n;
	unsigned long found = 0;

	while ((at = memmem(at, end - at, mark + 8, 16))) {
		found++;
		at += 16;
	}
	return found;
}

static void *listener(void *arg)
{
	struct sockaddr_ll lo = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex("lo"),
	};
	struct timeval soon = { .tv_usec = 100000 };
	int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), room = 64 << 20;
	static char packet[128 << 10];
	ssize_t n;

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)) ||
	    bind(s, (struct sockaddr *)&lo, sizeof(lo)))
		die("no packets of lo: %s", strerror(errno));
	while (!atomic_load(&stop)) {
		n = recv(s, packet, sizeof(packet), 0);
		if (n <= 0)
			continue;
		atomic_fetch_add(&packets, 1);
		atomic_fetch_add(&seen, marks_in(packet, n));
	}
	close(s);
	return NULL;
}

/* The memory of the server: a memfd, sparse, and all of it is this region's. */
static struct {
	int fd;
	uint64_t *m;
	size_t length, n;
	size_t *pages;			/* numbers of those that there are, n of them */
} server;

static void server_open(void)
{
	char path[300], name[64];
	struct dirent *e;
	ssize_t n;
	DIR *d;

	server.fd = -1;
	snprintf(path, sizeof(path), "/proc/%d/fd", server_pid);
	d = opendir(path);
	while (d && server.fd < 0 && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", server_pid, e->d_name);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = 0;
		if (!strncmp(name, "/memfd:hermit-memory", 20))
			server.fd = open(path, O_RDWR);
	}
	if (server.fd < 0)
		die("process %d has no memory of a server", server_pid);
	closedir(d);
	server.length = lseek(server.fd, 0, SEEK_END);
	server.m = mmap(NULL, server.length, PROT_READ | PROT_WRITE, MAP_SHARED,
			server.fd, 0);
	server.pages = malloc(4 * npages * sizeof(*server.pages));
	if (server.m == MAP_FAILED || !server.pages)
		die("%s: %s", path, strerror(errno));
}

/* Which pages it has now; holes stay holes. */
static void server_look(void)
{
	off_t at = 0, end;

	server.n = 0;
	while ((at = lseek(server.fd, at, SEEK_DATA)) >= 0) {
		end = lseek(server.fd, at, SEEK_HOLE);
		for (; at < end && server.n < 4 * npages; at += PAGE)
			server.pages[server.n++] = at / PAGE;
		if (at < end)
			die("the server has more than %lu pages", server.n);
	}
}

static uint64_t *server_page(size_t i)
{
	return &server.m[server.pages[i] * WORDS];
}

static uint64_t *server_copy(void)
{
	uint64_t *copy = malloc(server.n * PAGE);

	for (size_t i = 0; copy && i < server.n; i++)
		memcpy(&copy[i * WORDS], server_page(i), PAGE);
	if (!copy)
		die("out of memory");
	return copy;
}

static unsigned long server_marks(void)
{
	unsigned long n = 0;

	for (size_t i = 0; i < server.n; i++)
		n += marks_in(server_page(i), PAGE);
	return n;
}

static bool is_empty(const uint64_t *page)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (page[i])
			return false;
	return true;
}

/* Until nothing is written any more. */
static void rest(void)
{
	uint64_t was = ~0ULL, now;

	for (int i = 0; i < 600; i++) {
		now = stats().evicted_dirty + stats().evicted_clean;
		if (now == was && stats().remote > npages / 2)
			return;
		was = now;
		usleep(200000);
	}
	die("after two minutes %llu of %lu pages are remote", stats().remote, npages);
}

static void *reader(void *arg)
{
	check(2);
	return NULL;
}

/*
 * While the server has @old in place of @new nobody gets a page of it; when that is put
 * right all is as it should be.
 */
static void not_served(const char *what, const uint64_t *old, const uint64_t *new)
{
	uint64_t before = stats().seal_refused;
	pthread_t t;

	for (size_t i = 0; i < server.n; i++)
		memcpy(server_page(i), &old[i * WORDS], PAGE);
	pthread_create(&t, NULL, reader, NULL);
	for (int i = 0; stats().seal_refused < before + 20; i++) {
		if (i == 600)
			die("%s: in a minute %llu are refused", what,
			    stats().seal_refused - before);
		usleep(100000);
	}
	/* What left meanwhile is there as it is. */
	for (size_t i = 0; i < server.n; i++)
		if (!memcmp(server_page(i), &old[i * WORDS], PAGE))
			memcpy(server_page(i), &new[i * WORDS], PAGE);
	pthread_join(t, NULL);
	printf("%s: %llu refused\n", what, stats().seal_refused - before);
}

static void dishonest_server(void)
{
	uint64_t *old, *new, *forged;

	old = server_copy();
	fill(2);
	check(2);
	rest();
	new = server_copy();
	not_served("what it had before", old, new);
	rest();
	free(old);
	free(new);
	server_look();
	new = server_copy();
	forged = server_copy();
	for (size_t i = 0; i < server.n; i++)
		if (!is_empty(&forged[i * WORDS]))
			forged[i * WORDS + i % WORDS] ^= SAME_CRC;
	not_served("what it forges", forged, new);
	check(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", 1, 0, 'S' }, { "server-pid", 1, 0, 'p' },
		{ "seal", 0, 0, 's' }, { "ready", 1, 0, 'r' }, { 0 },
	};
	struct hermit_create c = {
		.size = sizeof(c), .version = HERMIT_UAPI_VERSION, .name = "seal",
	};
	const char *ready = NULL;
	unsigned long stored = 0;
	pthread_t t;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'S':
			c.nr_servers = 1;
			strncpy(c.servers[0], optarg, HERMIT_SERVER_LEN - 1);
			break;
		case 'p': server_pid = atoi(optarg); break;
		case 's': c.flags = HERMIT_CREATE_SEAL; break;
		case 'r': ready = optarg; break;
		default: return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	npages = size / PAGE;
	c.region_size = size;
	c.limit = limit;
	if (getrandom(c.uuid, sizeof(c.uuid), 0) != sizeof(c.uuid))
		die("getrandom: %s", strerror(errno));
	control = open("/dev/hermit", O_RDWR | O_CLOEXEC);
	if (control < 0)
		die("/dev/hermit: %s", strerror(errno));
	if (ioctl(control, HERMIT_CREATE, &c))
		die("create: %s: %s", strerror(errno), c.error);
	memory = c.memory_fd;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (base == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	pthread_create(&t, NULL, listener, NULL);
	usleep(100000);
	fill(1);
	check(1);
	rest();
	server_open();
	server_look();
	for (size_t i = 0; i < server.n; i++)
		stored += !is_empty(server_page(i));
	printf("memory: %lu pages, %lu marks; lo: %lu packets, %lu marks; %llu sealed, %llu bytes beside the words\n",
	       stored, server_marks(), atomic_load(&packets), atomic_load(&seen),
	       stats().sealed, stats().metadata_bytes);
	if (stored < npages / 2 || atomic_load(&packets) < 100)
		die("too little left: this shows nothing");
	if (c.flags) {
		if (server_marks() || atomic_load(&seen))
			die("it is sealed, and the guest's secret is seen");
		if (stats().sealed < npages / 2)
			die("%llu pages were sealed", stats().sealed);
		if (ready) {
			close(open(ready, O_CREAT | O_WRONLY, 0600));
			while (!access(ready, F_OK))
				usleep(100000);
		}
		dishonest_server();
	} else if (server_marks() < stored * 100 || atomic_load(&seen) < 1000) {
		die("it is not sealed, and hardly seen: this shows nothing");
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	if (c.flags && atomic_load(&seen))
		die("it is sealed, and the guest's secret was seen on lo");
	printf("seal sealed=%llu refused=%llu mismatches=%llu lost=%llu read_errors=%llu\n",
	       stats().sealed, stats().seal_refused, stats().mismatches, stats().lost,
	       stats().read_errors);
	return stats().lost ? 1 : 0;
}
