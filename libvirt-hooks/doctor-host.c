/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor-host.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "device.h"

#define LIBVIRT HERMIT_ROOT HERMIT_CONF "/libvirt"
#define HOOK LIBVIRT "/hooks/qemu.d/hermit-qemu-hook"
#define QEMU_CONF LIBVIRT "/qemu.conf"
#define APPARMOR HERMIT_ROOT HERMIT_CONF "/apparmor.d"
#define KEY HERMIT_ROOT "/etc/hermit/key"
#define WRAPPER HERMIT_BINDIR "/hermit-qemu"

#define RESTART_MODULES                                                       \
  "with no VM running: systemctl restart hermit-modules; journalctl -u "      \
  "hermit-modules says why not"
#define RESTART_LIBVIRT                                                       \
  "systemctl restart libvirtd (or virtqemud); VMs that run go on"
#define HOST_PACKAGE "install hermit-host, or meson install -C build"

/* --- files -------------------------------------------------------------------- */

static gboolean
there (const char *path)
{
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* What is in the file, without white space at its ends; NULL without one. */
static char *
text_of (const char *path)
{
  char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? g_strstrip (text)
                                                       : NULL;
}

/* The fields of the first line "NAME:.." of a file as /etc/passwd, or NULL. */
static char **
account (const char *path, const char *name)
{
  g_autofree char *text = text_of (path);
  g_auto (GStrv) lines = g_strsplit (text ?: "", "\n", -1);

  for (char **line = lines; *line; line++)
    {
      g_auto (GStrv) fields = g_strsplit (*line, ":", -1);

      if (g_strv_length (fields) >= 4 && !strcmp (fields[0], name))
        return g_steal_pointer (&fields);
    }
  return NULL;
}

/* --- kernel and modules -------------------------------------------------------- */

static void
check_kernel (HermitFindings *findings)
{
  static const char *const tried[] = { HERMIT_KERNELS, NULL };
  g_autofree char *release = text_of (HERMIT_ROOT "/proc/sys/kernel/osrelease");
  g_autofree char *all = g_strjoinv (" and ", (char **)tried);

  for (guint i = 0; tried[i]; i++)
    {
      gsize n = strlen (tried[i]);

      if (release && !strncmp (release, tried[i], n)
          && !g_ascii_isdigit (release[n]))
        {
          hermit_find (findings, HERMIT_WELL, "kernel", NULL, "Linux %s",
                       release);
          return;
        }
    }
  hermit_find (findings, HERMIT_NOTE, "kernel",
               "boot one of these, or take what the other lines say for an "
               "answer",
               "Linux %s, and Hermit-VM is tried with Linux %s",
               release ?: "of unknown version", all);
}

/* As hermit-modules sees it. */
static gboolean
kvm_patched (void)
{
  g_autofree char *symbols = text_of (HERMIT_ROOT "/proc/kallsyms");

  return symbols
         && g_regex_match_simple ("kvm_provider_register\\s*\\[kvm\\]", symbols,
                                  0, 0);
}

static void
check_kvm (HermitFindings *findings)
{
  if (!there (HERMIT_ROOT "/dev/kvm"))
    hermit_find (findings, HERMIT_BAD, "kvm",
                 "modprobe kvm-amd or kvm-intel; if that fails switch "
                 "virtualization on in the firmware",
                 "there is no /dev/kvm");
  else if (!kvm_patched ())
    hermit_find (findings, HERMIT_NOTE, "kvm", RESTART_MODULES,
                 "the kernel's own KVM: works, slower");
  else if (!there (HERMIT_ROOT "/sys/module/hermit_kvm"))
    hermit_find (findings, HERMIT_BAD, "kvm",
                 "modprobe hermit-kvm, or " RESTART_MODULES,
                 "KVM is patched, and hermit-kvm is not loaded");
  else
    hermit_find (findings, HERMIT_WELL, "kvm", NULL,
                 "patched, with hermit-kvm");
}

static void
check_module (HermitFindings *findings)
{
  g_autofree char *version = text_of (HERMIT_ROOT "/sys/module/hermit/version");
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) regions = NULL;

  if (!there (HERMIT_ROOT "/sys/module/hermit"))
    {
      hermit_find (findings, HERMIT_BAD, "module",
                   "modprobe hermit, or " RESTART_MODULES,
                   "hermit.ko is not loaded");
      return;
    }
  regions = hermit_device_list (&error);
  if (!regions)
    hermit_find (findings, HERMIT_BAD, "module",
                 "run this as root; if it was, upgrade hermit.ko and "
                 "hermitctl to the same version",
                 "hermit.ko does not answer: %s", error->message);
  else if (g_strcmp0 (version, HERMIT_VERSION))
    hermit_find (findings, HERMIT_BAD, "module",
                 "upgrade both, QEMU too, and " RESTART_MODULES,
                 "hermit.ko is of version %s, hermitctl of " HERMIT_VERSION,
                 version ?: "(it does not say)");
  else
    hermit_find (findings, HERMIT_WELL, "module", NULL,
                 "hermit.ko " HERMIT_VERSION ", %u regions", regions->len);
}

