/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_REGION_UUID_H
#define HERMIT_REGION_UUID_H
/*
 * The UUID of a region, derived from its domain's namespace UUID and the id
 * of its memory object, so that nobody has to write down which region belongs
 * to which domain: RFC 4122 version 5, SHA-1 of both. No GLib here: the
 * emulator wrapper is static.
 */
#include <stdbool.h>

#define HERMIT_UUID_TEXT 37 /* with the final zero */

typedef unsigned char HermitUuid[16];

bool hermit_uuid_parse (const char *text, HermitUuid uuid);
void hermit_uuid_format (const HermitUuid uuid, char text[HERMIT_UUID_TEXT]);
void hermit_uuid_derive (const HermitUuid space, const char *name,
                         HermitUuid uuid);

#endif
