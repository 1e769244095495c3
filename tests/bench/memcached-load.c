// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the USR pool of Facebook's memcached sees, in the guest: 99.8 % GET, keys
 * of 16 bytes, values of 2, asked for by zipf 0.99. Static: a guest has few
 * libraries.
 *
 *	memcached-load ITEMS THREADS WINDOW
 *
 * Stores all items, says "filled SECONDS", then each thread asks for one at a
 * time over a connection of its own, and checks what it gets. Says every WINDOW
 * seconds, until it is killed: "t SECONDS" and NAME FIGURE pairs of that window.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "walk.h"

#define PORT		11211
#define THREADS_MAX	16
#define SETS_PER_10000	20
/* Latencies in steps of 20 us; what took longer counts as this. */
#define STEP_NS		20000
#define STEPS		100000

struct client {
	pthread_t thread;
	pthread_mutex_t lock;	/* of what follows: taken once an answer */
	uint32_t latency[STEPS + 1];
	struct walk walk;
	int fd;
};

static struct client clients[THREADS_MAX];
static uint64_t items;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
	va_list ap;

	fputs("memcached-load: ", stderr);
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
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
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
	die("nobody listens on port %d: %s", PORT, strerror(errno));
}

static void send_all(int fd, const char *at, size_t length)
{
	while (length) {
		ssize_t n = send(fd, at, length, MSG_NOSIGNAL);

		if (n <= 0)
			die("memcached hung up");
		at += n;
		length -= n;
	}
}

/* One answer, which ends with @end; nothing else is outstanding. */
static void expect(int fd, const char *end, char *to, size_t size)
{
	size_t length = 0, tail = strlen(end);

	do {
		ssize_t n = recv(fd, to + length, size - 1 - length, 0);

		if (n <= 0)
			die("memcached hung up, or said too much");
		length += n;
		to[length] = 0;
	} while (length < tail || strcmp(to + length - tail, end));
}

static int set_text(char *to, uint64_t key, const char *noreply)
{
	return sprintf(to, "set k%015lu 0 0 2%s\r\n%02lu\r\n", key, noreply, key % 97);
}

static void fill(void)
{
	char out[1 << 14], in[64];
	int64_t begin = now_ns();
	size_t length = 0;
	int fd = dial();

	for (uint64_t key = 0; key < items; key++) {
		length += set_text(out + length, key, " noreply");
		if (length > sizeof(out) - 64 || key == items - 1) {
			send_all(fd, out, length);
			length = 0;
		}
	}
	send_all(fd, "version\r\n", 9);
	expect(fd, "\r\n", in, sizeof(in));
	close(fd);
	printf("filled %.1f\n", (now_ns() - begin) * 1e-9);
	fflush(stdout);
}

static void ask(struct client *c)
{
	uint64_t key = walk_next(&c->walk);
	char out[64], in[128], want[64];

	if (walk_random(&c->walk) % 10000 < SETS_PER_10000) {
		send_all(c->fd, out, set_text(out, key, ""));
		expect(c->fd, "STORED\r\n", in, sizeof(in));
		return;
	}
	send_all(c->fd, out, sprintf(out, "get k%015lu\r\n", key));
	expect(c->fd, "END\r\n", in, sizeof(in));
	sprintf(want, "VALUE k%015lu 0 2\r\n%02lu\r\nEND\r\n", key, key % 97);
	if (strcmp(in, want))
		die("key %lu: got '%s'", key, in);
}

static void *client_run(void *arg)
{
	struct client *c = arg;

	for (;;) {
		int64_t begin = now_ns(), took;

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

static void tell(int threads, int64_t since, double window)
{
	static uint64_t sum[STEPS + 1];
	uint64_t all = 0;

	memset(sum, 0, sizeof(sum));
	for (int i = 0; i < threads; i++) {
		pthread_mutex_lock(&clients[i].lock);
		for (unsigned int k = 0; k <= STEPS; k++)
			sum[k] += clients[i].latency[k];
		memset(clients[i].latency, 0, sizeof(clients[i].latency));
		pthread_mutex_unlock(&clients[i].lock);
	}
	for (unsigned int k = 0; k <= STEPS; k++)
		all += sum[k];
	printf("t %.0f ops/s %.0f p50-us %lu p99-us %lu p99.9-us %lu\n", (now_ns() - since) * 1e-9,
	       all / window, percentile(sum, all, 0.5), percentile(sum, all, 0.99), percentile(sum, all, 0.999));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int threads = argc == 4 ? atoi(argv[2]) : 0;
	double window = argc == 4 ? atof(argv[3]) : 0;
	int64_t begin, last;

	items = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	if (!items || threads < 1 || threads > THREADS_MAX || window <= 0)
		die("usage: memcached-load ITEMS THREADS WINDOW, threads 1 to %d", THREADS_MAX);
	walk_init(WALK_ZIPF, 0.99, items);
	fill();
	begin = last = now_ns();
	for (int i = 0; i < threads; i++) {
		walk_start(&clients[i].walk, i, 0);
		pthread_mutex_init(&clients[i].lock, NULL);
		clients[i].fd = dial();
		if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]))
			die("no thread");
	}
	for (;;) {
		int64_t now;

		usleep(window * 1e6);
		now = now_ns();
		tell(threads, begin, (now - last) * 1e-9);
		last = now;
	}
}
