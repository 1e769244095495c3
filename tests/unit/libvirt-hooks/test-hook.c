/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qemu hook as libvirt calls it: the domain's XML on stdin, the phase as an
 * argument; an exit code, a sentence on stderr, and a file that is there or not.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fixture.h"
#include "region-uuid.h"

int hook_main (int argc, char **argv);

#define FILE_OF_VM1 "run/" VM1_UUID ".json"
/* uuid5 (VM1_UUID, "hermit 0123456789abcdef"), from another implementation */
#define REGIONS "691436ea-add5-5dcf-ad80-1343649d1048"
#define HERMIT                                                                \
  "<metadata><hermit:memory "                                                 \
  "xmlns:hermit='https://hermit.example/xmlns/libvirt/1' %s/></metadata>"

/* As KubeVirt writes it, in short. */
#define KUBEVIRT_DOMAIN                                                       \
  "<domain type=\"kvm\" xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\">" \
  "<name>vm1</name><uuid>" VM1_UUID "</uuid>"                                 \
  "<memory unit=\"b\">1073741824</memory>"                                  \
  "<metadata><kubevirt xmlns=\"http://kubevirt.io\"><uid>1</uid></kubevirt>"  \
  "</metadata><devices><disk type=\"file\" device=\"disk\"/></devices>"       \
  "<qemu:commandline><qemu:arg value=\"-S\"/></qemu:commandline></domain>"

static char *
domain (const char *metadata, const char *attributes)
{
  g_autofree char *element = g_strdup_printf (metadata, attributes);

  return g_strdup_printf (
      "<domain type='kvm'><name>vm1</name><uuid>" VM1_UUID "</uuid>%s"
      "<memory unit='KiB'>1048576</memory><devices><emulator>"
      "/usr/local/bin/hermit-qemu</emulator></devices></domain>",
      element);
}

static Program *
hook (const char *args, const char *xml)
{
  g_autofree char *line = g_strconcat ("qemu-hook ", args, NULL);

  return program_run (hook_main, line, xml);
}

static void
hook_says (const char *args, const char *xml, int status, const char *err)
{
  g_autoptr (Program) p = hook (args, xml);

  program_expect (p, status, "", err);
}

static gboolean
left (void)
{
  return g_file_test (FILE_OF_VM1, G_FILE_TEST_EXISTS);
}

static void
begin (void)
{
  fixture_reset ();
  g_unlink (FILE_OF_VM1);
  g_assert_true (
      g_file_set_contents ("machine-id", "0123456789abcdef\n", -1, NULL));
}

/* Leave the settings at first, also over what is left of an earlier start. */
static void
test_prepare (void)
{
  g_autofree char *xml
      = domain (HERMIT, "local-ratio='0.5' server='tcp:m:7471'");
  json_t *j, *want;

  begin ();
  for (guint i = 0; i < 2; i++)
    {
      GStatBuf st;

      hook_says ("vm1 prepare begin -", xml, 0, "");
      j = json_load_file (FILE_OF_VM1, 0, NULL);
      want = json_loads ("{\"domain\":\"vm1\",\"uuid\":\"" VM1_UUID "\","
                         "\"regions\":\"" REGIONS "\",\"properties\":"
                         "{\"local-ratio\":0.5,\"server\":[\"tcp:m:7471\"]}}",
                         0, NULL);
      g_assert_nonnull (j);
      if (!json_equal (j, want))
        g_error ("the file is %s", json_dumps (j, 0));
      json_decref (j);
      json_decref (want);
      /* for QEMU's user to read */
      g_assert_cmpint (g_stat (FILE_OF_VM1, &st), ==, 0);
      g_assert_cmpint (st.st_mode & 0777, ==, 0644);
      g_assert_true (g_file_set_contents (FILE_OF_VM1, "old", -1, NULL));
    }
  hook_says ("vm1 release end -", xml, 0, "");
  g_assert_false (left ());
  /* a second time there is nothing to take away */
  hook_says ("vm1 release end -", xml, 0, "");
}

