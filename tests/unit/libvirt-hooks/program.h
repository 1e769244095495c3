/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROGRAM_H
#define PROGRAM_H
/*
 * Run a program's main(), which is linked into the test by another name, in a
 * child of its own: options are static, and what leaks is told at its exit.
 */
#include <glib.h>

typedef int (*ProgramMain) (int argc, char **argv);

typedef struct
{
  int status; /* exit code; 128 + N: ended by signal N */
  char *out, *err;
} Program;

/*
 * @line is split as a shell would, its first word is argv[0]. @input is stdin;
 * NULL: empty. After 60 s it is killed.
 */
Program *program_run (ProgramMain program, const char *line,
                      const char *input);
void program_free (Program *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Program, program_free)

/* The output as it should be, or the test fails and shows both. */
void program_expect (const Program *program, int status, const char *out,
                     const char *err);

#endif
