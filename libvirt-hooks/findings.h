/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_FINDINGS_H
#define HERMIT_FINDINGS_H
/* What "hermitctl doctor" found, one line for each thing it looked at. */
#include <glib.h>
#include <jansson.h>

typedef enum
{
  HERMIT_WELL,
  HERMIT_NOTE, /* works, but not as well as it could */
  HERMIT_BAD,  /* domains with hermit memory do not start or do not go on */
} HermitVerdict;

typedef struct HermitFindings HermitFindings;

HermitFindings *hermit_findings_new (void);
void hermit_findings_free (HermitFindings *findings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitFindings, hermit_findings_free)

/*
 * Take a line. @what was looked at, a word; @remedy is what to do, NULL exactly
 * if @verdict is HERMIT_WELL; @format and so on say what was found.
 */
void hermit_find (HermitFindings *findings, HermitVerdict verdict,
                  const char *what, const char *remedy, const char *format,
                  ...) G_GNUC_PRINTF (5, 6);

/* How many lines there are with @verdict. */
guint hermit_findings_count (const HermitFindings *findings,
                             HermitVerdict verdict);

/* "VERDICT WHAT FOUND; REMEDY", in the order in which they came. */
void hermit_findings_print (const HermitFindings *findings);
/* An array; an object has "do" only where there is something to do. */
json_t *hermit_findings_to_json (const HermitFindings *findings);

#endif
