/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor-server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../memserver/auth.h"

/* For connecting, and for each answer; a server that is well takes none. */
#define SECONDS 5

#define NETWORK                                                               \
  "see that the server runs (systemctl status hermit-memserver there), and "  \
  "that no firewall is between (port and address of its --listen)"
#define SAME_KEY                                                              \
  "copy /etc/hermit/key from the memory node, and give its path as key-file " \
  "(doctor: --key-file)"

/* tcp:HOST:PORT, or tcp:[HOST]:PORT */
static gboolean
split (const char *server, char **host, char **port)
{
  const char *at = strchr (server, ':') + 1, *colon = strrchr (at, ':');

  if (!colon || colon == at || !colon[1])
    return FALSE;
  if (*at == '[' && colon[-1] == ']')
    *host = g_strndup (at + 1, colon - at - 2);
  else
    *host = g_strndup (at, colon - at);
  *port = g_strdup (colon + 1);
  return TRUE;
}

/* The socket, or -1 with a sentence in *@why. */
static int
connect_to (const char *host, const char *port, char **why)
{
  const struct timeval limit = { .tv_sec = SECONDS };
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *a;
  int fd = -1, err = getaddrinfo (host, port, &hints, &all);

  if (err)
    {
      *why = g_strdup_printf ("%s: %s", host, gai_strerror (err));
      return -1;
    }
  for (a = all; a && fd < 0; a = a->ai_next)
    {
      fd = socket (a->ai_family, a->ai_socktype | SOCK_CLOEXEC,
                   a->ai_protocol);
      err = fd < 0 ? errno : 0;
      /* that of connect() as well */
      if (fd >= 0
          && (setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof (limit))
                  < 0
              || setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
                             sizeof (limit))
                     < 0
              || connect (fd, a->ai_addr, a->ai_addrlen) < 0))
        {
          err = errno == EINPROGRESS ? ETIMEDOUT : errno;
          close (fd);
          fd = -1;
        }
    }
  freeaddrinfo (all);
  if (fd < 0)
    *why = g_strdup_printf ("it cannot be reached: %s", g_strerror (err));
  return fd;
}

static gboolean
receive (int fd, void *to, gsize length)
{
  return recv (fd, to, length, MSG_WAITALL) == (ssize_t)length;
}

/* A HELLO that begins no session, nor joins one. */
static void
fill_hello (struct hermit_wire_hello *hello, const HermitKey *key)
{
  memset (hello, 0, sizeof (*hello));
  hello->version_min = hello->version_max = cpu_to_le16 (HERMIT_WIRE_VERSION);
  hermit_random (hello->uuid, sizeof (hello->uuid));
  hermit_random (hello->client_id, sizeof (hello->client_id));
  hermit_random (hello->nonce, sizeof (hello->nonce));
  hello->region_size = cpu_to_le64 (HERMIT_WIRE_PAGE);
  hello->epoch = cpu_to_le64 (1);
  g_strlcpy (hello->name, "hermitctl doctor", sizeof (hello->name));
  if (key)
    hermit_key_tag (key, hello);
}

/* The server's proof: what is wrong with it, and what to do; or NULL. */
static const char *
check_challenge (const struct hermit_wire_hello *hello,
                 const struct hermit_wire_challenge *challenge,
                 const HermitKey *key, const char **remedy)
{
  guint8 mac[HERMIT_WIRE_MAC_LEN];
  gboolean keyed = le16_to_cpu (challenge->keyed);

  *remedy = SAME_KEY;
  if (!key)
    return keyed ? "it has a key, and none was given" : NULL;
  if (!keyed)
    {
      *remedy = "start it with --key-file, or have no key-file on this side";
      return "it has no key, and there is one on this side";
    }
  hermit_key_mac (key, 'S', hello, challenge, mac);
  return hermit_mac_equal (mac, challenge->mac) ? NULL
                                                : "it has another key";
}

/* HELLO, and what it answers. What is wrong, or NULL. */
static char *
shake_hands (int fd, const HermitKey *key, const char **remedy)
{
  struct hermit_wire_hello hello;
  struct hermit_wire_challenge challenge;
  struct hermit_wire_refuse refuse;
  struct hermit_wire_hdr hdr;
  guint8 frame[sizeof (hdr) + sizeof (hello)];
  const char *why;

  fill_hello (&hello, key);
  hermit_wire_fill (&hdr, HERMIT_MSG_HELLO, 0, 0, 0, sizeof (hello));
  memcpy (frame, &hdr, sizeof (hdr));
  memcpy (frame + sizeof (hdr), &hello, sizeof (hello));
  *remedy = NETWORK;
  if (send (fd, frame, sizeof (frame), MSG_NOSIGNAL)
          != (ssize_t)sizeof (frame)
      || !receive (fd, &hdr, sizeof (hdr)))
    return g_strdup ("it takes the connection and does not answer");
  if (hdr.type == HERMIT_MSG_REFUSE
      && !hermit_wire_check_handshake (&hdr, HERMIT_MSG_REFUSE, &why)
      && receive (fd, &refuse, sizeof (refuse)))
    {
      refuse.text[sizeof (refuse.text) - 1] = 0;
      for (char *c = refuse.text; *c; c++)
        if (!g_ascii_isprint (*c))
          *c = '?';
      *remedy = le32_to_cpu (refuse.code) == HERMIT_REFUSE_KEY
                    ? SAME_KEY
                    : "look into its log (journalctl -u hermit-memserver)";
      return g_strdup_printf (
          "it refuses us (%s): %s",
          hermit_wire_refusal_name (le32_to_cpu (refuse.code)), refuse.text);
    }
  if (hermit_wire_check_handshake (&hdr, HERMIT_MSG_CHALLENGE, &why)
      || !receive (fd, &challenge, sizeof (challenge)))
    {
      *remedy = "see what listens at this port there (ss -ltnp)";
      return g_strdup ("what answers there is no memory server");
    }
  return g_strdup (check_challenge (&hello, &challenge, key, remedy));
}

