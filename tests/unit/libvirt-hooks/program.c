/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 60

static char *
all_of (FILE *f)
{
  GString *text = g_string_new (NULL);
  char buffer[4096];
  size_t n;

  rewind (f);
  while ((n = fread (buffer, 1, sizeof (buffer), f)) > 0)
    g_string_append_len (text, buffer, n);
  fclose (f);
  return g_string_free (text, FALSE);
}

Program *
program_run (ProgramMain program, const char *line, const char *input)
{
  /* in memory, where the child's leak check finds what is the parent's */
  static Program *p;
  static char **argv;
  FILE *in = tmpfile (), *out = tmpfile (), *err = tmpfile ();
  g_autofree char **words = NULL;
  int argc, status;
  pid_t pid;

  p = g_new0 (Program, 1);
  g_assert_true (in && out && err);
  g_assert_true (g_shell_parse_argv (line, &argc, &argv, NULL));
  /* a main() may move and drop them */
  words = g_memdup2 (argv, (argc + 1) * sizeof (*argv));
  fputs (input ?: "", in);
  rewind (in);
  fflush (NULL);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (!pid)
    {
      dup2 (fileno (in), STDIN_FILENO);
      dup2 (fileno (out), STDOUT_FILENO);
      dup2 (fileno (err), STDERR_FILENO);
      alarm (SECONDS);
      exit (program (argc, words));
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  p->status = WIFSIGNALED (status) ? 128 + WTERMSIG (status)
                                   : WEXITSTATUS (status);
  g_strfreev (argv);
  fclose (in);
  p->out = all_of (out);
  p->err = all_of (err);
  return p;
}

void
program_free (Program *program)
{
  g_free (program->out);
  g_free (program->err);
  g_free (program);
}

void
program_expect (const Program *p, int status, const char *out, const char *err)
{
  if (p->status != status || strcmp (p->out, out) || strcmp (p->err, err))
    g_error ("exit code %d, not %d;\nout:\n%s---- not:\n%s---- err:\n%s---- "
             "not:\n%s----",
             p->status, status, p->out, out, p->err, err);
}
