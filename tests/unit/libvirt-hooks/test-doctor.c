/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl doctor, on a host that is made up below the folder "root", and with
 * a real hermit-memserver: a host that is well, then one thing after another
 * that is not.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define ROOT "root/"
#define QEMU_CONF "etc/libvirt/qemu.conf"
#define HOOK "etc/libvirt/hooks/qemu.d/hermit-qemu-hook"
#define PROFILES "sys/kernel/security/apparmor/profiles"
#define APPARMOR "sys/module/apparmor/parameters/enabled"
#define ABSTRACTION "etc/apparmor.d/abstractions/libvirt-qemu.d/hermit"
#define LOCAL "etc/apparmor.d/local/usr.sbin.libvirtd"

/* The file with @text and @mode; NULL: none. */
static void
put (const char *path, const char *text, guint mode)
{
  g_autofree char *at = g_strconcat (ROOT, path, NULL);
  g_autofree char *dir = g_path_get_dirname (at);

  if (!text)
    {
      g_unlink (at);
      return;
    }
  g_assert_cmpint (g_mkdir_with_parents (dir, 0755), ==, 0);
  g_assert_true (g_file_set_contents (at, text, -1, NULL));
  g_assert_cmpint (g_chmod (at, mode), ==, 0);
}

/* libvirtd as of @seconds from now; it began a second after the host. */
static void
put_libvirtd (gint64 seconds)
{
  g_autofree char *host
      = g_strdup_printf ("cpu  1 2 3\nbtime %" G_GINT64_FORMAT "\nx 1\n",
                         g_get_real_time () / G_USEC_PER_SEC + seconds - 1);
  g_autofree char *own = g_strdup_printf (
      "77 (libvirtd) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 18 0 %ld 9 9\n",
      sysconf (_SC_CLK_TCK));

  put ("run/libvirtd.pid", "77\n", 0644);
  put ("proc/stat", host, 0444);
  put ("proc/77/stat", own, 0444);
}

