// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets that pages travel on. What differs from an ordinary kernel socket:
 * memory is short exactly when reclaim writes, so nothing here may wait for
 * reclaim; and what queues a request may itself be inside a sendmsg().
 */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/in.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "link/tcp/sock.h"

/*
 * The deadline of requests finds a dead link much sooner. These are for a
 * connection on which nothing is asked, and for data that nobody acknowledges.
 */
#define USER_TIMEOUT_MS	10000
#define KEEPALIVE_S	5
#define KEEPALIVE_COUNT	3

#ifdef CONFIG_DEBUG_LOCK_ALLOC
/*
 * Our senders run while other tasks sleep on a page fault with a socket of
 * their own locked (vhost, a QEMU thread in sendmsg()); lockdep must not take
 * their sockets and ours for one class.
 */
static struct lock_class_key sk_keys[2], slock_keys[2];

static void set_lock_class(struct sock *sk)
{
	if (WARN_ON_ONCE(!sock_allow_reclassification(sk)))
		return;
	if (sk->sk_family == AF_INET)
		sock_lock_init_class_and_name(sk, "slock-AF_INET-HERMIT",
					      &slock_keys[0],
					      "sk_lock-AF_INET-HERMIT",
					      &sk_keys[0]);
	else
		sock_lock_init_class_and_name(sk, "slock-AF_INET6-HERMIT",
					      &slock_keys[1],
					      "sk_lock-AF_INET6-HERMIT",
					      &sk_keys[1]);
}
#else
static void set_lock_class(struct sock *sk)
{
}
#endif

struct socket *hermit_tcp_sock_create(struct net *net, int family)
{
	struct socket *sock;
	struct sock *sk;
	int ret;

	ret = sock_create_kern(net, family, SOCK_STREAM, IPPROTO_TCP, &sock);
	if (ret)
		return ERR_PTR(ret);
	sk = sock->sk;
	set_lock_class(sk);

	/*
	 * A kernel socket holds no reference to its namespace; TCP's timers
	 * would use it after the VM's container is gone.
	 */
	sk_net_refcnt_upgrade(sk);

	/*
	 * The task's fragment is in use if this task came here by a page
	 * fault inside another sendmsg().
	 */
	sk->sk_use_task_frag = false;
	sk->sk_allocation = GFP_NOIO;
	sk_set_memalloc(sk);

	tcp_sock_set_nodelay(sk);
	tcp_sock_set_user_timeout(sk, USER_TIMEOUT_MS);
	sock_set_keepalive(sk);
	tcp_sock_set_keepidle(sk, KEEPALIVE_S);
	tcp_sock_set_keepintvl(sk, KEEPALIVE_S);
	tcp_sock_set_keepcnt(sk, KEEPALIVE_COUNT);
	/*
	 * A socket is closed when its connection is of no use any more: send a
	 * reset, keep no data, leave nothing behind in FIN_WAIT.
	 */
	sock_no_linger(sk);
	return sock;
}

void hermit_tcp_sock_release(struct socket *sock)
{
	lock_sock(sock->sk);
	sk_clear_memalloc(sock->sk);
	release_sock(sock->sk);
	sock_release(sock);
}

void hermit_tcp_sock_set_timeout(struct socket *sock, long timeout)
{
	WRITE_ONCE(sock->sk->sk_sndtimeo, timeout);
	WRITE_ONCE(sock->sk->sk_rcvtimeo, timeout);
}

int hermit_tcp_sock_connect(struct socket *sock,
			    const struct sockaddr_storage *addr, long timeout)
{
	size_t len = addr->ss_family == AF_INET ? sizeof(struct sockaddr_in) :
						  sizeof(struct sockaddr_in6);
	int ret;

	hermit_tcp_sock_set_timeout(sock, timeout);
	/* Through void *: newer kernels give the address another type. */
	ret = kernel_connect(sock, (void *)addr, len, 0);
	hermit_tcp_sock_set_timeout(sock, MAX_SCHEDULE_TIMEOUT);
	return ret == -EINPROGRESS ? -ETIMEDOUT : ret;
}

static int send_iter(struct socket *sock, struct msghdr *msg)
{
	/* No signal: connect() runs in a task of the user's. */
	msg->msg_flags = MSG_NOSIGNAL;
	while (msg_data_left(msg)) {
		int ret = sock_sendmsg(sock, msg);

		if (ret < 0)
			return ret;
		if (!ret)
			return -ECONNRESET;
	}
	return 0;
}