/* A domain that is none of ours: nothing is left, whatever was. */
static void
test_other (void)
{
  static const char *const ops[] = { "prepare", "started", "reconnect" };
  g_autofree char *xml = domain ("%s", "");

  /* it names QEMU itself */
  memcpy (strstr (xml, "hermit-qemu"), "other--qemu", strlen ("other--qemu"));
  begin ();
  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_autofree char *args = g_strconcat ("vm1 ", ops[i], " begin -", NULL);

      g_assert_true (g_file_set_contents (FILE_OF_VM1, "{}", -1, NULL));
      hook_says (args, xml, 0, "");
      /* only before the start is it known to be of an earlier one */
      g_assert_cmpint (left (), ==, i > 0);
    }
}

/* As another user, whom LeakSanitizer may trace all the same. */
static int
user_main (int argc, char **argv)
{
  if (setresuid (65534, 65534, 65534) || prctl (PR_SET_DUMPABLE, 1))
    return 99;
  return hook_main (argc, argv);
}

/* libvirt of a user, qemu:///session, runs the hook as well. */
static void
test_session (void)
{
  g_autofree char *xml = domain (HERMIT, "local-ratio='0.5'");
  g_autoptr (Program) p = NULL;

  if (geteuid ())
    {
      g_test_skip ("not root, who can become another user");
      return;
    }
  begin ();
  g_rename ("run", "elsewhere");
  g_assert_cmpint (g_chmod (".", 0755), ==, 0);
  p = program_run (user_main, "qemu-hook vm1 prepare begin -", xml);
  program_expect (p, 1, "",
                  "hermit: <hermit:memory> works under qemu:///system only, and this "
                  "libvirt is a user's: cannot create run: Permission denied\n");
  g_assert_false (g_file_test ("run", G_FILE_TEST_EXISTS));
  g_rename ("elsewhere", "run");
}

/* Other phases do not even read; too few words are no call of libvirt's. */
static void
test_phases (void)
{
  static const char *const ops[]
      = { "start", "stopped", "migrate", "restore", "attach", "prepared", "" };

  begin ();
  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_autofree char *args = g_strdup_printf ("vm1 '%s' begin -", ops[i]);

      hook_says (args, "no XML", 0, "");
      g_assert_false (left ());
    }
  hook_says ("vm1 prepare", "no XML", 2,
             "usage: qemu-hook DOMAIN OPERATION SUB-OPERATION EXTRA < XML\n"
             "libvirt calls this as a qemu hook\n");
  /* the last word need not be there */
  hook_says ("vm1 prepare begin", "no XML", 1,
             "hermit: libvirt gave no domain XML\n");
}

static void
test_refused (void)
{
  static const struct
  {
    const char *metadata, *attributes, *says;
  } cases[] = {
    { HERMIT, "", "<hermit:memory>: give either local-ratio or limit" },
    { HERMIT, "limit='2G'", "<hermit:memory>: limit 2147483648 is above the "
                            "domain's memory, 1073741824" },
    { "%s", "",
      "<emulator> is /usr/local/bin/hermit-qemu, and <metadata> has no "
      "<hermit:memory>: the domain would have no limit; add the element, or "
      "name QEMU itself as <emulator>" },
    { HERMIT, "limit='512K' batch='x'",
      "<hermit:memory>: batch: 'x' is none of: a number" },
    { HERMIT "<memtune><hard_limit>262144</hard_limit></memtune>",
      "local-ratio='0.5'",
      "<memtune>: with hard_limit 262144 KiB the host would kill QEMU: the "
      "limit of <hermit:memory> and QEMU itself need 790528 KiB" },
  };

  begin ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *xml = domain (cases[i].metadata, cases[i].attributes);
      g_autofree char *err = g_strdup_printf ("hermit: %s\n", cases[i].says);

      hook_says ("vm1 prepare begin -", xml, 1, err);
      g_assert_false (left ());
    }
  hook_says ("vm1 prepare begin -", "", 1,
             "hermit: libvirt gave no domain XML\n");
  hook_says ("vm1 prepare begin -", "<domain><name>vm1</name>", 1,
             "hermit: libvirt gave no domain XML\n");
  hook_says ("vm1 prepare begin -", "<domain><name>vm1</name></domain>", 1,
             "hermit: the domain XML has no name or no uuid\n");
  hook_says ("vm1 prepare begin -",
             "<domain><uuid>" VM1_UUID "</uuid></domain>", 1,
             "hermit: the domain XML has no name or no uuid\n");
  hook_says ("vm1 release end -", "<domain", 0, "");
}

