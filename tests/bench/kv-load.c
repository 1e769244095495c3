// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the USR pool of Facebook's memcached sees, in the guest: 99.8 % GET, keys
 * of 16 bytes, values of 2, asked for by zipf 0.99. Static: a guest has few
 * libraries.
 *
 *	kv-load memcached|redis ITEMS THREADS WINDOW [RATE...]
 *
 * Stores all items, says "filled SECONDS", then each thread asks for one at a
 * time over a connection of its own, and checks what it gets. Says every WINDOW
 * seconds, until it is killed: "t SECONDS" and NAME FIGURE pairs of that window.
 *
 * RATEs are offered loads, one a window and around again: so many operations a
 * second, which come when they come (exponential gaps) whether or not the last
 * has been answered; latency counts from when one was due. Between two of them
 * is a window without figures, in which queues end. 0, the default: as fast as
 * answers come.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "walk.h"

#define THREADS_MAX	16
#define SETS_PER_10000	20
/* Latencies in steps of 20 us; what took longer counts as this. */
#define STEP_NS		20000
#define STEPS		100000

struct protocol {
	const char *name;
	int port;
	const char *fill_begin, *fill_end, *filled, *stored;
	/* A request, or the answer to the second. How long it is. */
	int (*set)(char *to, uint64_t key, bool answer);
	int (*get)(char *to, uint64_t key);
	int (*value)(char *to, uint64_t key);
	const char *value_end;
};

static int memcached_set(char *to, uint64_t key, bool answer)
{
	return sprintf(to, "set k%015lu 0 0 2%s\r\n%02lu\r\n", key, answer ? "" : " noreply", key % 97);
}

static int memcached_get(char *to, uint64_t key)
{
	return sprintf(to, "get k%015lu\r\n", key);
}

static int memcached_value(char *to, uint64_t key)
{
	return sprintf(to, "VALUE k%015lu 0 2\r\n%02lu\r\nEND\r\n", key, key % 97);
}

static int redis_set(char *to, uint64_t key, bool answer)
{
	(void)answer;
	return sprintf(to, "SET k%015lu %02lu\r\n", key, key % 97);
}

static int redis_get(char *to, uint64_t key)
{
	return sprintf(to, "GET k%015lu\r\n", key);
}

static int redis_value(char *to, uint64_t key)
{
	return sprintf(to, "$2\r\n%02lu\r\n", key % 97);
}

static const struct protocol protocols[] = { {
	.name = "memcached", .port = 11211,
	.fill_begin = "", .fill_end = "version\r\n", .filled = "\r\n", .stored = "STORED\r\n",
	.set = memcached_set, .get = memcached_get, .value = memcached_value, .value_end = "END\r\n",
}, {
	.name = "redis", .port = 6379,
	.fill_begin = "CLIENT REPLY OFF\r\n", .fill_end = "CLIENT REPLY ON\r\n",
	.filled = "+OK\r\n", .stored = "+OK\r\n",
	.set = redis_set, .get = redis_get, .value = redis_value, .value_end = "\r\n",
} };

struct client {
	pthread_t thread;
	pthread_mutex_t lock;	/* of what follows: taken once an answer */
	uint32_t latency[STEPS + 1];
	struct walk walk;
	int fd;
};

static struct client clients[THREADS_MAX];
static const struct protocol *protocol;
static uint64_t items;
static int nr_threads;
static _Atomic unsigned int rate;	/* operations a second of all; 0: no matter */

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
	va_list ap;

	fputs("kv-load: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int dial(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(protocol->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1, fd;

	/* It may be starting. */
	for (int tries = 0; tries < 300; tries++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to))) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			return fd;
		}
		close(fd);
		usleep(100000);
	}
	die("nobody listens on port %d: %s", protocol->port, strerror(errno));
}

static void send_all(int fd, const char *at, size_t length)
{
	while (length) {
		ssize_t n = send(fd, at, length, MSG_NOSIGNAL);

		if (n <= 0)
			die("%s hung up", protocol->name);
		at += n;
		length -= n;
	}
}

/*
 * One answer, which ends with @end, as parts of @want may as well; nothing else
 * is outstanding.
 */
static void receive(int fd, const char *end, const char *want, char *to, size_t size)
{
	size_t length = 0, tail = strlen(end), all = strlen(want);

	do {
		ssize_t n = recv(fd, to + length, size - 1 - length, 0);

		if (n <= 0)
			die("%s hung up, or said too much", protocol->name);
		length += n;
		to[length] = 0;
	} while (length < tail || strcmp(to + length - tail, end) ||
		 (length < all && !strncmp(to, want, length)));
}

static void expect(int fd, const char *end, char *to, size_t size)
{
	receive(fd, end, "", to, size);
}