/* --- whose QEMU is ---------------------------------------------------------------- */

/* libvirt's user for QEMU: as in qemu.conf, or Debian's. */
static char *
qemu_user (void)
{
  g_autofree char *conf = text_of (QEMU_CONF);
  g_autoptr (GRegex) regex = g_regex_new (
      "^\\s*user\\s*=\\s*\"([^\"]+)\"", G_REGEX_MULTILINE, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;

  if (conf && g_regex_match (regex, conf, 0, &match))
    return g_match_info_fetch (match, 1);
  return g_strdup ("libvirt-qemu");
}

/* Is @user in the group of number @gid? */
static gboolean
in_group (const char *user, guint gid)
{
  g_auto (GStrv) own = account (HERMIT_ROOT "/etc/passwd", user);
  g_autofree char *text = text_of (HERMIT_ROOT "/etc/group");
  g_auto (GStrv) lines = g_strsplit (text ?: "", "\n", -1);
  g_autofree char *number = g_strdup_printf ("%u", gid);

  if (own && !strcmp (own[3], number))
    return TRUE;
  for (char **line = lines; *line; line++)
    {
      g_auto (GStrv) fields = g_strsplit (*line, ":", -1);

      if (g_strv_length (fields) >= 4 && !strcmp (fields[2], number))
        {
          g_auto (GStrv) members = g_strsplit (fields[3], ",", -1);

          return g_strv_contains ((const char *const *)members, user);
        }
    }
  return FALSE;
}

static void
check_device (HermitFindings *findings)
{
  static const char udev[]
      = "see that 65-hermit.rules is there (" HOST_PACKAGE "), then udevadm "
        "control --reload && udevadm trigger --name-match=hermit";
  g_autofree char *user = qemu_user ();
  GStatBuf st;

  if (g_stat (HERMIT_ROOT HERMIT_DEVICE, &st) < 0)
    hermit_find (findings, HERMIT_BAD, "device",
                 "modprobe hermit, or " RESTART_MODULES,
                 "there is no " HERMIT_DEVICE);
  else if ((st.st_mode & 0006) == 0006)
    hermit_find (findings, HERMIT_NOTE, "device", udev,
                 HERMIT_DEVICE " is open to every user of this host");
  else if ((st.st_mode & 0060) != 0060 || !in_group (user, st.st_gid))
    hermit_find (findings, HERMIT_BAD, "device", udev,
                 HERMIT_DEVICE " (mode %04o, group %u) is not for %s, which is "
                               "QEMU's user",
                 st.st_mode & 07777, st.st_gid, user);
  else
    hermit_find (findings, HERMIT_WELL, "device", NULL,
                 HERMIT_DEVICE " is for %s", user);
}

static void
check_clock (HermitFindings *findings)
{
  g_autofree char *source = text_of (HERMIT_ROOT
                                     "/sys/devices/system/clocksource/"
                                     "clocksource0/current_clocksource");
  struct timex t = { 0 };

  if (source && (!strcmp (source, "hpet") || !strcmp (source, "acpi_pm")))
    hermit_find (findings, HERMIT_NOTE, "clock",
                 "see in dmesg why the kernel does not take tsc",
                 "the clock is %s, which makes every fault slower", source);
  else if (adjtimex (&t) < 0 || (t.status & STA_UNSYNC))
    hermit_find (findings, HERMIT_NOTE, "clock",
                 "run chrony or systemd-timesyncd on all hosts",
                 "it is not set by any server: logs of hosts cannot be "
                 "compared");
  else
    hermit_find (findings, HERMIT_WELL, "clock", NULL, "%s, and it is set",
                 source ?: "unknown");
}

void
hermit_doctor_kernel (HermitFindings *findings)
{
  check_kernel (findings);
  check_kvm (findings);
  check_module (findings);
  check_device (findings);
  check_clock (findings);
}

/* --- libvirt ---------------------------------------------------------------------- */

/* Seconds since 1970 when the process began; 0: there is none of this name. */
static gint64
began (const char *pid_file, const char *name)
{
  g_autofree char *pid = text_of (pid_file);
  g_autofree char *path
      = g_strdup_printf (HERMIT_ROOT "/proc/%s/stat", pid ?: "none");
  g_autofree char *stat = pid && *pid ? text_of (path) : NULL;
  g_autofree char *host = text_of (HERMIT_ROOT "/proc/stat");
  g_autofree char *comm = g_strdup_printf ("(%s)", name);
  const char *behind = stat ? strrchr (stat, ')') : NULL;
  const char *boot = host ? strstr (host, "btime ") : NULL;
  g_auto (GStrv) fields = NULL;

  if (!behind || !boot || !strstr (stat, comm))
    return 0;
  /* proc(5): the 22nd, of which the state, behind the name, is the third */
  fields = g_strsplit (behind + 2, " ", -1);
  if (g_strv_length (fields) < 20)
    return 0;
  return g_ascii_strtoll (boot + 6, NULL, 10)
         + g_ascii_strtoll (fields[19], NULL, 10) / sysconf (_SC_CLK_TCK);
}

/* When libvirt's daemon began, or 0: systemd starts it when somebody asks. */
static gint64
libvirt_began (void)
{
  return began (HERMIT_ROOT "/run/libvirtd.pid", "libvirtd")
             ?: began (HERMIT_ROOT "/run/virtqemud.pid", "virtqemud");
}

/*
 * Run it with @input; all that it says, and whether it ends with 0. NULL, with
 * a sentence, if it cannot be run.
 */
static char *
said_by (const char *const *argv, const char *input, gboolean *well,
         GError **error)
{
  g_autoptr (GSubprocess) process
      = g_subprocess_newv (argv,
                           G_SUBPROCESS_FLAGS_STDIN_PIPE
                               | G_SUBPROCESS_FLAGS_STDOUT_PIPE
                               | G_SUBPROCESS_FLAGS_STDERR_MERGE,
                           error);
  g_autoptr (GBytes) in = g_bytes_new (input, strlen (input));
  g_autoptr (GBytes) out = NULL;

  if (!process || !g_subprocess_communicate (process, in, NULL, &out, NULL, error))
    return NULL;
  *well = g_subprocess_get_successful (process);
  /* of nothing there is no data */
  return g_strstrip (
      g_strndup (g_bytes_get_data (out, NULL) ?: "", g_bytes_get_size (out)));
}

/*
 * The hook does its work if it refuses what makes no sense; it leaves nothing
 * behind then.
 */
static void
check_hook (HermitFindings *findings, gint64 since)
{
  static const char domain[]
      = "<domain type='kvm'><name>doctor</name>"
        "<uuid>00000000-0000-4000-8000-00000000d0c7</uuid>"
        "<metadata><hermit:memory xmlns:hermit="
        "'https://hermit.example/xmlns/libvirt/1' local-ratio='7'/></metadata>"
        "<memory>1048576</memory></domain>";
  static const char *const argv[]
      = { HOOK, "doctor", "prepare", "begin", "-", NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *said = NULL;
  gboolean well = FALSE;
  GStatBuf st;

  if (g_stat (HOOK, &st) < 0 || !(st.st_mode & 0111))
    {
      hermit_find (findings, HERMIT_BAD, "hook",
                   HOST_PACKAGE "; then " RESTART_LIBVIRT,
                   "%s is missing or not executable", HOOK);
      return;
    }
  said = said_by (argv, domain, &well, &error);
  if (!said || well || !strstr (said, "hermit: ")
      || !strstr (said, "local-ratio"))
    {
      hermit_find (findings, HERMIT_BAD, "hook", HOST_PACKAGE,
                   "%s does not do its work: %s", HOOK,
                   !said   ? error->message
                   : *said ? said
                           : "it says nothing");
      return;
    }
  /* the two clocks may differ by the second that they are cut to */
  if (since && since + 1 < MAX (st.st_mtime, st.st_ctime))
    hermit_find (findings, HERMIT_BAD, "hook", RESTART_LIBVIRT,
                 "it is newer than the libvirt that runs, which looks for "
                 "hooks only when it starts");
  else
    hermit_find (findings, HERMIT_WELL, "hook", NULL, "works%s",
                 since ? ", and libvirt has seen it" : "");
}

static void
check_conf (HermitFindings *findings, gint64 since)
{
  g_autofree char *conf = text_of (QEMU_CONF);
  GStatBuf st;

  if (!conf || g_stat (QEMU_CONF, &st) < 0)
    hermit_find (findings, HERMIT_BAD, "libvirt",
                 "apt install libvirt-daemon-system, then hermit-host-setup",
                 "there is no %s", QEMU_CONF);
  /* what is commented out does not begin a line */
  else if (!g_regex_match_simple (
               "^\\s*cgroup_device_acl\\s*=\\s*\\[[^\\]]*\"/dev/hermit\"",
               conf, G_REGEX_MULTILINE, 0))
    hermit_find (findings, HERMIT_BAD, "libvirt",
                 "hermit-host-setup, or add \"/dev/hermit\" to "
                 "cgroup_device_acl there, and " RESTART_LIBVIRT,
                 "%s does not give /dev/hermit to domains", QEMU_CONF);
  else if (since && since + 1 < st.st_mtime)
    hermit_find (findings, HERMIT_NOTE, "libvirt", RESTART_LIBVIRT,
                 "%s was changed since libvirt started", QEMU_CONF);
  else
    hermit_find (findings, HERMIT_WELL, "libvirt", NULL,
                 "it gives /dev/hermit to domains%s",
                 since ? "" : "; it does not run now");
}

static void
check_qemu (HermitFindings *findings)
{
  static const char *const argv[]
      = { HERMIT_ROOT HERMIT_QEMU, "-machine", "none", "-object", "help", NULL };
  g_autofree char *said = NULL;
  g_autoptr (GError) error = NULL;
  gboolean well = FALSE;

  if (!g_file_test (HERMIT_ROOT WRAPPER, G_FILE_TEST_IS_EXECUTABLE))
    hermit_find (findings, HERMIT_BAD, "qemu", HOST_PACKAGE,
                 "there is no %s, which is <emulator> of domains", WRAPPER);
  else if (!(said = said_by (argv, "", &well, &error)))
    hermit_find (findings, HERMIT_BAD, "qemu",
                 "put QEMU with hermit-memory there (qemu-patches/build)",
                 "hermit-qemu cannot run it: %s", error->message);
  else if (!well || !strstr (said, "hermit-memory"))
    hermit_find (findings, HERMIT_BAD, "qemu",
                 "put QEMU with hermit-memory there (qemu-patches/build)",
                 "%s has no object hermit-memory", HERMIT_QEMU);
  else
    hermit_find (findings, HERMIT_WELL, "qemu", NULL,
                 "%s has hermit-memory", HERMIT_QEMU);
}

static void
check_apparmor (HermitFindings *findings)
{
  static const char local[] = APPARMOR "/local/usr.sbin.libvirtd";
  g_autofree char *enabled
      = text_of (HERMIT_ROOT "/sys/module/apparmor/parameters/enabled");
  g_autofree char *profiles
      = text_of (HERMIT_ROOT "/sys/kernel/security/apparmor/profiles");
  g_autofree char *own = text_of (local);

  if (g_strcmp0 (enabled, "Y") || !profiles || !strstr (profiles, "libvirtd"))
    hermit_find (findings, HERMIT_WELL, "apparmor", NULL,
                 "does not confine libvirt here");
  else if (!there (APPARMOR "/abstractions/libvirt-qemu.d/hermit"))
    hermit_find (findings, HERMIT_BAD, "apparmor", HOST_PACKAGE,
                 "domains may not open /dev/hermit: there is no " APPARMOR
                 "/abstractions/libvirt-qemu.d/hermit");
  else if (strcmp (HERMIT_BINDIR, "/usr/bin")
           && (!own || !strstr (own, WRAPPER)))
    hermit_find (findings, HERMIT_BAD, "apparmor",
                 "append share/hermit/apparmor-libvirtd to that file, and "
                 "apparmor_parser -r /etc/apparmor.d/usr.sbin.libvirtd",
                 "libvirt may not run " WRAPPER ": %s does not name it",
                 local);
  else
    hermit_find (findings, HERMIT_WELL, "apparmor", NULL,
                 "lets domains use hermit memory");
}

static void
check_key (HermitFindings *findings)
{
  g_autofree char *user = qemu_user ();
  g_auto (GStrv) own = account (HERMIT_ROOT "/etc/passwd", user);
  GStatBuf st;

  if (g_stat (KEY, &st) < 0)
    {
      hermit_find (findings, HERMIT_NOTE, "key",
                   "copy it from the memory node, then hermit-host-setup; "
                   "nothing if domains name another key-file",
                   "there is no " KEY);
      return;
    }
  if (st.st_mode & 0027)
    hermit_find (findings, HERMIT_BAD, "key", "chmod 600 " KEY,
                 KEY " can be read or changed by others (mode %04o)",
                 st.st_mode & 07777);
  else if (!own || strtoul (own[2], NULL, 10) != st.st_uid)
    hermit_find (findings, HERMIT_BAD, "key",
                 "hermit-host-setup, or make it the file of QEMU's user",
                 KEY " is not %s's, which is QEMU's user", user);
  else
    hermit_find (findings, HERMIT_WELL, "key", NULL, KEY " is %s's", user);
}

static void
check_machine_id (HermitFindings *findings)
{
  g_autofree char *id = text_of (HERMIT_ROOT "/etc/machine-id");

  if (!id || !*id || !strcmp (id, "uninitialized"))
    hermit_find (findings, HERMIT_BAD, "host id", "systemd-machine-id-setup",
                 "/etc/machine-id is %s: it names the memory of this host on "
                 "servers",
                 id ? "empty" : "not there");
  else
    hermit_find (findings, HERMIT_WELL, "host id", NULL,
                 "/etc/machine-id has one");
}

void
hermit_doctor_libvirt (HermitFindings *findings)
{
  gint64 since = libvirt_began ();

  check_conf (findings, since);
  check_hook (findings, since);
  check_qemu (findings);
  check_apparmor (findings);
  check_key (findings);
  check_machine_id (findings);
}