/* What names the memory on servers is not there, or cannot be written down. */
static void
test_host (void)
{
  g_autofree char *xml = domain (HERMIT, "local-ratio='0.5'");
  g_autofree char *bad = g_strdup (xml);

  begin ();
  g_unlink ("machine-id");
  hook_says ("vm1 prepare begin -", xml, 1,
             "hermit: the id of this host is needed to name memory on "
             "servers; systemd-machine-id-setup makes one: Failed to open "
             "file “machine-id”: No such file or directory\n");
  g_assert_false (left ());
  begin ();
  memcpy (strstr (bad, VM1_UUID), "zzzz", 4);
  hook_says ("vm1 prepare begin -", bad, 1,
             "hermit: 'zzzzb810-9dad-11d1-80b4-00c04fd430c8' is not a "
             "UUID\n");
  /* which would be a path elsewhere */
  g_free (bad);
  bad = g_strdup ("<domain><name>x</name><uuid>../machine-id</uuid></domain>");
  g_assert_true (g_file_set_contents ("machine-id.json", "", -1, NULL));
  hook_says ("vm1 release end -", bad, 0, "");
  hook_says ("vm1 prepare begin -", bad, 1,
             "hermit: '../machine-id' is not a UUID\n");
  g_assert_cmpint (g_unlink ("machine-id.json"), ==, 0);
  g_assert_true (g_file_set_contents ("machine-id", "\n", -1, NULL));
  hook_says ("vm1 prepare begin -", xml, 1,
             "hermit: machine-id is empty: the id of this host is needed to "
             "name memory on servers; systemd-machine-id-setup makes one\n");
  begin ();
  fixture_end_domains ();
  g_assert_true (g_file_set_contents ("run", "", -1, NULL));
  hook_says ("vm1 prepare begin -", xml, 1,
             "hermit: cannot create run: Not a directory\n");
  g_unlink ("run");
}

/* It runs: with hermit-memory, or it must end. */
static void
test_started (void)
{
  g_autofree char *xml = domain (HERMIT, "local-ratio='0.5'");

  begin ();
  hook_says ("vm1 prepare begin -", xml, 0, "");
  hook_says ("vm1 started begin -", xml, 1,
             "hermit: QEMU runs without hermit-memory: '" VM1_UUID
             "': no running VM of this host with hermit memory; see hermitctl "
             "list\n");
  fixture_region (NULL, "pc.ram", 1024, 512);
  g_assert_true (hermit_uuid_parse ("75d56a29-7cc6-501f-b2fe-7f4f1d70cb90",
                                    fake_hermit->regions[0].st.uuid));
  hook_says ("vm1 started begin -", xml, 0, "");
  fake_hermit->open_errno = ENOENT;
  hook_says ("vm1 started begin -", xml, 1,
             "hermit: QEMU runs without hermit-memory: /dev/hermit: No such "
             "file or directory; is hermit.ko loaded? (modprobe hermit)\n");
  hook_says ("vm1 started begin -", "<domain", 1,
             "hermit: libvirt gave no domain XML\n");
}