static void fill(void)
{
	char out[1 << 14], in[64];
	int64_t begin = now_ns();
	size_t length;
	int fd = dial();

	length = sprintf(out, "%s", protocol->fill_begin);
	for (uint64_t key = 0; key < items; key++) {
		length += protocol->set(out + length, key, false);
		if (length > sizeof(out) - 64 || key == items - 1) {
			send_all(fd, out, length);
			length = 0;
		}
	}
	send_all(fd, protocol->fill_end, strlen(protocol->fill_end));
	expect(fd, protocol->filled, in, sizeof(in));
	close(fd);
	printf("filled %.1f\n", (now_ns() - begin) * 1e-9);
	fflush(stdout);
}

static void ask(struct client *c)
{
	uint64_t key = walk_next(&c->walk);
	char out[64], in[128], want[64];

	if (walk_random(&c->walk) % 10000 < SETS_PER_10000) {
		send_all(c->fd, out, protocol->set(out, key, true));
		expect(c->fd, protocol->stored, in, sizeof(in));
		return;
	}
	send_all(c->fd, out, protocol->get(out, key));
	protocol->value(want, key);
	receive(c->fd, protocol->value_end, want, in, sizeof(in));
	if (strcmp(in, want))
		die("key %lu: got '%s'", key, in);
}

/* When the next one is due: now, or as the offered load has it. */
static int64_t due(struct client *c, int64_t last)
{
	unsigned int all = atomic_load_explicit(&rate, memory_order_relaxed);
	int64_t next, now = now_ns();

	if (!all)
		return now;
	next = last - log1p(-walk_unit(&c->walk)) * 1e9 * nr_threads / all;
	if (next > now) {
		struct timespec t = { next / 1000000000, next % 1000000000 };

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	}
	return next;
}

static void *client_run(void *arg)
{
	struct client *c = arg;
	int64_t begin = now_ns(), took;
	unsigned int before = 0;

	for (;;) {
		unsigned int all = atomic_load_explicit(&rate, memory_order_relaxed);

		/* What queued up at another load is that one's. */
		if (all != before)
			begin = now_ns();
		before = all;
		begin = due(c, begin);
		ask(c);
		took = (now_ns() - begin) / STEP_NS;
		pthread_mutex_lock(&c->lock);
		c->latency[took < STEPS ? took : STEPS]++;
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

static unsigned long percentile(const uint64_t *sum, uint64_t all, double part)
{
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < STEPS; i++) {
		seen += sum[i];
		if (seen >= all * part)
			break;
	}
	return (i + 1) * (STEP_NS / 1000ul);
}

static void tell(int64_t since, double window, bool figures)
{
	static uint64_t sum[STEPS + 1];
	uint64_t all = 0;

	memset(sum, 0, sizeof(sum));
	for (int i = 0; i < nr_threads; i++) {
		pthread_mutex_lock(&clients[i].lock);
		for (unsigned int k = 0; k <= STEPS; k++)
			sum[k] += clients[i].latency[k];
		memset(clients[i].latency, 0, sizeof(clients[i].latency));
		pthread_mutex_unlock(&clients[i].lock);
	}
	if (!figures)
		return;
	for (unsigned int k = 0; k <= STEPS; k++)
		all += sum[k];
	printf("t %.0f offered %u ops/s %.0f p50-us %lu p99-us %lu p99.9-us %lu\n",
	       (now_ns() - since) * 1e-9, rate, all / window, percentile(sum, all, 0.5),
	       percentile(sum, all, 0.99), percentile(sum, all, 0.999));
	fflush(stdout);
}

static void measure(int64_t since, double window, bool figures)
{
	int64_t begin = now_ns();

	usleep(window * 1e6);
	tell(since, (now_ns() - begin) * 1e-9, figures);
}

int main(int argc, char **argv)
{
	double window = argc > 4 ? atof(argv[4]) : 0;
	int64_t since;

	for (size_t i = 0; argc > 4 && i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcmp(argv[1], protocols[i].name))
			protocol = &protocols[i];
	items = argc > 4 ? strtoul(argv[2], NULL, 10) : 0;
	nr_threads = argc > 4 ? atoi(argv[3]) : 0;
	if (!protocol || !items || nr_threads < 1 || nr_threads > THREADS_MAX || window <= 0)
		die("usage: kv-load memcached|redis ITEMS THREADS WINDOW [RATE...], threads 1 to %d", THREADS_MAX);
	walk_init(WALK_ZIPF, 0.99, items);
	fill();
	since = now_ns();
	for (int i = 0; i < nr_threads; i++) {
		walk_start(&clients[i].walk, i, 0);
		pthread_mutex_init(&clients[i].lock, NULL);
		clients[i].fd = dial();
		if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]))
			die("no thread");
	}
	for (int i = 5;; i = i + 1 < argc ? i + 1 : 5) {
		if (argc > 5) {
			rate = strtoul(argv[i], NULL, 10);
			measure(since, window, false);
		}
		measure(since, window, true);
	}
}