/* The interface that has the address of our end, or NULL. */
static char *
interface_of (int fd)
{
  struct sockaddr_storage own = { 0 };
  socklen_t length = sizeof (own);
  struct ifaddrs *all, *a;
  char *name = NULL;

  if (getsockname (fd, (struct sockaddr *)&own, &length) < 0
      || getifaddrs (&all) < 0)
    return NULL;
  for (a = all; a && !name; a = a->ifa_next)
    {
      if (!a->ifa_addr || a->ifa_addr->sa_family != own.ss_family)
        continue;
      if (own.ss_family == AF_INET
              ? ((struct sockaddr_in *)a->ifa_addr)->sin_addr.s_addr
                    == ((struct sockaddr_in *)&own)->sin_addr.s_addr
              : !memcmp (&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr,
                         &((struct sockaddr_in6 *)&own)->sin6_addr,
                         sizeof (struct in6_addr)))
        name = g_strdup (a->ifa_name);
    }
  freeifaddrs (all);
  return name;
}

/* What the kernel knows of the way: a hop that says nothing is not seen. */
static void
check_mtu (HermitFindings *findings, const char *server, int fd)
{
  g_autofree char *interface = interface_of (fd);
  struct sockaddr_storage own = { 0 };
  socklen_t length = sizeof (own);
  struct ifreq request = { 0 };
  int path = 0;

  if (!interface || getsockname (fd, (struct sockaddr *)&own, &length) < 0)
    return;
  length = sizeof (path);
  g_strlcpy (request.ifr_name, interface, sizeof (request.ifr_name));
  if (ioctl (fd, SIOCGIFMTU, &request) < 0
      || getsockopt (fd, own.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
                     own.ss_family == AF_INET6 ? IPV6_MTU : IP_MTU, &path,
                     &length)
             < 0)
    return;
  /* lo has 65536, and no packet of IPv4 is that long */
  if (path < MIN (request.ifr_mtu, G_MAXUINT16))
    hermit_find (findings, HERMIT_NOTE, "mtu",
                 "set the same MTU on both hosts and all switches between",
                 "%s: packets of %d bytes go by %s, and of %d on the way to "
                 "the server",
                 server, request.ifr_mtu, interface, path);
  else
    hermit_find (findings, HERMIT_WELL, "mtu", NULL, "%s: %d, by %s", server,
                 path, interface);
}

void
hermit_doctor_server (HermitFindings *findings, const char *server,
                      const char *key_file)
{
  g_autofree char *host = NULL, *port = NULL, *wrong = NULL;
  g_autoptr (HermitKey) key = NULL;
  g_autoptr (GError) error = NULL;
  const char *remedy = NETWORK;
  int fd;

  if (g_str_has_prefix (server, "rdma:"))
    {
      hermit_find (findings, HERMIT_NOTE, "server",
                   "look at the state that hermitctl stat says of a VM, and "
                   "at dmesg",
                   "%s: over RDMA doctor does not try", server);
      return;
    }
  if (!g_str_has_prefix (server, "tcp:") || !split (server, &host, &port))
    {
      hermit_find (findings, HERMIT_BAD, "server",
                   "name it as tcp:HOST:PORT or rdma:HOST:PORT",
                   "'%s' is not the address of a server", server);
      return;
    }
  if (key_file && !(key = hermit_key_load (key_file, &error)))
    {
      hermit_find (findings, HERMIT_BAD, "key", SAME_KEY, "%s: %s", server,
                   error->message);
      return;
    }
  fd = connect_to (host, port, &wrong);
  if (fd >= 0)
    {
      wrong = shake_hands (fd, key, &remedy);
      if (!wrong)
        {
          hermit_find (findings, HERMIT_WELL, "server", NULL, "%s answers%s",
                       server, key ? ", and has our key" : ", without a key");
          check_mtu (findings, server, fd);
        }
      close (fd);
    }
  if (wrong)
    hermit_find (findings, HERMIT_BAD, "server", remedy, "%s: %s", server,
                 wrong);
}