/* libvirtd came back: a failure here would end a domain that runs well. */
static void
test_reconnect (void)
{
  g_autofree char *xml = domain (HERMIT, "local-ratio='0.5'");
  /* what would be refused at a start */
  g_autofree char *other = domain (HERMIT, "local-ratio='0.5' sever='x'");

  begin ();
  hook_says ("vm1 reconnect begin -", xml, 0, "");
  g_assert_true (left ());
  g_unlink (FILE_OF_VM1);
  hook_says ("vm1 reconnect begin -", other, 0, "");
  g_assert_true (left ());
  g_unlink (FILE_OF_VM1);
  hook_says ("vm1 reconnect begin -", "<domain", 0,
             "hermit: warning: hermitctl will not know the domain: libvirt "
             "gave no domain XML\n");
  g_unlink ("machine-id");
  hook_says ("vm1 reconnect begin -", xml, 0,
             "hermit: warning: hermitctl will not know the domain: the id of "
             "this host is needed to name memory on servers; "
             "systemd-machine-id-setup makes one: Failed to open file "
             "“machine-id”: No such file or directory\n");
  g_assert_false (left ());
}

/* XML of more than one read(), as of a domain with many devices. */
static void
test_long (void)
{
  GString *long_xml = g_string_new (NULL);
  g_autofree char *xml = domain (HERMIT, "local-ratio='0.5'"), *text = NULL;
  char *end = strstr (xml, "</devices>");

  begin ();
  g_string_append_len (long_xml, xml, end - xml);
  while (long_xml->len < 100000)
    g_string_append (long_xml, "<disk type='file'/>\n");
  g_string_append (long_xml, end);
  text = g_string_free (long_xml, FALSE);
  hook_says ("vm1 prepare begin -", text, 0, "");
  g_assert_true (left ());
}

/* --- the script that libvirt calls ------------------------------------------ */

#define CALLED "hooks/qemu.d/hermit-qemu-hook"
#define BEHIND "hooks/hermit/hermit-qemu-hook"

static int
script_main (int argc, char **argv)
{
  execv (CALLED, argv);
  return 126;
}

static Program *
script (const char *xml)
{
  return program_run (script_main, CALLED " vm1 prepare begin -", xml);
}

/* The program behind it is a shell script of @lines; NULL: there is none. */
static void
behind (const char *lines, int mode)
{
  g_autofree char *text = lines ? g_strconcat ("#!", lines, "\n", NULL) : NULL;

  g_unlink (BEHIND);
  if (!text)
    return;
  g_assert_true (g_file_set_contents (BEHIND, text, -1, NULL));
  g_assert_cmpint (g_chmod (BEHIND, mode), ==, 0);
}

static const struct
{
  const char *metadata, *emulator;
  gboolean ours;
} said[] = {
  { "", "/usr/bin/qemu-system-x86_64", FALSE },
  { "<title>a hermit's</title>", "/usr/bin/qemu-system-x86_64", FALSE },
  { "<metadata><n:memory xmlns:n='http://nova/1'>1</n:memory></metadata>",
    "/opt/qemu", FALSE },
  { "", "/usr/local/bin/hermit-qemu", TRUE },
  { "<metadata><hermit:memory xmlns:hermit='https://hremit/1'/></metadata>",
    "/opt/qemu", TRUE },
  { "<metadata><m:memory xmlns:m='https://hermit.example/xmlns/libvirt/1'/>"
    "</metadata>",
    "/opt/qemu", TRUE },
  { "<metadata><memory xmlns=\"https://hermit.exmaple/1\"/></metadata>",
    "/opt/qemu", TRUE },
};

static char *
said_xml (guint i)
{
  return g_strdup_printf ("<domain type='kvm'>\n  <name>hermit1</name>\n"
                          "  <description>\\n %%s \"$(false)\" *\n\n"
                          "</description>%s<devices><emulator>%s</emulator>"
                          "</devices></domain>\n",
                          said[i].metadata, said[i].emulator);
}