int hermit_tcp_sock_send(struct socket *sock, const void *buf, size_t len)
{
	struct kvec vec = { .iov_base = (void *)buf, .iov_len = len };
	struct msghdr msg = {};

	iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, &vec, 1, len);
	return send_iter(sock, &msg);
}

int hermit_tcp_sock_send_vec(struct socket *sock, const struct bio_vec *vec,
			     unsigned int nr, size_t len, size_t offset)
{
	struct msghdr msg = {};

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, vec, nr, len);
	iov_iter_advance(&msg.msg_iter, offset);
	return send_iter(sock, &msg);
}

int hermit_tcp_sock_send_now(struct socket *sock, const struct bio_vec *vec,
			     unsigned int nr, size_t len)
{
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT };
	struct sock *sk = sock->sk;
	gfp_t gfp;
	int ret = 0;

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, vec, nr, len);
	/*
	 * The socket's spinlock with nobody owning it is what a softirq has, and what
	 * lock_sock_fast() returns with. Segments that come meanwhile wait for it.
	 */
	spin_lock(&sk->sk_lock.slock);
	if (!sock_owned_by_user_nocheck(sk)) {
		/* The reserves, and nothing that sleeps. The lock guards the field. */
		gfp = sk->sk_allocation;
		sk->sk_allocation = GFP_NOWAIT | __GFP_MEMALLOC | __GFP_NOWARN;
		ret = tcp_sendmsg_locked(sk, &msg, len);
		sk->sk_allocation = gfp;
	}
	spin_unlock(&sk->sk_lock.slock);
	return ret == -EAGAIN ? 0 : ret;
}

static int recv_iter(struct socket *sock, struct msghdr *msg)
{
	while (msg_data_left(msg)) {
		int ret = sock_recvmsg(sock, msg, MSG_WAITALL);

		if (ret < 0)
			return ret;
		if (!ret)
			return -ECONNRESET;
		/* A part, with MSG_WAITALL: the time was up, or an error comes. */
		if (msg_data_left(msg) &&
		    sock->sk->sk_rcvtimeo != MAX_SCHEDULE_TIMEOUT)
			return -EAGAIN;
	}
	return 0;
}

int hermit_tcp_sock_recv(struct socket *sock, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = {};

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, len);
	return recv_iter(sock, &msg);
}

/* --- the receiver ---------------------------------------------------------- */

static int receive_some(read_descriptor_t *desc, struct sk_buff *skb,
			unsigned int offset, size_t len)
{
	struct hermit_tcp_receiver *r = desc->arg.data;

	return r->data(r, skb, offset, len);
}

static void data_ready(struct sock *sk)
{
	read_descriptor_t desc = { .count = 1 };

	read_lock_bh(&sk->sk_callback_lock);
	desc.arg.data = sk->sk_user_data;
	if (desc.arg.data)
		tcp_read_sock(sk, &desc, receive_some);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void state_change(struct sock *sk)
{
	struct hermit_tcp_receiver *r;

	read_lock_bh(&sk->sk_callback_lock);
	r = sk->sk_user_data;
	if (r) {
		if (sk->sk_state != TCP_ESTABLISHED)
			r->end(r, -(READ_ONCE(sk->sk_err) ?: ECONNRESET));
		/* Who waits to send. */
		r->state_change(sk);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

void hermit_tcp_sock_start_receiver(struct socket *sock,
				    struct hermit_tcp_receiver *r)
{
	struct sock *sk = sock->sk;

	lock_sock(sk);
	write_lock_bh(&sk->sk_callback_lock);
	r->data_ready = sk->sk_data_ready;
	r->state_change = sk->sk_state_change;
	sk->sk_user_data = r;
	sk->sk_data_ready = data_ready;
	sk->sk_state_change = state_change;
	write_unlock_bh(&sk->sk_callback_lock);
	data_ready(sk);
	state_change(sk);
	release_sock(sk);
}

void hermit_tcp_sock_stop_receiver(struct socket *sock,
				   struct hermit_tcp_receiver *r)
{
	struct sock *sk = sock->sk;

	/* Both callbacks run under the lock, or find nobody. */
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = r->data_ready;
	sk->sk_state_change = r->state_change;
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
}

void hermit_tcp_sock_settle(struct socket *sock)
{
	/* A segment is processed with the socket locked, its data and its FIN. */
	lock_sock(sock->sk);
	release_sock(sock->sk);
}
