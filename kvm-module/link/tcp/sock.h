/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TCP_SOCK_H
#define HERMIT_TCP_SOCK_H
/*
 * One socket: made fit for paging, connected, and whole buffers moved on it,
 * until what arrives is handed to a receiver as it comes. All of it is process
 * context and may sleep, but for the receiver. Sending and receiving exclude
 * neither each other nor kernel_sock_shutdown(), which ends both.
 */
#include <linux/types.h>

struct bio_vec;
struct net;
struct sk_buff;
struct sock;
struct sockaddr_storage;
struct socket;

/* A TCP socket in @net; it holds a reference to @net. ERR_PTR on failure. */
struct socket *hermit_tcp_sock_create(struct net *net, int family);
void hermit_tcp_sock_release(struct socket *sock);

/* -ETIMEDOUT if there is no answer within @timeout jiffies. */
int hermit_tcp_sock_connect(struct socket *sock,
			    const struct sockaddr_storage *addr, long timeout);

/*
 * How long one call below may wait; MAX_SCHEDULE_TIMEOUT, a socket's first
 * state, is until the connection ends. Not while another thread uses it.
 */
void hermit_tcp_sock_set_timeout(struct socket *sock, long timeout);

/*
 * Move exactly @len bytes. 0, or -EAGAIN after the timeout, -ECONNRESET if
 * the other side closed, or what TCP says; after an error the stream is of no
 * use. Sending copies: when it returned, even with an error, nothing refers
 * to the memory any more.
 */
int hermit_tcp_sock_send(struct socket *sock, const void *buf, size_t len);
/* From @offset of @vec on. */
int hermit_tcp_sock_send_vec(struct socket *sock, const struct bio_vec *vec,
			     unsigned int nr, size_t len, size_t offset);
int hermit_tcp_sock_recv(struct socket *sock, void *buf, size_t len);

/*
 * Send what can be sent without sleeping, as a softirq would: with softirqs off, and
 * the socket not locked by the caller. How many of the @len bytes were, or an error:
 * 0 if the socket is another one's at the moment, has no room, or there is no memory.
 * It copies, too. Not beside another one that sends.
 */
int hermit_tcp_sock_send_now(struct socket *sock, const struct bio_vec *vec,
			     unsigned int nr, size_t len);

/*
 * Who takes what arrives. Both are called with the socket locked, from softirq
 * or from a task in one of the functions here: never twice at once, never
 * sleeping, and they may not use the socket.
 */
struct hermit_tcp_receiver {
	/*
	 * @len bytes of the stream, at @offset of @skb. Returns how many it
	 * took, all but after an error: the rest stays where it is.
	 */
	size_t (*data)(struct hermit_tcp_receiver *r, struct sk_buff *skb,
		       unsigned int offset, size_t len);
	/* Nothing follows what arrived so far; perhaps more than once. */
	void (*end)(struct hermit_tcp_receiver *r, int error);

	/* sock.c's: as they were before */
	void (*data_ready)(struct sock *sk);
	void (*state_change)(struct sock *sk);
};

/* From now on; also what has arrived already. */
void hermit_tcp_sock_start_receiver(struct socket *sock,
				    struct hermit_tcp_receiver *r);
/* When it returns, the receiver is not called any more. */
void hermit_tcp_sock_stop_receiver(struct socket *sock,
				   struct hermit_tcp_receiver *r);
/* When it returns, the receiver has what came before the end it was told of. */
void hermit_tcp_sock_settle(struct socket *sock);

#endif /* HERMIT_TCP_SOCK_H */