/* Whatever is wrong with the program, other domains start, and ours do not. */
static void
test_script_broken (void)
{
  static const struct
  {
    const char *lines;
    int mode;
  } cases[] = { { NULL, 0 },
                { "/bin/sh\nexit 0", 0644 },
                { "/no/such/interpreter", 0755 },
                /* as ld.so when a library is gone */
                { "/bin/sh\necho cannot open shared object file >&2\nexit 127",
                  0755 },
                { "/bin/sh\nkill -SEGV $$", 0755 } };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++)
    for (guint i = 0; i < G_N_ELEMENTS (said); i++)
      {
        g_autofree char *xml = said_xml (i);
        g_autoptr (Program) p = NULL;

        behind (cases[c].lines, cases[c].mode);
        p = script (xml);
        if (!said[i].ours)
          program_expect (p, 0, "", "");
        else if (c < 2)
          program_expect (p, 1, "",
                          "hermit: domain vm1 has <hermit:memory> or "
                          "hermit-qemu, and hooks/qemu.d/../hermit/"
                          "hermit-qemu-hook is missing or not executable: "
                          "install Hermit-VM's libvirt hooks again\n");
        else
          g_assert_cmpint (p->status, !=, 0);
      }
}

/* It gets what libvirt gave, and its answer is the answer. */
static void
test_script_called (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (said); i++)
    {
      g_autofree char *xml = said_xml (i), *out = NULL;
      g_autoptr (Program) p = NULL;

      behind ("/bin/sh\nprintf '%s,' \"$@\"\ncat\necho no >&2\nexit 3", 0755);
      p = script (xml);
      out = g_strconcat ("vm1,prepare,begin,-,", xml, NULL);
      if (said[i].ours)
        program_expect (p, 3, out, "no\n");
      else
        program_expect (p, 0, "", "");
    }
  /* nor does it matter if nobody reads */
  {
    g_autofree char *one = said_xml (3), *spaces = g_strnfill (300000, ' ');
    g_autofree char *xml = g_strconcat (one, spaces, NULL);
    g_autoptr (Program) p = NULL;

    behind ("/bin/sh\nexit 0", 0755);
    p = script (xml);
    program_expect (p, 0, "", "");
  }
}

static void
script_begin (void)
{
  g_autofree char *text = NULL;

  fixture_reset ();
  g_assert_true (g_file_get_contents (SCRIPT, &text, NULL, NULL));
  g_assert_cmpint (g_mkdir_with_parents ("hooks/qemu.d", 0755), ==, 0);
  g_assert_cmpint (g_mkdir_with_parents ("hooks/hermit", 0755), ==, 0);
  g_assert_true (g_file_set_contents (CALLED, text, -1, NULL));
  g_assert_cmpint (g_chmod (CALLED, 0755), ==, 0);
}

static void
script_end (void)
{
  behind (NULL, 0);
  g_unlink (CALLED);
  g_rmdir ("hooks/qemu.d");
  g_rmdir ("hooks/hermit");
  g_rmdir ("hooks");
}