static void
well (void)
{
  g_autofree char *passwd = g_strdup_printf (
      "root:x:0:0::/root:/bin/sh\nlibvirt-qemu:x:%u:4242::/:/bin/false\n",
      getuid ());
  g_autofree char *group = g_strdup_printf (
      "tty:x:5:\nkvm:x:%u:somebody,libvirt-qemu\n", getgid ());

  g_assert_true (!system ("rm -rf root"));
  fixture_reset ();
  put ("proc/sys/kernel/osrelease", "6.12.117+deb12-amd64\n", 0444);
  put ("proc/kallsyms",
       "0 T kvm_init\t[kvm]\n0 t kvm_provider_register\t[kvm]\n", 0444);
  put ("sys/module/hermit/version", HERMIT_VERSION "\n", 0444);
  put ("sys/module/hermit_kvm/refcnt", "0\n", 0444);
  put ("sys/devices/system/clocksource/clocksource0/current_clocksource",
       "tsc\n", 0444);
  put (APPARMOR, "N\n", 0444);
  put ("dev/kvm", "", 0660);
  put ("dev/hermit", "", 0660);
  put ("etc/passwd", passwd, 0644);
  put ("etc/group", group, 0644);
  put ("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444);
  put ("etc/hermit/key", "0123456789abcdef", 0600);
  put (QEMU_CONF,
       "#cgroup_device_acl = [ \"/dev/null\" ]\ncgroup_device_acl = [\n"
       "  \"/dev/null\",\n  \"/dev/hermit\"\n]\n",
       0600);
  put (HOOK,
       "#!/bin/sh\ngrep -q \"local-ratio='7'\" || exit 0\n"
       "echo 'hermit: local-ratio is wrong' >&2\nexit 1\n",
       0755);
  put ("usr/local/bin/hermit-qemu", "", 0755);
  put ("opt/qemu", "#!/bin/sh\necho '  hermit-memory'\n", 0755);
  put_libvirtd (1000);
}

static void
test_well (void)
{
  static const char *const all
      = "ok    kernel     Linux 6.12.117+deb12-amd64\n"
        "ok    kvm        patched, with hermit-kvm\n"
        "ok    module     hermit.ko " HERMIT_VERSION ", 1 regions\n"
        "ok    device     /dev/hermit is for libvirt-qemu\n"
        "ok    clock      tsc, and it is set\n"
        "ok    libvirt    it gives /dev/hermit to domains\n"
        "ok    hook       works, and libvirt has seen it\n"
        "ok    qemu       /opt/qemu has hermit-memory\n"
        "ok    apparmor   does not confine libvirt here\n"
        "ok    key        root/etc/hermit/key is libvirt-qemu's\n"
        "ok    host id    /etc/machine-id has one\n"
        "ok    vm         vm1: tcp:192.0.2.7:7471 is up\n";
  g_autoptr (Program) p = NULL;
  json_t *j;

  well ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  hermitctl_says ("doctor", all, "");
  p = hermitctl ("doctor --json");
  g_assert_cmpint (p->status, ==, 0);
  j = json_loads (p->out, 0, NULL);
  g_assert_cmpuint (json_array_size (j), ==, 12);
  expect_json (json_array_get (j, 1),
               "{\"what\":\"kvm\",\"verdict\":\"ok\",\"found\":\"patched, with "
               "hermit-kvm\"}");
  json_decref (j);
  fixture_unset = TRUE;
  fake_hermit->nr = 0;
  {
    g_autoptr (Program) note = hermitctl ("doctor -j");

    g_assert_cmpint (note->status, ==, 0);
    j = json_loads (note->out, 0, NULL);
    expect_json (json_array_get (j, 4),
                 "{\"what\":\"clock\",\"verdict\":\"note\",\"found\":\"it is "
                 "not set by any server: logs of hosts cannot be "
                 "compared\",\"do\":\"run chrony or systemd-timesyncd on all "
                 "hosts\"}");
    json_decref (j);
  }
}

/* Lines that are not "ok"; each of them ends with what to do. */
static guint
wrong_lines (const char *out)
{
  g_auto (GStrv) lines = g_strsplit (out, "\n", -1);
  guint n = 0;

  for (char **line = lines; **line; line++)
    {
      gboolean ok = g_str_has_prefix (*line, "ok    ");

      g_assert_true (ok || g_str_has_prefix (*line, "bad   ")
                     || g_str_has_prefix (*line, "note  "));
      g_assert_cmpint (ok, ==, !strstr (*line, "; do: "));
      n += !ok;
    }
  return n;
}

/* One line is not well, which has @verdict and @words. */
static void
expect (const char *verdict, const char *words)
{
  g_autoptr (Program) p = hermitctl ("doctor");
  g_autofree char *begin = g_strconcat ("\n", verdict, " ", NULL);
  g_autofree char *out = g_strconcat ("\n", p->out, NULL);
  const char *line = strstr (out, begin);
  g_autofree char *found
      = line ? g_strndup (line + 1, strcspn (line + 1, "\n")) : NULL;

  if (!found || !strstr (found, words) || wrong_lines (p->out) != 1)
    g_error ("no line '%s .. %s', or others than it:\n%s%s", verdict, words,
             p->out, p->err);
  if (!strcmp (verdict, "bad"))
    {
      g_assert_cmpint (p->status, ==, 1);
      g_assert_cmpstr (p->err, ==,
                       "hermitctl: doctor: 1 of these lines begin with bad, "
                       "and end with what to do\n");
    }
  else
    {
      g_assert_cmpint (p->status, ==, 0);
      g_assert_cmpstr (p->err, ==, "");
    }
}

static void
test_wrong (void)
{
  static const struct
  {
    const char *path, *text;
    guint mode;
    const char *verdict, *words;
  } cases[] = {
    { "proc/sys/kernel/osrelease", "6.1.0-40-amd64\n", 0444, "note",
      "tried with Linux 6.12 and 7.3" },
    { "proc/sys/kernel/osrelease", "6.120.1\n", 0444, "note",
      "tried with Linux" },
    { "dev/kvm", NULL, 0, "bad", "there is no /dev/kvm; do: modprobe kvm-amd" },
    { "proc/kallsyms", "0 T kvm_init\t[kvm]\n", 0444, "note",
      "the kernel's own KVM: works, slower" },
    { "sys/module/hermit/version", "0.0.1\n", 0444, "bad",
      "hermit.ko is of version 0.0.1, hermitctl of" },
    { "sys/module/hermit/version", NULL, 0, "bad", "(it does not say)" },
    { "dev/hermit", NULL, 0, "bad", "there is no /dev/hermit" },
    { "dev/hermit", "", 0600, "bad", "(mode 0600, group" },
    { "dev/hermit", "", 0666, "note", "open to every user" },
    { "etc/group", "kvm:x:4243:libvirt-qemu\n", 0644, "bad",
      "is not for libvirt-qemu, which is QEMU's user; do: see that 65-hermit" },
    { "sys/devices/system/clocksource/clocksource0/current_clocksource",
      "hpet\n", 0444, "note", "the clock is hpet" },
    { QEMU_CONF, NULL, 0, "bad", "do: apt install libvirt-daemon-system" },
    { QEMU_CONF, "#cgroup_device_acl = [ \"/dev/hermit\" ]\n", 0600, "bad",
      "does not give /dev/hermit to domains; do: hermit-host-setup" },
    { QEMU_CONF,
      "cgroup_device_acl = [ \"/dev/kvm\" ]\nx = [ \"/dev/hermit\" ]\n", 0600,
      "bad", "does not give /dev/hermit to domains" },
    { HOOK, NULL, 0, "bad", "is missing or not executable; do: install" },
    { HOOK, "#!/bin/sh\n", 0644, "bad", "is missing or not executable" },
    { HOOK, "#!/bin/sh\ncat > /dev/null\n", 0755, "bad",
      "does not do its work: it says nothing" },
    { HOOK, "#!/no/such/sh\n", 0755, "bad", "does not do its work" },
    { HOOK,
      "#!/bin/sh\ncat > /dev/null\n"
      "echo 'hermit: domain doctor .. is missing' >&2\nexit 1\n",
      0755, "bad", "does not do its work: hermit: domain doctor" },
    { "usr/local/bin/hermit-qemu", NULL, 0, "bad",
      "there is no /usr/local/bin/hermit-qemu" },
    { "opt/qemu", NULL, 0, "bad", "hermit-qemu cannot run it" },
    { "opt/qemu", "#!/bin/sh\necho memory-backend-ram\n", 0755, "bad",
      "/opt/qemu has no object hermit-memory" },
    { "etc/hermit/key", NULL, 0, "note", "do: copy it from the memory node" },
    { "etc/hermit/key", "0123456789abcdef", 0644, "bad", "(mode 0644); do: chmod 600" },
    { "etc/passwd", "libvirt-qemu:x:64055:4242::/:/bin/false\n", 0644, "bad",
      "is not libvirt-qemu's" },
    { "etc/machine-id", "", 0444, "bad", "do: systemd-machine-id-setup" },
    { "etc/machine-id", "uninitialized\n", 0444, "bad", "is empty" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      well ();
      put (cases[i].path, cases[i].text, cases[i].mode);
      expect (cases[i].verdict, cases[i].words);
    }
}

/* What is wrong in more than one file, or not in a file. */
static void
test_more (void)
{
  well ();
  g_assert_true (!system ("rm -r root/sys/module/hermit_kvm"));
  expect ("bad", "hermit-kvm is not loaded");
  well ();
  g_assert_true (!system ("rm -r root/sys/module/hermit"));
  expect ("bad", "hermit.ko is not loaded; do: modprobe hermit");
  well ();
  fake_hermit->open_errno = EACCES;
  expect ("bad", "hermit.ko does not answer");
  well ();
  fixture_fail (HERMIT_LIST, ENOTTY);
  expect ("bad", "the loaded hermit.ko is older than hermitctl");

  /* another user for QEMU, who is in the group and has no key */
  well ();
  put (QEMU_CONF, "user = \"qemu\"\ncgroup_device_acl = [ \"/dev/hermit\" ]\n",
       0600);
  put_libvirtd (1000);
  {
    g_autoptr (Program) p = hermitctl ("doctor");

    g_assert_nonnull (strstr (p->out, "is not for qemu, "));
    g_assert_nonnull (strstr (p->out, "is not qemu's, "));
    g_assert_cmpuint (wrong_lines (p->out), ==, 2);
    g_assert_cmpstr (p->err, ==,
                     "hermitctl: doctor: 2 of these lines begin with bad, and "
                     "end with what to do\n");
  }

  /* libvirtd is older than the hook, and than its configuration */
  well ();
  put_libvirtd (-1000);
  {
    g_autoptr (Program) p = hermitctl ("doctor");

    g_assert_cmpint (p->status, ==, 1);
    g_assert_nonnull (strstr (p->out, "bad   hook       it is newer than"));
    g_assert_nonnull (strstr (p->out, "was changed since libvirt started"));
    g_assert_cmpuint (wrong_lines (p->out), ==, 2);
  }
  /* it does not run; or another process has its number */
  put ("run/libvirtd.pid", NULL, 0);
  {
    g_autoptr (Program) p = hermitctl ("doctor");

    g_assert_cmpuint (wrong_lines (p->out), ==, 0);
    g_assert_nonnull (strstr (p->out, "it does not run now"));
  }
  put ("run/virtqemud.pid", "77\n", 0644);
  {
    g_autoptr (Program) p = hermitctl ("doctor");

    g_assert_cmpuint (wrong_lines (p->out), ==, 0);
  }
}

static void
test_apparmor (void)
{
  well ();
  put (APPARMOR, "Y\n", 0444);
  put (PROFILES, "virt-aa-helper (enforce)\nlibvirtd (enforce)\n", 0444);
  expect ("bad", "domains may not open /dev/hermit");
  put (ABSTRACTION, "x", 0644);
  expect ("bad", "libvirt may not run /usr/local/bin/hermit-qemu");
  put (LOCAL, "  /usr/local/bin/hermit-qemu PUx,\n", 0644);
  {
    g_autoptr (Program) p = hermitctl ("doctor");

    g_assert_cmpuint (wrong_lines (p->out), ==, 0);
    g_assert_nonnull (strstr (p->out, "lets domains use hermit memory"));
  }
}

/* What the module says of VMs that run. */
static void
test_vms (void)
{
  static const struct
  {
    guint state;
    const char *verdict, *words;
  } states[] = {
    { HERMIT_SERVER_RECONNECTING, "bad", "is reconnecting; do: see that it runs" },
    { HERMIT_SERVER_FAILED, "bad", "is failed; do: see that it runs" },
    { HERMIT_SERVER_FULL, "bad", "is full; do: free capacity" },
    { HERMIT_SERVER_DRAINING, "note", "is draining; do: move" },
    { HERMIT_SERVER_DRAINED, "note", "is drained; do: stop it, or drop it" },
    { HERMIT_SERVER_STUCK, "bad", "is stuck; do: its pages find no room" },
  };
  struct fake_region *r;

  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    {
      well ();
      r = fixture_full (NULL, "ram0", "tcp:192.0.2.7:7471");
      r->st.servers[0].state = states[i].state;
      expect (states[i].verdict, states[i].words);
    }
  well ();
  r = fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  r->st.lost = 3;
  expect ("bad", "vm1: 3 pages of its memory are lost");
}

/* --- servers -------------------------------------------------------------------- */

typedef struct
{
  GPid pid;
  guint port;
} Server;

/* Not by GSubprocess: of its thread there is nothing in a child, hermitctl. */
static void
server_start (Server *server, const char *key_file)
{
  const char *argv[] = { g_getenv ("HERMIT_MEMSERVER"),
                         "--listen=tcp:127.0.0.1:0",
                         "--capacity=16M",
                         "--control=control",
                         key_file ? "--key-file" : NULL,
                         key_file,
                         NULL };
  g_autoptr (GError) error = NULL;
  char line[200];
  FILE *out;
  int fd;

  g_assert_nonnull (argv[0]);
  g_spawn_async_with_pipes (
      NULL, (char **)argv, NULL,
      G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
      &server->pid, NULL, &fd, NULL, &error);
  g_assert_no_error (error);
  out = fdopen (fd, "r");
  g_assert_nonnull (fgets (line, sizeof (line), out));
  g_assert_cmpint (sscanf (line, "listening on tcp:127.0.0.1:%u",
                           &server->port),
                   ==, 1);
  fclose (out);
}

static void
server_stop (Server *server)
{
  int status;

  g_assert_cmpint (kill (server->pid, SIGTERM), ==, 0);
  g_assert_cmpint (waitpid (server->pid, &status, 0), ==, server->pid);
  g_assert_cmpint (status, ==, 0);
}

/* "doctor" of this server says @words; the rest is well. */
static void
asked (const char *host, guint port, const char *key_file, int status,
       const char *words)
{
  g_autofree char *args = g_strdup_printf (
      "doctor tcp:%s:%u%s%s", host, port, key_file ? " -k" : "",
      key_file ?: "");
  g_autoptr (Program) p = hermitctl (args);

  if (p->status != status || !strstr (p->out, words)
      || wrong_lines (p->out) != (status ? 1 : 0))
    g_error ("%s: %d and not %d, or not '%s':\n%s%s", args, p->status, status,
             words, p->out, p->err);
}

static void
test_servers (void)
{
  Server server;

  well ();
  g_assert_true (g_file_set_contents ("key", "0123456789abcdef", -1, NULL));
  g_assert_true (g_file_set_contents ("other", "0123456789abcdeX", -1, NULL));
  g_chmod ("key", 0600);
  g_chmod ("other", 0600);

  server_start (&server, "key");
  asked ("127.0.0.1", server.port, "key", 0, "answers, and has our key\n");
  asked ("localhost", server.port, "key", 0, "answers, and has our key\n");
  asked ("127.0.0.1", server.port, "key", 0, "ok    mtu        tcp:127.0.0.1:");
  asked ("127.0.0.1", server.port, "other", 1,
         "it has another key; do: copy /etc/hermit/key");
  asked ("127.0.0.1", server.port, NULL, 1,
         "it has a key, and none was given; do: copy");
  asked ("127.0.0.1", server.port, "no-such-key", 1, "no-such-key: No such");
  g_chmod ("key", 0644);
  asked ("127.0.0.1", server.port, "key", 1, "is open to every user");
  g_chmod ("key", 0600);

  /* that of a domain that runs, with its key, and only once */
  {
    g_autofree char *json = g_strdup_printf (
        "{\"domain\":\"vm1\",\"properties\":{\"key-file\":\"key\",\"server\":"
        "[\"tcp:127.0.0.1:%u\",\"tcp:127.0.0.1:%u\",\"local:\"]}}",
        server.port, server.port);
    g_autoptr (Program) p = NULL;
    const char *first;

    g_assert_true (g_file_set_contents (
        "run/" VM1_UUID ".json", json, -1, NULL));
    p = hermitctl ("doctor");
    g_assert_cmpint (p->status, ==, 0);
    first = strstr (p->out, "answers, and has our key");
    g_assert_nonnull (first);
    g_assert_null (strstr (first + 1, "answers"));
  }
  /* nothing came of all that at the server */
  {
    g_autofree char *listed = NULL;
    const char *argv[] = { g_getenv ("HERMIT_MEMSERVER"), "--control",
                           "control", "list", NULL };

    int status;

    g_assert_true (g_spawn_sync (NULL, (char **)argv, NULL, G_SPAWN_DEFAULT,
                                 NULL, NULL, &listed, NULL, &status, NULL));
    g_assert_cmpint (status, ==, 0);
    g_assert_cmpstr (listed, ==, "");
  }
  server_stop (&server);
  well ();
  asked ("127.0.0.1", server.port, "key", 1,
         "it cannot be reached: Connection refused; do: see that the server "
         "runs");

  server_start (&server, NULL);
  asked ("127.0.0.1", server.port, NULL, 0, "answers, without a key\n");
  asked ("127.0.0.1", server.port, "key", 1,
         "it has no key, and there is one on this side; do: start it with");
  server_stop (&server);
  asked ("no-such-host.invalid", 7471, NULL, 1, "no-such-host.invalid");
  g_unlink ("key");
  g_unlink ("other");
}

static void
test_addresses (void)
{
  static const char *const bad[]
      = { "mem1:7471", "tcp:", "tcp:mem1", "tcp:mem1:", "tcp::7471", "udp:a:1" };

  well ();
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *args = g_strconcat ("doctor ", bad[i], NULL);
      g_autoptr (Program) p = hermitctl (args);

      g_assert_cmpint (p->status, ==, 1);
      g_assert_nonnull (strstr (p->out, "' is not the address of a server"));
    }
  {
    g_autoptr (Program) p = hermitctl ("doctor rdma:192.0.2.7:7471");

    g_assert_cmpint (p->status, ==, 0);
    g_assert_nonnull (strstr (p->out, "over RDMA doctor does not try"));
  }
}

/* Who answers with something else, then with nothing: a process of its own. */
static pid_t
stranger (guint *port)
{
  static const char http[]
      = "HTTP/1.1 400 Bad Request\r\nServer: other\r\nX: 0123456789\r\n";
  struct sockaddr_in own = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof (own);
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  char hello[200];
  pid_t pid;

  g_assert_true (fd >= 0 && !bind (fd, (struct sockaddr *)&own, length)
                 && !listen (fd, 2)
                 && !getsockname (fd, (struct sockaddr *)&own, &length));
  *port = ntohs (own.sin_port);
  pid = fork ();
  if (!pid)
    for (guint i = 0;; i++)
      {
        int c = accept (fd, NULL, NULL);

        if (recv (c, hello, sizeof (hello), MSG_WAITALL) != sizeof (hello)
            || (!i && send (c, http, strlen (http), 0) < 0))
          _exit (1);
        close (c);
        if (i)
          _exit (0);
      }
  close (fd);
  return pid;
}

static void
test_strangers (void)
{
  guint port;
  pid_t pid;
  int status;

  well ();
  pid = stranger (&port);
  asked ("127.0.0.1", port, NULL, 1, "what answers there is no memory server");
  asked ("127.0.0.1", port, NULL, 1, "takes the connection and does not answer");
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

/* What is written in two places. */
static void
test_sources (void)
{
  static const char *const kernels[] = { HERMIT_KERNELS };
  g_autoptr (GDir) dir
      = g_dir_open (SOURCE "/kvm-module/kvm-patches", 0, NULL);
  g_autofree char *text = NULL;
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)))
    if (g_ascii_isdigit (*name))
      {
        gboolean known = FALSE;

        for (guint i = 0; i < G_N_ELEMENTS (kernels); i++)
          known |= !strcmp (kernels[i], name);
        g_assert_true (known);
        n++;
      }
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (kernels));
  g_assert_true (g_file_get_contents (SOURCE "/kvm-module/main.c", &text, NULL,
                                      NULL));
  g_assert_nonnull (strstr (text, "MODULE_VERSION(\"" HERMIT_VERSION "\")"));
}

int
main (int argc, char **argv)
{
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/doctor/well", test_well);
  g_test_add_func ("/doctor/wrong", test_wrong);
  g_test_add_func ("/doctor/more", test_more);
  g_test_add_func ("/doctor/apparmor", test_apparmor);
  g_test_add_func ("/doctor/vms", test_vms);
  g_test_add_func ("/doctor/servers", test_servers);
  g_test_add_func ("/doctor/addresses", test_addresses);
  g_test_add_func ("/doctor/strangers", test_strangers);
  g_test_add_func ("/doctor/sources", test_sources);
  ret = g_test_run ();
  g_assert_true (!system ("rm -rf root"));
  fixture_end ();
  return ret;
}
