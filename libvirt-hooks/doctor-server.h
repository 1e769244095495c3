/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DOCTOR_SERVER_H
#define HERMIT_DOCTOR_SERVER_H
/* Does a memory server answer, does it have our key, and do large packets go? */
#include "findings.h"

/*
 * Connect to @server and have it prove that it has the key in @key_file, as a
 * VM would; then hang up before a session begins, so that nothing changes
 * there. Takes ten seconds at most.
 */
void hermit_doctor_server (HermitFindings *findings, const char *server,
                           const char *key_file);

#endif
