/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No threads to be had: the parts of a server that need one from the start are
 * not made, with a sentence, and the program ends with it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "client.h"
#include "control.h"
#include "door.h"
#include "local-server.h"
#include "store.h"

/* How many threads there still are; see the links of this test. */
static guint left = G_MAXUINT;

GThread *__real_g_thread_try_new (const char *name, GThreadFunc function,
                                  gpointer data, GError **error);
GThread *__wrap_g_thread_try_new (const char *name, GThreadFunc function,
                                  gpointer data, GError **error);
GThreadPool *__real_g_thread_pool_new (GFunc function, gpointer data, gint n,
                                       gboolean exclusive, GError **error);
GThreadPool *__wrap_g_thread_pool_new (GFunc function, gpointer data, gint n,
                                       gboolean exclusive, GError **error);

GThread *
__wrap_g_thread_try_new (const char *name, GThreadFunc function, gpointer data,
                         GError **error)
{
  if (left)
    return __real_g_thread_try_new (name, function, data, error);
  g_set_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "none are left");
  return NULL;
}

/* As GLib does it: a pool with those threads that there are, and the error. */
GThreadPool *
__wrap_g_thread_pool_new (GFunc function, gpointer data, gint n,
                          gboolean exclusive, GError **error)
{
  GThreadPool *pool = __real_g_thread_pool_new (
      function, data, MIN (n, (gint)MAX (left, 1)), exclusive, NULL);

  if (left < (guint)n)
    g_set_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "none are left");
  return pool;
}

static void
test_store (void)
{
  HermitStoreConfig config = { .capacity = 16 * MIB };
  g_autoptr (GError) error = NULL;
  HermitStore *store;

  left = 0;
  store = hermit_store_new (&config, &error);
  g_assert_null (store);
  g_assert_cmpstr (error->message, ==, "no thread for the memory: none are left");
  left = G_MAXUINT;

  store = hermit_store_new (&config, NULL);
  hermit_store_freeze (store);
  g_clear_error (&error);
  left = 0;
  g_assert_false (hermit_store_thaw (store, &error));
  g_assert_nonnull (error);
  left = G_MAXUINT;
  hermit_store_free (store);
}

static void
test_door (void)
{
  g_autoptr (GError) error = NULL;
  HermitServer server = { 0 };

  left = 0;
  g_assert_null (hermit_door_new (&server, 32, NULL, &error));
  g_assert_cmpstr (error->message, ==,
                   "no thread for who connects: none are left");
  left = G_MAXUINT;
}

/* Some of the threads are not enough: the operator would wait for a client. */
static void
test_control (void)
{
  HermitServer server;

  local_server_start (&server, 32);
  for (guint n = 0; n < 4; n++)
    {
      g_autoptr (GError) error = NULL;

      left = n;
      g_assert_null (hermit_control_new (&server, &error));
      g_assert_cmpstr (error->message, ==,
                       "--control: no threads for it: none are left");
    }
  left = 4;
  hermit_control_free (hermit_control_new (&server, NULL));
  left = G_MAXUINT;
  local_server_stop (&server);
}

/* In the child: from now on the kernel has no thread for it. */
static void
no_threads (gpointer data G_GNUC_UNUSED)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    /* clone3() has its flags where a filter cannot look: then by clone() */
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS,
              offsetof (struct seccomp_data, args[0])),
    BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program
      = { .len = G_N_ELEMENTS (filter), .filter = filter };

  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
      || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    _exit (77);
}

static void
test_program (void)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (
      G_SUBPROCESS_FLAGS_STDERR_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE);
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *words = NULL;

  g_subprocess_launcher_set_child_setup (launcher, no_threads, NULL, NULL);
  process = g_subprocess_launcher_spawn (
      launcher, &error, g_getenv ("HERMIT_MEMSERVER"),
      "--listen=tcp:127.0.0.1:0", "--capacity=16M", NULL);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (process, NULL, NULL, NULL, &words, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_if_exited (process));
  if (g_subprocess_get_exit_status (process) == 77)
    {
      g_test_skip ("no seccomp filter can be set here");
      return;
    }
  g_assert_cmpint (g_subprocess_get_exit_status (process), ==, 1);
  g_assert_true (g_pattern_match_simple (
      "hermit-memserver: no thread for the memory: *\n", words));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/threads/store", test_store);
  g_test_add_func ("/threads/door", test_door);
  g_test_add_func ("/threads/control", test_control);
  g_test_add_func ("/threads/program", test_program);
  return g_test_run ();
}
