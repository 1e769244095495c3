// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fill a redis server with values that can be checked, keep it busy, check
 * every value. Runs in the guest, statically linked; speaks redis' protocol.
 *
 *   redis-verify MIB REPORT CONTROL
 *
 * Writes lines to the file REPORT (a virtio-serial port):
 *   load PERCENT           while filling
 *   loaded VALUES          all values stored
 *   work OPS CHECKED BAD   about once a second: random reads, each checked,
 *                          and one write in four
 *   check PERCENT
 *   verified VALUES BAD    after every value was read and compared
 * It works until a line arrives on CONTROL, then verifies and exits: 0 when
 * no value ever differed, 1 otherwise, 2 when redis could not be talked to.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A little under 16 KiB: redis' header fits into the same allocator class. */
#define VALUE_SIZE	16000
#define VALUE_WORDS	(VALUE_SIZE / 8)
#define PIPELINE	8

static int sock = -1;
static int report_fd;
static char in[1 << 16];
static size_t in_pos, in_len;
static uint8_t *version;	/* of each key; what redis must return */
static uint64_t nr_keys, bad;

static void __attribute__((format(printf, 1, 2))) report(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (write(report_fd, line, n) != n)
		perror("redis-verify: report");
}

static void __attribute__((noreturn)) die(const char *what)
{
	report("error %s: %s\n", what, errno ? strerror(errno) : "unexpected answer");
	exit(2);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Every word depends on key, version and place: a page that came back in the
 * wrong place or from an older time cannot look right. */
static void fill(uint64_t *value, uint64_t key, unsigned int ver)
{
	uint64_t seed = mix(key << 8 | ver);
	unsigned int i;

	for (i = 0; i < VALUE_WORDS; i++)
		value[i] = mix(seed + i);
}

static void put(const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(sock, p, len);

		if (n <= 0)
			die("write to redis");
		p += n;
		len -= n;
	}
}

static int get_byte(void)
{
	if (in_pos == in_len) {
		ssize_t n = read(sock, in, sizeof(in));

		if (n <= 0)
			die("read from redis");
		in_pos = 0;
		in_len = n;
	}
	return (unsigned char)in[in_pos++];
}

static void get_bytes(void *to, size_t len)
{
	char *p = to;

	while (len) {
		size_t n;

		*p++ = get_byte();
		len--;
		n = in_len - in_pos < len ? in_len - in_pos : len;
		memcpy(p, in + in_pos, n);
		in_pos += n;
		p += n;
		len -= n;
	}
}

static void get_line(char *line, size_t size)
{
	size_t n = 0;
	int c;

	while ((c = get_byte()) != '\n')
		if (c != '\r' && n + 1 < size)
			line[n++] = c;
	line[n] = 0;
}

static void send_set(uint64_t key)
{
	static uint64_t value[VALUE_WORDS];
	char head[128];
	int n;

	n = snprintf(head, sizeof(head),
		     "*3\r\n$3\r\nSET\r\n$20\r\n%020llu\r\n$%d\r\n",
		     (unsigned long long)key, VALUE_SIZE);
	fill(value, key, version[key]);
	put(head, n);
	put(value, VALUE_SIZE);
	put("\r\n", 2);
}

static void recv_set(void)
{
	char line[128];

	get_line(line, sizeof(line));
	if (strcmp(line, "+OK")) {
		report("error SET: %s\n", line);
		exit(2);
	}
}

static void send_get(uint64_t key)
{
	char head[128];
	int n;

	n = snprintf(head, sizeof(head), "*2\r\n$3\r\nGET\r\n$20\r\n%020llu\r\n",
		     (unsigned long long)key);
	put(head, n);
}

static void recv_get(uint64_t key)
{
	static uint64_t got[VALUE_WORDS], want[VALUE_WORDS];
	char line[128];
	int i;

	get_line(line, sizeof(line));
	if (line[0] != '$' || atoi(line + 1) != VALUE_SIZE) {
		bad++;
		report("mismatch key %llu: redis answered '%s'\n",
		       (unsigned long long)key, line);
		if (line[0] != '$' || atoi(line + 1) >= 0)
			exit(2);	/* the stream cannot be followed any more */
		return;
	}
	get_bytes(got, VALUE_SIZE);
	get_line(line, sizeof(line));
	fill(want, key, version[key]);
	if (!memcmp(got, want, VALUE_SIZE))
		return;
	bad++;
	for (i = 0; got[i] == want[i]; i++)
		;
	report("mismatch key %llu version %u word %d: %llx, not %llx\n",
	       (unsigned long long)key, version[key], i,
	       (unsigned long long)got[i], (unsigned long long)want[i]);
}

static void connect_redis(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(6379) };
	int one = 1, tries;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (tries = 0; tries < 600; tries++) {
		sock = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(sock, (struct sockaddr *)&a, sizeof(a))) {
			setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			return;
		}
		close(sock);
		usleep(100000);
	}
	die("connect to redis");
}

static void load(void)
{
	uint64_t key, sent = 0, shown = ~0ull;

	for (key = 0; key < nr_keys; key++) {
		while (sent < nr_keys && sent < key + PIPELINE)
			send_set(sent++);
		recv_set();
		if ((key + 1) * 50 / nr_keys != shown) {
			shown = (key + 1) * 50 / nr_keys;
			report("load %d\n", (int)shown * 2);
		}
	}
	report("loaded %llu\n", (unsigned long long)nr_keys);
}

static void check_all(void)
{
	uint64_t key, sent = 0, shown = ~0ull;

	for (key = 0; key < nr_keys; key++) {
		while (sent < nr_keys && sent < key + PIPELINE)
			send_get(sent++);
		recv_get(key);
		if ((key + 1) * 50 / nr_keys != shown) {
			shown = (key + 1) * 50 / nr_keys;
			report("check %d\n", (int)shown * 2);
		}
	}
	report("verified %llu %llu\n", (unsigned long long)nr_keys,
	       (unsigned long long)bad);
}

static void work_until_told(const char *control)
{
	uint64_t rnd = 1, ops = 0, checked = 0, key;
	int fd = open(control, O_RDONLY | O_NONBLOCK);
	time_t last = time(NULL);
	char c;

	if (fd < 0)
		die(control);
	/* A port nobody has opened yet reads as end of file. */
	while (read(fd, &c, 1) <= 0) {
		rnd = mix(rnd);
		key = (rnd >> 8) % nr_keys;
		if (rnd % 4) {
			send_get(key);
			recv_get(key);
			checked++;
		} else {
			version[key]++;
			send_set(key);
			recv_set();
		}
		ops++;
		if (time(NULL) != last) {
			last = time(NULL);
			report("work %llu %llu %llu\n", (unsigned long long)ops,
			       (unsigned long long)checked, (unsigned long long)bad);
		}
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: redis-verify MIB REPORT CONTROL\n");
		return 2;
	}
	report_fd = open(argv[2], O_WRONLY);
	if (report_fd < 0) {
		perror(argv[2]);
		return 2;
	}
	nr_keys = (uint64_t)atoi(argv[1]) * 1024 * 1024 / VALUE_SIZE;
	version = calloc(nr_keys, 1);
	if (!nr_keys || !version) {
		fprintf(stderr, "redis-verify: '%s' MiB make no data set\n", argv[1]);
		return 2;
	}
	connect_redis();
	load();
	work_until_told(argv[3]);
	check_all();
	return bad ? 1 : 0;
}