/* What KubeVirt's own hook makes of a VM, docs/kubevirt, is what this one takes. */
static void
test_kubevirt (void)
{
  static const struct
  {
    const char *vmi, *domain;
    const char *properties;     /* NULL: the domain stays as it was */
    const char *err;            /* of libvirt's hook, which refuses it */
  } cases[] = {
    { "{\"metadata\": {\"name\": \"vm1\"}}", KUBEVIRT_DOMAIN, NULL, NULL },
    { "{\"metadata\": {\"annotations\": {\"other/local-ratio\": \"0.5\"}}}",
      KUBEVIRT_DOMAIN, NULL, NULL },
    { "{\"metadata\": {\"annotations\": {"
      "\"memory.hermit.example/local-ratio\": \"0.25\","
      "\"memory.hermit.example/server\": \"tcp:a:7471 tcp:b:7471\","
      "\"memory.hermit.example/replicas\": \"2\"}}}",
      KUBEVIRT_DOMAIN,
      "{\"local-ratio\":0.25,\"server\":[\"tcp:a:7471\",\"tcp:b:7471\"],"
      "\"replicas\":2}",
      NULL },
    { "{\"metadata\": {\"annotations\": {"
      "\"memory.hermit.example/local-ration\": \"0.25\"}}}",
      KUBEVIRT_DOMAIN, "",
      "hermit: <hermit:memory>: give either local-ratio or limit\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *const argv[] = { KUBEVIRT, "--version",        "v1alpha2", "--vmi",
                                   cases[i].vmi, "--domain", cases[i].domain, NULL };
      g_autofree char *xml = NULL, *err = NULL;
      g_autoptr (GError) error = NULL;
      int status;

      begin ();
      g_assert_true (g_spawn_sync (NULL, (char **)argv, NULL, 0, NULL, NULL, &xml,
                                   &err, &status, &error));
      g_assert_cmpstr (err, ==, "");
      g_assert_true (g_spawn_check_wait_status (status, &error));
      if (!cases[i].properties)
        {
          g_assert_cmpstr (g_strchomp (xml), ==, cases[i].domain);
          continue;
        }
      if (cases[i].err)
        {
          hook_says ("vm1 prepare begin -", xml, 1, cases[i].err);
          g_assert_false (left ());
          continue;
        }
      hook_says ("vm1 prepare begin -", xml, 0, "");
      {
        json_t *j = json_load_file (FILE_OF_VM1, 0, NULL);
        json_t *want = json_loads (cases[i].properties, 0, NULL);

        g_assert_nonnull (want);
        if (!json_equal (json_object_get (j, "properties"), want))
          g_error ("the file is %s", json_dumps (j, 0));
        json_decref (j);
        json_decref (want);
      }
      hook_says ("vm1 release end -", xml, 0, "");
    }
}

/* What is no VM is refused by a sentence. */
static void
test_kubevirt_refused (void)
{
  static const char *const cases[][3]
      = { { "no json", KUBEVIRT_DOMAIN, "*--vmi is not JSON*" },
          { "{\"metadata\": {\"annotations\": {"
            "\"memory.hermit.example/limit\": \"1G\"}}}",
            "<domain>", "*--domain is not XML*" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *const argv[] = { KUBEVIRT, "--vmi", cases[i][0], "--domain",
                                   cases[i][1], NULL };
      g_autofree char *out = NULL, *err = NULL;
      int status;

      g_assert_true (g_spawn_sync (NULL, (char **)argv, NULL, 0, NULL, NULL, &out,
                                   &err, &status, NULL));
      g_assert_cmpstr (out, ==, "");
      g_assert_false (g_spawn_check_wait_status (status, NULL));
      g_assert_true (g_pattern_match_simple (cases[i][2], err));
    }
}

int
main (int argc, char **argv)
{
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hook/prepare", test_prepare);
  g_test_add_func ("/hook/other", test_other);
  g_test_add_func ("/hook/session", test_session);
  g_test_add_func ("/hook/phases", test_phases);
  g_test_add_func ("/hook/refused", test_refused);
  g_test_add_func ("/hook/host", test_host);
  g_test_add_func ("/hook/started", test_started);
  g_test_add_func ("/hook/reconnect", test_reconnect);
  g_test_add_func ("/hook/long", test_long);
  g_test_add_func ("/hook/kubevirt", test_kubevirt);
  g_test_add_func ("/hook/kubevirt-refused", test_kubevirt_refused);
  script_begin ();
  g_test_add_func ("/hook/script/broken", test_script_broken);
  g_test_add_func ("/hook/script/called", test_script_called);
  ret = g_test_run ();
  script_end ();
  g_unlink ("machine-id");
  fixture_end ();
  return ret;
}
